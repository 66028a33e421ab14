//! Fetches one model from a hub, a registry or an address into a folder that it was given, and ends. It is the only
//! process with connections to the outside, it can read and write nothing else of the user's, and nothing of what it brings is a model before
//! the supervisor has looked at it.
//!
//! `source` asks what there is, `choice` and `fit` say which of it, `transfer` brings it in pieces that outlive this
//! process, and checks it.

mod choice;
mod digest;
mod error;
mod fit;
mod link;
mod plan;
mod progress;
mod sandbox;
mod source;
mod transfer;
mod web;

use std::{fs::File, path::Path, process::ExitCode, sync::Arc};

use impetus_proto::fetch::{FetchSpec, Fetched};
use impetus_telemetry::{Format, init};
use tracing::{info, warn};

use crate::{
    error::FetchError, link::Link, plan::Planned, progress::Progress, sandbox::Sandbox, transfer::Transfer,
    web::Web,
};

/// The program was not started by a supervisor.
const EXIT_USAGE: u8 = 2;

/// The process cannot find servers any more, and another one can.
const EXIT_OUTDATED: u8 = 3;

/// The file, within the staging folder, that who uses it has locked.
const LOCK: &str = "lock";

/// States of a file, one after the other, that are begun with.
const MAX_STATES: usize = 3;

/// Threads for connections; what is computed of files is computed on others.
const THREADS: usize = 2;

/// Runs the fetcher on the channel inherited from the supervisor, until everything is there, it cannot be had, or nobody
/// wants it any more.
pub fn run() -> ExitCode {
    let (channel, spec) = match link::inherited() {
        Ok(Some(told)) => told,
        Ok(None) => {
            // There is no log yet, and whoever reads this is at a terminal.
            eprintln!("this program is started by the Impetus supervisor: see `supervisorctl pull --help`");
            return ExitCode::from(EXIT_USAGE);
        }
        Err(error) => {
            eprintln!("fetcher: what the supervisor says cannot be read: {error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    log_as_told(&spec);
    let sandbox = Sandbox::enter(Path::new(&spec.staging));
    let link = match Link::over(channel) {
        Ok(link) => link,
        Err(error) => {
            warn!(%error, "the supervisor cannot be listened to");
            return ExitCode::FAILURE;
        }
    };
    match fetch(&link, &spec) {
        Ok(done) => {
            link.done(done);
            ExitCode::SUCCESS
        }
        Err(error @ FetchError::Network { .. }) if sandbox.is_outdated() => {
            // The next process can read it.
            warn!(%error, "the settings of the resolver were replaced; the next fetcher goes on with the new ones");
            ExitCode::from(EXIT_OUTDATED)
        }
        Err(error) => {
            warn!(%error, "not fetched");
            link.failed(error.into());
            ExitCode::FAILURE
        }
    }
}

fn log_as_told(spec: &FetchSpec) {
    let log = spec.log.clone().unwrap_or_default();
    let format = if log.format == "text" { Format::Text } else { Format::Json };
    let level = if log.level.is_empty() { "info" } else { &log.level };
    if let Err(error) = init("fetcher", level, format) {
        eprintln!("fetcher: {error}");
    }
}

/// `None`: nobody waits for it any more.
fn fetch(link: &Link, spec: &FetchSpec) -> Result<Option<Fetched>, FetchError> {
    let staging = Path::new(&spec.staging);
    let _turn = turn(staging)?;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(|source| FetchError::disk(staging, source))?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = bring(link, spec, staging) => done.map(Some),
            () = link.closed() => {
                info!("nobody waits for it any more");
                Ok(None)
            }
        }
    });
    // What has not been written by now is fetched again.
    runtime.shutdown_background();
    done
}

/// Waits until no other fetcher, as one that is about to end, uses the folder.
fn turn(staging: &Path) -> Result<File, FetchError> {
    let path = staging.join(LOCK);
    let disk = |source| FetchError::disk(&path, source);
    let file = File::create(&path).map_err(disk)?;
    file.lock().map_err(disk)?;
    Ok(file)
}

/// Brings what the server has now; where that changes meanwhile, what it has then.
async fn bring(link: &Link, spec: &FetchSpec, staging: &Path) -> Result<Fetched, FetchError> {
    let progress = Arc::new(Progress::default());
    let web = Arc::new(Web::new(spec, progress.clone())?);
    if let Some(search) = &spec.search {
        return Ok(Fetched { found: source::search(&web, spec, search).await?, ..Fetched::default() });
    }
    for _ in 1..MAX_STATES {
        match bring_one(link, spec, staging, &web, &progress).await {
            Err(FetchError::Changed { url }) => {
                warn!(url, "changed while it was fetched; fetching what it is now");
                progress.begin_anew();
            }
            done => return done,
        }
    }
    bring_one(link, spec, staging, &web, &progress).await
}

/// Brings one state of it.
async fn bring_one(
    link: &Link,
    spec: &FetchSpec,
    staging: &Path,
    web: &Arc<Web>,
    progress: &Arc<Progress>,
) -> Result<Fetched, FetchError> {
    let listing = source::list(web, spec).await?;
    let planned = Planned::new(web, listing, spec, staging).await?;
    let transfer = Transfer::new(web.clone(), spec, staging, progress.clone())?;
    link.plan(planned.message(transfer.present(&planned.files)?));
    if spec.plan_only {
        return Ok(Fetched::default());
    }
    let _telling = link.tell(progress.clone());
    let files = transfer.all(&planned.files).await?;
    info!(source = planned.source(), files = files.len(), "fetched");
    Ok(Fetched { files, ..Fetched::default() })
}
