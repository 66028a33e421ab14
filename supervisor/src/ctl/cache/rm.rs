//! `supervisorctl cache rm`

use std::{fmt::Write, process::ExitCode};

use clap::Args;
use impetus_proto::cache::{RemoveReply, RemoveRequest};
use serde_json::{Value, json};

use super::{
    super::{Server, failure::Failure, print, table::amount},
    as_json, client, name,
};

#[derive(Debug, Args)]
pub(in crate::ctl) struct Arguments {
    /// A model's name or alias.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    model: Option<String>,
    /// Removes the files of all models, and those that nobody knows.
    #[arg(long)]
    all: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    let request = RemoveRequest { model: arguments.model.unwrap_or_default() };
    let reply = client(server).await?.remove(request).await?.into_inner();
    if arguments.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&value(&reply))?))?;
    } else {
        print(&text(&reply))?;
    }
    Ok(if reply.in_use.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(reply: &RemoveReply) -> String {
    let mut text = String::new();
    for file in &reply.removed {
        let _ = writeln!(text, "removed what was kept of {}, {}", name(file), amount(file.bytes));
    }
    for file in &reply.in_use {
        let name = name(file);
        let model = if file.model.is_empty() { "MODEL" } else { &file.model };
        let _ = writeln!(
            text,
            "what is kept of {name} is in use by its worker; `supervisorctl unload {model}`, then remove it"
        );
    }
    if text.is_empty() { "no prefixes are kept in files\n".into() } else { text }
}

fn value(reply: &RemoveReply) -> Value {
    json!({
        "removed": reply.removed.iter().map(as_json).collect::<Vec<_>>(),
        "in_use": reply.in_use.iter().map(as_json).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{super::file, *};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn what_is_removed_and_what_is_not_is_said() {
        let reply = RemoveReply {
            removed: vec![file("a", 12, false), file("", 1, false)],
            in_use: vec![file("b", 3, true)],
        };
        assert_eq!(
            text(&reply),
            "removed what was kept of a, 12.0 MiB\n\
             removed what was kept of /state/prefixes/0f.kv, 1.0 MiB\n\
             what is kept of b is in use by its worker; `supervisorctl unload b`, then remove it\n"
        );
        assert_eq!(text(&RemoveReply::default()), "no prefixes are kept in files\n");
        let json = value(&reply);
        assert_eq!(
            (json["removed"].as_array().unwrap().len(), &json["in_use"][0]["model"]),
            (2, &json!("b"))
        );
    }

    #[test]
    fn all_is_said_and_never_meant_by_nothing() {
        let check = |line: &[&str], is_fine: bool| {
            let parsed = Line::try_parse_from(["rm"].iter().chain(line));
            assert_eq!(parsed.is_ok(), is_fine, "{line:?}");
        };
        check(&["a"], true);
        check(&["--all"], true);
        check(&["a", "--json"], true);
        check(&[], false);
        check(&["a", "--all"], false);
    }
}
