//! The tar file in which the upload mode `Archive` keeps what lies below a mount.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use super::{
    blob::{Blob, Slice, Tagger},
    held::{Change, Holdings},
    mount::Mount,
    objects::{Kind, Object, Objects, joined},
};
use crate::tools::filesystem::transfer::{Found, SliceReader, plain_path};

/// `<last part of the directory>.tar`, in that directory.
pub(super) fn name(mount: &Mount) -> String {
    format!("{}.tar", mount.stored.rsplit('/').next().unwrap_or_default())
}

/// How an archive follows from the one before it, from single objects, and from what a session has changed.
#[derive(Debug, Default)]
pub(super) struct Merge {
    /// What is stored in the archive's place.
    old: Option<Object>,
    /// Whether its entries go on, as far as they are not dropped.
    keeps_old: bool,
    dropped: HashSet<String>,
    entries: Vec<Entry>,
    /// Single objects in whose place the archive comes.
    replaced: Vec<(String, Object)>,
}

#[derive(Debug)]
struct Entry {
    relative: String,
    mode: u32,
    modified: (i64, i32),
    kind: Kind,
    rank: Rank,
}

/// What is preferred where not all can be in one archive; what goes on comes before `Spare`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    Written,
    TakenIn,
    Spare,
}

/// The paths of an archive: one that holds something below what is no directory can't be unpacked.
#[derive(Debug, Default)]
struct Paths {
    directories: HashSet<String>,
    others: HashSet<String>,
}

impl Paths {
    /// `false`: it can't be beside what was added before.
    fn add(&mut self, relative: &str, is_directory: bool) -> bool {
        let parents = || relative.match_indices('/').filter_map(|(at, _)| relative.get(..at));
        let is_taken = if is_directory { self.others.contains(relative) } else { self.directories.contains(relative) };
        if is_taken || parents().any(|parent| self.others.contains(parent)) {
            return false;
        }
        self.directories.extend(parents().map(str::to_owned));
        let same = if is_directory { &mut self.directories } else { &mut self.others };
        same.insert(relative.to_owned());
        true
    }
}

impl Merge {
    /// `stored` is what is there, `found` and `gone` what a session has and has no more; the bytes found are in `pack`.
    /// `None`: the session has changed nothing.
    pub(super) fn of(
        mount: &Mount,
        stored: Vec<(String, Object)>,
        held: &Holdings,
        (found, pack): (&[Found], &Arc<Blob>),
        gone: &[String],
    ) -> Result<Option<Self>, String> {
        let name = name(mount);
        let mut singles: HashMap<String, Object> = stored.into_iter().collect();
        let old = singles.remove(&name);
        singles.retain(|_, object| !object.kind.is_archive());
        let is_copy = |object: &Object| mount.policy.extract && object.kind.is_archive();
        let is_changed = |found: &Found| found.relative == name && held.change(found) == Change::Written;
        if old.is_some() && !mount.policy.extract && held.has(&name) && found.iter().any(is_changed) {
            return Err(format!("{name} was changed in the session, and the archive is made of other files"));
        }
        let is_over = old.as_ref().is_some_and(|old| gone.contains(&name) && held.ends(&name, old) && !is_copy(old));
        let mut merge = Self { old, keeps_old: !is_over, ..Self::default() };
        let mut has_changes = is_over;
        for found in found.iter().filter(|found| found.relative != name) {
            let single = singles.remove(&found.relative);
            let change = held.change(found);
            has_changes |= change != Change::None;
            match (change, single) {
                (Change::None, None) | (Change::Unpacked, Some(_)) => {}
                (Change::None, Some(single)) => merge.take_in(found, single),
                (Change::Unpacked, None) => {
                    merge.entries.extend(Entry::of(found, pack).map(|entry| Entry { rank: Rank::Spare, ..entry }));
                }
                (Change::Written, single) => {
                    merge.dropped.insert(found.relative.clone());
                    merge.replaced.extend(single.map(|single| (found.relative.clone(), single)));
                    merge.entries.extend(Entry::of(found, pack));
                }
            }
        }
        for relative in gone.iter().filter(|relative| **relative != name) {
            has_changes = true;
            merge.dropped.insert(relative.clone());
            merge.replaced.extend(singles.remove_entry(relative));
        }
        if !has_changes {
            return Ok(None);
        }
        if merge.keeps_old && merge.old.as_ref().is_some_and(|old| !old.kind.is_archive()) {
            return Err(format!("{name} is stored as a file of its own, and the archive would replace it"));
        }
        Ok(Some(merge))
    }

    /// A single object goes into the archive as it is stored: it may be newer than what the session was given.
    fn take_in(&mut self, found: &Found, single: Object) {
        self.dropped.insert(found.relative.clone());
        self.entries.push(Entry {
            relative: found.relative.clone(),
            mode: single.mode.unwrap_or(found.mode),
            modified: single.modified.unwrap_or(found.modified),
            kind: single.kind.clone(),
            rank: Rank::TakenIn,
        });
        self.replaced.push((found.relative.clone(), single));
    }

    /// Writes the archive; answers its length and tag, or `None` when nothing is left that it could hold.
    pub(super) fn write(&self, into: File) -> io::Result<Option<(u64, String)>> {
        let mut archive = tar::Builder::new(Tagged { into, tagger: Tagger::default() });
        let mut paths = Paths::default();
        let mut own = self.of_rank(Rank::Written, &mut paths);
        own.extend(self.of_rank(Rank::TakenIn, &mut paths));
        let mut there = HashSet::new();
        if let Some(Object { kind: Kind::Archive { bytes, .. }, .. }) = &self.old
            && self.keeps_old
        {
            for entry in tar::Archive::new(reader(bytes)?).entries()? {
                let mut entry = entry?;
                let Some(path) = plain_path(&entry.path()?) else { continue };
                let relative = path.to_string_lossy().into_owned();
                let mut header = entry.header().clone();
                let is_directory = header.entry_type() == tar::EntryType::Directory;
                if self.dropped.contains(&relative) || !paths.add(&relative, is_directory) {
                    continue;
                }
                match (header.entry_type(), entry.link_name()?.map(|target| target.into_owned())) {
                    (tar::EntryType::Symlink, Some(target)) => archive.append_link(&mut header, &path, target)?,
                    (tar::EntryType::Directory, _) => append_directory(&mut archive, &mut header, &path)?,
                    _ => archive.append_data(&mut header, &path, &mut entry)?,
                }
                there.insert(relative);
            }
        }
        let mut spare = self.of_rank(Rank::Spare, &mut paths);
        spare.retain(|entry| !there.contains(&entry.relative));
        if there.is_empty() && own.is_empty() && spare.is_empty() {
            return Ok(None);
        }
        for entry in own.into_iter().chain(spare) {
            entry.append_to(&mut archive)?;
        }
        let Tagged { tagger, .. } = archive.into_inner()?;
        Ok(Some((tagger.length(), tagger.tag())))
    }

    /// The entries of a rank that can be beside what was added before.
    fn of_rank(&self, rank: Rank, paths: &mut Paths) -> Vec<&Entry> {
        let entries = self.entries.iter().filter(|entry| entry.rank == rank);
        entries.filter(|entry| paths.add(&entry.relative, matches!(entry.kind, Kind::Directory))).collect()
    }

    /// Stores the archive that was written, or none, if nothing was stored in its place meanwhile.
    pub(super) fn store(&self, objects: &mut Objects, mount: &Mount, archive: Option<Object>) -> bool {
        let path = joined(&mount.stored, &name(mount));
        let is_current = match (&self.old, objects.get(&path)) {
            (Some(old), Some(now)) => now.is_still(old),
            (old, now) => old.is_none() && now.is_none(),
        };
        if !is_current {
            return false;
        }
        for (relative, object) in &self.replaced {
            let path = joined(&mount.stored, relative);
            if objects.get(&path).is_some_and(|now| now.is_still(object)) {
                objects.remove(&path);
            }
        }
        match archive {
            Some(archive) => objects.put(&path, archive),
            None => drop(objects.remove(&path)),
        }
        true
    }
}

impl Entry {
    fn of(found: &Found, pack: &Arc<Blob>) -> Option<Self> {
        let kind = Kind::of(found, pack)?;
        let (relative, mode, modified) = (found.relative.clone(), found.mode, found.modified);
        Some(Self { relative, mode, modified, kind, rank: Rank::Written })
    }

    fn append_to(&self, archive: &mut tar::Builder<Tagged>) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_mode(self.mode);
        header.set_mtime(u64::try_from(self.modified.0).unwrap_or(0));
        header.set_size(0);
        let path = Path::new(&self.relative);
        match &self.kind {
            Kind::Directory => append_directory(archive, &mut header, path),
            Kind::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                archive.append_link(&mut header, path, target)
            }
            Kind::File { bytes, .. } => {
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(bytes.length);
                archive.append_data(&mut header, path, reader(bytes)?)
            }
            Kind::Archive { .. } | Kind::InSession { .. } => Ok(()),
        }
    }
}

/// With the slash at its end that tar gives directories.
fn append_directory(archive: &mut tar::Builder<Tagged>, header: &mut tar::Header, path: &Path) -> io::Result<()> {
    header.set_entry_type(tar::EntryType::Directory);
    archive.append_data(header, path.join(""), io::empty())
}

fn reader(bytes: &Slice) -> io::Result<SliceReader> {
    Ok(SliceReader { file: Arc::new(bytes.blob.open()?), offset: bytes.offset, left: bytes.length })
}

struct Tagged {
    into: File,
    tagger: Tagger,
}

impl Write for Tagged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.into.write(bytes)?;
        self.tagger.add(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::contexts::{blob::Blobs, mount::read_mounts, objects::tests::folder};
    use crate::tools::filesystem::transfer::{FoundKind, Look, Looks};
    use serde_json::json;

    struct Storage {
        blobs: Blobs,
        objects: Objects,
        mount: Mount,
        _directory: tempfile::TempDir,
    }

    impl Storage {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let policy = json!({"uploadPolicy": {"uploadMode": "Archive"}});
            let mount = json!({"contextId": "c", "path": "/m", "policy": policy});
            Self {
                blobs: Blobs::new(directory.path().to_owned()),
                objects: Objects::default(),
                mount: read_mounts(&[mount]).unwrap().remove(0),
                _directory: directory,
            }
        }

        fn merge(&self, held: &Holdings, found: &[Found]) -> Option<Merge> {
            let pack = self.blobs.create().unwrap().0;
            Merge::of(&self.mount, self.objects.tree("/m"), held, (found, &pack), &[]).unwrap()
        }

        fn write(&self, merge: &Merge) -> Option<Object> {
            let (blob, into) = self.blobs.create().unwrap();
            let (length, tag) = merge.write(into).unwrap()?;
            let kind = Kind::Archive { bytes: Slice { blob, offset: 0, length }, tag };
            Some(Object { kind, ..folder(Duration::ZERO) })
        }

        /// Stores what a session has found that holds only what is `unchanged`.
        fn upload(&mut self, found: &[Found], unchanged: &[&str]) {
            let mut held = Holdings::default();
            held.stored(unchanged.iter().map(|name| ((*name).to_owned(), Look::Directory)).collect());
            let merge = self.merge(&held, found).unwrap();
            let archive = self.write(&merge);
            let mount = self.mount.clone();
            assert!(merge.store(&mut self.objects, &mount, archive));
        }

        fn entries(&self) -> Vec<String> {
            let (bytes, _) = self.objects.get("/m/m.tar").unwrap().kind.bytes().unwrap();
            let mut archive = tar::Archive::new(reader(bytes).unwrap());
            let entries = archive.entries().unwrap().map(Result::unwrap);
            entries
                .map(|entry| match entry.link_name().unwrap() {
                    Some(target) => format!("{} -> {}", entry.path().unwrap().display(), target.display()),
                    None => entry.path().unwrap().display().to_string(),
                })
                .collect()
        }
    }

    fn link(relative: &str, target: &str) -> Found {
        let (look, what) = (Look::Link(target.to_owned()), FoundKind::Link(target.to_owned()));
        Found { relative: relative.to_owned(), mode: 0o777, modified: (0, 0), look, what }
    }

    fn directory(relative: &str, what: FoundKind) -> Found {
        Found { mode: 0o755, look: Look::Directory, what, ..link(relative, "") }
    }

    #[test]
    fn what_is_written_last_decides_whether_something_is_a_directory() {
        let mut storage = Storage::new();
        let made = |relative| directory(relative, FoundKind::Directory);
        storage.upload(&[made("d"), link("d/x", "1"), made("d/e"), link("d/e/y", "1"), link("dx", "1")], &[]);
        storage.upload(&[link("d", "2")], &[]);
        assert_eq!(storage.entries(), ["dx -> 1", "d -> 2"]);
        storage.upload(&[directory("d", FoundKind::Unchanged), link("d/x", "3")], &["d"]);
        assert_eq!(storage.entries(), ["dx -> 1", "d/x -> 3"]);
        storage.upload(&[made("dx"), made("d/x"), made("d/x/y")], &[]);
        assert_eq!(storage.entries(), ["dx/", "d/x/", "d/x/y/"]);

        // A single object that came meanwhile as something else than the session has.
        storage.objects.put("/m/d", Object { kind: Kind::Link("4".to_owned()), ..folder(Duration::ZERO) });
        storage.upload(&[directory("d", FoundKind::Unchanged), link("d/x", "5")], &["d"]);
        assert_eq!(storage.entries(), ["dx/", "d/x -> 5"]);
        assert_eq!(storage.objects.tree("/m").len(), 1);
    }

    #[test]
    fn one_that_another_session_has_stored_meanwhile_is_merged_and_not_replaced() {
        let mut storage = Storage::new();
        let (held, long) = (Holdings::default(), "t".repeat(150));
        let one = storage.merge(&held, &[link("one", &long)]).unwrap();
        let other = storage.merge(&held, &[link("other", "x")]).unwrap();
        let (first, late) = (storage.write(&one), storage.write(&other));
        let mount = storage.mount.clone();
        assert!(one.store(&mut storage.objects, &mount, first));
        assert!(!other.store(&mut storage.objects, &mount, late));

        let again = storage.merge(&held, &[link("other", "x")]).unwrap();
        let archive = storage.write(&again);
        assert!(again.store(&mut storage.objects, &mount, archive));
        assert_eq!(storage.entries(), [format!("one -> {long}"), "other -> x".to_owned()]);
    }

    #[test]
    fn a_single_object_that_was_stored_meanwhile_stays() {
        let mut storage = Storage::new();
        let single = |target: &str| Object { kind: Kind::Link(target.to_owned()), ..folder(Duration::ZERO) };
        for path in ["/m/same", "/m/newer"] {
            storage.objects.put(path, single("1"));
        }
        let mut held = Holdings::default();
        let looks = ["same", "newer"].map(|name| (name.to_owned(), Look::Link("1".to_owned())));
        held.stored(Looks::from(looks));
        let unchanged = ["same", "newer"].map(|name| Found { what: FoundKind::Unchanged, ..link(name, "1") });
        assert!(storage.merge(&held, &unchanged).is_none(), "nothing was changed");

        let [same, newer] = unchanged;
        let merge = storage.merge(&held, &[same, newer, link("own", "1")]).unwrap();
        let archive = storage.write(&merge);
        storage.objects.put("/m/newer", single("2"));
        let mount = storage.mount.clone();
        assert!(merge.store(&mut storage.objects, &mount, archive));
        assert_eq!(storage.entries(), ["own -> 1", "same -> 1", "newer -> 1"]);
        let left: Vec<String> = storage.objects.tree("/m").into_iter().map(|(relative, _)| relative).collect();
        assert_eq!(left, ["m.tar", "newer"]);
    }
}
