//! `supervisorctl log-level`

use std::process::ExitCode;

use impetus_proto::level::{ListRequest, Process, SetRequest, levels_client::LevelsClient};

use super::{
    Server, connect,
    failure::Failure,
    print,
    table::{Table, dash},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// off, error, warn, info, debug or trace, or directives such as info,impetus_runtime=debug; shows what holds
    /// without it.
    #[arg(conflicts_with = "reset")]
    level: Option<String>,
    /// A worker, a model, "gateway" or "supervisor"; all of them without it.
    #[arg(long)]
    target: Option<String>,
    /// Back to what is configured.
    #[arg(long)]
    reset: bool,
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    let mut client = LevelsClient::new(connect::channel(server).await?);
    let is_change = arguments.level.is_some() || arguments.reset;
    let reply = if is_change {
        let target = arguments.target.clone().unwrap_or_default();
        client.set(SetRequest { level: arguments.level.unwrap_or_default(), target }).await?
    } else {
        client.list(ListRequest {}).await?
    };
    print(&table(&reply.into_inner().processes))?;
    Ok(ExitCode::SUCCESS)
}

fn table(processes: &[Process]) -> String {
    let mut table = Table::new(&["PROCESS", "MODEL", "LEVEL"]);
    for process in processes {
        let level =
            if process.changed { format!("{} (changed)", process.level) } else { process.level.clone() };
        table.row([process.name.clone(), dash(&process.model), level]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_marked() {
        let process = |name: &str, model: &str, changed| {
            let level = if changed { "debug" } else { "info" }.into();
            Process { name: name.into(), model: model.into(), level, changed }
        };
        assert_eq!(
            table(&[process("gateway", "", false), process("gguf-1", "tiny", true)]),
            "PROCESS  MODEL  LEVEL\n\
             gateway  -      info\n\
             gguf-1   tiny   debug (changed)\n"
        );
    }
}
