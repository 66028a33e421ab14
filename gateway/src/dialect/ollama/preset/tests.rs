use std::fs;

use serde_json::json;
use tempfile::TempDir;

use super::*;

fn preset(name: &str) -> Preset {
    let options = json!({"temperature": 0.5, "stop": ["a", "b"]}).as_object().unwrap().clone();
    Preset {
        name: name.to_owned(),
        from: "tiny".to_owned(),
        system: Some("You are Mario.".to_owned()),
        messages: vec![("user".to_owned(), "hi".to_owned())],
        options,
        license: vec!["MIT".to_owned()],
        modelfile: "FROM tiny\n".to_owned(),
        created_unix_s: 7,
    }
}

#[tokio::test]
async fn what_one_gateway_keeps_another_one_finds() {
    let dir = TempDir::new().unwrap();
    let (one, other) = (Presets::new(dir.path()), Presets::new(dir.path()));
    assert_eq!(other.find("mario").await.unwrap(), None);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "asking leaves nothing on the disk");
    one.put(preset("mario")).await.unwrap();
    for name in ["mario", "mario:latest", "MARIO", " Mario:Latest"] {
        assert_eq!(other.find(name).await.unwrap(), Some(preset("mario")), "{name}");
    }
    assert_eq!(other.find("mario:7b").await.unwrap(), None);
    let changed = Preset { system: None, ..preset("Mario") };
    other.put(changed.clone()).await.unwrap();
    assert_eq!(one.list().await.unwrap(), [changed]);
}

#[tokio::test]
async fn a_copy_is_its_own() {
    let dir = TempDir::new().unwrap();
    let presets = Presets::new(dir.path());
    assert!(!presets.copy("mario", "luigi").await.unwrap());
    presets.put(preset("mario")).await.unwrap();
    assert!(presets.copy("mario:latest", "luigi:latest").await.unwrap());
    assert!(presets.remove("mario:latest").await.unwrap());
    assert!(!presets.remove("mario").await.unwrap());
    let left = presets.list().await.unwrap();
    assert_eq!(left.iter().map(|preset| &*preset.name).collect::<Vec<_>>(), ["luigi"]);
    assert!(left[0].created_unix_s > 7);
}

#[tokio::test]
async fn there_is_an_end_to_what_is_kept() {
    let dir = TempDir::new().unwrap();
    let presets = Presets::new(dir.path());
    let long = Preset { system: Some("x".repeat(1 << 20)), ..preset("long") };
    assert_eq!(presets.put(long).await.unwrap_err().code(), Code::InvalidRequest);
    let half = |name: &str| Preset { system: Some("x".repeat(1 << 19)), ..preset(name) };
    for n in 0..63 {
        presets.put(half(&n.to_string())).await.unwrap();
    }
    let error = presets.put(half("63")).await.unwrap_err();
    assert_eq!(error.code(), Code::Conflict, "{error}");
    assert_eq!(presets.find("63").await.unwrap(), None);
    presets.put(half("62")).await.expect("instead of another one there is room");
}

#[tokio::test]
async fn a_database_that_breaks_in_use_makes_way_for_another() {
    let dir = TempDir::new().unwrap();
    let presets = Presets::new(dir.path());
    fs::create_dir(dir.path().join(FOLDER)).unwrap();
    fs::write(dir.path().join(FOLDER).join("presets.db"), "x".repeat(5000)).unwrap();
    assert_eq!(presets.find("a").await.unwrap(), None);
    presets.put(preset("a")).await.unwrap();
    assert!(presets.find("a").await.unwrap().is_some());
}

#[tokio::test]
async fn presets_of_a_later_version_stay_as_they_are() {
    let dir = TempDir::new().unwrap();
    Presets::new(dir.path()).put(preset("a")).await.unwrap();
    let file = dir.path().join(FOLDER).join("presets.db");
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 2).unwrap();
    let presets = Presets::new(dir.path());
    for _ in 0..2 {
        assert_eq!(presets.find("a").await.unwrap_err().code(), Code::Unavailable);
    }
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 1).unwrap();
    assert!(presets.find("a").await.unwrap().is_some());
}
