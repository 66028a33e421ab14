use std::fs;

use serde_json::json;
use tempfile::TempDir;

use super::{
    super::{
        FILE, Kept, Row,
        tests::{BOUNDS, NOW, has, keep, open, open_in, row, status},
    },
    *,
};
use crate::dialect::openai::responses::background::Background;

fn of(caller: &str, id: &str) -> Row {
    Row { caller: caller.into(), ..row(id, None, "completed") }
}

fn sized(id: &str, bytes: usize) -> [Kept; 1] {
    [Kept { id: id.into(), json: json!({"id": id, "text": "x".repeat(bytes)}).to_string() }]
}

#[test]
fn there_are_never_more_than_may_be() {
    let dir = TempDir::new().unwrap();
    let background = Background::new(1);
    let mut database = open_in(dir.path(), Bounds { max_responses: 3, ..BOUNDS }, &background);
    let place = background.admit("runs").unwrap();
    database.insert(&row("runs", None, "queued"), &[], NOW).unwrap();
    for n in 0..10 {
        keep(&mut database, &n.to_string(), None, NOW + 1 + n);
        assert!(database.held.all().responses <= 3);
    }
    drop(place);
    for (id, expected) in [("runs", true), ("7", false), ("8", true), ("9", true)] {
        assert_eq!(has(&mut database, id, NOW), expected, "{id}");
    }
}

#[test]
fn there_are_never_more_bytes_than_may_be() {
    let dir = TempDir::new().unwrap();
    let mut database = open(&dir, Bounds { max_bytes: 64 << 10, ..BOUNDS });
    let large =
        |id: &str| Kept { id: id.into(), json: json!({"id": id, "text": "x".repeat(10 << 10)}).to_string() };
    for n in 0..20 {
        let id = n.to_string();
        database.insert(&row(&id, None, "completed"), &[large(&id)], NOW + n).unwrap();
        assert!(database.held.all().bytes <= 64 << 10);
    }
    assert!(has(&mut database, "19", NOW) && has(&mut database, "15", NOW) && !has(&mut database, "13", NOW));
    let counted = database.held.all().bytes;
    database.sweep(NOW).unwrap();
    assert_eq!(database.held.all().bytes, counted, "what is counted is what is there");
    let file = fs::metadata(dir.path().join(FILE)).unwrap().len();
    assert!(file < 512 << 10, "the file has {file} bytes");
}

#[test]
fn who_keeps_most_makes_the_room() {
    let check = |bounds: Bounds, hers: usize, his: usize| {
        let dir = TempDir::new().unwrap();
        let mut database = open(&dir, bounds);
        for n in 0..2 {
            database.insert(&of("ada", &format!("a{n}")), &sized("x", hers), NOW).unwrap();
        }
        for n in 0..40 {
            database.insert(&of("bob", &format!("b{n}")), &sized("x", his), NOW + 1 + n).unwrap();
        }
        for id in ["a0", "a1"] {
            assert!(has(&mut database, id, NOW), "{id} goes for another one's with {bounds:?}");
        }
        for (id, expected) in [("b39", true), ("b20", false)] {
            assert_eq!(database.get(id, "bob", NOW).unwrap().is_some(), expected, "{id} with {bounds:?}");
        }
    };
    check(Bounds { max_bytes: 64 << 10, ..BOUNDS }, 2 << 10, 8 << 10);
    // Here she has more bytes than he, and it is the count that is too large.
    check(Bounds { max_responses: 8, ..BOUNDS }, 50 << 10, 10);
}

#[test]
fn what_is_too_large_for_its_share_makes_no_room() {
    let dir = TempDir::new().unwrap();
    let mut database = open(&dir, Bounds { max_bytes: 64 << 10, ..BOUNDS });
    keep(&mut database, "a", None, NOW);
    let refused = database.insert(&row("b", None, "completed"), &sized("x", 100 << 10), NOW);
    assert!(refused.is_err());
    assert!(has(&mut database, "a", NOW) && !has(&mut database, "b", NOW));
    database.insert(&row("c", None, "completed"), &sized("x", 10 << 10), NOW).unwrap();
    assert!(has(&mut database, "a", NOW) && has(&mut database, "c", NOW));
}

#[test]
fn what_cannot_have_room_is_not_half_kept() {
    let dir = TempDir::new().unwrap();
    let mut database = open(&dir, Bounds { max_responses: 1, ..BOUNDS });
    keep(&mut database, "a", None, NOW);
    let broken = "CREATE TRIGGER broken BEFORE DELETE ON response BEGIN SELECT RAISE(FAIL, 'disk'); END";
    database.connection.execute_batch(broken).unwrap();
    assert!(database.insert(&row("b", None, "queued"), &[], NOW).is_err());
    assert!(has(&mut database, "a", NOW) && !has(&mut database, "b", NOW));
    database.connection.execute_batch("DROP TRIGGER broken").unwrap();
    keep(&mut database, "b", None, NOW + 1);
    assert!(!has(&mut database, "a", NOW) && has(&mut database, "b", NOW), "it is counted right");
}

#[test]
fn what_this_gateway_does_not_make_has_failed() {
    let dir = TempDir::new().unwrap();
    let background = Background::new(1);
    let mut database = open_in(dir.path(), BOUNDS, &background);
    let made = background.admit("a").unwrap();
    for id in ["a", "b"] {
        database.insert(&row(id, None, "queued"), &[], NOW).unwrap();
    }
    assert_eq!(status(&mut database, "a"), ("queued".to_owned(), true));
    assert_eq!(status(&mut database, "b"), ("failed".to_owned(), false));
    drop(made);
    database.sweep(NOW).unwrap();
    assert_eq!(status(&mut open(&dir, BOUNDS), "a"), ("failed".to_owned(), false));
}

#[test]
fn what_is_removed_leaves_the_disk() {
    let free = |database: &Database| -> i64 {
        database.connection.pragma_query_value(None, "freelist_count", |row| row.get(0)).unwrap()
    };
    let dir = TempDir::new().unwrap();
    let mut database = open(&dir, Bounds { max_bytes: 1 << 30, ..BOUNDS });
    let secret = "nobody is to read this again ".repeat(100_000);
    for n in 0..8 {
        let inputs = [Kept { id: "x".into(), json: json!({"text": secret}).to_string() }];
        database.insert(&row(&n.to_string(), None, "completed"), &inputs, NOW).unwrap();
    }
    for n in 0..8 {
        database.delete(&n.to_string(), "ada").unwrap();
    }
    let freed = free(&database);
    assert!(freed > 5000, "{freed} pages");
    database.sweep(NOW).unwrap();
    let left = free(&database);
    assert!(left > 0 && left < freed, "{left} of {freed} pages: one sweep takes only so long");
    database.sweep(NOW).unwrap();
    assert_eq!(free(&database), 0);
    for entry in fs::read_dir(dir.path()).unwrap().flatten() {
        let bytes = fs::read(entry.path()).unwrap();
        let is_there = bytes.windows(30).any(|window| window == &secret.as_bytes()[..30]);
        assert!(!is_there && bytes.len() < 1 << 20, "{:?} of {} bytes", entry.path(), bytes.len());
    }
}
