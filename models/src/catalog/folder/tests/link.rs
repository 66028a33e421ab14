//! Links: the hub's cache is read through them, and none leads out of its place unless that is allowed.

use std::{
    fs,
    os::unix::fs::symlink,
    time::{Duration, UNIX_EPOCH},
};

use super::*;

#[test]
fn a_hub_cache_is_read_through_its_links() {
    let folder = Folder::new();
    let repository = "hub/models--org--Small-1B";
    let snapshot = format!("{repository}/snapshots/0123");
    folder
        .write(&format!("{repository}/blobs/aaa"), LLAMA)
        .write(&format!("{repository}/blobs/bbb"), &weights())
        .write(&format!("{repository}/blobs/ccc"), &graph())
        .write(&format!("{repository}/refs/main"), b"0123");
    fs::create_dir_all(folder.path(&format!("{snapshot}/onnx"))).unwrap();
    symlink("../../blobs/aaa", folder.path(&format!("{snapshot}/config.json"))).unwrap();
    symlink("../../blobs/bbb", folder.path(&format!("{snapshot}/model.safetensors"))).unwrap();
    symlink("../../../blobs/ccc", folder.path(&format!("{snapshot}/onnx/model.onnx"))).unwrap();
    let onnx = format!("{snapshot}/onnx/model.onnx");
    let listed = [format!("Small-1B {snapshot}"), format!("Small-1B-onnx {onnx}")];
    let listed = listed.each_ref().map(String::as_str);
    let place = |path: &str| Place { path: folder.path(path), name: None, follow_links: false };
    let root = folder.path(repository).canonicalize().unwrap();
    folder.check(&[folder.place()], &listed);
    folder.check(&[place("hub"), place(repository), folder.place()], &listed);
    // A snapshot itself may be a place, or a file in it: its repository is one folder.
    folder.check(&[place(&snapshot)], &listed);
    folder.check(&[place(&onnx)], &listed[1..]);
    for place in [place(&snapshot), place(&format!("{snapshot}/model.safetensors")), place(&onnx)] {
        let catalog = Catalog::scan(&[place], &[]);
        assert!(catalog.problems().is_empty());
        for model in catalog.models() {
            assert_eq!(model.root, root);
            assert!(model.is_servable(), "{model:#?}");
        }
    }
}

#[test]
fn of_snapshots_the_newest_is_served() {
    let folder = Folder::new();
    for (snapshot, seconds) in [("aaa", 1_000), ("bbb", 3_000), ("ccc", 2_000)] {
        let name = format!("models--org--name/snapshots/{snapshot}");
        folder.llama(&name).write(&format!("{name}/model.safetensors"), &weights());
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        for file in ["config.json", "model.safetensors"] {
            let file = File::options().append(true).open(folder.path(&format!("{name}/{file}"))).unwrap();
            file.set_modified(time).unwrap();
        }
    }
    let catalog = folder.scan();
    assert_eq!(catalog.models().len(), 3);
    let newest = folder.path("models--org--name/snapshots/bbb");
    assert_eq!(catalog.find("name").unwrap().path, newest);
    assert!(
        catalog
            .models()
            .iter()
            .all(|model| model.path == newest || model.duplicate_of == Some(newest.clone()))
    );
}

#[test]
fn links_that_leave_are_followed_only_when_allowed() {
    let (folder, outside) = (Folder::new(), Folder::new());
    outside.write("model.safetensors", &weights()).write("model.onnx_data", &[0; 48]).model("a.gguf");
    outside.write("whole/config.json", LLAMA).write("whole/model.safetensors", &weights());
    folder.llama("linked").llama("export").write("export/model.onnx", &graph_with_data("model.onnx_data"));
    symlink(outside.path("model.safetensors"), folder.path("linked/model.safetensors")).unwrap();
    symlink(outside.path("model.onnx_data"), folder.path("export/model.onnx_data")).unwrap();
    symlink(outside.path("whole"), folder.path("whole")).unwrap();
    symlink(outside.path("a.gguf"), folder.path("a.gguf")).unwrap();
    let catalog = folder.scan();
    for (name, file) in [("linked", "model.safetensors"), ("export", "model.onnx_data")] {
        let message = catalog.find(name).unwrap().broken().unwrap().to_string();
        assert!(message.starts_with(&format!("{file} is a link that leads out")), "{message}");
    }
    assert_eq!(catalog.models().len(), 2);
    assert_eq!(catalog.problems().len(), 4);

    let place = Place { follow_links: true, ..folder.place() };
    let catalog = Catalog::scan(std::slice::from_ref(&place), &[]);
    assert_eq!(
        folder.listed(&catalog),
        ["a a.gguf", "export export/model.onnx", "linked linked", "whole whole"]
    );
    assert!(catalog.problems().is_empty());
    for model in catalog.models() {
        assert!(model.is_servable(), "{model:#?}");
        assert_eq!(model.root, Path::new("/"));
    }
    // Links that lead in a circle end all the same.
    symlink(folder.path(""), folder.path("linked/up")).unwrap();
    assert_eq!(Catalog::scan(&[place], &[]).models().len(), 4);
}

#[test]
fn a_link_that_is_a_place_itself_is_followed() {
    let (folder, outside) = (Folder::new(), Folder::new());
    outside.model("a.gguf").llama("whole").write("whole/model.safetensors", &weights());
    symlink(outside.path("a.gguf"), folder.path("b.gguf")).unwrap();
    symlink(outside.path("whole"), folder.path("linked")).unwrap();
    let root = outside.path("").canonicalize().unwrap();
    let check = |path: &str, expected: &str, root: &Path| {
        let catalog = Catalog::scan(&[folder.named("x", path)], &[]);
        assert_eq!(folder.listed(&catalog), [expected]);
        assert_eq!(only(&catalog).root, root);
    };
    check("b.gguf", "x b.gguf", &root);
    check("linked", "x linked", &root.join("whole"));
    check("linked/model.safetensors", "x linked", &root.join("whole"));

    // A model's folder is not left for a file in it, be it the one that is named.
    folder.llama("mixed");
    symlink(outside.path("whole/model.safetensors"), folder.path("mixed/model.safetensors")).unwrap();
    let catalog = Catalog::scan(&[folder.named("x", "mixed/model.safetensors")], &[]);
    let message = only(&catalog).broken().unwrap().to_string();
    assert!(message.starts_with("model.safetensors is a link that leads out"), "{message}");
}

#[test]
fn the_same_files_are_one_model() {
    let folder = Folder::new();
    folder.llama("a").write("a/model.safetensors", &weights());
    for copy in ["b", "c"] {
        fs::create_dir(folder.path(copy)).unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::hard_link(folder.path(&format!("a/{file}")), folder.path(&format!("{copy}/{file}"))).unwrap();
        }
    }
    folder.write("c/chat_template.jinja", b"{{ messages }}");
    folder.check(&[folder.place(), folder.place()], &["a a", "c c"]);
}
