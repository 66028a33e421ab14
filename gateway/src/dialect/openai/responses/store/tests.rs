use std::fs;

use tempfile::TempDir;

use super::*;

fn row(id: &str) -> Row {
    let end =
        End { status: "completed", object: format!(r#"{{"id":"{id}"}}"#), outputs: Vec::new(), events: None };
    Row { id: id.into(), caller: String::new(), previous: None, end }
}

#[tokio::test]
async fn what_one_store_keeps_another_one_finds() {
    let dir = TempDir::new().unwrap();
    let store = || Store::new(dir.path(), &ResponsesConfig::default(), Background::new(0));
    let (one, other) = (store(), store());
    one.insert(row("a"), Vec::new()).await.unwrap();
    assert!(other.get("a", "").await.unwrap().is_some());
    other.insert(row("b"), Vec::new()).await.unwrap();
    assert!(one.get("b", "").await.unwrap().is_some());
}

#[tokio::test]
async fn nothing_is_on_the_disk_before_something_is_kept() {
    let dir = TempDir::new().unwrap();
    let store = Store::new(dir.path(), &ResponsesConfig::default(), Background::new(0));
    assert!(store.is_on());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let off = Store::new(
        dir.path(),
        &ResponsesConfig { store: false, ..ResponsesConfig::default() },
        Background::new(0),
    );
    assert!(!off.is_on());
    assert_eq!(off.get("a", "").await.unwrap_err().code(), Code::UnsupportedParameter);
}

#[tokio::test]
async fn a_database_that_breaks_in_use_makes_way_for_another() {
    let dir = TempDir::new().unwrap();
    let store = Store::new(dir.path(), &ResponsesConfig::default(), Background::new(0));
    store.insert(row("a"), Vec::new()).await.unwrap();
    let file = dir.path().join(FOLDER).join("responses.db");
    store.ask(|database| database.settle()).await.unwrap();
    fs::write(file, "x".repeat(100_000)).unwrap();
    let error = store.insert(row("b"), Vec::new()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    store.insert(row("c"), Vec::new()).await.unwrap();
    assert!(store.get("c", "").await.unwrap().is_some());
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_an_error_each_time() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(FOLDER), "a file").unwrap();
    let store = Store::new(dir.path(), &ResponsesConfig::default(), Background::new(0));
    for _ in 0..2 {
        let error = store.get("a", "").await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
        assert!(!error.message.contains(dir.path().to_str().unwrap()), "{error}");
    }
    fs::remove_file(dir.path().join(FOLDER)).unwrap();
    assert!(store.get("a", "").await.unwrap().is_none(), "it is tried again");
}
