//! A supervisor and a worker that say what a test tells them to, on real sockets in a temporary folder.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use impetus_config::Config;
use impetus_proto::{
    Error, MAX_MESSAGE_BYTES,
    supervisor::{AcquireRequest, Ended, ModelStatus, StatusReply, supervisor_server::SupervisorServer},
    worker::{
        EmbedRequest, GenerateRequest, RerankReply, RerankRequest, TokenizeReply, TokenizeRequest,
        worker_server::WorkerServer,
    },
};
use tempfile::TempDir;
use tokio::{net::UnixListener, sync::watch, task::JoinHandle};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::Status;

pub(crate) use call::Call;
pub(crate) use script::{
    Step, accepted, completion, delta, finished, finished_for, of_another_model, rest, saying_parts,
};

use crate::{
    server::Gateway,
    upstream::{Asked, Request, Upstream},
};

pub(crate) mod call;
pub(crate) mod embedding;
mod script;
mod service;

/// The one model of the fake, and its alias.
pub(crate) const MODEL: &str = "tiny";
pub(crate) const ALIAS: &str = "small";

/// What a worker does with a request, which may be the rest of one.
pub(crate) type Answering = Arc<dyn Fn(&GenerateRequest) -> Vec<Step> + Send + Sync>;

/// The fake's side of a test.
pub(crate) struct Fake {
    dir: TempDir,
    state: Arc<State>,
    tasks: Vec<JoinHandle<()>>,
}

struct State {
    worker_uri: String,
    /// What each `Generate` call does; with none left, what `answering` says.
    scripts: Mutex<VecDeque<Vec<Step>>>,
    answering: Mutex<Answering>,
    /// What the `Embed` calls do that begin with the input of a place; with none left, they answer.
    embeds: Mutex<HashMap<u32, VecDeque<embedding::Embed>>>,
    /// What the next `Rerank` and `Tokenize` calls do; with none left, they answer.
    reranks: Mutex<VecDeque<Call<RerankReply>>>,
    tokenizes: Mutex<VecDeque<Call<TokenizeReply>>>,
    /// What `Acquire` calls fail with; with none left, they succeed.
    refusals: Mutex<VecDeque<Error>>,
    /// How long each `Acquire` call waits.
    acquire_delay: Mutex<Duration>,
    models: Mutex<Vec<ModelStatus>>,
    status: Mutex<StatusReply>,
    slots: Mutex<u32>,
    /// The one request that gets a worker for itself, where not all do.
    lonely: Mutex<Option<String>>,
    requests: Mutex<Vec<GenerateRequest>>,
    embed_requests: Mutex<Vec<EmbedRequest>>,
    rerank_requests: Mutex<Vec<RerankRequest>>,
    tokenize_requests: Mutex<Vec<TokenizeRequest>>,
    acquire_requests: Mutex<Vec<AcquireRequest>>,
    request_ids: Mutex<Vec<String>>,
    /// The worker that serves all requests under an empty name, those that serve one alone under its id.
    workers: Mutex<HashMap<String, watch::Sender<Worker>>>,
    /// The worker that a request holds, by the request's id.
    held: Mutex<HashMap<String, (String, u32)>>,
    away: watch::Sender<bool>,
    retired: watch::Sender<()>,
    streams: watch::Sender<u32>,
    leases: watch::Sender<u32>,
}

/// The worker of now: the first, the second ...
#[derive(Debug, Clone)]
struct Worker {
    number: u32,
    /// How the one before it ended.
    former: Ended,
}

impl Fake {
    pub(crate) fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let path = |name: &str| dir.path().join(name);
        let model = ModelStatus {
            name: MODEL.into(),
            aliases: vec![ALIAS.into()],
            state: "ready".into(),
            format: "gguf".into(),
            is_default: true,
            modified_unix_s: 1_700_000_000,
            context_tokens: 2048,
            ..ModelStatus::default()
        };
        let state = Arc::new(State {
            worker_uri: format!("unix://{}", path("worker.sock").display()),
            scripts: Mutex::default(),
            answering: Mutex::new(Arc::new(|_| completion("ok"))),
            embeds: Mutex::default(),
            reranks: Mutex::default(),
            tokenizes: Mutex::default(),
            refusals: Mutex::default(),
            acquire_delay: Mutex::default(),
            models: Mutex::new(vec![model]),
            status: Mutex::default(),
            slots: Mutex::default(),
            lonely: Mutex::default(),
            requests: Mutex::default(),
            embed_requests: Mutex::default(),
            rerank_requests: Mutex::default(),
            tokenize_requests: Mutex::default(),
            acquire_requests: Mutex::default(),
            request_ids: Mutex::default(),
            workers: Mutex::default(),
            held: Mutex::default(),
            away: watch::channel(false).0,
            retired: watch::channel(()).0,
            streams: watch::channel(0).0,
            leases: watch::channel(0).0,
        });
        let service = service::Service(state.clone());
        let listen = |name| UnixListenerStream::new(UnixListener::bind(path(name)).unwrap());
        let supervisor = tonic::transport::Server::builder()
            .add_service(SupervisorServer::new(service.clone()))
            .serve_with_incoming(listen("supervisor.sock"));
        let worker = WorkerServer::new(service).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let worker = tonic::transport::Server::builder()
            .add_service(worker)
            .serve_with_incoming(listen("worker.sock"));
        let tasks = vec![
            tokio::spawn(async { supervisor.await.unwrap() }),
            tokio::spawn(async { worker.await.unwrap() }),
        ];
        Self { dir, state, tasks }
    }

    pub(crate) fn script(&self, steps: impl IntoIterator<Item = Step>) {
        self.state.scripts.lock().unwrap().push_back(steps.into_iter().collect());
    }

    /// What a worker does with a request that no script is left for.
    pub(crate) fn answer_with(
        &self,
        answering: impl Fn(&GenerateRequest) -> Vec<Step> + Send + Sync + 'static,
    ) {
        *self.state.answering.lock().unwrap() = Arc::new(answering);
    }

    /// What the next `Embed` calls do that begin with the input at `first_input`.
    pub(crate) fn script_embeds(&self, first_input: u32, embeds: impl IntoIterator<Item = embedding::Embed>) {
        self.state.embeds.lock().unwrap().entry(first_input).or_default().extend(embeds);
    }

    /// What the next `Rerank` calls do.
    pub(crate) fn script_reranks(&self, reranks: impl IntoIterator<Item = Call<RerankReply>>) {
        self.state.reranks.lock().unwrap().extend(reranks);
    }

    /// What the next `Tokenize` calls do.
    pub(crate) fn script_tokenizes(&self, tokenizes: impl IntoIterator<Item = Call<TokenizeReply>>) {
        self.state.tokenizes.lock().unwrap().extend(tokenizes);
    }

    pub(crate) fn refuse_lease(&self, error: Error) {
        self.state.refusals.lock().unwrap().push_back(error);
    }

    pub(crate) fn delay_lease(&self, delay: Duration) {
        *self.state.acquire_delay.lock().unwrap() = delay;
    }

    /// Workers say that they generate so many sequences at once.
    pub(crate) fn set_slots(&self, slots: u32) {
        *self.state.slots.lock().unwrap() = slots;
    }

    /// Only this request gets a worker for itself; others wait for one.
    pub(crate) fn leave_alone(&self, request_id: &str) {
        *self.state.lonely.lock().unwrap() = Some(request_id.to_owned());
    }

    /// The supervisor dies, or comes back.
    pub(crate) fn set_away(&self, away: bool) {
        self.state.away.send_replace(away);
    }

    /// Tells everybody who holds a worker now that who asks next may get another one.
    pub(crate) fn retire_holds(&self) {
        self.state.retired.send_replace(());
    }

    /// The worker that serves all requests ends.
    pub(crate) fn end_worker(&self, cause: &str, may_be_request: bool) {
        self.state.end("", ended(cause, may_be_request));
    }

    pub(crate) fn set_models(&self, models: Vec<ModelStatus>) {
        *self.state.models.lock().unwrap() = models;
    }

    pub(crate) fn set_status(&self, status: StatusReply) {
        *self.state.status.lock().unwrap() = status;
    }

    /// What the worker was asked, in order.
    pub(crate) fn requests(&self) -> Vec<GenerateRequest> {
        self.state.requests.lock().unwrap().clone()
    }

    /// What the worker was asked to embed, in order.
    pub(crate) fn embed_requests(&self) -> Vec<EmbedRequest> {
        self.state.embed_requests.lock().unwrap().clone()
    }

    /// What the worker was asked to rank, in order.
    pub(crate) fn rerank_requests(&self) -> Vec<RerankRequest> {
        self.state.rerank_requests.lock().unwrap().clone()
    }

    /// What the worker was asked to tokenize, in order.
    pub(crate) fn tokenize_requests(&self) -> Vec<TokenizeRequest> {
        self.state.tokenize_requests.lock().unwrap().clone()
    }

    /// What the supervisor was asked to lend, in order.
    pub(crate) fn acquire_requests(&self) -> Vec<AcquireRequest> {
        self.state.acquire_requests.lock().unwrap().clone()
    }

    /// The ids under which supervisor and worker were asked, in order.
    pub(crate) fn request_ids(&self) -> Vec<String> {
        self.state.request_ids.lock().unwrap().clone()
    }

    /// Resolves when the worker has begun to answer somebody.
    pub(crate) async fn until_busy(&self) {
        self.state.streams.subscribe().wait_for(|open| *open > 0).await.unwrap();
    }

    /// Resolves when nobody asks the worker for anything and nobody holds it.
    pub(crate) async fn until_idle(&self) {
        self.state.streams.subscribe().wait_for(|open| *open == 0).await.unwrap();
        self.state.leases.subscribe().wait_for(|open| *open == 0).await.unwrap();
    }

    pub(crate) fn socket(&self) -> String {
        self.dir.path().join("supervisor.sock").display().to_string()
    }

    pub(crate) fn upstream(&self) -> Arc<Upstream> {
        self.upstream_with(|_| {})
    }

    /// With other settings than the defaults.
    pub(crate) fn upstream_with(&self, set: impl FnOnce(&mut Config)) -> Arc<Upstream> {
        let mut config = Config::default();
        set(&mut config);
        Arc::new(Upstream::new(&self.socket(), (&config).into()))
    }

    pub(crate) fn gateway(&self) -> Gateway {
        self.gateway_with(|_| {})
    }

    /// With other settings than the defaults. What is kept is kept with the fake.
    pub(crate) fn gateway_with(&self, set: impl FnOnce(&mut Config)) -> Gateway {
        let mut config = Config::default();
        config.supervisor.state_dir = self.dir.path().join("state");
        set(&mut config);
        Gateway::new(&config, &self.socket()).unwrap()
    }
}

impl State {
    /// The present worker under this name, and what tells of its end.
    fn worker(&self, name: &str) -> watch::Receiver<Worker> {
        let first = || watch::channel(Worker { number: 1, former: Ended::default() }).0;
        self.workers.lock().unwrap().entry(name.to_owned()).or_insert_with(first).subscribe()
    }

    /// The worker that a request holds: one that it was lent, or by a hold that it shares the usual one.
    fn held_by(&self, id: &str) -> (String, u32) {
        let own = self.held.lock().unwrap().get(id).cloned();
        own.unwrap_or_else(|| (String::new(), self.worker("").borrow().number))
    }

    /// The worker's life is over, and that of the next one begins.
    fn end(&self, name: &str, former: Ended) {
        drop(self.worker(name));
        let workers = self.workers.lock().unwrap();
        workers[name].send_modify(|worker| *worker = Worker { number: worker.number + 1, former });
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A request that names the fake's model by its alias.
pub(crate) fn request() -> Request {
    Request {
        asked: Asked {
            id: "req-1".into(),
            owner: "".into(),
            priority: 0,
            began: tokio::time::Instant::now(),
            unix_s: 1_700_000_000,
        },
        model: ALIAS.into(),
        generate: GenerateRequest::default(),
        keep_alive: None,
    }
}

fn ended(cause: &str, may_be_request: bool) -> Ended {
    Ended { cause: cause.into(), may_be_request }
}

/// What tonic makes of a connection that breaks.
fn broken() -> Status {
    Status::unknown("h2 protocol error: error reading a body from connection")
}
