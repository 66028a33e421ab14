//! `GET /admin/logs` and `GET /admin/logs/follow`: what the processes say.

mod line;

use std::convert::Infallible;

use axum::{Json, body::Body, extract::State, http::HeaderMap, response::Response};
use bytes::Bytes;
use futures::Stream;
use impetus_proto::{
    Error,
    supervisor::{self, LogsRequest},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tonic::Streaming;

use self::line::{Level, LogLine};
use super::{
    ask::Asked,
    events::{KEEP_ALIVE, frame, last_event_id},
};
use crate::{
    dialect::{Refusal, frames},
    server::Gateway,
};

/// Lines that are told unless somebody says how many, and the most.
const LINES: usize = 200;
const MAX_LINES: usize = 5000;

/// What is asked of the supervisor: all that it remembers, of which some is told.
const ALL: u32 = u32::MAX;

/// Which lines are wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    source: String,
    level: String,
    request_id: String,
    lines: Option<usize>,
}

/// Lines, the oldest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LogLines {
    lines: Vec<LogLine>,
}

/// What a line has to be.
#[derive(Debug)]
struct Filter {
    level: Option<Level>,
    request_id: Option<String>,
    n_lines: usize,
}

/// The last lines.
pub(super) async fn read(
    State(gateway): State<Gateway>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<LogLines>, Refusal> {
    let filter = Filter::of(&wanted)?;
    let mut told = ask(&gateway, wanted, false).await?;
    let mut lines = Vec::new();
    while let Some(batch) = told.message().await.map_err(Error::from)? {
        lines.extend(filter.of_batch(batch));
    }
    Ok(Json(LogLines { lines: filter.last(lines) }))
}

/// The last lines, or those behind the one that was seen last, and then those that come.
pub(super) async fn follow(
    State(gateway): State<Gateway>,
    Asked(wanted): Asked<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let filter = Filter::of(&wanted)?;
    let seen = last_event_id(&headers).and_then(|id| id.parse().ok());
    let past = ask(&gateway, Wanted { source: wanted.source.clone(), ..Wanted::default() }, false).await?;
    let told = ask(&gateway, wanted, true).await?;
    let past = newest(past).await?;
    Ok(frames::event_stream(Body::from_stream(stream(gateway, filter, told, seen, past))))
}

/// The number of the last line that is remembered.
async fn newest(mut told: Streaming<supervisor::LogLines>) -> Result<Option<u64>, Error> {
    let mut newest = None;
    while let Some(batch) = told.message().await? {
        newest = batch.lines.last().map(|line| line.number).or(newest);
    }
    Ok(newest)
}

/// `newest` is the number of the last line of the past.
fn stream(
    gateway: Gateway,
    filter: Filter,
    mut told: Streaming<supervisor::LogLines>,
    seen: Option<u64>,
    newest: Option<u64>,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    // Numbers begin anew with a supervisor, by which a number of before means nothing.
    let seen = seen.filter(|seen| newest.is_some_and(|newest| *seen <= newest));
    async_stream::stream! {
        let mut past = Some(Vec::new());
        loop {
            let batch = tokio::select! {
                () = gateway.overview.over() => return,
                batch = told.message() => batch,
                () = sleep(gateway.limits.keep_alive) => {
                    yield Ok(Bytes::from_static(KEEP_ALIVE));
                    continue;
                }
            };
            let Ok(Some(mut batch)) = batch else { return };
            let last = batch.lines.last().map(|line| line.number);
            if let Some(seen) = seen {
                batch.lines.retain(|line| line.number > seen);
            }
            let mut lines = filter.of_batch(batch);
            if let Some(gathered) = &mut past {
                gathered.append(&mut lines);
                if last < newest {
                    continue;
                }
                let all = past.take().unwrap_or_default();
                // Who goes on from a line gets all behind it.
                lines = if seen.is_some() { all } else { filter.last(all) };
            }
            if let Some(number) = lines.last().map(|line| line.number) {
                yield Ok(frame(Some(&number), "lines", &LogLines { lines }));
            }
        }
    }
}

async fn ask(
    gateway: &Gateway,
    wanted: Wanted,
    follow: bool,
) -> Result<Streaming<supervisor::LogLines>, Error> {
    let request = LogsRequest { target: wanted.source, lines: ALL, follow };
    Ok(gateway.upstream.supervisor().await?.logs(request).await?.into_inner())
}

impl Filter {
    fn of(wanted: &Wanted) -> Result<Self, Error> {
        let wrong = || Error::invalid("level", "expected error, warn, info, debug or trace");
        let level = match wanted.level.as_str() {
            "" => None,
            name => Some(Level::of_name(name).ok_or_else(wrong)?),
        };
        let n_lines = wanted.lines.unwrap_or(LINES);
        if n_lines > MAX_LINES {
            return Err(Error::invalid("lines", format!("at most {MAX_LINES} lines are told")));
        }
        let request_id = (!wanted.request_id.is_empty()).then(|| wanted.request_id.clone());
        Ok(Self { level, request_id, n_lines })
    }

    fn of_batch(&self, batch: supervisor::LogLines) -> Vec<LogLine> {
        batch.lines.into_iter().map(LogLine::from).filter(|line| self.takes(line)).collect()
    }

    /// What no level is known of may be the last words of a process, and is always told.
    fn takes(&self, line: &LogLine) -> bool {
        self.level.is_none_or(|least| line.level.is_none_or(|level| level <= least))
            && self.request_id.as_deref().is_none_or(|id| line.is_of(id))
    }

    fn last(&self, mut lines: Vec<LogLine>) -> Vec<LogLine> {
        lines.split_off(lines.len().saturating_sub(self.n_lines))
    }
}
