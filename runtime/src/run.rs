//! A worker's life: told what it is through the inherited channel, it initialises its engine library, waits for
//! its model, loads it, serves it, and ends with it. Or it is told to convert a model instead.
//!
//! Three threads matter: the main thread runs the async service, the engine's thread owns the engine and
//! everything in it, and the lifeline watches the channel to the supervisor, or waits for the next one.

mod conversion;
mod draft;
pub(crate) mod engine_thread;
mod link;
mod peak;
mod sandbox;

use std::{
    fs::File,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, mpsc},
};

use impetus_proto::{
    Code, Error, MAX_MESSAGE_BYTES, endpoint,
    launch::{LogSpec, Serving, Standby, StandbySpec, ToWorker, WorkerSpec, report, to_worker},
    worker::{Description, Task, worker_server::WorkerServer},
};
use impetus_telemetry as telemetry;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use tracing::{error, info};

use crate::{
    engine::{Backend, LoadError, ModelSpec},
    output::format::{self, Template},
    prompt::{ChatTemplate, InfillTokens, TemplateError},
    run::{
        engine_thread::{EngineThread, Loaded, Placement, Work},
        link::{Link, Reporter},
        sandbox::Sandbox,
    },
    scheduler::{Counters, Prefixes, SchedulerSettings},
    service::{Conversation, Service},
};

/// A load that failed; the supervisor was told why.
const EXIT_LOAD_FAILED: u8 = 3;
/// The engine failed for good while it served.
const EXIT_ENGINE_FAILED: u8 = 4;
/// The program was not started by a supervisor.
const EXIT_USAGE: u8 = 2;

/// What a worker has when its engine library is up.
struct Ready {
    standby: StandbySpec,
    sandbox: Sandbox,
    version: String,
    reporter: Reporter,
    counters: Arc<Counters>,
}

/// The ways to the engine's thread and from it.
struct Engine {
    place: mpsc::SyncSender<Placement>,
    loaded: oneshot::Receiver<Result<Loaded, LoadError>>,
    ended: oneshot::Receiver<()>,
}

/// How a worker's life ended early.
enum End {
    /// The supervisor is gone, or wants this standby no more.
    Dismissed,
    LoadFailed(Error),
    EngineFailed,
}

/// The whole of a worker's `main`. Returns when the worker has nothing left to do.
pub fn run<B: Backend>() -> ExitCode {
    let Some(mut link) = Link::inherited() else {
        let words =
            "this program is a worker of the Impetus supervisor, which starts it: see `supervisor --help`\n";
        drop(std::io::Write::write_all(&mut std::io::stderr(), words.as_bytes()));
        return ExitCode::from(EXIT_USAGE);
    };
    let lived = match receive(&mut link) {
        Some((to_worker::Message::Standby(standby), _)) => live::<B>(link, standby),
        Some((to_worker::Message::Convert(spec), _)) => return conversion::run::<B>(link, &spec),
        _ => Err(End::Dismissed),
    };
    match lived {
        Ok(()) | Err(End::Dismissed) => ExitCode::SUCCESS,
        Err(End::LoadFailed(_)) => ExitCode::from(EXIT_LOAD_FAILED),
        Err(End::EngineFailed) => ExitCode::from(EXIT_ENGINE_FAILED),
    }
}

fn live<B: Backend>(mut link: Link, standby: StandbySpec) -> Result<(), End> {
    let sandbox = Sandbox::enter(standby.sandbox.as_ref());
    init_telemetry::<B>(standby.log.as_ref());
    link.prepare_adoption(&standby);
    let counters = Arc::new(Counters::default());
    let reporter = Reporter::spawn(&link, standby.clone(), Arc::clone(&counters));

    let (place, placed) = mpsc::sync_channel(1);
    let (loaded_tx, loaded) = oneshot::channel();
    let (started_tx, started) = mpsc::sync_channel(1);
    let engine = EngineThread::<B>::new(threads(standby.threads), reporter.clone(), Arc::clone(&counters));
    let ended = engine.spawn(started_tx, placed, loaded_tx);
    let outcome = match started.recv() {
        Ok(Ok(version)) => {
            let standby_report = Standby {
                engine: version.clone(),
                sandbox: sandbox.to_string(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            };
            reporter.send(report::Message::Standby(standby_report));
            let worker = Ready { standby, sandbox, version, reporter: reporter.clone(), counters };
            serve_placed::<B>(link, worker, Engine { place, loaded, ended })
        }
        Ok(Err(error)) => Err(load_failed(&error)),
        Err(_) => Err(End::EngineFailed),
    };
    if let Err(End::LoadFailed(error)) = &outcome {
        error!(%error, "the model could not be loaded");
        reporter.send(report::Message::Failed(error.clone()));
    }
    reporter.flush();
    outcome
}

/// Waits for the model and serves it to the end.
fn serve_placed<B: Backend>(mut link: Link, mut worker: Ready, engine: Engine) -> Result<(), End> {
    let Some((to_worker::Message::Place(spec), file)) = receive(&mut link) else {
        return Err(End::Dismissed);
    };
    let prefixes = spec.prefixes.as_ref().map(|spec| Prefixes::new(spec, file, &worker.counters));
    link.spawn_lifeline(spec.clone(), worker.reporter.clone(), prefixes.clone());
    info!(model = spec.model, path = spec.path, "placed");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        End::LoadFailed(Error::internal(format!("the async runtime did not start: {error}")))
    })?;
    runtime.block_on(async {
        let incoming = endpoint::listen(spec.socket.as_ref())
            .map_err(|error| refused(&format!("listening on {}", spec.socket), &spec, &error))?;
        let model = model_spec(&spec, &worker.standby);
        let drafted = spec.speculation.as_ref().and_then(|speculation| speculation.draft.as_ref());
        let draft = drafted.map(|draft| draft::model_spec(draft, &model));
        worker.sandbox.seal([&model].into_iter().chain(&draft));
        let scheduler = scheduler_settings(&spec, model.threads);
        let placement = Placement { model, draft, scheduler, prefixes };
        engine.place.send(placement).map_err(|_| End::EngineFailed)?;
        let loaded = match engine.loaded.await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(error)) => return Err(load_failed(&error)),
            Err(_) => return Err(End::EngineFailed),
        };
        serve::<B>(&spec, worker, incoming, loaded, engine.ended).await
    })
}

/// Serves until SIGTERM has been obeyed or the engine's thread has ended.
async fn serve<B: Backend>(
    spec: &WorkerSpec,
    worker: Ready,
    incoming: endpoint::Incoming,
    loaded: Loaded,
    ended: oneshot::Receiver<()>,
) -> Result<(), End> {
    let conversation = converse(spec, &loaded)?;
    let description = describe::<B>(spec, &worker.version, &loaded, &conversation);
    let service =
        Service::new(description.clone(), loaded.vocabulary, conversation, loaded.work, worker.counters);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<WorkerServer<Service>>().await;
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|error| refused("watching for SIGTERM", spec, &error))?;
    let server = WorkerServer::new(service.clone())
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let server = tonic::transport::Server::builder()
        .add_service(server)
        .add_service(health_service)
        .serve_with_incoming(incoming);

    info!(model = spec.model, slots = description.slots, context = description.context_tokens, "serving");
    let sandbox = worker.sandbox.to_string();
    let serving = Serving { description: Some(description), peaks: Vec::new(), sandbox };
    worker.reporter.send(report::Message::Serving(serving));
    tokio::select! {
        result = server => result.map_err(|error| refused("serving", spec, &error)),
        _ = ended => Err(End::EngineFailed),
        () = async { terminate.recv().await; info!("draining"); service.drain().await } => Ok(()),
    }
}

/// What comes next, but for orders that are obeyed at once.
fn receive(link: &mut Link) -> Option<(to_worker::Message, Option<File>)> {
    loop {
        let (ToWorker { message }, file) = link.receive().ok()??;
        match message? {
            to_worker::Message::LogLevel(level) => link.set_level(&level),
            message => return Some((message, file)),
        }
    }
}

fn init_telemetry<B: Backend>(log: Option<&LogSpec>) {
    let log = log.cloned().unwrap_or_default();
    let format = if log.format == "text" { telemetry::Format::Text } else { telemetry::Format::Json };
    let process: &'static str = Box::leak(format!("worker-{}", B::FORMAT).into_boxed_str());
    if let Err(error) = telemetry::init(process, &log.level, format) {
        drop(std::io::Write::write_all(&mut std::io::stderr(), format!("{process}: {error}\n").as_bytes()));
    }
}

/// A thread for each core when the supervisor leaves it open.
fn threads(asked: u32) -> u32 {
    if asked > 0 {
        return asked;
    }
    std::thread::available_parallelism().map_or(1, |n| n.get() as u32)
}

fn model_spec(spec: &WorkerSpec, standby: &StandbySpec) -> ModelSpec {
    ModelSpec {
        path: PathBuf::from(&spec.path),
        root: PathBuf::from(&spec.root),
        slots: spec.slots.max(1),
        context_tokens: spec.context_tokens,
        threads: threads(if spec.threads > 0 { spec.threads } else { standby.threads }),
        options: spec.options.clone().into_iter().collect(),
    }
}

fn scheduler_settings(spec: &WorkerSpec, threads: u32) -> SchedulerSettings {
    let speculation = spec.speculation.as_ref();
    SchedulerSettings {
        lookup_tokens: speculation.map_or(0, |speculation| speculation.lookup_tokens),
        draft_tokens: speculation
            .and_then(|speculation| speculation.draft.as_ref())
            .map_or(0, |draft| draft.tokens),
        step_stretch: spec.step_stretch,
        sampling_threads: threads,
    }
}

fn describe<B: Backend>(
    spec: &WorkerSpec,
    version: &str,
    loaded: &Loaded,
    conversation: &Conversation,
) -> Description {
    let card = &loaded.card;
    let mut description = Description {
        model: spec.model.clone(),
        format: B::FORMAT.to_owned(),
        engine: version.to_owned(),
        architecture: card.architecture.clone(),
        trained_context_tokens: card.trained_context_tokens,
        chat_template: card.chat_template.is_some(),
        devices: card.devices.clone(),
        weights_bytes: card.weights_bytes,
        implementation: card.implementation.clone(),
        output_format: conversation.format.name().to_owned(),
        tools: conversation.template.as_ref().is_ok_and(ChatTemplate::shows_tools),
        infill: InfillTokens::of(&*loaded.vocabulary).is_some(),
        chat_template_source: card.chat_template.clone().unwrap_or_default(),
        begin_text: loaded.vocabulary.begin_text().to_owned(),
        end_text: loaded.vocabulary.end_text().to_owned(),
        ..Description::default()
    };
    match &loaded.work {
        Work::Generate { limits, .. } => {
            description.set_task(Task::Generate);
            description.context_tokens = limits.context_tokens;
            description.vocabulary = limits.vocabulary;
            description.slots = limits.slots;
            description.chunks_per_step = limits.chunks_per_step;
        }
        Work::Embed { limits, .. } => {
            description.set_task(Task::Embed);
            description.context_tokens = limits.context_tokens;
            description.vocabulary = limits.vocabulary;
            description.slots = limits.inputs_per_step;
            description.chunks_per_step = limits.inputs_per_step;
            description.dimensions = limits.dimensions;
        }
        Work::Rerank { limits, .. } => {
            description.set_task(Task::Rerank);
            description.context_tokens = limits.context_tokens;
            description.vocabulary = limits.vocabulary;
            description.slots = limits.inputs_per_step;
            description.chunks_per_step = limits.inputs_per_step;
        }
    }
    description
}

/// A template that does not compile costs only the requests that need it.
fn compile_template(loaded: &Loaded) -> Result<ChatTemplate, TemplateError> {
    let source = loaded.card.chat_template.as_deref().ok_or(TemplateError::NoChatTemplate)?;
    let (begin, end) = (loaded.vocabulary.begin_text(), loaded.vocabulary.end_text());
    ChatTemplate::compile(source, begin, end).inspect_err(|error| error!(%error, "no chat with this model"))
}

/// Chooses the format of the outputs, by its name where one is configured.
fn converse(spec: &WorkerSpec, loaded: &Loaded) -> Result<Conversation, End> {
    let source = Template::new(loaded.card.chat_template.as_deref().unwrap_or_default());
    let format = match spec.output_format.as_str() {
        "" => format::choose(&source),
        name => format::named(name, &source)
            .map_err(|error| End::LoadFailed(Error::new(Code::ModelLoadFailed, error.to_string())))?,
    };
    Ok(Conversation::new(compile_template(loaded), format, Arc::clone(&loaded.vocabulary)))
}

fn refused(what: &str, spec: &WorkerSpec, error: &dyn std::fmt::Display) -> End {
    End::LoadFailed(Error::internal(format!("{what} failed for `{}`: {error}", spec.model)))
}

/// A damaged file or a wrong option stays wrong; what lacks memory may find some later.
fn load_failed(error: &LoadError) -> End {
    let code = match error {
        LoadError::Memory { .. } => Code::NoCapacity,
        LoadError::Engine { .. }
        | LoadError::Broken { .. }
        | LoadError::Option { .. }
        | LoadError::Draft { .. } => Code::ModelLoadFailed,
    };
    End::LoadFailed(Error::new(code, error.to_string()))
}
