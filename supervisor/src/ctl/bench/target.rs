//! A server that is measured, and one request to it.

use std::{sync::Mutex, time::Duration};

use serde_json::{Value, json};
use tokio::{io::BufReader, net::TcpStream, time::Instant};

use super::{
    error::BenchError,
    seen::{Seen, Watch},
    stages::GatewayTimes,
};
use crate::ctl::http::{self, Answer, HttpError, error_message};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a whole request may take; a server that hangs fails a request instead of hanging the bench.
const PATIENCE: Duration = Duration::from_mins(30);

/// Tokens of a request that only tries: the first ones may show no text.
pub(super) const TRIED_TOKENS: u32 = 8;

/// What is kept of an answer that is an error, in bytes.
const ERROR_BYTES: usize = 16 << 10;

/// A server, the model that it is asked for, and the connections that wait for their next request.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: String,
    /// What the server calls the model.
    pub(super) model: String,
    key: Option<String>,
    /// Host and port.
    authority: String,
    path: String,
    /// Whether it knows `ignore_eos`, by which every completion has its full length.
    ignores_end: bool,
    idle: Mutex<Vec<BufReader<TcpStream>>>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) prompt: String,
    pub(super) max_tokens: u32,
    /// Whether the answer's text is wanted, which takes the client more time.
    pub(super) keeps_text: bool,
    /// Whether the prompt is what a user says, instead of a text to continue.
    pub(super) is_chat: bool,
}

impl Target {
    /// The server at `url`: `http://host[:port][/base]`, with or without a `/v1` at its end.
    pub(super) fn new(url: &str, model: String, key: Option<String>) -> Result<Self, BenchError> {
        let wrong = |reason| BenchError::Url { url: url.to_owned(), reason };
        let rest = match url.split_once("://") {
            Some(("http", rest)) => rest,
            Some(("https", _)) => return Err(wrong("https is not spoken here; name an http address")),
            _ => return Err(wrong("it does not begin with http://")),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() || authority.contains(['@', '?', '#']) || !url.is_ascii() {
            return Err(wrong("a host and a port are expected"));
        }
        if url.contains(|c: char| c.is_ascii_control() || c == ' ') {
            return Err(wrong("it holds blanks"));
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        let base = path.trim_end_matches('/');
        let base = base.strip_suffix("v1").unwrap_or(base).trim_end_matches('/');
        let path = if base.is_empty() { "/v1".to_owned() } else { format!("/{base}/v1") };
        let (url, idle) = (url.trim_end_matches('/').to_owned(), Mutex::default());
        Ok(Self { url, model, key, authority, path, ignores_end: true, idle })
    }

    /// Asks once, so that what is wrong shows before anything is measured; finds out what the server knows.
    pub(super) async fn try_out(&mut self) -> Result<(), BenchError> {
        let first = self.try_ask().await;
        match first {
            Err(BenchError::Refused { message, .. }) if message.contains("ignore_eos") => {
                self.ignores_end = false;
                self.try_ask().await
            }
            outcome => outcome,
        }
    }

    async fn try_ask(&self) -> Result<(), BenchError> {
        let prompt = "one two three".to_owned();
        let question = Question { prompt, max_tokens: TRIED_TOKENS, keeps_text: false, is_chat: false };
        self.ask(&question, Instant::now()).await.map(drop)
    }

    /// Whether every completion has its full length.
    pub(super) fn ignores_end(&self) -> bool {
        self.ignores_end
    }

    /// What our own gateway has counted so far; none where it does not say, or not to whoever has this key.
    pub(super) async fn times(&self) -> Option<GatewayTimes> {
        let path = format!("{}/metrics", self.path.strip_suffix("/v1")?);
        let scrape = async {
            let mut connection = BufReader::new(TcpStream::connect(&self.authority).await.ok()?);
            let key = self.key.as_deref();
            http::get(connection.get_mut(), [&self.authority, &path], key).await.ok()?;
            let mut answer = Answer::read(&mut connection).await.ok()?;
            let (mut times, mut line, mut is_counted) = (GatewayTimes::default(), Vec::new(), false);
            while answer.line(&mut line).await.ok()? {
                is_counted |= times.line(&line);
            }
            (answer.status == 200 && is_counted).then_some(times)
        };
        tokio::time::timeout(CONNECT, scrape).await.ok().flatten()
    }

    /// Streams the answer to `question`, which was due at `due`.
    pub(super) async fn ask(&self, question: &Question, due: Instant) -> Result<Seen, BenchError> {
        let (path, body) = self.body(question);
        match tokio::time::timeout(PATIENCE, self.exchange(&path, &body, question, due)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(BenchError::Slow { url: self.url.clone(), seconds: PATIENCE.as_secs() }),
        }
    }

    async fn exchange(
        &self,
        path: &str,
        body: &str,
        question: &Question,
        due: Instant,
    ) -> Result<Seen, BenchError> {
        let waiting = self.idle.lock().ok().and_then(|mut idle| idle.pop());
        if let Some(connection) = waiting {
            // The server may have closed it meanwhile, which shows before the answer's first byte.
            match self.exchange_on(connection, [path, body], question, due).await {
                Err(BenchError::Http { source: HttpError::Closed, .. }) => {}
                outcome => return outcome,
            }
        }
        let connecting = TcpStream::connect(&self.authority);
        let unreachable = |source| BenchError::Unreachable { url: self.url.clone(), source };
        let timed = tokio::time::timeout(CONNECT, connecting).await;
        let stream = timed.unwrap_or_else(|elapsed| Err(elapsed.into())).map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        self.exchange_on(BufReader::with_capacity(64 << 10, stream), [path, body], question, due).await
    }

    async fn exchange_on(
        &self,
        mut connection: BufReader<TcpStream>,
        [path, body]: [&str; 2],
        question: &Question,
        due: Instant,
    ) -> Result<Seen, BenchError> {
        let broken = |source| BenchError::Http { url: self.url.clone(), source };
        let key = self.key.as_deref();
        let posting = http::post(connection.get_mut(), [&self.authority, path], key, body).await;
        posting.map_err(|_| broken(HttpError::Closed))?;
        let reading = Answer::read(&mut connection).await;
        let mut answer = reading.map_err(|error| match error {
            HttpError::Io(_) => broken(HttpError::Closed),
            error => broken(error),
        })?;
        if answer.status != 200 {
            let (status, body) = (answer.status, answer.rest(ERROR_BYTES).await.map_err(broken)?);
            if answer.is_reusable() {
                self.keep(connection);
            }
            return Err(BenchError::Refused { url: self.url.clone(), status, message: error_message(&body) });
        }
        let mut watch = Watch::new(due, question.keeps_text);
        let mut line = Vec::new();
        while answer.line(&mut line).await.map_err(broken)? {
            watch
                .line(&line, Instant::now())
                .map_err(|message| BenchError::Failed { url: self.url.clone(), message })?;
        }
        if answer.is_reusable() {
            self.keep(connection);
        }
        watch.finish().ok_or_else(|| BenchError::Silent { url: self.url.clone() })
    }

    /// Keeps a connection for the next request.
    fn keep(&self, connection: BufReader<TcpStream>) {
        if let Ok(mut idle) = self.idle.lock() {
            idle.push(connection);
        }
    }

    /// The path and the JSON of a request.
    fn body(&self, question: &Question) -> (String, String) {
        let mut body = json!({
            "model": self.model,
            "max_tokens": question.max_tokens,
            "temperature": 0,
            "stream": true,
            "stream_options": {"include_usage": true},
        });
        if self.ignores_end && !question.is_chat {
            body["ignore_eos"] = Value::Bool(true);
        }
        let name = if question.is_chat {
            body["messages"] = json!([{"role": "user", "content": question.prompt}]);
            "chat/completions"
        } else {
            body["prompt"] = Value::from(question.prompt.as_str());
            "completions"
        };
        (format!("{}/{name}", self.path), body.to_string())
    }
}

#[cfg(test)]
mod tests;
