//! Models whose files are links, as the cache of Hugging Face's hub keeps them, and links that lead elsewhere.

use std::{fs, os::unix::fs::symlink, path::Path};

use serde_json::json;

use crate::{
    chat::{counted, with},
    harness::{BUNDLED, Server, Setup, bundled, chat},
};

/// A folder of links named `links` to files in the folder `blobs`, by the relative path `up` between the two.
fn link(blobs: &Path, links: &Path, up: &str) {
    fs::create_dir_all(blobs).unwrap();
    fs::create_dir_all(links).unwrap();
    let sources = fs::read_dir(bundled(BUNDLED[1])).unwrap().map(|entry| entry.unwrap().path());
    for (blob, source) in sources.enumerate() {
        fs::copy(&source, blobs.join(format!("{blob:064x}"))).unwrap();
        symlink(format!("{up}/{blob:064x}"), links.join(source.file_name().unwrap())).unwrap();
    }
}

async fn count(server: &Server, model: &str) -> String {
    server.http.ask(&with(chat("count from 1 to 5"), &json!({"model": model}))).await.text
}

#[tokio::test]
async fn a_snapshot_of_the_hubs_cache_is_a_model() {
    let setup = Setup::new();
    let repository = setup.path("models").join("models--somebody--counter");
    let snapshot = repository.join("snapshots").join("0123456789abcdef");
    link(&repository.join("blobs"), &snapshot, "../../blobs");
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::write(repository.join("refs/main"), "0123456789abcdef").unwrap();
    let server = setup.start().await;
    assert_eq!(count(&server, "counter").await, counted(5));
}

#[tokio::test]
async fn links_out_of_the_models_folder_are_followed_only_when_allowed() {
    for allowed in [false, true] {
        let setup = Setup::new();
        link(&setup.path("elsewhere"), &setup.path("models").join("linked"), "../../elsewhere");
        let server = setup.set(&format!("models.follow_links={allowed}")).start().await;
        if allowed {
            assert_eq!(count(&server, "linked").await, counted(5));
        } else {
            let refusal = server.http.refused(&with(chat("x"), &json!({"model": "linked"}))).await;
            assert!(matches!(refusal.status, 404 | 503), "{}: {}", refusal.status, refusal.message);
        }
    }
}
