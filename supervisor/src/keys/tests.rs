use std::{fs, os::unix::fs::PermissionsExt};

use impetus_config::Scope;

use super::*;

fn entry(name: &str) -> KeyEntry {
    KeyEntry::new(name.into(), [7; 32])
}

/// A configuration with `file` in its file.
fn config(file: &str) -> Config {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    fs::write(&path, file).unwrap();
    impetus_config::load(Some(&path), &[]).unwrap().config
}

fn names(set: &KeySet) -> Vec<&str> {
    set.keys.iter().map(|key| key.name.as_str()).collect()
}

#[test]
fn keys_outlive_the_server_and_nobody_else_can_read_them() {
    let dir = tempfile::tempdir().unwrap();
    let (keys, config) = (Keys::load(dir.path()).unwrap(), Config::default());
    assert_eq!(keys.now(), KeySet::default());
    let mut watched = keys.watch();
    let limited = KeyEntry {
        scopes: vec![Scope::Admin],
        models: vec!["qwen*".into()],
        requests_per_minute: Some(3),
        priority: -100,
        expires: Some("2030-01-31".parse().unwrap()),
        ..entry("b")
    };
    keys.add(entry("a"), &config).unwrap();
    assert!(watched.has_changed().unwrap());
    watched.mark_unchanged();
    keys.add(limited.clone(), &config).unwrap();
    let again = Keys::load(dir.path()).unwrap();
    assert_eq!(again.now(), keys.now());
    assert_eq!(names(&again.now()), ["a", "b"]);
    let message = again.now().keys[1].clone();
    assert_eq!(from_message(message.clone()).unwrap(), limited);
    assert!(from_message(Key { priority: -101, ..message }).is_err());
    let text = fs::read_to_string(dir.path().join("keys.json")).unwrap();
    assert_eq!(text.matches("priority").count(), 1, "whoever knows of none reads keys without: {text}");
    let mode = fs::metadata(dir.path().join("keys.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    assert_eq!(keys.revoke("a", &config), Ok(1));
    assert_eq!(keys.revoke("b", &config), Ok(0));
    let left = Keys::load(dir.path()).unwrap().now();
    assert!(left.keys.is_empty() && left.in_use, "a server whose last key is gone is not open");
    assert!(watched.has_changed().unwrap());
}

#[test]
fn what_cannot_be_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let keys = Keys::load(dir.path()).unwrap();
    let config = config("auth.key = [{ name = 'declared', key = '0123456789abcdef' }]");
    keys.add(entry("a"), &config).unwrap();
    let before = keys.now();
    let check = |done: Result<(), Error>, code: Code| {
        assert_eq!(done.unwrap_err().code(), code);
        assert_eq!(keys.now(), before);
    };
    check(keys.add(entry("a"), &config), Code::Conflict);
    check(keys.add(entry("declared"), &config), Code::Conflict);
    check(keys.add(entry("two words"), &config), Code::InvalidRequest);
    check(keys.revoke("declared", &config).map(drop), Code::Conflict);
    check(keys.revoke("nobody", &config).map(drop), Code::NotFound);
    let message = || to_message(&entry("x"), None);
    for wrong in [
        Key { sha256: vec![1], ..message() },
        Key { scopes: vec!["root".into()], ..message() },
        Key { scopes: Vec::new(), ..message() },
        Key { models: vec!["a b".into()], ..message() },
    ] {
        assert_eq!(from_message(wrong).unwrap_err().code(), Code::InvalidRequest);
    }
}

#[test]
fn a_file_that_cannot_be_read_opens_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for torn in ["", "{", "[]", "{\"in_use\":true}", "{\"in_use\":true,\"keys\":[{}]}"] {
        fs::write(dir.path().join("keys.json"), torn).unwrap();
        let message = Keys::load(dir.path()).unwrap_err().to_string();
        assert!(message.contains("keys.json") && message.contains("remove it"), "{torn:?}: {message}");
    }
}

#[test]
fn uses_are_noted_of_keys_that_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let (keys, config) =
        (Keys::load(dir.path()).unwrap(), config("auth.key = [{ name = 'd', key = '0123456789abcdef' }]"));
    keys.add(entry("a"), &config).unwrap();
    let of = |name: &str, at| KeyUse { name: name.into(), last_used_unix_s: at };
    keys.note_use(&[of("a", 500), of("d", 400), of("nobody", 300)], &config);
    keys.note_use(&[of("a", 100)], &config);
    let times =
        |keys: &Keys| keys.list(&config).keys.iter().map(|key| key.last_used_unix_s).collect::<Vec<_>>();
    assert_eq!((times(&keys), names(&keys.list(&config))), (vec![500, 400], vec!["a", "d"]));
    assert_eq!(times(&Keys::load(dir.path()).unwrap()), [500, 400]);
    // A minute is not worth a write.
    keys.note_use(&[of("a", 559)], &config);
    assert_eq!((times(&keys)[0], times(&Keys::load(dir.path()).unwrap())[0]), (559, 500));
}

#[test]
fn a_server_that_others_can_reach_needs_a_key() {
    const OPEN: &str = "gateway.listen = '0.0.0.0:8080'";
    const PAST: &str = "expires = '2001-01-01'";
    let dir = tempfile::tempdir().unwrap();
    let keys = Keys::load(dir.path()).unwrap();
    let check = |file: &str, expected: bool| {
        assert_eq!(keys.check_exposure(&config(file)).is_ok(), expected, "{file}");
    };
    let key = |more: &str| format!("{OPEN}\n[[auth.key]]\nname = 'a'\nkey = '0123456789abcdef'\n{more}");
    check("", true);
    check("gateway.listen = '[::1]:8080'", true);
    check("gateway.listen = '[::ffff:127.0.0.1]:8080'", true);
    check("gateway.listen = '192.168.0.1:8080'", false);
    check("gateway.ollama_listen = '127.0.0.1:11434'", true);
    check("gateway.ollama_listen = '0.0.0.0:11434'", false);
    check(OPEN, false);
    check(&format!("{OPEN}\nauth.allow_unauthenticated = true"), true);
    check(&key(""), true);
    check(&key(PAST), false);
    keys.add(KeyEntry { expires: Some(Moment(1)), ..entry("past") }, &Config::default()).unwrap();
    check(OPEN, false);
    keys.add(entry("a"), &Config::default()).unwrap();
    check(OPEN, true);
}
