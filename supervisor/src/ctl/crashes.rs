//! `supervisorctl crashes`

use std::process::ExitCode;

use clap::Subcommand;
use impetus_proto::{
    MAX_MESSAGE_BYTES,
    event::{Crash, ListCrashesRequest, ShowCrashRequest, crashes_client::CrashesClient},
};
use serde_json::{Value, json};

use super::{
    Server, connect,
    failure::Failure,
    print,
    table::{Table, dash, stamp},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Lists the reports, the latest first.
    List {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints a report, which is JSON.
    Show {
        /// Its name, as it is listed.
        id: String,
    },
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    let channel = connect::channel(server).await?;
    let mut client = CrashesClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let text = match arguments.verb.unwrap_or(Verb::List { json: false }) {
        Verb::List { json } => {
            let crashes = client.list(ListCrashesRequest {}).await?.into_inner().crashes;
            if json {
                let crashes: Vec<Value> = crashes.iter().map(as_json).collect();
                format!("{}\n", serde_json::to_string_pretty(&json!({ "crashes": crashes }))?)
            } else {
                table(&crashes)
            }
        }
        Verb::Show { id } => format!("{}\n", client.show(ShowCrashRequest { id }).await?.into_inner().json),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn table(crashes: &[Crash]) -> String {
    if crashes.is_empty() {
        return "nothing has died that was not asked to\n".into();
    }
    let mut table = Table::new(&["TIME", "ID", "MODEL", "CAUSE"]);
    for crash in crashes {
        table.row([stamp(crash.unix_ms), crash.id.clone(), dash(&crash.model), crash.cause.clone()]);
    }
    table.to_string()
}

fn as_json(crash: &Crash) -> Value {
    json!({
        "id": crash.id,
        "unix_ms": crash.unix_ms,
        "process": crash.process,
        "model": crash.model,
        "cause": crash.cause,
        "path": crash.path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_listed() {
        let crash = Crash {
            id: "1700000000123-gguf-1".into(),
            unix_ms: 1_700_000_000_123,
            process: "gguf-1".into(),
            model: "tiny".into(),
            cause: "killed by SIGSEGV".into(),
            path: "/state/crashes/1700000000123-gguf-1.json".into(),
        };
        assert_eq!(
            table(std::slice::from_ref(&crash)),
            "TIME                      ID                    MODEL  CAUSE\n\
             2023-11-14T22:13:20.123Z  1700000000123-gguf-1  tiny   killed by SIGSEGV\n"
        );
        assert_eq!(table(&[]), "nothing has died that was not asked to\n");
        assert_eq!(as_json(&crash)["path"], crash.path);
    }
}
