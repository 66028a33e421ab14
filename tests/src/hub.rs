//! A hub on this machine: the Hugging Face hub's interface, Ollama's registry and plain files, with the faults that
//! networks and servers have.

mod answer;
mod faults;
mod repository;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::{
    Router,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use self::answer::content;
pub use self::{
    faults::Faults,
    repository::{Repository, sha256},
};

/// The token that opens gated repositories.
pub const TOKEN: &str = "hf_the_right_token";
/// A token of somebody to whom they are not open.
pub const STRANGERS_TOKEN: &str = "hf_a_strangers_token";

/// A status, and what the hub says of it in `x-error-code`.
type Refusal = (StatusCode, &'static str);

/// A running hub, stopped when it is dropped.
#[derive(Debug)]
pub struct Hub {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Inner>,
    task: JoinHandle<()>,
}

/// A request that it was sent.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its path.
    pub path: String,
    /// Its range, if it had one.
    pub range: Option<String>,
    /// Whether it had a token.
    pub has_token: bool,
    /// When it came.
    pub at: Instant,
}

#[derive(Debug, Default)]
struct Inner {
    repositories: Mutex<HashMap<String, Repository>>,
    faults: Mutex<Faults>,
    asked: Mutex<Vec<Asked>>,
    served: watch::Sender<u64>,
    /// Bytes of contents that may be served in all.
    allowed: watch::Sender<Option<u64>>,
}

impl Hub {
    /// Starts one on a port of this machine.
    pub async fn start() -> Self {
        let state = Arc::new(Inner::default());
        let router = Router::new()
            .route("/api/models", get(search))
            .route("/api/models/{owner}/{name}/revision/{revision}", get(describe))
            .route("/{owner}/{name}/resolve/{revision}/{*path}", get(resolve))
            .route("/cdn/{owner}/{name}/{*path}", get(fetch))
            .route("/v2/{owner}/{name}/manifests/{tag}", get(manifest))
            .route("/v2/{owner}/{name}/blobs/{digest}", get(blob))
            .with_state(state.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let task = tokio::spawn(async move {
            // It is aborted, not ended.
            let _ = axum::serve(listener, router).await;
        });
        Self { address, state, task }
    }

    /// The settings with which a server fetches from here, in chunks of 64 KiB.
    pub fn settings(&self) -> [String; 3] {
        [
            format!("pull.hub='{}'", self.url()),
            format!("pull.ollama='{}'", self.url()),
            "pull.chunk='64KiB'".into(),
        ]
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts a repository there, or in place of one.
    pub fn put(&self, name: &str, repository: Repository) {
        lock(&self.state.repositories).insert(name.into(), repository);
    }

    /// What goes wrong from now on.
    pub fn fail(&self, faults: Faults) {
        *lock(&self.state.faults) = faults;
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state.asked).clone()
    }

    /// Bytes of contents that were served so far.
    pub fn served(&self) -> u64 {
        *self.state.served.borrow()
    }

    /// Serves no byte of a content beyond so many in all, until it is told otherwise; none: all there are.
    pub fn allow(&self, bytes: Option<u64>) {
        self.state.allowed.send_replace(bytes);
    }

    /// Waits until it has served as many bytes of contents.
    pub async fn until_served(&self, bytes: u64) {
        // The sender is in the state.
        let _ = self.state.served.subscribe().wait_for(|served| *served >= bytes).await;
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inner {
    /// The repository, unless it is not for whoever asks: then what the hub answers, which tells nobody who has no token
    /// what is there.
    fn open(&self, name: &str, headers: &HeaderMap) -> Result<Repository, Refusal> {
        let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.map(|token| token.strip_prefix("Bearer ").unwrap_or_default());
        if token.is_some_and(|token| ![TOKEN, STRANGERS_TOKEN].contains(&token)) {
            return Err((StatusCode::UNAUTHORIZED, ""));
        }
        let Some(repository) = lock(&self.repositories).get(name).cloned() else {
            let status = if token.is_some() { StatusCode::NOT_FOUND } else { StatusCode::UNAUTHORIZED };
            return Err((status, "RepoNotFound"));
        };
        match token {
            _ if !repository.is_gated => Ok(repository),
            None => Err((StatusCode::UNAUTHORIZED, "GatedRepo")),
            Some(TOKEN) => Ok(repository),
            Some(_) => Err((StatusCode::FORBIDDEN, "GatedRepo")),
        }
    }

    /// Notes a request, and answers instead of the hub where that is to fail.
    fn note(&self, request: &Request) -> Option<Response> {
        let value =
            |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let path = request.uri().path().to_owned();
        let failure = lock(&self.faults).next(&path);
        lock(&self.asked).push(Asked {
            path,
            range: value(header::RANGE),
            has_token: value(header::AUTHORIZATION).is_some(),
            at: Instant::now(),
        });
        failure
    }
}

/// The repositories whose names have the words that are searched.
async fn search(State(hub): State<Arc<Inner>>, request: Request) -> Response {
    if let Some(failure) = hub.note(&request) {
        return failure;
    }
    let query = request.uri().query().unwrap_or_default();
    let wanted =
        query.split('&').find_map(|pair| pair.strip_prefix("search=")).unwrap_or_default().to_lowercase();
    let repositories = lock(&hub.repositories);
    let mut found: Vec<_> =
        repositories.iter().filter(|(name, _)| name.to_lowercase().contains(&wanted)).collect();
    found.sort_by_key(|(name, _)| *name);
    let told = found.into_iter().map(|(name, repository)| {
        serde_json::json!({
            "id": name, "downloads": 7, "likes": 1, "lastModified": "2026-01-31T18:00:00.000Z",
            "gated": if repository.is_gated { serde_json::json!("manual") } else { serde_json::json!(false) },
            "tags": ["gguf"],
        })
    });
    axum::Json(told.collect::<Vec<_>>()).into_response()
}

async fn describe(
    State(hub): State<Arc<Inner>>,
    Path((owner, name, _)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    if let Some(failure) = hub.note(&request) {
        return failure;
    }
    let name = format!("{owner}/{name}");
    match hub.open(&name, request.headers()) {
        Ok(repository) => axum::Json(repository.description(&name)).into_response(),
        Err(refusal) => refused(refusal),
    }
}

/// Small files at once, large ones by a link, as the hub does.
async fn resolve(
    State(hub): State<Arc<Inner>>,
    Path((owner, name, _, path)): Path<(String, String, String, String)>,
    request: Request,
) -> Response {
    if let Some(failure) = hub.note(&request) {
        return failure;
    }
    let repository = match hub.open(&format!("{owner}/{name}"), request.headers()) {
        Ok(repository) => repository,
        Err(refusal) => return refused(refusal),
    };
    let Some(file) = repository.file(&path) else { return StatusCode::NOT_FOUND.into_response() };
    if repository.is_large(file) {
        let link = lock(&hub.faults).link();
        let to = format!("/cdn/{owner}/{name}/{path}?link={link}");
        return (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
    }
    content(&hub, &repository.tag(&path), file, request.headers())
}

async fn fetch(
    State(hub): State<Arc<Inner>>,
    Path((owner, name, path)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    if let Some(failure) = hub.note(&request) {
        return failure;
    }
    let query = request.uri().query().unwrap_or_default().to_owned();
    if !lock(&hub.faults).holds(&query) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let repository = lock(&hub.repositories).get(&format!("{owner}/{name}")).cloned();
    match repository.as_ref().and_then(|it| Some((it.tag(&path), it.file(&path)?))) {
        Some((tag, file)) => content(&hub, &tag, file, request.headers()),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn manifest(
    State(hub): State<Arc<Inner>>,
    Path((owner, name, tag)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    if let Some(failure) = hub.note(&request) {
        return failure;
    }
    match hub.open(&format!("{owner}/{name}:{tag}"), request.headers()) {
        Ok(repository) => axum::Json(repository.manifest()).into_response(),
        // A registry says so.
        Err((_, "RepoNotFound")) => StatusCode::NOT_FOUND.into_response(),
        Err(refusal) => refused(refusal),
    }
}

async fn blob(
    State(hub): State<Arc<Inner>>,
    Path((_, name, digest)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    if let Some(failure) = hub.note(&request) {
        return failure;
    }
    let file = lock(&hub.repositories).values().find_map(|repository| repository.blob(&digest));
    match file {
        Some(file) => content(&hub, &name, &file, request.headers()),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn refused((status, code): Refusal) -> Response {
    (status, [("x-error-code", code)]).into_response()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
