use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

use super::*;
use crate::{Rotation, file::RotatedFile};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `act` logs at `level` in `format`.
fn logged(level: &str, format: Format, act: impl FnOnce()) -> String {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber =
        Registry::default()
            .with(level::parse(level).unwrap())
            .with(lines(format, false, move || writer.clone()));
    tracing::subscriber::with_default(subscriber, act);
    captured.text()
}

fn serve() {
    let span = tracing::info_span!("request", request_id = "r1", model = "tiny");
    let _entered = span.enter();
    tracing::info!(n_tokens = 3, "finished \u{1b}[31m\"well\"\nand truly");
    tracing::debug!("not shown");
}

#[test]
fn json_lines_hold_all_that_is_promised() {
    let text = logged("info", Format::Json, serve);
    assert_eq!(text.lines().count(), 1, "{text}");
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["target"], "impetus_telemetry::subscriber::tests");
    assert_eq!(line["fields"]["n_tokens"], 3);
    assert_eq!(line["fields"]["message"], "finished \u{1b}[31m\"well\"\nand truly");
    assert_eq!(line["spans"][0]["name"], "request");
    assert_eq!(line["spans"][0]["request_id"], "r1");
}

#[test]
fn text_lines_carry_no_terminal_codes() {
    let text = logged("info", Format::Text, serve);
    assert!(text.contains("request{request_id=\"r1\" model=\"tiny\"}"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn each_line_for_the_journal_has_its_priority_and_neither_time_nor_level() {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber =
        Registry::default().with(level::parse("trace").unwrap()).with(journalled(move || writer.clone()));
    tracing::subscriber::with_default(subscriber, || {
        tracing::info_span!("worker", model = "tiny").in_scope(|| tracing::info!(n = 3, "up"));
        tracing::error!(target: "a", "one\ntwo");
        tracing::warn!(target: "a", "careful");
        tracing::debug!(target: "a", "detail");
    });
    let expected = "<6>worker{model=\"tiny\"}: impetus_telemetry::subscriber::tests: up n=3\n\
                    <3>a: one\n<3>two\n<4>a: careful\n<7>a: detail\n";
    assert_eq!(captured.text(), expected);
}

#[test]
fn directives_choose_by_target() {
    let act = || {
        tracing::info!(target: "loud", "loud");
        tracing::info!(target: "quiet", "quiet");
    };
    let text = logged("info,quiet=off", Format::Text, act);
    assert!(text.contains("loud") && !text.contains("quiet"), "{text}");
}

#[test]
fn a_panic_is_one_line_with_its_place() {
    let text = logged("info", Format::Json, || {
        panic::install("gateway");
        std::panic::catch_unwind(|| panic!("the reason")).unwrap_err();
        drop(std::panic::take_hook());
    });
    let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["fields"]["message"], "panic: the reason");
    assert_eq!(line["fields"]["process"], "gateway");
    let location = line["fields"]["location"].as_str().unwrap();
    assert!(location.contains("subscriber/tests.rs:"), "{location}");
}

#[test]
fn the_supervisor_writes_to_its_file_and_children_can_be_set_up_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = RotatedFile::open(dir.path(), "supervisor", Rotation::Never, 1).unwrap();
    let audit = RotatedFile::open(dir.path(), AUDIT, Rotation::Never, 1).unwrap();
    let guard = init_supervisor(file, audit, "warn", Format::Json).unwrap();
    tracing::warn!(place = "file", "started");
    tracing::info_span!("request", request_id = "r1").in_scope(|| {
        tracing::info!(target: AUDIT, act = "load", "done");
    });
    drop(guard);
    drop(std::panic::take_hook());
    let text = std::fs::read_to_string(dir.path().join("supervisor.log")).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!(line["fields"]["place"], "file");
    let audited = std::fs::read_to_string(dir.path().join("audit.log")).unwrap();
    let line: serde_json::Value = serde_json::from_str(audited.trim_end()).unwrap();
    assert_eq!((&line["fields"]["act"], &line["spans"][0]["request_id"]), (&"load".into(), &"r1".into()));
    assert!(matches!(init("gateway", "info", Format::Json), Err(TelemetryError::Twice(_))));
}
