//! An HTTP client as users have them, which notes when each piece of text arrives.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context;
use reqwest::{Client as Http, Response};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    answer::{Answer, Outcome, Refusal},
    dialect::{Ask, Dialect, Said},
};

/// Longer than any request here takes, however often its worker is killed and whatever else the machine does.
const PATIENCE: Duration = Duration::from_mins(5);

/// How long a connection is kept that nobody uses: as clients do, less than `gateway.header_timeout_s`, after which the
/// gateway closes it, perhaps just when a request is on its way.
const IDLE: Duration = Duration::from_secs(5);

/// A client of one server.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: Http,
    listen: SocketAddr,
}

impl Client {
    pub(super) fn new(listen: SocketAddr) -> anyhow::Result<Self> {
        let http = Http::builder().no_proxy().pool_idle_timeout(IDLE);
        Ok(Self { http: http.build().context("making an HTTP client")?, listen })
    }

    /// Where the server listens.
    pub(super) fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Sends a request, and calls `on_text` whenever text of its answer arrives.
    pub(super) async fn send(&self, ask: &Ask, on_text: impl Fn()) -> Outcome {
        let begun = Instant::now();
        let outcome = match timeout(PATIENCE, self.try_send(ask, on_text)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Outcome::Broken(format!("{error:#}")),
            Err(_) => Outcome::Broken(format!("no end within {} s", PATIENCE.as_secs())),
        };
        match outcome {
            Outcome::Refused(refusal) => Outcome::Refused(Refusal { after: begun.elapsed(), ..refusal }),
            other => other,
        }
    }

    async fn try_send(&self, ask: &Ask, on_text: impl Fn()) -> anyhow::Result<Outcome> {
        let dialect = ask.dialect();
        let request = self.http.post(format!("http://{}{}", self.listen, ask.path)).json(&ask.sent());
        let response = request.send().await.context("sending a request")?;
        let status = response.status().as_u16();
        if status == 200 && ask.is_streamed() {
            return stream(response, dialect, on_text).await;
        }
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(str::to_owned);
        let text = response.text().await.context("reading an answer")?;
        let value: Value = serde_json::from_str(&text).with_context(|| format!("{status}: {text:?}"))?;
        let value = dialect.read(value);
        Ok(match (Refusal::of(&value, status), Answer::whole(&value)) {
            (Some(refusal), _) => Outcome::Refused(Refusal { retry_after, ..refusal }),
            (None, Some(answer)) if status == 200 => {
                on_text();
                Outcome::Answered(answer, Vec::new())
            }
            _ => Outcome::Broken(format!("{status}: {text:?}")),
        })
    }
}

async fn stream(mut response: Response, dialect: Dialect, on_text: impl Fn()) -> anyhow::Result<Outcome> {
    let separator = dialect.separator();
    let (mut answer, mut arrivals, mut buffer) = (Answer::default(), Vec::new(), Vec::new());
    while let Some(bytes) = response.chunk().await.context("reading a stream")? {
        buffer.extend_from_slice(&bytes);
        while let Some(end) = buffer.windows(separator.len()).position(|bytes| bytes == separator) {
            let piece: Vec<u8> = buffer.drain(..end + separator.len()).collect();
            let (event, is_last) = match dialect.said(&piece).context("reading an event")? {
                Said::Event(event) => (event, false),
                Said::Last(event) => (event, true),
                Said::Nothing => continue,
            };
            if let Some(refusal) = Refusal::of(&event, 200) {
                return Ok(Outcome::Refused(refusal));
            }
            if answer.take(&event) {
                arrivals.push(Instant::now());
                on_text();
            }
            if is_last {
                return Ok(Outcome::Answered(answer, arrivals));
            }
        }
    }
    Ok(Outcome::Broken(format!("the stream ended without its last event after {answer:?}")))
}
