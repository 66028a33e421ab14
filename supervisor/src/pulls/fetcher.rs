//! One fetcher process from its start to its end.

use std::{future::pending, path::PathBuf, sync::Arc};

use impetus_proto::fetch::{FetchProgress, FetchReport, FetchSpec, Fetched, Plan, fetch_report};

use super::FetchSettings;
use crate::{
    control::Configured,
    job::{self, Word},
    launch::{Launch, Launcher},
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
pub(super) type Outcome = job::Outcome<Fetched>;

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
        let heard = |report: FetchReport| {
            match report.message {
                Some(fetch_report::Message::Plan(plan)) => hear(Said::Plan(plan)),
                Some(fetch_report::Message::Progress(progress)) => hear(Said::Progress(progress)),
                Some(fetch_report::Message::Fetched(fetched)) => return Word::Last(Ok(fetched)),
                Some(fetch_report::Message::Failed(error)) => return Word::Last(Err(error)),
                None => {}
            }
            Word::More
        };
        job::run(&self.launcher, self.launch(&spec), &self.source, &spec, heard, pending()).await
    }

    fn launch(&self, spec: &FetchSpec) -> Launch {
        let variable = |name: &&str| Some(((*name).to_owned(), std::env::var(name).ok()?));
        Launch {
            program: self.configured.places.program(&self.configured.now().pull.command),
            args: Vec::new(),
            descriptors: Vec::new(),
            environment: ENVIRONMENT.iter().filter_map(variable).collect(),
            oom_score_adjust: OOM_SCORE_ADJUST,
            working_dir: PathBuf::from(&spec.staging),
            cgroup_files: Vec::new(),
            file_size_limit_bytes: 0,
        }
    }
}
