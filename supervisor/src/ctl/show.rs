//! `supervisorctl show`

use std::{fmt::Write, process::ExitCode};

use impetus_proto::store::{Part, ShowReply, ShowRequest};
use serde_json::{Value, json};

use super::{
    Server,
    failure::Failure,
    print, store,
    table::{amount, count},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A model's name or alias.
    model: String,
    /// Prints its chat template alone.
    #[arg(long, conflicts_with = "json")]
    template: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    let request = ShowRequest { model: arguments.model };
    let reply = store::client(server).await?.show(request).await?.into_inner();
    if arguments.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&as_json(&reply))?))?;
    } else if arguments.template {
        print(&format!("{}\n", reply.chat_template))?;
    } else {
        print(&text(&reply))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(reply: &ShowReply) -> String {
    let mut text = format!("{}\n", reply.name);
    // Writing to a String cannot fail.
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() && value != "-" {
            let _ = writeln!(text, "  {name:<14} {value}");
        }
    };
    let state = if reply.detail.is_empty() {
        reply.state.clone()
    } else {
        format!("{}: {}", reply.state, reply.detail)
    };
    line("state", &state);
    line("aliases", &reply.aliases.join(", "));
    line("description", &reply.description);
    line("task", &reply.task);
    line("format", &reply.format);
    line("architecture", &reply.architecture);
    line("parameters", &count(reply.parameters));
    line("quantization", &reply.quantization);
    let context = match (reply.context_tokens, reply.trained_context_tokens) {
        (0, _) => String::new(),
        (here, trained) if trained == 0 || trained == here => format!("{here} tokens"),
        (here, trained) => format!("{here} tokens of a slot, of {trained} that it was trained for"),
    };
    line("context", &context);
    line(
        "chat template",
        if reply.chat_template.is_empty() { "none" } else { "its own (--template prints it)" },
    );
    line("size", &amount(reply.bytes));
    line("path", &reply.path);
    if let Some(stored) = &reply.stored {
        let source =
            if stored.source.is_empty() { String::new() } else { format!(" from {}", stored.source) };
        line("came", &format!("{}{source}", stored.origin));
        line("revision", &stored.revision);
    }
    let parts = reply.ram.iter().map(|part| ("RAM", part)).chain(reply.gpus.iter().map(|part| ("GPU", part)));
    for (pool, part) in parts {
        line(pool, &memory(part, reply.slots));
    }
    text
}

fn memory(part: &Part, slots: u32) -> String {
    format!(
        "{} in all with {slots} slots: weights {}, keys and values {}, computing {}, process {}",
        amount(part.full),
        amount(part.weights),
        amount(part.kv),
        amount(part.compute),
        amount(part.process),
    )
}

fn as_json(reply: &ShowReply) -> Value {
    let part = |part: &Part| {
        json!({
            "weights_bytes": part.weights, "kv_bytes": part.kv, "compute_bytes": part.compute,
            "process_bytes": part.process, "full_bytes": part.full,
        })
    };
    json!({
        "name": reply.name,
        "state": reply.state,
        "detail": reply.detail,
        "aliases": reply.aliases,
        "description": reply.description,
        "task": reply.task,
        "format": reply.format,
        "architecture": reply.architecture,
        "parameters": reply.parameters,
        "quantization": reply.quantization,
        "context_tokens": reply.context_tokens,
        "trained_context_tokens": reply.trained_context_tokens,
        "chat_template": reply.chat_template,
        "bytes": reply.bytes,
        "path": reply.path,
        "files": reply.files,
        "slots": reply.slots,
        "ram": reply.ram.as_ref().map(part),
        "gpus": reply.gpus.iter().map(part).collect::<Vec<_>>(),
        "stored": reply.stored.as_ref().map(store::as_json),
    })
}

#[cfg(test)]
mod tests {
    use impetus_proto::store::Stored;

    use super::*;

    #[test]
    fn a_model_is_shown_with_what_is_known_of_it() {
        let reply = ShowReply {
            name: "m".into(),
            state: "ready".into(),
            format: "gguf".into(),
            architecture: "llama".into(),
            parameters: 1_200_000_000,
            quantization: "Q4_K_M".into(),
            context_tokens: 8192,
            trained_context_tokens: 131_072,
            chat_template: "{{ x }}".into(),
            bytes: 800 << 20,
            path: "/s/models/m/m.gguf".into(),
            slots: 4,
            ram: Some(Part {
                weights: 800 << 20,
                kv: 1 << 30,
                compute: 100 << 20,
                process: 50 << 20,
                full: 2 << 30,
            }),
            stored: Some(Stored {
                origin: "pulled".into(),
                source: "hf:o/m".into(),
                revision: "0123".into(),
                ..Stored::default()
            }),
            ..ShowReply::default()
        };
        insta::assert_snapshot!(text(&reply), @r"
        m
          state          ready
          format         gguf
          architecture   llama
          parameters     1.2 B
          quantization   Q4_K_M
          context        8192 tokens of a slot, of 131072 that it was trained for
          chat template  its own (--template prints it)
          size           800.0 MiB
          path           /s/models/m/m.gguf
          came           pulled from hf:o/m
          revision       0123
          RAM            2.0 GiB in all with 4 slots: weights 800.0 MiB, keys and values 1.0 GiB, computing 100.0 MiB, process 50.0 MiB
        ");
    }
}
