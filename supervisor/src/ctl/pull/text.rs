//! What is said of a pull.

use std::fmt::Write;

use impetus_proto::{
    fetch::Plan,
    store::{PullRequest, PullStatus, pull_event::Event},
};
use serde_json::{Value, json};

use super::super::{
    store,
    table::{Table, amount, dash, size},
};

/// Of a pull that nobody has to follow.
const BY_ITSELF: &str = "it goes on by itself; `supervisorctl pull --list` shows how far it is";

/// Files that are named one by one.
const NAMED: usize = 12;

pub(super) fn plan(plan: &Plan, is_dry: bool) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{} from {}, {}", plan.name, plan.source, amount(plan.total_bytes));
    if !plan.why.is_empty() {
        let _ = writeln!(text, "  {}", plan.why);
    }
    for note in &plan.notes {
        let _ = writeln!(text, "  note: {note}");
    }
    if is_dry {
        for file in plan.files.iter().take(NAMED) {
            let digest = file.sha256.get(..12).unwrap_or("no digest");
            let _ = writeln!(text, "  {:>10}  {digest}  {}", amount(file.bytes), file.path);
        }
        if plan.files.len() > NAMED {
            let _ = writeln!(text, "  and {} more files", plan.files.len() - NAMED);
        }
    }
    if plan.present_bytes > 0 {
        let _ = writeln!(text, "  {} of it are here already", amount(plan.present_bytes));
    }
    text
}

/// What is said when somebody does not wait any longer. Whether the pull stops is up to whoever else follows it.
pub(super) fn interrupted(request: &PullRequest, is_json: bool) -> String {
    let again = (!request.plan_only).then(|| again(request));
    if is_json {
        return format!(
            "{}\n",
            json!({ "event": "interrupted", "detached": request.detach, "again": again })
        );
    }
    match again {
        None => "interrupted; nothing was fetched\n".into(),
        Some(_) if request.detach => format!("interrupted; {BY_ITSELF}\n"),
        Some(again) => format!(
            "interrupted; the pull stops unless somebody else waits for it or it was detached, and `{again}` goes on with \
             it\n"
        ),
    }
}

/// What is said when it has begun and nobody is to wait.
pub(super) fn detached(is_json: bool) -> String {
    if is_json { format!("{}\n", json!({ "event": "detached" })) } else { format!("{BY_ITSELF}\n") }
}

/// The command that goes on with the same pull.
fn again(request: &PullRequest) -> String {
    let mut command = format!("supervisorctl pull {}", word(&request.reference));
    for (option, value) in [("--name", &request.name), ("--format", &request.format)] {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(command, " {option} {}", word(value));
        }
    }
    command
}

/// An argument as a shell takes it.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=+%,".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

pub(super) fn pulls(pulls: &[PullStatus]) -> String {
    if pulls.is_empty() {
        return "nothing is being fetched\n".into();
    }
    let mut table = Table::new(&["PULL", "WHAT", "STATE", "HERE", "OF", "DETAIL"]);
    for pull in pulls {
        let by_itself = if pull.detached { ", by itself" } else { "" };
        table.row([
            pull.id.clone(),
            pull.reference.clone(),
            format!("{}{by_itself}", pull.state),
            amount(pull.bytes),
            size(pull.total_bytes),
            dash(&pull.detail),
        ]);
    }
    table.to_string()
}

pub(super) fn pull_as_json(pull: &PullStatus) -> Value {
    json!({
        "id": pull.id,
        "reference": pull.reference,
        "name": (!pull.name.is_empty()).then_some(&pull.name),
        "state": pull.state,
        "detail": (!pull.detail.is_empty()).then_some(&pull.detail),
        "bytes": pull.bytes,
        "total_bytes": (pull.total_bytes > 0).then_some(pull.total_bytes),
        "detached": pull.detached,
        "started_unix_s": pull.started_unix_s,
    })
}

pub(super) fn as_json(event: &Event) -> Value {
    match event {
        Event::Plan(plan) => json!({
            "event": "plan",
            "name": plan.name,
            "source": plan.source,
            "revision": plan.revision,
            "format": plan.format,
            "quantization": plan.quantization,
            "why": plan.why,
            "files": plan.files.iter().map(|file| json!({
                "path": file.path, "bytes": file.bytes, "sha256": (!file.sha256.is_empty()).then_some(&file.sha256),
            })).collect::<Vec<_>>(),
            "total_bytes": plan.total_bytes,
            "present_bytes": plan.present_bytes,
            "need_bytes": plan.need_bytes,
            "notes": plan.notes,
        }),
        Event::Progress(progress) => json!({
            "event": "progress",
            "bytes": progress.bytes,
            "verifying": progress.verifying,
            "waiting": (!progress.waiting.is_empty()).then_some(&progress.waiting),
        }),
        Event::Done(model) => json!({ "event": "done", "model": store::as_json(model) }),
    }
}

#[cfg(test)]
mod tests {
    use impetus_proto::fetch::File;

    use super::*;

    #[test]
    fn what_would_be_fetched_is_said() {
        let told = Plan {
            name: "m-Q4_K_M".into(),
            source: "o/m (0123456789ab)".into(),
            why: "Q4_K_M takes about 6.0 GiB of the 8.0 GiB of memory that models may take on this machine"
                .into(),
            files: vec![
                File { path: "m-Q4_K_M.gguf".into(), bytes: 5 << 30, sha256: "ab".repeat(32) },
                File { path: "config.json".into(), bytes: 700, sha256: String::new() },
            ],
            total_bytes: 5 << 30,
            present_bytes: 1 << 30,
            notes: vec!["a note".into()],
            ..Plan::default()
        };
        insta::assert_snapshot!(plan(&told, true), @r"
        m-Q4_K_M from o/m (0123456789ab), 5.0 GiB
          Q4_K_M takes about 6.0 GiB of the 8.0 GiB of memory that models may take on this machine
          note: a note
             5.0 GiB  abababababab  m-Q4_K_M.gguf
               700 B  no digest  config.json
          1.0 GiB of it are here already
        ");
    }

    #[test]
    fn who_interrupts_is_told_how_to_go_on() {
        let request = |reference: &str| PullRequest { reference: reference.into(), ..PullRequest::default() };
        let check = |request: &PullRequest, expected: &str| {
            let told = interrupted(request, false);
            assert!(told.contains(expected), "{told}");
            let json: Value = serde_json::from_str(&interrupted(request, true)).unwrap();
            assert_eq!(
                (&json["event"], &json["detached"]),
                (&json!("interrupted"), &json!(request.detach)),
                "{json}"
            );
        };
        let named = PullRequest { name: "mine".into(), format: "gguf".into(), ..request("o/m:Q4_K_M") };
        check(&named, "`supervisorctl pull o/m:Q4_K_M --name mine --format gguf` goes on");
        check(&named, "unless somebody else waits for it");
        check(&request("https://h/m.gguf?a=1&b#sha256=ab"), "pull 'https://h/m.gguf?a=1&b#sha256=ab'` goes");
        check(&request("it's"), r"pull 'it'\''s'`");
        check(&PullRequest { detach: true, ..request("o/m") }, "it goes on by itself");
        check(&PullRequest { plan_only: true, ..request("o/m") }, "nothing was fetched");
        assert_eq!(detached(true), "{\"event\":\"detached\"}\n");
    }

    #[test]
    fn pulls_are_listed() {
        let pull = PullStatus {
            id: "0123456789ab".into(),
            reference: "hf:o/m".into(),
            state: "running".into(),
            bytes: 1 << 20,
            total_bytes: 1 << 30,
            detached: true,
            ..PullStatus::default()
        };
        insta::assert_snapshot!(pulls(&[pull]), @r"
        PULL          WHAT    STATE               HERE     OF       DETAIL
        0123456789ab  hf:o/m  running, by itself  1.0 MiB  1.0 GiB  -
        ");
        assert_eq!(pulls(&[]), "nothing is being fetched\n");
    }
}
