use std::{fs as std_fs, os::unix::fs::MetadataExt};

use futures::{StreamExt, stream};
use tempfile::TempDir;

use super::*;

const TEXT: &str = "a model";

fn blobs(dir: &TempDir) -> Blobs {
    let mut config = Config::default();
    config.models.store = Some(dir.path().to_owned());
    config.pull.reserve.0 = 0;
    Blobs::new(&config)
}

fn digest(text: &str) -> Digest {
    Digest::new(Sha256::digest(text).into())
}

fn limits() -> Limits {
    Limits::new(&Config::default())
}

async fn take(blobs: &Blobs, digest: &Digest, pieces: &[Result<&'static str, &str>]) -> Result<(), Error> {
    let pieces = pieces.iter().map(|piece| piece.map(Bytes::from).map_err(str::to_owned));
    blobs.take(digest, 0, stream::iter(pieces.collect::<Vec<_>>()), limits()).await
}

/// Names in the folder of blobs.
fn lying(dir: &TempDir) -> Vec<String> {
    let entries = std_fs::read_dir(dir.path().join(FOLDER)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_blob_is_what_its_digest_says_or_nothing() {
    let dir = TempDir::new().unwrap();
    let (blobs, digest) = (blobs(&dir), digest(TEXT));
    assert!(!blobs.has(&digest).await);
    assert_eq!(std_fs::read_dir(dir.path()).unwrap().count(), 0, "asking leaves nothing on the disk");
    for (pieces, expected) in [
        (&[Ok("a "), Ok("modem")][..], "should be sha256:"),
        (&[], "should be sha256:"),
        (&[Ok("a "), Err("reset")], "broke off: reset"),
    ] {
        let error = take(&blobs, &digest, pieces).await.unwrap_err();
        assert!(error.message.contains(expected), "{error}");
        assert_eq!(lying(&dir), [""; 0], "nothing is left of it");
    }
    for _ in 0..2 {
        take(&blobs, &digest, &[Ok("a "), Ok("model")]).await.unwrap();
        assert_eq!(lying(&dir), [format!("sha256-{}", digest.hex())]);
    }
    assert!(blobs.has(&digest).await);
}

#[tokio::test]
async fn a_client_that_leaves_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    let blobs = blobs(&dir);
    let digest = digest(TEXT);
    let pieces = stream::iter([Ok(Bytes::from("a "))]).chain(stream::pending());
    let taking = blobs.take(&digest, 0, pieces, limits());
    tokio::select! {
        taken = taking => panic!("{taken:?}"),
        () = async { while lying_yet(&dir).is_empty() { tokio::task::yield_now().await; } } => {}
    }
    assert_eq!(lying(&dir), [""; 0]);
}

/// The same, while the folder may be yet to be made.
fn lying_yet(dir: &TempDir) -> Vec<String> {
    if dir.path().join(FOLDER).exists() { lying(dir) } else { Vec::new() }
}

#[tokio::test]
async fn what_is_to_stay_free_stays_free() {
    let dir = TempDir::new().unwrap();
    let (blobs, digest) = (blobs(&dir), digest(TEXT));
    let error = blobs.take(&digest, u64::MAX / 2, stream::iter([Ok(Bytes::from(TEXT))]), limits()).await;
    assert_eq!(error.unwrap_err().code(), Code::NoCapacity);
    let greedy = Blobs { reserve_bytes: u64::MAX / 2, ..blobs };
    assert_eq!(take(&greedy, &digest, &[Ok(TEXT)]).await.unwrap_err().code(), Code::NoCapacity);
    assert_eq!(lying(&dir), [""; 0]);
}

#[tokio::test]
async fn a_model_is_made_of_blobs_without_writing_them_twice() {
    let dir = TempDir::new().unwrap();
    let (blobs, digest) = (blobs(&dir), digest(TEXT));
    let files = [("m.gguf".to_owned(), digest), ("onnx/m.onnx".to_owned(), digest)];
    assert_eq!(blobs.check(&files).await.unwrap_err().code(), Code::NotFound);
    take(&blobs, &digest, &[Ok(TEXT)]).await.unwrap();
    blobs.check(&files).await.unwrap();
    for name in ["../m", "/m", ".m", ""] {
        let error = blobs.check(&[(name.to_owned(), digest)]).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest, "{name}");
    }
    let folder = dir.path().join("model");
    blobs.lay(&files, &folder).await.unwrap();
    blobs.remove(&files).await;
    assert!(!blobs.has(&digest).await);
    let of = |name: &str| std_fs::metadata(folder.join(name)).unwrap();
    assert_eq!(std_fs::read_to_string(folder.join("m.gguf")).unwrap(), TEXT);
    assert_eq!(of("m.gguf").ino(), of("onnx/m.onnx").ino());
}

#[tokio::test]
async fn what_nothing_is_made_of_goes() {
    let dir = TempDir::new().unwrap();
    let (blobs, digest) = (blobs(&dir), digest(TEXT));
    blobs.sweep(SystemTime::now()).await;
    take(&blobs, &digest, &[Ok(TEXT)]).await.unwrap();
    std_fs::write(dir.path().join(FOLDER).join("part-0"), "half").unwrap();
    blobs.sweep(SystemTime::now() + EXPIRY / 2).await;
    assert_eq!(lying(&dir).len(), 2);
    blobs.sweep(SystemTime::now() + EXPIRY + Duration::from_mins(1)).await;
    assert_eq!(lying(&dir), [""; 0]);
}
