//! A file that is coming: its bytes in their places, and beside it a map of the chunks that are there.
//!
//! The map begins with a line that says of what it is one; after it each chunk that has come has a record of its number
//! and the CRC-32 of its content. Nothing is synced to the disk before the file is finished: after a stop each chunk is
//! read again, and one whose content is not what was noted, for whatever reason, is fetched again.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use impetus_models::RelativePath;
use nix::{errno::Errno, fcntl};
use sha2::{Digest, Sha256};

use crate::{digest::hex, source::RemoteFile};

/// Number and checksum, each four bytes, the least significant first.
const RECORD_BYTES: usize = 8;
/// What the length of a file is counted in that it takes on the disk, in bytes (`stat(2)`).
const BLOCK_BYTES: u64 = 512;
/// The most that is read of a map, in bytes: that of a file of 8 TiB in chunks of a mebibyte.
const MAX_MAP_BYTES: u64 = 64 << 20;

/// A file that is coming.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    file: File,
    bytes: u64,
    chunk_bytes: u64,
    head: String,
    map: Mutex<Map>,
}

#[derive(Debug)]
struct Map {
    file: File,
    /// Checksums by number.
    chunks: BTreeMap<u64, u32>,
}

/// The part file for this content at this path. It lies where the file will be: kernels whose landlock is the first one
/// let nobody rename out of a folder. Its name is hidden, as that of no file of a model is.
pub(super) fn path(path: &RelativePath, identity: &str) -> PathBuf {
    let name = format!(".{}.part", hex(&Sha256::digest(format!("{path}\0{identity}"))));
    Path::new(path.folder()).join(name)
}

/// Where it is noted what is there of a part file.
pub(super) fn map_path(path: &Path) -> PathBuf {
    path.with_extension("map")
}

impl Part {
    /// Bytes of the file that are here, as far as the map tells.
    pub(super) fn present(path: &Path, file: &RemoteFile, chunk_bytes: u64) -> io::Result<u64> {
        let noted = match File::open(map_path(path)) {
            Ok(map) => read_map(map, &head(file, chunk_bytes))?.unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        let lengths =
            noted.keys().map(|chunk| range(*chunk, file.bytes, chunk_bytes)).map(|(from, to)| to - from);
        Ok(if path.exists() { lengths.sum() } else { 0 })
    }

    /// Bytes of the disk that are the file's already, whether they have come or not.
    pub(super) fn taken(path: &Path, file: &RemoteFile) -> u64 {
        // What is not there takes nothing.
        let taken = fs::metadata(path).map_or(0, |metadata| metadata.blocks().saturating_mul(BLOCK_BYTES));
        taken.min(file.bytes)
    }

    /// Goes on with what is there of it, all of which is read, or begins. The whole room is taken at once where the disk
    /// can do that.
    pub(super) fn open(path: &Path, of: &RemoteFile, chunk_bytes: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let has_all = file.metadata()?.len() == of.bytes;
        allocate(&file, of.bytes)?;
        let head = head(of, chunk_bytes);
        let mut map =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(map_path(path))?;
        let noted = if has_all { read_map(&mut map, &head)? } else { None };
        let (path, bytes) = (path.to_owned(), of.bytes);
        let map = Mutex::new(Map { file: map, chunks: BTreeMap::new() });
        let part = Self { path, file, bytes, chunk_bytes, head, map };
        let sound = match noted {
            Some(noted) => part.sound(noted)?,
            None => BTreeMap::new(),
        };
        part.map().write(&part.head, sound)?;
        Ok(part)
    }

    /// Those of the noted chunks that are on the disk as they came.
    fn sound(&self, noted: BTreeMap<u64, u32>) -> io::Result<BTreeMap<u64, u32>> {
        let mut content = Vec::new();
        let mut sound = BTreeMap::new();
        for (chunk, expected) in noted {
            let (from, to) = self.range(chunk);
            content.resize(usize::try_from(to - from).map_err(io::Error::other)?, 0);
            self.file.read_exact_at(&mut content, from)?;
            if crc32fast::hash(&content) == expected {
                sound.insert(chunk, expected);
            } else {
                tracing::warn!(chunk, from, "a chunk on the disk is not as it came; fetching it again");
            }
        }
        Ok(sound)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// How many chunks it has.
    pub(super) fn chunks(&self) -> u64 {
        self.bytes.div_ceil(self.chunk_bytes)
    }

    /// First byte and the one after the last.
    pub(super) fn range(&self, chunk: u64) -> (u64, u64) {
        range(chunk, self.bytes, self.chunk_bytes)
    }

    pub(super) fn missing(&self) -> Vec<u64> {
        let map = self.map();
        (0..self.chunks()).filter(|chunk| !map.chunks.contains_key(chunk)).collect()
    }

    pub(super) fn present_bytes(&self) -> u64 {
        self.map().chunks.keys().map(|chunk| self.range(*chunk)).map(|(from, to)| to - from).sum()
    }

    /// Writes a chunk that has come.
    pub(super) fn put(&self, chunk: u64, content: &[u8]) -> io::Result<()> {
        self.file.write_all_at(content, self.range(chunk).0)?;
        let checksum = crc32fast::hash(content);
        let mut map = self.map();
        map.file.write_all(&record(chunk, checksum))?;
        map.chunks.insert(chunk, checksum);
        Ok(())
    }

    /// Takes all chunks for missing, and answers what they were.
    pub(super) fn begin_anew(&self) -> io::Result<BTreeMap<u64, u32>> {
        let mut map = self.map();
        let before = map.chunks.clone();
        map.write(&self.head, BTreeMap::new())?;
        Ok(before)
    }

    /// The chunks that are others than `before`.
    pub(super) fn differing(&self, before: &BTreeMap<u64, u32>) -> Vec<u64> {
        let map = self.map();
        map.chunks
            .iter()
            .filter(|(chunk, now)| before.get(chunk) != Some(now))
            .map(|(chunk, _)| *chunk)
            .collect()
    }

    /// Puts the file, which is whole and right, into its place in the same folder.
    pub(super) fn finish(&self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, target)?;
        fs::remove_file(map_path(&self.path))
    }

    /// Gives up what has come.
    pub(super) fn discard(&self) {
        // What cannot be removed is fetched over.
        let _ = (fs::remove_file(&self.path), fs::remove_file(map_path(&self.path)));
    }

    fn map(&self) -> std::sync::MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Map {
    /// Writes it anew.
    fn write(&mut self, head: &str, chunks: BTreeMap<u64, u32>) -> io::Result<()> {
        let mut text = head.as_bytes().to_vec();
        text.extend(chunks.iter().flat_map(|(chunk, checksum)| record(*chunk, *checksum)));
        self.file.set_len(0)?;
        io::Seek::rewind(&mut self.file)?;
        self.file.write_all(&text)?;
        self.chunks = chunks;
        Ok(())
    }
}

fn range(chunk: u64, bytes: u64, chunk_bytes: u64) -> (u64, u64) {
    let from = chunk.saturating_mul(chunk_bytes).min(bytes);
    (from, from.saturating_add(chunk_bytes).min(bytes))
}

fn record(chunk: u64, checksum: u32) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    // A file of more chunks than four bytes can count is refused by its map's length long before.
    record[..4].copy_from_slice(&u32::try_from(chunk).unwrap_or(u32::MAX).to_le_bytes());
    record[4..].copy_from_slice(&checksum.to_le_bytes());
    record
}

fn head(file: &RemoteFile, chunk_bytes: u64) -> String {
    let identity = hex(&Sha256::digest(&file.identity));
    format!("impetus 1 {} {chunk_bytes} {identity}\n", file.bytes)
}

/// What is noted; none where the map is one of something else. What a stop has torn off its end does not count.
fn read_map(map: impl Read, head: &str) -> io::Result<Option<BTreeMap<u64, u32>>> {
    let mut text = Vec::new();
    map.take(MAX_MAP_BYTES).read_to_end(&mut text)?;
    let Some(records) = text.strip_prefix(head.as_bytes()) else { return Ok(None) };
    let number = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).unwrap_or_default();
    let records = records.chunks_exact(RECORD_BYTES);
    Ok(Some(records.map(|record| (u64::from(number(&record[..4])), number(&record[4..]))).collect()))
}

/// Takes the room for the whole file, so that a full disk shows before anything has come.
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    if file.metadata()?.len() == bytes {
        return Ok(());
    }
    file.set_len(0)?;
    #[cfg(target_os = "linux")]
    if bytes > 0 {
        let length = i64::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        match fcntl::fallocate(file, fcntl::FallocateFlags::empty(), 0, length) {
            Ok(()) => return Ok(()),
            // Some filesystems cannot; they tell when they are full.
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    file.set_len(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::web::Ask;

    fn remote(bytes: u64, identity: &str) -> RemoteFile {
        RemoteFile {
            path: RelativePath::new("m.gguf").unwrap(),
            bytes,
            digest: None,
            identity: identity.into(),
            version: None,
            ask: Ask::new("https://h.example/".parse().unwrap(), "m"),
        }
    }

    #[test]
    fn chunks_that_came_are_there_after_a_stop() {
        let dir = tempfile::tempdir().unwrap();
        let (path, file) = (dir.path().join("x.part"), remote(10, "a"));
        let part = Part::open(&path, &file, 4).unwrap();
        assert_eq!(part.missing(), [0, 1, 2]);
        part.put(2, b"ij").unwrap();
        part.put(0, b"abcd").unwrap();
        drop(part);
        assert_eq!(Part::present(&path, &file, 4).unwrap(), 6);
        let part = Part::open(&path, &file, 4).unwrap();
        assert_eq!((part.missing(), part.present_bytes()), (vec![1], 6));
        part.put(1, b"efgh").unwrap();
        part.finish(&dir.path().join("m.gguf")).unwrap();
        assert_eq!(fs::read(dir.path().join("m.gguf")).unwrap(), b"abcdefghij");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn room_that_a_part_has_taken_is_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (path, file) = (dir.path().join("x.part"), remote(1 << 20, "a"));
        assert_eq!(Part::taken(&path, &file), 0);
        let part = Part::open(&path, &file, 1 << 10).unwrap();
        part.put(0, &[1; 1 << 10]).unwrap();
        // All of it, unless this filesystem cannot take it at once.
        #[cfg(target_os = "linux")]
        if fcntl::fallocate(&part.file, fcntl::FallocateFlags::empty(), 0, 1).is_ok() {
            assert_eq!(Part::taken(&path, &file), 1 << 20);
        }
        assert!(Part::taken(&path, &file) >= 1 << 10);
        assert_eq!(Part::taken(&path, &remote(3, "a")), 3);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_gets_into_its_place_on_kernels_with_the_first_landlock() {
        use landlock::{
            ABI, Access, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
        };
        let dir = tempfile::tempdir().unwrap();
        let confined = || {
            let all = AccessFs::from_all(ABI::V1);
            let rules = Ruleset::default().handle_access(all).unwrap().create().unwrap();
            let own = PathBeneath::new(PathFd::new(dir.path()).unwrap(), all);
            rules.add_rule(own).unwrap().restrict_self().unwrap();
            let file = RemoteFile { path: RelativePath::new("a/b/m.gguf").unwrap(), ..remote(4, "a") };
            let part = Part::open(&dir.path().join(path(&file.path, "a")), &file, 4).unwrap();
            part.put(0, b"abcd").unwrap();
            part.finish(&dir.path().join(file.path.to_path())).unwrap();
        };
        // There is no way back for the thread.
        std::thread::scope(|scope| scope.spawn(confined).join().unwrap());
        assert_eq!(fs::read(dir.path().join("a/b/m.gguf")).unwrap(), b"abcd");
        assert_eq!(fs::read_dir(dir.path().join("a/b")).unwrap().count(), 1);
    }

    #[test]
    fn another_content_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.part");
        Part::open(&path, &remote(10, "a"), 4).unwrap().put(0, b"abcd").unwrap();
        let check = |file: &RemoteFile, chunk_bytes: u64| {
            assert_eq!(Part::present(&path, file, chunk_bytes).unwrap(), 0);
        };
        check(&remote(10, "b"), 4);
        check(&remote(11, "a"), 4);
        check(&remote(10, "a"), 5);
        assert_eq!(Part::open(&path, &remote(10, "b"), 4).unwrap().missing(), [0, 1, 2]);
    }

    #[test]
    fn a_chunk_that_changed_on_the_disk_is_fetched_again() {
        let dir = tempfile::tempdir().unwrap();
        let (path, file) = (dir.path().join("x.part"), remote(8, "a"));
        let part = Part::open(&path, &file, 4).unwrap();
        part.put(0, b"abcd").unwrap();
        part.put(1, b"efgh").unwrap();
        part.file.write_all_at(b"X", 5).unwrap();
        drop(part);
        let part = Part::open(&path, &file, 4).unwrap();
        assert_eq!(part.missing(), [1]);
        let before = part.begin_anew().unwrap();
        part.put(0, b"abcd").unwrap();
        part.put(1, b"EFGH").unwrap();
        assert_eq!(part.differing(&before), [1]);
    }

    proptest! {
        #[test]
        fn a_map_that_was_cut_anywhere_claims_nothing_that_is_not_there(cut in 0usize..200, chunks in 1u64..12) {
            let dir = tempfile::tempdir().unwrap();
            let (path, file) = (dir.path().join("x.part"), remote(chunks * 4, "a"));
            let part = Part::open(&path, &file, 4).unwrap();
            for chunk in 0..chunks {
                part.put(chunk, &[u8::try_from(chunk).unwrap(); 4]).unwrap();
            }
            drop(part);
            let map = map_path(&path);
            let text = fs::read(&map).unwrap();
            fs::write(&map, &text[..cut.min(text.len())]).unwrap();
            let part = Part::open(&path, &file, 4).unwrap();
            let records = cut.min(text.len()).saturating_sub(head(&file, 4).len()) / RECORD_BYTES;
            prop_assert_eq!(part.missing().len() as u64, chunks - records as u64);
        }
    }
}
