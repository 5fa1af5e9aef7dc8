//! Where the bytes of objects lie: files that only the emulator may read, each gone with its last object.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hasher},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A directory of blobs, made with the first of them.
#[derive(Debug)]
pub(crate) struct Blobs {
    directory: PathBuf,
    last: AtomicU64,
}

/// One file; removed when nothing refers to it any more.
#[derive(Debug)]
pub(crate) struct Blob {
    path: PathBuf,
}

/// Some bytes of a blob.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    pub(crate) blob: Arc<Blob>,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl Slice {
    pub(crate) fn is_same(&self, other: &Slice) -> bool {
        Arc::ptr_eq(&self.blob, &other.blob) && self.offset == other.offset
    }
}

impl Blobs {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, last: AtomicU64::new(0) }
    }

    /// An empty blob and its file, open for reading and writing.
    pub(crate) fn create(&self) -> io::Result<(Arc<Blob>, File)> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let blob = Blob { path: self.directory.join(format!("{number}.blob")) };
        let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&blob.path)?;
        Ok((Arc::new(blob), file))
    }
}

impl Blob {
    pub(crate) fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        // The emulator's directory may be gone already, and its blobs with it.
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("{} could not be removed: {error}", self.path.display());
        }
    }
}

/// Makes the entity tag of an object while its bytes pass by: the same bytes give the same tag.
#[derive(Debug, Default)]
pub(crate) struct Tagger {
    hasher: DefaultHasher,
    length: u64,
}

impl Tagger {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        // Not `Hash::hash`, which would count the pieces too.
        self.hasher.write(bytes);
        self.length += bytes.len() as u64;
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The tag without its quotes: 32 hexadecimal digits.
    pub(crate) fn tag(&self) -> String {
        format!("{:016X}{:016X}", self.hasher.finish(), self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_removed_with_its_last_reference() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(directory.path().join("blobs"));
        let (blob, _file) = blobs.create().unwrap();
        let path = blob.path.clone();
        let other = blob.clone();
        drop(blob);
        assert!(path.exists());
        drop(other);
        assert!(!path.exists());
    }

    #[test]
    fn a_tag_depends_on_the_bytes_and_not_on_their_pieces() {
        let tag = |pieces: &[&[u8]]| {
            let mut tagger = Tagger::default();
            pieces.iter().for_each(|piece| tagger.add(piece));
            tagger.tag()
        };
        assert_eq!(tag(&[b"hello"]), tag(&[b"he", b"l", b"lo"]));
        assert_ne!(tag(&[b"hello"]), tag(&[b"hellp"]));
        assert_eq!(tag(&[]).len(), 32);
    }
}
