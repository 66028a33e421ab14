use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt, symlink},
    time::{Duration, UNIX_EPOCH},
};

use impetus_config::Size;

use super::*;

const MIB: u64 = 1 << 20;

struct Server {
    dir: tempfile::TempDir,
    files: PrefixFiles,
}

impl Server {
    fn new(disk_mib: u64) -> Self {
        let mut config = Config::default();
        config.prefixes.disk = Size(disk_mib * MIB);
        config.prefixes.file = Size(4 * MIB);
        let dir = tempfile::tempdir().unwrap();
        let files = PrefixFiles::new(dir.path(), watch::channel(Arc::new(config)).1);
        Self { dir, files }
    }

    /// What a worker of the model is told, and its file.
    fn prepare(&self, model: &str) -> (PrefixSpec, Option<File>) {
        let prefixes = PrefixSpec { ram_bytes: 7, file_bytes: 4 * MIB, fingerprint: Vec::new() };
        let spec = WorkerSpec {
            model: model.into(),
            path: model.into(),
            prefixes: Some(prefixes),
            ..WorkerSpec::default()
        };
        let owner = Owner { spec: &spec, format: "gguf", program: Path::new("/worker"), files: &[] };
        let (told, file) = self.files.prepare(owner);
        (told.unwrap(), file.map(|given| File::from(given.file)))
    }

    /// The file of a model that no worker has any more, of `mib`, last used at `used_s`.
    fn leave(&self, model: &str, mib: usize, used_s: u64) {
        let file = self.prepare(model).1.unwrap();
        io::Write::write_all(&mut &file, &vec![7; mib << 20]).unwrap();
        file.sync_all().unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(used_s)).unwrap();
    }

    fn models(&self) -> Vec<(String, bool)> {
        self.files.list().unwrap().into_iter().map(|file| (file.model.unwrap(), file.in_use)).collect()
    }
}

fn owned(expected: &[(&str, bool)]) -> Vec<(String, bool)> {
    expected.iter().map(|(model, in_use)| ((*model).to_owned(), *in_use)).collect()
}

#[test]
fn a_model_finds_its_file_again_and_nobody_else_reads_it() {
    let server = Server::new(100);
    assert_eq!(server.models(), []);
    let (told, file) = server.prepare("a");
    assert_eq!((told.ram_bytes, told.file_bytes, told.fingerprint.len()), (7, 4 * MIB, 32));
    let folder = server.dir.path().join("prefixes");
    let path = server.files.list().unwrap().remove(0).path;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
    assert_eq!(path.file_stem().unwrap().len(), 64);
    io::Write::write_all(&mut file.unwrap(), b"kept").unwrap();
    let (again, file) = server.prepare("a");
    assert_eq!(again, told);
    assert_eq!(io::read_to_string(file.unwrap()).unwrap(), "kept");
}

#[test]
fn who_has_the_file_has_it_until_its_last_descriptor_is_closed() {
    let server = Server::new(100);
    let (_, first) = server.prepare("a");
    let first = first.unwrap();
    let passed = first.try_clone().unwrap();
    drop(first);
    assert_eq!(server.models(), owned(&[("a", true)]));
    let (_, successor) = server.prepare("a");
    let successor = successor.unwrap();
    assert!(!folder::try_lock(&successor), "its predecessor has it");
    drop(passed);
    assert!(folder::try_lock(&successor));
}

#[test]
fn who_waits_for_its_predecessor_finds_the_file_when_that_one_has_ended() {
    let server = Server::new(100);
    let (told, predecessors) = server.prepare("a");
    let told = WorkerSpec { prefixes: Some(told), ..WorkerSpec::default() };
    let first = server.files.claim(&told).unwrap();
    let second = server.files.claim(&told).unwrap();
    drop((predecessors, first));
    assert_eq!(server.files.remove(None).unwrap().len(), 1);
    assert_eq!(server.models(), owned(&[("a", true)]), "nobody has its lock, and it is not removed");
    server.leave("b", 1, 1);
    drop(second);
    server.files.remove(None).unwrap();
    assert_eq!(server.models(), []);
    assert!(server.files.claim(&WorkerSpec::default()).is_none());
}

#[test]
fn all_files_keep_to_their_bound() {
    let server = Server::new(10);
    server.leave("old", 3, 1);
    server.leave("older", 3, 0);
    server.leave("new", 3, 2);
    assert_eq!(server.models(), owned(&[("new", false), ("old", false), ("older", false)]));
    let (_, _used) = server.prepare("old");
    let (told, _also_used) = server.prepare("b");
    assert_eq!(told.file_bytes, 3 * MIB);
    assert_eq!(server.models(), owned(&[("b", true), ("old", true), ("new", false)]));
    let (told, _file) = server.prepare("c");
    assert_eq!(told.file_bytes, 3 * MIB, "what the others may come to take counts");
    let (told, file) = server.prepare("d");
    assert_eq!((told.file_bytes, file.is_some()), (0, false));
}

#[test]
fn models_that_are_served_in_turn_keep_their_files() {
    let server = Server::new(4);
    for model in ["a", "b", "a", "b"] {
        let (told, _) = server.prepare(model);
        assert!(told.file_bytes >= 2 * MIB, "{model}: {}", told.file_bytes);
        server.leave(model, 1, 0);
        assert!(server.models().iter().any(|(kept, _)| kept == "a"));
    }
    assert_eq!(server.models().len(), 2);
}

#[test]
fn a_file_counts_as_what_its_worker_was_granted() {
    let server = Server::new(4);
    server.leave("a", 2, 1);
    let (told, _b) = server.prepare("b");
    assert!(told.file_bytes < 2 * MIB + 1, "{}", told.file_bytes);
    let (told, file) = server.prepare("a");
    assert!(told.file_bytes >= 2 * MIB && file.is_some(), "{}", told.file_bytes);
    // A supervisor that does not know what it was granted counts what it may have been.
    let config = server.files.0.config.clone();
    let next = Server { files: PrefixFiles::new(server.dir.path(), config), ..server };
    assert!(next.prepare("a").1.is_none());
}

#[test]
fn no_link_is_followed() {
    let server = Server::new(100);
    let (_, file) = server.prepare("a");
    drop(file);
    let path = server.files.list().unwrap().remove(0).path;
    let elsewhere = server.dir.path().join("elsewhere");
    fs::remove_file(&path).unwrap();
    symlink(&elsewhere, &path).unwrap();
    let (told, file) = server.prepare("a");
    assert_eq!((told.file_bytes, file.is_some(), elsewhere.exists()), (0, false, false));
    let folder = server.dir.path().join("prefixes");
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, &folder).unwrap();
    assert!(server.prepare("a").1.is_none());
    assert!(server.files.list().is_err());
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn only_what_nobody_uses_is_removed() {
    let server = Server::new(100);
    let (_, used) = server.prepare("a");
    server.leave("b", 1, 1);
    server.leave("c", 1, 2);
    let removed = |model| -> Vec<(Option<String>, bool)> {
        let files = server.files.remove(model).unwrap();
        files.into_iter().map(|file| (file.model, file.in_use)).collect()
    };
    assert_eq!(removed(Some("nobody")), []);
    assert_eq!(removed(Some("b")), [(Some("b".into()), false)]);
    assert_eq!(removed(Some("a")), [(Some("a".into()), true)]);
    assert_eq!(server.models(), owned(&[("a", true), ("c", false)]));
    drop(used);
    assert_eq!(removed(None).len(), 2);
    assert_eq!(server.models(), []);
}

#[test]
fn without_a_folder_there_is_no_file_and_a_worker_all_the_same() {
    let server = Server::new(100);
    fs::write(server.dir.path().join("prefixes"), "in the way").unwrap();
    let (told, file) = server.prepare("a");
    assert_eq!((told.ram_bytes, told.file_bytes, file.is_none()), (7, 0, true));
}
