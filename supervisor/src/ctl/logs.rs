//! `supervisorctl logs`

use std::process::ExitCode;

use impetus_proto::supervisor::{LogLine, LogsRequest};

use super::{Server, connect::connect, failure::Failure, print};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A worker, a model, "gateway" or "supervisor"; all of them without it.
    target: Option<String>,
    /// Goes on with what is logged from now on.
    #[arg(short, long)]
    follow: bool,
    /// How many lines of the past.
    #[arg(short = 'n', long, default_value_t = 50)]
    lines: u32,
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    let is_one = arguments.target.is_some();
    let request = LogsRequest {
        target: arguments.target.unwrap_or_default(),
        lines: arguments.lines,
        follow: arguments.follow,
    };
    let mut answers = connect(server).await?.logs(request).await?.into_inner();
    while let Some(answer) = answers.message().await? {
        print(&text(&answer.lines, is_one))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The lines, behind their source's name unless there is but one.
fn text(lines: &[LogLine], is_one: bool) -> String {
    lines
        .iter()
        .map(
            |line| {
                if is_one { format!("{}\n", line.text) } else { format!("{}: {}\n", line.source, line.text) }
            },
        )
        .collect()
}
