//! What `supervisor __probe` does: everything up to the point at which a server is touched. It reads the configuration
//! and the state folder, and starts each of the programs that it would run.

use std::{collections::BTreeMap, io, net::TcpListener, path::Path, process::ExitStatus, time::Duration};

use anyhow::{Context, Result};
use futures::future::join_all;
use impetus_config::{Config, Entrance, Loaded, WorkerConfig};
use impetus_proto::{
    PROTOCOL,
    launch::{GatewaySpec, Report, SandboxSpec, StandbySpec, ToWorker, report, to_worker},
};
use prost::Message;
use tokio::{io::AsyncReadExt, time::timeout};

use super::Tried;
use crate::{
    aliases::AliasFile,
    catalog::Library,
    channel,
    keys::Keys,
    launch::{Launch, Launched, Launcher},
    places::Places,
    settings,
};

/// How long a child that has answered may take to end.
const END: Duration = Duration::from_secs(2);

/// The most of a child's last words, in bytes.
const MAX_WORDS: u64 = 4 << 10;

/// What this program would serve with, as JSON.
pub fn probe(loaded: &Loaded) -> Result<String> {
    let config = &loaded.config;
    let places = Places::new(config)?;
    let keys = Keys::load(&places.state_dir)?;
    keys.check_exposure(config)?;
    Library::new(config, places.bundled_models(), AliasFile::new(&places.state_dir).read())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let tried = runtime.block_on(try_programs(config, &places, &keys))?;
    Ok(serde_json::to_string(&tried)?)
}

async fn try_programs(config: &Config, places: &Places, keys: &Keys) -> Result<Tried> {
    let launcher =
        Launcher::of_this_program().context("cannot tell where the supervisor's own program is")?;
    let patience = Duration::from_secs(config.supervisor.load_timeout_s);
    let gateway = try_gateway(&launcher, config, places, keys, patience);
    let workers = config.workers.iter().map(|(format, worker)| {
        let launcher = &launcher;
        async move {
            let version = try_worker(launcher, config, places, (format, worker), patience).await;
            (format.clone(), version)
        }
    });
    let (gateway, workers) = tokio::join!(gateway, join_all(workers));
    Ok(Tried {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL,
        runtime_dir: places.runtime_dir.clone(),
        state_dir: places.state_dir.clone(),
        gateway,
        workers: workers.into_iter().collect::<BTreeMap<_, _>>(),
    })
}

/// The version of the gateway, or why it does not start.
async fn try_gateway(
    launcher: &Launcher,
    config: &Config,
    places: &Places,
    keys: &Keys,
    patience: Duration,
) -> Result<String, String> {
    let settings = settings::of_gateway(config, places, keys).map_err(|error| error.to_string())?;
    // Nobody knows this socket.
    let socket = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let mut launch = trial_of(&settings.program, &places.state_dir);
    launch.descriptors.push(socket.into());
    let entrances = vec![Entrance::Gateway.name().to_owned()];
    let spec = GatewaySpec { trial: true, entrances, ..settings.spec };
    let heard = |message: report::Message| match message {
        report::Message::Trial(trial) => Some(trial.version),
        // One that is too old to know what a trial is.
        report::Message::Serving(_) => Some(String::new()),
        _ => None,
    };
    first_word(launcher, launch, &spec, heard, patience).await
}

/// The version of the worker, or why none comes up.
async fn try_worker(
    launcher: &Launcher,
    config: &Config,
    places: &Places,
    (format, worker): (&str, &WorkerConfig),
    patience: Duration,
) -> Result<String, String> {
    let launch = trial_of(&places.program(&worker.command), &places.state_dir);
    let standby = StandbySpec {
        worker_id: format!("{format}-trial"),
        format: format.to_owned(),
        log: Some(settings::log_spec(config)),
        threads: worker.threads,
        adoption: None,
        sandbox: Some(SandboxSpec {
            enabled: worker.sandbox,
            runtime_dir: places.runtime_dir.to_string_lossy().into_owned(),
        }),
    };
    let spec = ToWorker { message: Some(to_worker::Message::Standby(standby)) };
    let heard = |message: report::Message| match message {
        report::Message::Standby(standby) => Some(Ok(standby.version)),
        report::Message::Failed(error) => Some(Err(error.message)),
        _ => None,
    };
    first_word(launcher, launch, &spec, heard, patience).await?
}

/// How a program is started to be heard once.
pub(crate) fn trial_of(program: &Path, working_dir: &Path) -> Launch {
    Launch {
        program: program.to_owned(),
        args: Vec::new(),
        descriptors: Vec::new(),
        environment: Vec::new(),
        oom_score_adjust: 0,
        working_dir: working_dir.to_owned(),
        cgroup_files: Vec::new(),
        file_size_limit_bytes: 0,
    }
}

/// Starts a program, tells it `spec`, and waits for what `heard` wants to hear of it; then it is gone.
pub(crate) async fn first_word<T>(
    launcher: &Launcher,
    launch: Launch,
    spec: &impl Message,
    heard: impl Fn(report::Message) -> Option<T>,
    patience: Duration,
) -> Result<T, String> {
    let program = launch.program.clone();
    let about = |what: String| format!("{} {what}", program.display());
    let Launched { mut child, channel, stdout, stderr } =
        launcher.launch(launch).map_err(|error| error.to_string())?;
    let (mut reports, mut writer) = channel::split(channel);
    let listen = async {
        // An error means that it ends, which the next lines tell.
        let _ = writer.send(spec).await;
        while let Ok(Some(Report { message })) = reports.next().await {
            if let Some(word) = message.and_then(&heard) {
                return Some(word);
            }
        }
        None
    };
    let words = tokio::spawn(async move { tokio::join!(said(stdout), said(stderr)).1 });
    let answer = timeout(patience, listen).await;
    // The end of its channel is what tells it to go.
    drop((reports, writer));
    let ended = timeout(END, child.wait()).await.ok().and_then(Result::ok);
    if ended.is_none() {
        super::trial::kill(&mut child).await;
    }
    match answer {
        Ok(Some(word)) => Ok(word),
        Ok(None) => Err(about(end(ended, &words.await.unwrap_or_default()))),
        Err(_) => Err(about(format!("said nothing for {} s", patience.as_secs()))),
    }
}

/// Reads to the end; what is kept is bounded.
async fn said(mut pipe: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut text = Vec::new();
    // What cannot be read was not said.
    let _ = (&mut pipe).take(MAX_WORDS).read_to_end(&mut text).await;
    let _: io::Result<u64> = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    impetus_telemetry::escape(String::from_utf8_lossy(&text).trim().replace('\n', "; ").as_bytes())
        .into_owned()
}

/// An end as a sentence without its subject.
pub(super) fn end(status: Option<ExitStatus>, words: &str) -> String {
    let end = match status {
        Some(status) => format!("ended with {status}"),
        None => "closed its channel and did not end".to_owned(),
    };
    if words.is_empty() { end } else { format!("{end}: {words}") }
}
