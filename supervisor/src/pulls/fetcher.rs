//! One fetcher process from its start to its end.

use std::{path::PathBuf, sync::Arc};

use impetus_proto::{
    Error,
    fetch::{FetchProgress, FetchReport, FetchSpec, Fetched, Plan, fetch_report},
};

use super::FetchSettings;
use crate::{
    channel,
    control::Configured,
    launch::{Launch, LaunchError, Launched, Launcher},
    logs::Source,
};

/// Which variables of ours a fetcher gets besides those that every child gets: how to reach the outside.
const ENVIRONMENT: [&str; 8] = [
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "all_proxy",
    "https_proxy",
    "http_proxy",
    "no_proxy",
];

/// When memory runs out it goes before anything that serves.
const OOM_SCORE_ADJUST: i32 = 900;

/// The name in logs.
const NAME: &str = "fetcher";

/// Starts fetchers.
#[derive(Debug)]
pub(super) struct Fetcher {
    launcher: Launcher,
    configured: Arc<Configured>,
    source: Source,
}

/// What a fetcher says on its way.
#[derive(Debug)]
pub(super) enum Said {
    Plan(Plan),
    Progress(FetchProgress),
}

/// How a fetcher ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Fetched(Fetched),
    Failed(Error),
    /// Without a last word, for this reason.
    Died(String),
}

impl Fetcher {
    pub(super) fn new(settings: &FetchSettings) -> Self {
        Self {
            launcher: settings.launcher.clone(),
            configured: settings.configured.clone(),
            source: settings.witness.logs.source(NAME, Some(NAME)),
        }
    }

    /// Has one fetcher do what `spec` says; `hear` gets what it says meanwhile. The fetcher ends when this is dropped.
    pub(super) async fn run(&self, spec: FetchSpec, mut hear: impl FnMut(Said)) -> Outcome {
        let mut launched = match self.launch(&spec) {
            Ok(launched) => launched,
            Err(error) => return Outcome::Failed(Error::internal(error.to_string())),
        };
        self.source.capture(launched.stdout);
        self.source.capture(launched.stderr);
        let (mut reports, mut writer) = channel::split(launched.channel);
        if let Err(error) = writer.send(&spec).await {
            return Outcome::Died(format!("it ended before it was told what to do: {error}"));
        }
        loop {
            match reports.next::<FetchReport>().await {
                Ok(Some(FetchReport { message: Some(message) })) => match message {
                    fetch_report::Message::Plan(plan) => hear(Said::Plan(plan)),
                    fetch_report::Message::Progress(progress) => hear(Said::Progress(progress)),
                    fetch_report::Message::Fetched(fetched) => return Outcome::Fetched(fetched),
                    fetch_report::Message::Failed(error) => return Outcome::Failed(error),
                },
                Ok(Some(FetchReport { message: None })) => {}
                Ok(None) | Err(_) => {
                    let status = launched.child.wait().await;
                    return Outcome::Died(
                        status.map_or_else(|error| error.to_string(), |status| status.to_string()),
                    );
                }
            }
        }
    }

    fn launch(&self, spec: &FetchSpec) -> Result<Launched, LaunchError> {
        let variable = |name: &&str| Some(((*name).to_owned(), std::env::var(name).ok()?));
        self.launcher.launch(Launch {
            program: self.configured.places.program(&self.configured.now().pull.command),
            args: Vec::new(),
            descriptors: Vec::new(),
            environment: ENVIRONMENT.iter().filter_map(variable).collect(),
            oom_score_adjust: OOM_SCORE_ADJUST,
            working_dir: PathBuf::from(&spec.staging),
            cgroup_files: Vec::new(),
            file_size_limit_bytes: 0,
        })
    }
}
