//! `supervisorctl pull`

mod bar;
mod text;

use std::process::ExitCode;

use clap::Args;
use impetus_proto::{
    Code, Error,
    store::{CancelPullRequest, PullEvent, PullRequest, PullsRequest, Stored, pull_event::Event},
};
use serde_json::json;
use tokio::signal::ctrl_c;

pub(super) use self::bar::Bar;
use super::{Server, failure::Failure, print, signals, store};

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
#[command(
    after_help = "owner/name[:quantization] is a repository of the Hugging Face hub, name[:tag] or ollama:name[:tag] a \
                        model of Ollama's library, https://… a GGUF file at an address (with #sha256=… to have its content \
                        checked). Without a quantization, the one that is usual and fits into this machine's memory is taken."
)]
pub(super) struct Arguments {
    /// What to fetch: owner/name[@revision][:quantization], name[:tag], or an address.
    #[arg(required_unless_present_any = ["list", "cancel"])]
    reference: Option<String>,
    /// The name that the model is to have. Default: as its files are called.
    #[arg(long)]
    name: Option<String>,
    /// The format, where there is more than one: gguf, candle or onnx.
    #[arg(long, value_parser = ["gguf", "candle", "onnx"])]
    format: Option<String>,
    /// Says what would be fetched, and why that, and fetches nothing.
    #[arg(long)]
    dry_run: bool,
    /// Returns at once; the pull goes on by itself, also after a restart of the server.
    #[arg(long, conflicts_with = "dry_run")]
    detach: bool,
    /// Lists the pulls that run, or can be gone on with.
    #[arg(long, conflicts_with_all = ["reference", "cancel", "name", "format", "dry_run", "detach"])]
    list: bool,
    /// Stops a pull, by its id or by what it fetches; what has come is kept.
    #[arg(long, value_name = "PULL", conflicts_with_all = ["reference", "name", "format", "dry_run", "detach"])]
    cancel: Option<String>,
    /// With --cancel: gives up what has come.
    #[arg(long, requires = "cancel", conflicts_with_all = ["list", "reference"])]
    discard: bool,
    /// Prints a line of JSON for each event, or for each pull.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    if arguments.list {
        return list(server, arguments.json).await;
    }
    if let Some(pull) = arguments.cancel {
        return cancel(server, pull, arguments.discard, arguments.json).await;
    }
    let request = PullRequest {
        reference: arguments.reference.unwrap_or_default(),
        name: arguments.name.unwrap_or_default(),
        format: arguments.format.unwrap_or_default(),
        plan_only: arguments.dry_run,
        detach: arguments.detach,
        local: true,
    };
    let mut events = store::client(server).await?.pull(request.clone()).await?.into_inner();
    let mut teller =
        Teller { bar: Bar::new(), is_json: arguments.json, is_dry: arguments.dry_run, has_planned: false };
    loop {
        let event = tokio::select! {
            event = events.message() => event?,
            interrupt = ctrl_c() => {
                interrupt?;
                teller.bar.clear();
                print(&text::interrupted(&request, arguments.json))?;
                return Ok(signals::interrupted());
            }
        };
        match event.and_then(|PullEvent { event }| event) {
            Some(event) => {
                if teller.tell(event)? {
                    return Ok(ExitCode::SUCCESS);
                }
                if arguments.detach && teller.has_planned {
                    teller.bar.clear();
                    print(&text::detached(arguments.json))?;
                    return Ok(ExitCode::SUCCESS);
                }
            }
            None if arguments.dry_run => return Ok(ExitCode::SUCCESS),
            None => return Err(Failure::Lost("before the pull was over".into())),
        }
    }
}

/// Says what happens.
struct Teller {
    bar: Bar,
    is_json: bool,
    is_dry: bool,
    has_planned: bool,
}

impl Teller {
    /// Whether that was the last there is to say.
    fn tell(&mut self, event: Event) -> Result<bool, Failure> {
        if self.is_json {
            print(&format!("{}\n", text::as_json(&event)))?;
            self.has_planned |= matches!(event, Event::Plan(_));
            return Ok(matches!(event, Event::Done(_)));
        }
        match event {
            Event::Plan(plan) => {
                print(&text::plan(&plan, self.is_dry))?;
                if !self.is_dry {
                    self.bar.begin(plan.total_bytes, plan.present_bytes);
                }
                self.has_planned = true;
            }
            Event::Progress(progress) => self.bar.at(&progress),
            Event::Done(model) => {
                self.bar.clear();
                print(&done(&model))?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn done(model: &Stored) -> String {
    format!("{} is here; `supervisorctl load {0}` loads it, as does the first request for it\n", model.name)
}

async fn list(server: &Server, is_json: bool) -> Result<ExitCode, Failure> {
    let pulls = store::client(server).await?.pulls(PullsRequest {}).await?.into_inner().pulls;
    if is_json {
        let pulls: Vec<_> = pulls.iter().map(text::pull_as_json).collect();
        print(&format!("{}\n", serde_json::to_string_pretty(&json!({ "pulls": pulls }))?))?;
    } else {
        print(&text::pulls(&pulls))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn cancel(server: &Server, id: String, discard: bool, is_json: bool) -> Result<ExitCode, Failure> {
    let reply =
        store::client(server).await?.cancel_pull(CancelPullRequest { id, discard }).await?.into_inner();
    let missing = || Failure::Refused(Error::new(Code::Internal, "the server did not say what it stopped"));
    let pull = reply.pull.ok_or_else(missing)?;
    if is_json {
        print(&format!("{}\n", text::pull_as_json(&pull)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let what = if discard { "given up" } else { "stopped; the same pull goes on from there" };
    print(&format!("{} is {what}\n", pull.reference))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Verb {
        #[command(flatten)]
        _arguments: Arguments,
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        let check = |line: &str, expected: bool| {
            let parsed = Verb::try_parse_from(["pull"].into_iter().chain(line.split(' ')));
            assert_eq!(parsed.is_ok(), expected, "{line}");
        };
        for line in [
            "o/m --name a --format gguf --dry-run --json",
            "o/m --detach --json",
            "--list --json",
            "--cancel o/m",
            "--cancel o/m --discard --json",
        ] {
            check(line, true);
        }
        for mode in ["--list", "--cancel o/m"] {
            for other in ["o/m", "--name a", "--format gguf", "--dry-run", "--detach"] {
                check(&format!("{mode} {other}"), false);
            }
        }
        for line in
            ["--json", "--list --discard", "--list --cancel o/m", "o/m --discard", "o/m --detach --dry-run"]
        {
            check(line, false);
        }
    }
}
