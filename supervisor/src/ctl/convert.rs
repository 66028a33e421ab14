//! `supervisorctl convert`

mod check;
mod text;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use impetus_proto::{
    fetch::FetchProgress,
    store::{
        ConvertEvent, ConvertPlan, ConvertRequest, RemoveRequest, ShowRequest, Stored, convert_event::Event,
    },
};
use serde_json::json;
use tokio::signal::ctrl_c;

pub(in crate::ctl) use self::check::CheckError;
use self::check::{Bound, Check};
use super::{Server, failure::Failure, print, pull::Bar, signals, store};

/// What a model does that continues texts.
const GENERATE: &str = "generate";

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
#[command(
    after_help = "Types, the exact ones first: f32, f16, bf16, q8_0, q6_k, q5_k_m, q5_k_s, q5_1, q5_0, q4_k_m, q4_k_s, \
                  q4_1, q4_0, q3_k_l, q3_k_m, q3_k_s, q2_k. Models in safetensors, PyTorch or MLX form can be converted \
                  when they are of the families llama, mistral, qwen2 or qwen3, GGUF models of any family. What is \
                  interrupted leaves nothing behind."
)]
pub(super) struct Arguments {
    /// A model's name or alias.
    model: String,
    /// The type of the weights.
    #[arg(long = "type", value_name = "TYPE", default_value = "q4_k_m")]
    kind: String,
    /// The name that the result is to have. Default: the model's, with the type.
    #[arg(long)]
    name: Option<String>,
    /// Says what would be done, and does nothing.
    #[arg(long)]
    dry_run: bool,
    /// Does not compare what the two models answer.
    #[arg(long)]
    no_check: bool,
    /// Removes the result when it does not answer as it should.
    #[arg(long, conflicts_with = "no_check")]
    discard_on_failure: bool,
    /// A file with a key for the comparison, where the server asks for one and it is not in the environment variable
    /// IMPETUS_API_KEY.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Prints a line of JSON for each event.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    let request = ConvertRequest {
        model: arguments.model.clone(),
        r#type: arguments.kind.clone(),
        name: arguments.name.clone().unwrap_or_default(),
        plan_only: arguments.dry_run,
    };
    let mut events = store::client(server).await?.convert(request).await?.into_inner();
    let mut teller = Teller { bar: Bar::new(), step: None, is_json: arguments.json, plan: None };
    loop {
        let event = tokio::select! {
            event = events.message() => event?,
            interrupt = ctrl_c() => {
                interrupt?;
                teller.bar.clear();
                print(&interrupted("stopped; nothing is kept", arguments.json))?;
                return Ok(signals::interrupted());
            }
        };
        match event.and_then(|ConvertEvent { event }| event) {
            Some(event) => {
                if let Some(made) = teller.tell(event)? {
                    let plan = teller.plan.unwrap_or_default();
                    return tokio::select! {
                        compared = compare(server, &arguments, &plan, &made) => compared,
                        interrupt = ctrl_c() => {
                            interrupt?;
                            let kept = format!("interrupted; {} is kept, and was not compared", made.name);
                            print(&interrupted(&kept, arguments.json))?;
                            Ok(signals::interrupted())
                        }
                    };
                }
            }
            None if arguments.dry_run => return Ok(ExitCode::SUCCESS),
            None => return Err(Failure::Lost("before the conversion was over".into())),
        }
    }
}

/// What is said after Ctrl-C.
fn interrupted(why: &str, is_json: bool) -> String {
    if is_json { format!("{}\n", json!({"event": "interrupted", "why": why})) } else { format!("{why}\n") }
}

/// Says what happens.
struct Teller {
    bar: Bar,
    /// Whose bar it is.
    step: Option<u32>,
    is_json: bool,
    plan: Option<ConvertPlan>,
}

impl Teller {
    /// The model, when that was the last there is to say.
    fn tell(&mut self, event: Event) -> Result<Option<Stored>, Failure> {
        if self.is_json {
            print(&format!("{}\n", text::as_json(&event)))?;
        }
        match event {
            Event::Plan(plan) => {
                if !self.is_json {
                    print(&text::plan(&plan))?;
                }
                self.plan = Some(plan);
            }
            Event::Progress(progress) if !self.is_json => {
                if self.step != Some(progress.step) {
                    self.bar.clear();
                    self.bar.begin(progress.total_bytes.max(progress.bytes), 0);
                    self.step = Some(progress.step);
                }
                self.bar.at(&FetchProgress { bytes: progress.bytes, ..FetchProgress::default() });
            }
            Event::Progress(_) => {}
            Event::Done(model) => {
                self.bar.clear();
                if !self.is_json {
                    print(&text::done(&model))?;
                }
                return Ok(Some(model));
            }
        }
        Ok(None)
    }
}

/// Compares the answers of the two, and says so.
async fn compare(
    server: &Server,
    arguments: &Arguments,
    plan: &ConvertPlan,
    made: &Stored,
) -> Result<ExitCode, Failure> {
    if arguments.no_check {
        return Ok(ExitCode::SUCCESS);
    }
    let mut client = store::client(server).await?;
    let shown = client.show(ShowRequest { model: made.name.clone() }).await?.into_inner();
    if shown.task != GENERATE {
        let why = format!("not compared: {} does not continue texts ({})", made.name, shown.task);
        let line = if arguments.json { json!({"event": "unchecked", "why": why}).to_string() } else { why };
        print(&format!("{line}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let check = Check::new(server, arguments.key_file.as_deref()).await?;
    let bound = Bound::of(&plan.source_type, &plan.r#type);
    let found = check.compare([&plan.model, &made.name]).await?;
    let verdict = bound.judge(&found);
    print(&if arguments.json {
        format!("{}\n", text::check_as_json(&found, &bound, verdict.is_ok()))
    } else {
        text::check(&found)
    })?;
    let Err(error) = verdict else { return Ok(ExitCode::SUCCESS) };
    let name = &made.name;
    let outcome = if arguments.discard_on_failure {
        client.remove(RemoveRequest { model: name.clone() }).await?;
        format!("{name} was removed again\n")
    } else {
        format!("{name} is kept; `supervisorctl rm {name}` removes it\n")
    };
    if !arguments.json {
        print(&outcome)?;
    }
    Err(error.into())
}
