//! `supervisorctl doctor`: what this machine, this configuration and this installation offer the server, and what stands
//! in its way. It works with a server that runs and without one.

mod clock;
mod finding;
mod group;
mod kernel;
mod limits;
mod machine;
mod manager;
mod models;
mod places;
mod port;
mod programs;
mod store;
mod trial;

use std::process::ExitCode;

use impetus_config::{Config, ConfigError, Loaded};
use impetus_proto::{
    store::{ListRequest, Stored},
    supervisor::{StatusReply, StatusRequest},
};

use self::finding::{Finding, json, text};
use super::{Server, connect::connect, failure::Failure, print};
use crate::places::Places;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// What is looked at.
struct Patient {
    config: Config,
    places: Places,
    /// What the server says of itself, if it runs.
    status: Option<StatusReply>,
    /// What it has in its store.
    stored: Option<Vec<Stored>>,
}

pub(super) async fn run(server: &Server, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let findings = examine(server).await;
    if arguments.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&json(&findings))?))?;
    } else {
        print(&text(&findings))?;
    }
    let is_ill = findings.iter().any(Finding::is_error);
    Ok(if is_ill { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(server: &Server) -> Vec<Finding> {
    let loaded = impetus_config::load(server.config.as_deref(), &[]);
    let (status, stored) = (status(server).await, stored(server).await);
    let mut findings = vec![configuration(&loaded), running(status.as_ref())];
    findings.extend(machine::findings());
    let patient = loaded.ok().and_then(|loaded| {
        let places = Places::new(&loaded.config).ok()?;
        Some(Patient { config: loaded.config, places, status, stored })
    });
    let Some(patient) = patient else {
        findings.extend(kernel::sandbox(None));
        findings.push(clock::finding());
        findings.push(Finding::none("all else", "it is not known what the configuration says"));
        return findings;
    };
    findings.extend(machine::budget(&patient.config));
    findings.extend(limits::findings(&patient.config));
    findings.extend(kernel::sandbox(Some(&patient)));
    findings.push(group::finding(&patient));
    findings.extend(port::findings(&patient));
    findings.extend(places::findings(&patient));
    findings.extend(store::findings(&patient));
    findings.extend(models::findings(&patient).await);
    findings.extend(programs::findings(&patient).await);
    findings.push(clock::finding());
    findings.push(manager::finding(&patient));
    findings
}

async fn status(server: &Server) -> Option<StatusReply> {
    let mut client = connect(server).await.ok()?;
    Some(client.status(StatusRequest {}).await.ok()?.into_inner())
}

async fn stored(server: &Server) -> Option<Vec<Stored>> {
    let mut client = super::store::client(server).await.ok()?;
    Some(client.list(ListRequest {}).await.ok()?.into_inner().models)
}

fn configuration(loaded: &Result<Loaded, ConfigError>) -> Finding {
    const NAME: &str = "configuration";
    match loaded {
        Ok(loaded) => {
            let description = loaded.describe();
            let first = description.lines().next().unwrap_or_default();
            Finding::ok(NAME, first.trim_start_matches("# "))
        }
        Err(error) => {
            Finding::error(NAME, error, "correct it; `supervisor --print-config` shows every setting")
        }
    }
}

fn running(status: Option<&StatusReply>) -> Finding {
    const NAME: &str = "server";
    match status {
        Some(status) if status.version != env!("CARGO_PKG_VERSION") => Finding::warning(
            NAME,
            format!("version {} runs, and this program is {}", status.version, env!("CARGO_PKG_VERSION")),
            "use programs of one version",
        ),
        Some(status) => Finding::ok(NAME, format!("runs, pid {}", status.supervisor_pid)),
        None => Finding::none(NAME, "does not run, or is not the one that is meant"),
    }
}
