use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use serde_json::json;
use tempfile::TempDir;

use super::{
    super::row::{Gap, Order, Page},
    *,
};

pub(super) const NOW: u64 = 1_700_000_000;

pub(super) const BOUNDS: Bounds = Bounds { retention_s: 1000, max_responses: 100, max_bytes: 1 << 20 };

impl Database {
    /// Everything is in the file, and nothing of it in memory.
    pub(in crate::dialect::openai::responses::store) fn settle(&self) -> Result<(), DatabaseError> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        self.connection.flush_prepared_statement_cache();
        self.connection.execute_batch("PRAGMA shrink_memory")?;
        Ok(())
    }
}

pub(super) fn open(dir: &TempDir, bounds: Bounds) -> Database {
    open_in(dir.path(), bounds, &Background::new(0))
}

pub(super) fn open_in(folder: &Path, bounds: Bounds, background: &Background) -> Database {
    let place = Place { folder: folder.to_owned(), bounds, background: background.clone() };
    Database::open(&place, NOW).unwrap()
}

fn item(id: &str) -> Kept {
    Kept { id: id.into(), json: json!({"id": id}).to_string() }
}

fn items<const N: usize>(ids: [&str; N]) -> Vec<Kept> {
    ids.map(item).into()
}

pub(super) fn row(id: &str, previous: Option<&str>, status: &'static str) -> Row {
    let object = json!({"id": id, "status": status, "background": true, "error": null}).to_string();
    let outputs = if status == "queued" { Vec::new() } else { vec![item(&format!("{id}-out"))] };
    let end = End { status, object, outputs, events: None };
    Row { id: id.into(), caller: "ada".into(), previous: previous.map(str::to_owned), end }
}

/// Keeps a response of one item of input.
pub(super) fn keep(database: &mut Database, id: &str, previous: Option<&str>, now: u64) {
    let inputs = [item(&format!("{id}-in"))];
    database.insert(&row(id, previous, "completed"), &inputs, now).unwrap();
}

pub(super) fn has(database: &mut Database, id: &str, now: u64) -> bool {
    database.get(id, "ada", now).unwrap().is_some()
}

pub(super) fn status(database: &mut Database, id: &str) -> (String, bool) {
    let stored = database.get(id, "ada", NOW).unwrap().unwrap();
    (stored.object["status"].as_str().unwrap().to_owned(), stored.is_running)
}

#[test]
fn what_was_kept_is_there_for_whoever_kept_it() {
    let dir = TempDir::new().unwrap();
    let mut database = open(&dir, BOUNDS);
    keep(&mut database, "a", None, NOW);
    let stored = database.get("a", "ada", NOW).unwrap().unwrap();
    assert_eq!(stored.object["output"], json!([{"id": "a-out"}]));
    assert!(!stored.is_running);
    for (id, caller) in [("a", "bob"), ("a", ""), ("b", "ada")] {
        assert_eq!(database.get(id, caller, NOW).unwrap(), None, "{id} {caller}");
        assert_eq!(database.conversation(id, caller, NOW).unwrap(), Err(Gap::Missing(id.to_owned())));
        assert!(!database.delete(id, caller).unwrap());
    }
    assert_eq!(database.item("a-out", "bob", NOW).unwrap(), None);
    assert_eq!(database.item("a-in", "ada", NOW).unwrap(), Some(item("a-in")));
    assert!(database.delete("a", "ada").unwrap());
    assert!(!has(&mut database, "a", NOW));
    assert_eq!(database.item("a-in", "ada", NOW).unwrap(), None, "items go with their response");
}

#[test]
fn a_conversation_is_its_turns() {
    let dir = TempDir::new().unwrap();
    let mut database = open(&dir, BOUNDS);
    keep(&mut database, "a", None, NOW);
    keep(&mut database, "b", Some("a"), NOW + 1);
    keep(&mut database, "c", Some("b"), NOW + 2);
    let ids = |items: Vec<String>| items.join("").replace("{\"id\":\"", "").replace("\"}", " ");
    let all = database.conversation("c", "ada", NOW + 3).unwrap().unwrap();
    assert_eq!(ids(all), "a-in a-out b-in b-out c-in c-out ");
    // It was used, so it is kept for another while.
    database.sweep(NOW + 1002).unwrap();
    assert!(has(&mut database, "a", NOW + 1002));
    database.delete("b", "ada").unwrap();
    assert_eq!(database.conversation("c", "ada", NOW + 3).unwrap(), Err(Gap::Missing("b".to_owned())));
}

#[test]
fn what_is_too_old_is_gone_before_it_is_removed() {
    let dir = TempDir::new().unwrap();
    let mut database = open(&dir, BOUNDS);
    keep(&mut database, "a", None, NOW);
    keep(&mut database, "b", Some("a"), NOW + 500);
    assert!(has(&mut database, "a", NOW + 999));
    assert!(!has(&mut database, "a", NOW + 1000));
    assert_eq!(database.item("a-in", "ada", NOW + 1000).unwrap(), None);
    assert_eq!(database.conversation("b", "ada", NOW + 1000).unwrap(), Err(Gap::Missing("a".to_owned())));
    database.sweep(NOW + 1000).unwrap();
    assert_eq!(database.held.all().responses, 1);
}

#[test]
fn inputs_come_in_pages() {
    let dir = TempDir::new().unwrap();
    let mut database = open(&dir, BOUNDS);
    let inputs = items(["1", "2", "3", "4"]);
    database.insert(&row("a", None, "completed"), &inputs, NOW).unwrap();
    let mut check = |limit, order, after: Option<&str>, expected: Option<(&[&str], bool)>| {
        let page = Page { limit, order, after: after.map(str::to_owned) };
        let found = database.inputs("a", "ada", &page, NOW).unwrap();
        let expected = expected.map(|(ids, more)| (ids.iter().map(|id| item(id)).collect::<Vec<_>>(), more));
        assert_eq!(found, expected, "{page:?}");
    };
    check(20, Order::OldestFirst, None, Some((&["1", "2", "3", "4"], false)));
    check(2, Order::OldestFirst, None, Some((&["1", "2"], true)));
    check(2, Order::OldestFirst, Some("2"), Some((&["3", "4"], false)));
    check(3, Order::NewestFirst, None, Some((&["4", "3", "2"], true)));
    check(3, Order::NewestFirst, Some("2"), Some((&["1"], false)));
    check(3, Order::NewestFirst, Some("1"), Some((&[], false)));
    check(3, Order::NewestFirst, Some("9"), None);
    let page = Page { limit: 1, order: Order::OldestFirst, after: None };
    assert_eq!(database.inputs("b", "ada", &page, NOW).unwrap(), None);
}

#[test]
fn what_runs_fails_with_its_gateway_and_not_before() {
    let dir = TempDir::new().unwrap();
    let background = Background::new(2);
    let _places = ["a", "b"].map(|id| background.admit(id).unwrap());
    let mut maker = open_in(dir.path(), BOUNDS, &background);
    maker.insert(&row("a", None, "queued"), &[], NOW).unwrap();
    maker.insert(&row("b", None, "queued"), &[], NOW).unwrap();
    maker.begin("b", "tiny").unwrap();
    let mut other = open(&dir, BOUNDS);
    assert_eq!(status(&mut other, "a"), ("queued".to_owned(), true));
    assert_eq!(status(&mut other, "b"), ("in_progress".to_owned(), true));
    other.sweep(NOW + 5000).unwrap();
    drop(maker);
    for id in ["a", "b"] {
        assert_eq!(status(&mut other, id), ("failed".to_owned(), false));
        let stored = other.get(id, "ada", NOW).unwrap().unwrap();
        assert_eq!(stored.object["error"]["code"], "server_error");
    }
}

#[test]
fn who_makes_a_response_hears_that_it_is_wanted_no_more() {
    let dir = TempDir::new().unwrap();
    let mut maker = open(&dir, BOUNDS);
    maker.insert(&row("a", None, "queued"), &[], NOW).unwrap();
    assert!(!maker.is_to_cancel("a").unwrap());
    let mut other = open(&dir, BOUNDS);
    other.ask_to_cancel("a").unwrap();
    assert!(maker.is_to_cancel("a").unwrap());
    maker.insert(&row("b", None, "queued"), &[], NOW).unwrap();
    other.delete("b", "ada").unwrap();
    assert!(maker.is_to_cancel("b").unwrap(), "nobody can fetch what is deleted");
    maker.end("b", &row("b", None, "cancelled").end).unwrap();
    assert!(!has(&mut other, "b", NOW), "its end does not bring it back");
}

#[test]
fn an_end_is_kept_with_its_output_and_events() {
    let dir = TempDir::new().unwrap();
    let mut database = open(&dir, BOUNDS);
    database.insert(&row("a", None, "queued"), &items(["1"]), NOW).unwrap();
    let end = End { events: Some("[]".into()), ..row("a", None, "completed").end };
    database.end("a", &end).unwrap();
    let stored = database.get("a", "ada", NOW).unwrap().unwrap();
    assert_eq!(stored.events.as_deref(), Some("[]"));
    assert_eq!(stored.object["output"], json!([{"id": "a-out"}]));
    database.insert(&row("b", None, "queued"), &[], NOW).unwrap();
    database.lose("b").unwrap();
    assert_eq!(status(&mut database, "b"), ("failed".to_owned(), false));
}

/// What the files hold at any moment is what a killed process leaves.
#[test]
fn files_of_a_process_that_is_killed_are_whole() {
    let dir = TempDir::new().unwrap();
    let mut database = open(&dir, BOUNDS);
    for n in 0..20 {
        keep(&mut database, &n.to_string(), None, NOW);
        // Another one is being written when it happens.
        let transaction = write(&mut database.connection).unwrap();
        transaction.execute("UPDATE response SET object = ?1", [&"x".repeat(100_000)]).unwrap();
        let copy = TempDir::new().unwrap();
        for entry in fs::read_dir(dir.path()).unwrap().flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with(FILE) && !name.to_string_lossy().ends_with("-shm") {
                fs::copy(entry.path(), copy.path().join(name)).unwrap();
            }
        }
        drop(transaction);
        let mut left = open(&copy, BOUNDS);
        for m in 0..=n {
            assert!(has(&mut left, &m.to_string(), NOW), "{m} of {n}");
        }
        let check: String =
            left.connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
    }
}

#[test]
fn a_file_that_is_no_database_is_set_aside() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(FILE), "x".repeat(5000)).unwrap();
    let mut database = open(&dir, BOUNDS);
    keep(&mut database, "a", None, NOW);
    assert!(has(&mut database, "a", NOW));
    let aside = dir.path().join(format!("{FILE}.broken-{NOW}"));
    assert_eq!(fs::read(aside).unwrap(), "x".repeat(5000).as_bytes());
}

#[test]
fn a_file_of_another_version_is_begun_anew() {
    let dir = TempDir::new().unwrap();
    let mut database = open(&dir, BOUNDS);
    keep(&mut database, "a", None, NOW);
    database.connection.pragma_update(None, "user_version", 77).unwrap();
    drop(database);
    let mut database = open(&dir, BOUNDS);
    assert!(!has(&mut database, "a", NOW));
    keep(&mut database, "b", None, NOW);
    assert!(has(&mut database, "b", NOW));
}

#[test]
fn signs_of_gateways_that_are_gone_are_removed() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("gateway-0.lock"), "").unwrap();
    let database = open(&dir, BOUNDS);
    assert!(!dir.path().join("gateway-0.lock").exists());
    let signs = || {
        let names = fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name());
        names.filter(|name| name.to_string_lossy().starts_with("gateway-")).count()
    };
    assert_eq!(signs(), 1);
    drop(database);
    assert_eq!(signs(), 0);
}

#[test]
fn nobody_else_may_read_it() {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let dir = TempDir::new().unwrap();
    let (made, found) = (dir.path().join("state/made"), dir.path().join("found"));
    fs::create_dir(&found).unwrap();
    fs::write(found.join(FILE), "").unwrap();
    fs::set_permissions(&found, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(found.join(FILE), Permissions::from_mode(0o644)).unwrap();
    for folder in [made, found] {
        let mut database = open_in(&folder, BOUNDS, &Background::new(0));
        keep(&mut database, "a", None, NOW);
        assert_eq!(mode(&folder), 0o700, "{folder:?}");
        for file in [FILE, "responses.db-wal", "responses.db-shm"] {
            assert_eq!(mode(&folder.join(file)), 0o600, "{folder:?} {file}");
        }
    }
}
