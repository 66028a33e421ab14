//! What keys and values depend on, in 32 bytes.

use std::{
    fmt, fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use impetus_proto::launch::WorkerSpec;
use sha2::{Digest, Sha256};

/// The form of what is hashed; another one makes other fingerprints.
const FORM: &[u8] = b"impetus prefixes 1";

/// The SHA-256 of all that the keys and values of a token depend on besides the tokens before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(pub(super) [u8; 32]);

impl Fingerprint {
    /// That of a worker which runs `program` and is told `spec` of a model with these files. Versions of files are told
    /// apart by size and time of the last change. Reads the file system.
    pub fn of(spec: &WorkerSpec, format: &str, program: &Path, files: &[PathBuf]) -> Self {
        let mut hash = Hash(Sha256::new());
        hash.field(FORM);
        hash.field(format.as_bytes());
        hash.field(&spec.context_tokens.to_le_bytes());
        // llama.cpp takes no state of a context with another number of streams.
        hash.field(&spec.slots.to_le_bytes());
        hash.file(program);
        hash.field(spec.path.as_bytes());
        hash.field(&(files.len() as u64).to_le_bytes());
        for file in files {
            hash.file(file);
        }
        let mut options: Vec<_> = spec.options.iter().collect();
        options.sort();
        for (name, value) in options {
            hash.field(name.as_bytes());
            hash.field(value.as_bytes());
        }
        Self(hash.0.finalize().into())
    }

    /// That of a worker that was told this, if it was told any.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The one that is written so.
    pub(super) fn parse(hex: &str) -> Option<Self> {
        impetus_config::parse_digest(hex).map(Self).filter(|parsed| parsed.to_string() == hex)
    }

    /// As a worker is told.
    pub fn to_vec(self) -> Vec<u8> {
        self.0.to_vec()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Fields behind their lengths, so that none can pass for another.
struct Hash(Sha256);

impl Hash {
    fn field(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Which version of which file; of one that is not there, that it is not.
    fn file(&mut self, path: &Path) {
        self.field(path.as_os_str().as_bytes());
        let Ok(metadata) = fs::metadata(path) else { return self.field(&[]) };
        let stamp = [metadata.len().cast_signed(), metadata.mtime(), metadata.mtime_nsec()];
        self.field(&stamp.map(i64::to_le_bytes).concat());
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, time::UNIX_EPOCH};

    use super::*;

    #[test]
    fn whatever_keys_depend_on_tells_files_apart_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let [program, model] = ["program", "model"].map(|name| dir.path().join(name));
        fs::write(&program, "p").unwrap();
        fs::write(&model, "m").unwrap();
        let spec = WorkerSpec {
            path: model.to_string_lossy().into(),
            context_tokens: 8,
            options: HashMap::from([("kv_type".into(), "f16".into()), ("mmap".into(), "true".into())]),
            ..WorkerSpec::default()
        };
        let of = |spec: &WorkerSpec, format: &str, files: &[PathBuf]| {
            Fingerprint::of(spec, format, &program, files)
        };
        let files = [model.clone()];
        let first = of(&spec, "gguf", &files);
        let same = WorkerSpec { threads: 3, socket: "/s".into(), model: "n".into(), ..spec.clone() };
        assert_eq!(of(&same, "gguf", &files), first);
        assert_eq!(Fingerprint::parse(&first.to_string()), Some(first));
        assert_eq!(Fingerprint::from_bytes(&first.to_vec()), Some(first));
        let options = HashMap::from([("kv_type".into(), "q8_0".into()), ("mmap".into(), "true".into())]);
        let mut others = vec![
            of(&WorkerSpec { context_tokens: 9, ..spec.clone() }, "gguf", &files),
            of(&WorkerSpec { slots: 9, ..spec.clone() }, "gguf", &files),
            of(&WorkerSpec { options, ..spec.clone() }, "gguf", &files),
            of(&spec, "candle", &files),
            of(&spec, "gguf", &[model.clone(), dir.path().join("more")]),
        ];
        for path in [&model, &program] {
            fs::File::options().write(true).open(path).unwrap().set_modified(UNIX_EPOCH).unwrap();
            others.push(of(&spec, "gguf", &files));
        }
        fs::write(&model, "mm").unwrap();
        others.push(of(&spec, "gguf", &files));
        others.push(first);
        let n_others = others.len();
        others.sort();
        others.dedup();
        assert_eq!(others.len(), n_others, "each is another one");
    }

    #[test]
    fn only_what_was_written_so_is_a_fingerprint() {
        let check = |hex: &str, is_one: bool| assert_eq!(Fingerprint::parse(hex).is_some(), is_one, "{hex}");
        check(&"0f".repeat(32), true);
        check(&"0F".repeat(32), false);
        check(&"0f".repeat(31), false);
        check("", false);
    }
}
