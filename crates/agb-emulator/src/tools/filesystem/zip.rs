//! ZIP files, as far as browser extensions need them: stored and deflated entries, without encryption, below 4 GiB.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use flate2::CrcReader;
use flate2::read::DeflateDecoder;

const END_MARK: [u8; 4] = *b"PK\x05\x06";
const END_BYTES: usize = 22;
const ENTRY_MARK: [u8; 4] = *b"PK\x01\x02";
const ENTRY_BYTES: usize = 46;
const HEADER_MARK: [u8; 4] = *b"PK\x03\x04";
const HEADER_BYTES: usize = 30;
/// The longest comment behind the end mark.
const MAX_COMMENT: u64 = u16::MAX as u64;
/// More entries than any extension has.
const MAX_DIRECTORY_BYTES: u64 = 64 << 20;
/// Stands for a size that another record holds, in files beyond 4 GiB.
const ELSEWHERE: u32 = u32::MAX;
const ENCRYPTED: u16 = 1;
/// The type of a file within its mode, and regular files in it.
const TYPE_BITS: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;

/// A part of a file, in which a ZIP file lies.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) file: Arc<File>,
    pub(super) offset: u64,
    pub(super) length: u64,
}

impl Part {
    fn read(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let within = at.checked_add(length as u64).is_some_and(|end| end <= self.length);
        if !within {
            return Err(broken("it ends too early"));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, self.offset + at)?;
        Ok(bytes)
    }
}

/// One entry of a ZIP file.
#[derive(Debug)]
pub(super) struct Entry {
    /// As it stands in the file; it may lead anywhere.
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) length: u64,
    packed: u64,
    method: u16,
    crc: u32,
    header_at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    /// With its permissions, where the file tells them.
    File {
        mode: Option<u32>,
    },
    /// A link or a device.
    Other,
}

/// The entries of a ZIP file; `None`: it is none.
pub(super) fn entries(part: &Part) -> io::Result<Option<Vec<Entry>>> {
    let Some(end) = find_end(part)? else { return Ok(None) };
    let (count, size, at) = (u16_at(&end, 10), u32_at(&end, 12), u32_at(&end, 16));
    if size == ELSEWHERE || at == ELSEWHERE || u64::from(size) > MAX_DIRECTORY_BYTES {
        return Err(broken("it is too large"));
    }
    let directory = part.read(at.into(), size as usize)?;
    let mut rest = directory.as_slice();
    let mut entries = Vec::new();
    for _ in 0..count {
        let (entry, after) = read_entry(rest).ok_or_else(|| broken("its list of entries is damaged"))?;
        entries.push(entry?);
        rest = after;
    }
    Ok(Some(entries))
}

/// The content of an entry; fails at its end where it is not what was stored.
pub(super) fn content(part: &Part, entry: &Entry) -> io::Result<impl Read + use<>> {
    let header = part.read(entry.header_at, HEADER_BYTES)?;
    if !header.starts_with(&HEADER_MARK) {
        return Err(broken("an entry is not where it should be"));
    }
    let names = u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
    let at = entry.header_at + HEADER_BYTES as u64 + names;
    let packed = Packed { part: part.clone(), at, left: entry.packed };
    let plain: Box<dyn Read> = match entry.method {
        0 => Box::new(packed),
        8 => Box::new(DeflateDecoder::new(packed)),
        other => return Err(broken(&format!("{} is packed by the unknown method {other}", entry.name))),
    };
    // One byte more than there should be, so that a longer content is noticed and does not fill the disk.
    Ok(Checked { plain: CrcReader::new(plain.take(entry.length + 1)), crc: entry.crc })
}

/// The record at the end, which only a comment may follow.
fn find_end(part: &Part) -> io::Result<Option<Vec<u8>>> {
    let length = part.length.min(MAX_COMMENT + END_BYTES as u64);
    let tail = part.read(part.length - length, usize::try_from(length).unwrap_or_default())?;
    let ends = |(at, window): &(usize, &[u8])| {
        window.starts_with(&END_MARK) && at + END_BYTES + usize::from(u16_at(window, 20)) == tail.len()
    };
    Ok(tail.windows(END_BYTES).enumerate().rev().find(ends).map(|(_, window)| window.to_vec()))
}

fn read_entry(bytes: &[u8]) -> Option<(io::Result<Entry>, &[u8])> {
    let (fixed, rest) = bytes.split_at_checked(ENTRY_BYTES)?;
    if !fixed.starts_with(&ENTRY_MARK) {
        return None;
    }
    let (name, rest) = rest.split_at_checked(u16_at(fixed, 28).into())?;
    let rest = rest.get(usize::from(u16_at(fixed, 30)) + usize::from(u16_at(fixed, 32))..)?;
    let name = String::from_utf8_lossy(name).into_owned();
    let (packed, length, header_at) = (u32_at(fixed, 20), u32_at(fixed, 24), u32_at(fixed, 42));
    if u16_at(fixed, 8) & ENCRYPTED != 0 {
        return Some((Err(broken(&format!("{name} is encrypted"))), rest));
    }
    if [packed, length, header_at].contains(&ELSEWHERE) {
        return Some((Err(broken(&format!("{name} is too large"))), rest));
    }
    let entry = Entry {
        kind: kind_of(&name, u32_at(fixed, 38) >> 16),
        name,
        length: length.into(),
        packed: packed.into(),
        method: u16_at(fixed, 10),
        crc: u32_at(fixed, 16),
        header_at: header_at.into(),
    };
    Some((Ok(entry), rest))
}

/// By its name and the mode that Unix tools write.
fn kind_of(name: &str, mode: u32) -> Kind {
    if name.ends_with('/') {
        return Kind::Directory;
    }
    match mode & TYPE_BITS {
        0 | REGULAR => Kind::File { mode: Some(mode & 0o777).filter(|bits| *bits != 0) },
        _ => Kind::Other,
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn broken(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// The bytes of an entry as they lie in the file.
struct Packed {
    part: Part,
    at: u64,
    left: u64,
}

impl Read for Packed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let end = self.part.length.saturating_sub(self.at);
        let most = most.min(usize::try_from(end).unwrap_or(usize::MAX));
        let buffer = buffer.get_mut(..most).unwrap_or_default();
        let count = self.part.file.read_at(buffer, self.part.offset + self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// Compares what was read with what was stored.
struct Checked<R: Read> {
    plain: CrcReader<R>,
    crc: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.plain.read(buffer)?;
        if count == 0 && !buffer.is_empty() && self.plain.crc().sum() != self.crc {
            return Err(broken("an entry is damaged"));
        }
        Ok(count)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use proptest::prelude::*;

    use super::*;

    /// A ZIP file; each entry has a name, a mode and its content, every other one is deflated.
    pub(crate) fn zip(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
        let (mut body, mut directory) = (Vec::new(), Vec::new());
        for (index, (name, mode, content)) in files.iter().enumerate() {
            let method = if index % 2 == 0 { 0_u16 } else { 8 };
            let packed = if method == 0 { content.to_vec() } else { deflated(content) };
            let mut crc = flate2::Crc::new();
            crc.update(content);
            let mut common = Vec::new();
            common.extend([20_u16, 0, method, 0, 0].iter().flat_map(|field| field.to_le_bytes()));
            common.extend([crc.sum(), packed.len() as u32, content.len() as u32].iter().flat_map(|f| f.to_le_bytes()));
            common.extend([name.len() as u16, 0].iter().flat_map(|field| field.to_le_bytes()));
            directory.extend(ENTRY_MARK);
            directory.extend(20_u16.to_le_bytes());
            directory.extend(&common);
            directory.extend([0_u16, 0, 0].iter().flat_map(|field| field.to_le_bytes()));
            directory.extend((mode << 16).to_le_bytes());
            directory.extend((body.len() as u32).to_le_bytes());
            directory.extend(name.as_bytes());
            body.extend(HEADER_MARK);
            body.extend(&common);
            body.extend(name.as_bytes());
            body.extend(packed);
        }
        let at = body.len() as u32;
        body.extend(&directory);
        body.extend(END_MARK);
        body.extend([0, 0, files.len() as u16, files.len() as u16].iter().flat_map(|field| field.to_le_bytes()));
        body.extend([directory.len() as u32, at].iter().flat_map(|field| field.to_le_bytes()));
        body.extend(0_u16.to_le_bytes());
        body
    }

    fn deflated(content: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn part(bytes: &[u8]) -> Part {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"before").unwrap();
        file.write_all(bytes).unwrap();
        file.write_all(b"behind").unwrap();
        Part { file: Arc::new(file), offset: 6, length: bytes.len() as u64 }
    }

    fn read_all(part: &Part, entry: &Entry) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        content(part, entry)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn stored_and_deflated_entries_are_read() {
        let long = vec![b'x'; 100_000];
        let part =
            part(&zip(&[("a.txt", 0o100_600, b"stored"), ("d/b", 0, &long), ("d/", 0, b""), ("l", 0o120_777, b"a")]));
        let entries = entries(&part).unwrap().unwrap();
        let seen: Vec<(&str, Kind)> = entries.iter().map(|entry| (entry.name.as_str(), entry.kind)).collect();
        let file = |mode| Kind::File { mode };
        assert_eq!(
            seen,
            [("a.txt", file(Some(0o600))), ("d/b", file(None)), ("d/", Kind::Directory), ("l", Kind::Other)]
        );
        assert_eq!(read_all(&part, &entries[0]).unwrap(), b"stored");
        assert_eq!(read_all(&part, &entries[1]).unwrap(), long);
    }

    #[test]
    fn a_comment_may_follow() {
        let mut bytes = zip(&[("a", 0, b"x")]);
        let at = bytes.len() - 2;
        bytes[at] = 5;
        bytes.extend(b"PK\x05\x06!");
        assert_eq!(entries(&part(&bytes)).unwrap().unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_zip_file_is_none() {
        for bytes in [b"".as_slice(), b"not a zip at all", &[0; 70_000]] {
            assert!(entries(&part(bytes)).unwrap().is_none());
        }
    }

    #[test]
    fn damage_is_noticed() {
        let good = zip(&[("a", 0, b"stored-content"), ("b", 0, b"deflated-content")]);
        let flipped = |wanted: &[u8], add: usize| {
            let mut bytes = good.clone();
            let at = bytes.windows(wanted.len()).position(|window| window == wanted).unwrap();
            bytes[at + add] ^= 0xff;
            part(&bytes)
        };
        let part = flipped(b"stored-content", 0);
        assert!(read_all(&part, &entries(&part).unwrap().unwrap()[0]).is_err());
        assert!(entries(&flipped(&ENTRY_MARK, 0)).is_err());
        let part = flipped(&HEADER_MARK, 0);
        assert!(read_all(&part, &entries(&part).unwrap().unwrap()[0]).is_err());
        assert!(entries(&flipped(&ENTRY_MARK, 8)).unwrap_err().to_string().contains("encrypted"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0_usize..300, value: u8) {
            let read = |bytes: &[u8]| {
                let part = part(bytes);
                for entry in entries(&part).ok().flatten().unwrap_or_default() {
                    let _ = read_all(&part, &entry);
                }
            };
            bytes.extend(zip(&[("a", 0, b"x")]));
            read(&bytes);
            let mut bytes = zip(&[("a", 0, b"stored"), ("b", 0, b"deflated")]);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            read(&bytes);
        }
    }
}
