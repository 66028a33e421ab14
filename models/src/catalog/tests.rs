//! Folders with models, wrong files and links, and what the catalog makes of them.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;

use super::{probe::Content, *};
use crate::testing::gguf::Gguf;

/// A models folder that goes away with its test.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn write(&self, name: &str, content: &[u8]) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub(super) fn model(&self, name: &str) -> &Self {
        self.write(name, &Gguf::llama().bytes())
    }

    pub(super) fn place(&self) -> Place {
        Place { path: self.0.path().to_owned(), name: None, follow_links: false }
    }

    pub(super) fn named(&self, name: &str, path: &str) -> Place {
        Place { path: self.path(path), name: Some(ModelName::new(name).unwrap()), follow_links: false }
    }

    pub(super) fn scan(&self) -> Catalog {
        Catalog::scan(&[self.place()], &[])
    }

    /// Each model as `name file-or-folder`, followed by what is unusual about it.
    pub(super) fn listed(&self, catalog: &Catalog) -> Vec<String> {
        let relative = |path: &Path| path.strip_prefix(self.0.path()).unwrap_or(path).display().to_string();
        let line = |model: &Model| {
            let mut line = format!("{} {}", model.name, relative(&model.path));
            if let Some(broken) = model.broken() {
                line = format!("{line} broken: {broken}");
            }
            if let Some(first) = &model.duplicate_of {
                line = format!("{line} duplicate of {}", relative(first));
            }
            line
        };
        catalog.models().iter().map(line).collect()
    }

    pub(super) fn check(&self, places: &[Place], expected: &[&str]) {
        assert_eq!(self.listed(&Catalog::scan(places, &[])), expected);
    }
}

fn part(number: u32, total: u32) -> Vec<u8> {
    let file = if number == 1 { Gguf::llama() } else { Gguf::empty().tensor("output.weight", &[32, 3], 0) };
    file.u32("split.no", number - 1).u32("split.count", total).u32("split.tensors.count", 2 + total).bytes()
}

fn headers(catalog: &Catalog, path: &Path) -> Arc<crate::gguf::Header> {
    match &catalog.known.files[path].content {
        Content::Gguf(Ok(header)) => header.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn models_are_found_by_content() {
    let folder = Folder::new();
    folder
        .model("b.gguf")
        .model("a.bin")
        .model("deep/er/c")
        .model(".hidden.gguf")
        .model(".cache/d.gguf")
        .write("notes.txt", b"GGUF is a format")
        .write("readme.md", b"# models")
        .write("empty", b"")
        .write("page.gguf", b"<!DOCTYPE html>")
        .write("cut.gguf", &Gguf::llama().bytes()[..500])
        .write("vocab.gguf", &Gguf::empty().text("general.architecture", "llama").bytes());
    let catalog = folder.scan();
    let listed = folder.listed(&catalog);
    assert_eq!(listed[..2], ["a a.bin", "b b.gguf"]);
    assert!(listed[2].starts_with("cut cut.gguf broken: the file ends at byte 500"), "{}", listed[2]);
    assert_eq!(listed[3], "c deep/er/c");
    assert!(listed[4].starts_with("notes notes.txt broken: GGUF version"), "{}", listed[4]);
    assert!(listed[5].starts_with("page page.gguf broken: not a GGUF file"), "{}", listed[5]);
    assert!(listed[6].starts_with("vocab vocab.gguf broken: the file holds no tensors"), "{}", listed[6]);
    assert_eq!(listed.len(), 7);
    assert!(catalog.problems().is_empty());

    let model = catalog.find("b").unwrap();
    assert_eq!(model.format, GGUF_FORMAT);
    assert_eq!(model.size_bytes, Gguf::llama().bytes().len() as u64);
    assert_eq!(model.files, [folder.path("b.gguf")]);
    assert_eq!(model.modified, Some(fs::metadata(&model.path).unwrap().modified().unwrap()));
    assert_eq!(model.metadata().unwrap().layers, 2);
    assert!(model.is_servable());
    assert!(!catalog.find("page").unwrap().is_servable());
}

#[test]
fn a_name_is_never_a_path() {
    let folder = Folder::new();
    folder.model("a.gguf");
    let catalog = folder.scan();
    assert!(catalog.find("a").is_some());
    let absolute = folder.path("a.gguf");
    for name in ["", "a.gguf", "./a", "../a", "/etc/passwd", "a/../a", "a\0", absolute.to_str().unwrap()] {
        assert!(catalog.find(name).is_none(), "{name:?}");
    }
}

#[test]
fn parts_are_one_model() {
    let folder = Folder::new();
    for number in 1..=3 {
        folder.write(&format!("big-{number:05}-of-00003.gguf"), &part(number, 3));
    }
    let catalog = folder.scan();
    assert_eq!(folder.listed(&catalog), ["big big-00001-of-00003.gguf"]);
    let model = catalog.find("big").unwrap();
    assert_eq!(model.files.len(), 3);
    assert_eq!(model.size_bytes, (1..=3).map(|number| part(number, 3).len() as u64).sum::<u64>());
    assert_eq!(model.metadata().unwrap().parameters, 1_120 + 2 * 96);

    // Any of its parts leads to all of it.
    folder.check(&[folder.named("x", "big-00002-of-00003.gguf")], &["x big-00001-of-00003.gguf"]);
}

#[test]
fn incomplete_and_mixed_parts_are_broken() {
    fn check(files: &[(&str, Vec<u8>)], expected: &str) {
        let folder = Folder::new();
        for (name, content) in files {
            folder.write(name, content);
        }
        let catalog = folder.scan();
        let [model] = catalog.models() else { panic!("{:?}", folder.listed(&catalog)) };
        let message = model.broken().unwrap().to_string();
        assert!(message.contains(expected), "{message:?} lacks {expected:?}");
        assert_eq!(model.name.as_str(), "m");
    }
    let (one, two) = ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf");
    check(&[(one, part(1, 2))], "1 of its 2 parts are missing or of another format: m-00002-of-00002.gguf");
    check(&[(two, part(2, 2))], "missing or of another format: m-00001-of-00002.gguf");
    check(&[("m-00007-of-99999.gguf", part(7, 9))], "99998 of its 99999 parts");
    check(&[(one, part(1, 2)), (two, part(2, 2)[..40].to_vec())], "part \"m-00002-of-00002.gguf\": the file");
    check(&[(one, part(1, 2)), (two, b"oops".to_vec())], "part \"m-00002-of-00002.gguf\": not a GGUF");
    check(&[(one, part(1, 2)), (two, part(1, 2))], "says that it is part 1 of 2");
    check(&[(one, part(1, 2)), (two, part(2, 3))], "says that it is part 2 of 3");
    check(&[("m.gguf", part(1, 2))], "one of 2 parts, but its name does not end in -00001-of-00002.gguf");
    let announced = |count| Gguf::llama().u32("split.count", 2).u32("split.tensors.count", count).bytes();
    check(&[(one, announced(9)), (two, part(2, 2))], "hold 4 tensors, but 9 are announced");
}

#[test]
fn names_can_be_given() {
    let folder = Folder::new();
    folder
        .model("a.gguf")
        .model("one/x.gguf")
        .model("two/y.gguf")
        .model("two/z.gguf")
        .write("other.txt", b"text");
    fs::create_dir(folder.path("none")).unwrap();
    folder.check(&[folder.named("given", "a.gguf")], &["given a.gguf"]);
    folder.check(&[folder.named("given", "one")], &["given one/x.gguf"]);
    let check_broken = |path: &str, expected: &str| {
        let catalog = Catalog::scan(&[folder.named("given", path)], &[]);
        let message = catalog.find("given").unwrap().broken().unwrap().to_string();
        assert!(message.contains(expected), "{message:?} lacks {expected:?}");
    };
    check_broken("two", "holds 2 models where one is expected");
    check_broken("none", "holds 0 models where one is expected");
    check_broken("missing.gguf", "cannot be read");
    check_broken("other.txt", "of no known format");

    // The place says the name; the folder that has the file too does not list it again.
    let places = [folder.place(), folder.named("given", "a.gguf"), folder.named("more", "a.gguf")];
    folder.check(&places, &["given a.gguf", "more a.gguf", "x one/x.gguf", "y two/y.gguf", "z two/z.gguf"]);
}

#[test]
fn duplicates_are_reported() {
    let folder = Folder::new();
    folder.model("a/m.gguf").model("b/m.gguf").model("c/m.bin");
    folder.check(
        &[folder.place()],
        &["m a/m.gguf", "m b/m.gguf duplicate of a/m.gguf", "m c/m.bin duplicate of a/m.gguf"],
    );
    let catalog = Catalog::scan(&[folder.place(), folder.named("m", "b/m.gguf")], &[]);
    assert_eq!(catalog.find("m").unwrap().path, folder.path("b/m.gguf"));
    assert_eq!(catalog.models().iter().filter(|model| model.is_servable()).count(), 1);

    // What is broken leaves its name to what is not.
    folder.write("a/m.gguf", b"GGUF");
    let catalog = folder.scan();
    assert_eq!(catalog.find("m").unwrap().path, folder.path("b/m.gguf"));
}

#[test]
fn one_file_is_listed_once() {
    let folder = Folder::new();
    folder.model("blobs/sha256-1");
    fs::create_dir(folder.path("snapshot")).unwrap();
    symlink("../blobs/sha256-1", folder.path("snapshot/model.gguf")).unwrap();
    fs::hard_link(folder.path("blobs/sha256-1"), folder.path("z.gguf")).unwrap();
    let again = Place { path: folder.path("blobs"), name: None, follow_links: false };
    folder.check(&[folder.place(), again, folder.place()], &["model snapshot/model.gguf"]);
}

#[test]
fn links_stay_within_their_place() {
    let (folder, outside) = (Folder::new(), Folder::new());
    outside.model("secret.gguf");
    folder.model("sub/a.gguf");
    symlink(outside.path("secret.gguf"), folder.path("file.gguf")).unwrap();
    symlink(outside.path(""), folder.path("folder")).unwrap();
    symlink("..", folder.path("sub/loop")).unwrap();
    symlink("self", folder.path("self")).unwrap();
    symlink("nowhere", folder.path("dangling.gguf")).unwrap();
    let catalog = folder.scan();
    assert_eq!(folder.listed(&catalog), ["a sub/a.gguf"]);
    let problems: Vec<String> = catalog.problems().iter().map(ToString::to_string).collect();
    let check = |file: &str, expected: &str| {
        let path = format!("{:?}", folder.path(file));
        let found = problems.iter().any(|problem| problem.contains(&path) && problem.contains(expected));
        assert!(found, "no {expected:?} for {file} in {problems:#?}");
    };
    check("file.gguf", "leads out");
    check("folder", "leads out");
    check("self", "cannot be read");
    check("dangling.gguf", "cannot be read");
    assert_eq!(problems.len(), 4);

    // A place may be a link itself.
    symlink(outside.path(""), folder.path("place")).unwrap();
    let place = Place { path: folder.path("place"), name: None, follow_links: false };
    folder.check(&[place], &["secret place/secret.gguf"]);
}

#[test]
fn depth_is_bounded() {
    let folder = Folder::new();
    folder.model("1/2/3/4/5/6/7/8/seen.gguf").model("1/2/3/4/5/6/7/8/9/unseen.gguf");
    let catalog = folder.scan();
    assert_eq!(folder.listed(&catalog), ["seen 1/2/3/4/5/6/7/8/seen.gguf"]);
    assert!(matches!(catalog.problems(), [Problem::TooDeep { limit: 8, .. }]));
}

#[test]
fn missing_places_are_problems() {
    let folder = Folder::new();
    let catalog = Catalog::scan(&[Place { path: folder.path("gone"), name: None, follow_links: false }], &[]);
    assert!(catalog.models().is_empty());
    assert!(matches!(catalog.problems(), [Problem::Unreadable { .. }]));
}

#[test]
fn third_parties_name_patterns() {
    let folder = Folder::new();
    folder
        .write("x.echo", b"anything")
        .write("y-00001-of-00002.echo", b"12345")
        .write("y-00002-of-00002.echo", b"123")
        .write("w-00001-of-00002.echo", b"")
        .model("gguf.echo")
        .write("z.other", b"");
    let patterns = [FormatPattern { format: "echo".to_owned(), patterns: vec!["*.echo".to_owned()] }];
    let catalog = Catalog::scan(&[folder.place()], &patterns);
    let of_format = |format: &str| -> Vec<&str> {
        let models = catalog.models().iter().filter(|model| model.format == format);
        models.map(|model| model.name.as_str()).collect()
    };
    assert_eq!(of_format("echo"), ["w", "x", "y"]);
    assert_eq!(of_format(GGUF_FORMAT), ["gguf"]);
    assert!(matches!(catalog.find("x").unwrap().state, State::Opaque));
    assert_eq!(catalog.find("y").unwrap().size_bytes, 8);
    assert!(matches!(catalog.find("w").unwrap().broken(), Some(Broken::MissingParts { count: 1, .. })));
}

#[test]
fn a_rescan_opens_what_changed() {
    let folder = Folder::new();
    folder.model("same.gguf").model("changed.gguf").model("gone.gguf");
    let (same, changed) = (folder.path("same.gguf"), folder.path("changed.gguf"));
    let first = folder.scan();
    folder.write("changed.gguf", &Gguf::llama().text("general.name", "New").bytes()).model("new.gguf");
    fs::remove_file(folder.path("gone.gguf")).unwrap();
    let second = first.rescan(&[folder.place()], &[]);
    assert_eq!(folder.listed(&second), ["changed changed.gguf", "new new.gguf", "same same.gguf"]);
    assert!(Arc::ptr_eq(&headers(&first, &same), &headers(&second, &same)));
    assert!(!Arc::ptr_eq(&headers(&first, &changed), &headers(&second, &changed)));
    assert_eq!(second.find("changed").unwrap().metadata().unwrap().name.as_deref(), Some("New"));
    assert_eq!(second.known.files.len(), 3);
}

#[test]
fn the_bundled_model_is_described() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundled/tiny");
    let catalog = Catalog::scan(&[Place { path, name: None, follow_links: false }], &[]);
    let metadata = catalog.find("impetus-tiny").unwrap().metadata().unwrap();
    assert_eq!((metadata.architecture.as_str(), metadata.quantization.as_str()), ("llama", "F32"));
    assert!(metadata.parameters > 1_000_000 && metadata.context_tokens >= 1024);
    assert!(metadata.chat_template.is_some());
}
