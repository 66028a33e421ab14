//! `Logs`: the last lines, and those that follow.

use futures::{StreamExt, stream};
use impetus_proto::{
    Code, Error,
    supervisor::{LogLine, LogLines, LogsRequest},
};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tonic::Status;

use super::{Answers, Control};
use crate::{gateway, logs::Line, server};

/// The most lines in one answer.
const BATCH: usize = 256;

/// Where a stream of lines stands.
struct Following {
    source: Option<String>,
    past: Vec<Line>,
    lines: Option<Receiver<Line>>,
    /// Lines up to this number have been told.
    told: Option<u64>,
}

impl Control {
    pub(super) async fn answer_logs(&self, request: LogsRequest) -> Result<Answers<LogLines>, Error> {
        let source = self.source_of(&request.target).await?;
        // Followed before the past is read: what comes between the two is told once, by its number.
        let lines = request.follow.then(|| self.witness.logs.follow());
        let past =
            self.witness.logs.tail(source.as_deref(), usize::try_from(request.lines).unwrap_or(usize::MAX));
        let told = past.last().map(|line| line.number);
        let following = Following { source, past, lines, told };
        Ok(stream::unfold(following, Following::next).boxed())
    }

    /// The process whose lines are meant by `target`: its own name, or the model that it serves.
    async fn source_of(&self, target: &str) -> Result<Option<String>, Error> {
        if target.is_empty() {
            return Ok(None);
        }
        if [gateway::NAME, server::NAME].contains(&target) || self.witness.logs.knows(target) {
            return Ok(Some(target.to_owned()));
        }
        let model = self.library.canonical(target);
        let snapshot = self.fleet.snapshot().await?;
        let worker = snapshot
            .workers
            .iter()
            .find(|row| row.id.as_str() == target || row.model.as_deref() == Some(&model))
            .map(|row| row.id.to_string());
        worker.map(Some).ok_or_else(|| {
            let message = format!(
                "nothing is logged under {target:?}; `supervisorctl status` lists workers and models"
            );
            Error::new(Code::ModelNotFound, message)
        })
    }
}

impl Following {
    async fn next(mut self) -> Option<(Result<LogLines, Status>, Self)> {
        if !self.past.is_empty() {
            let rest = self.past.split_off(self.past.len().min(BATCH));
            let batch = std::mem::replace(&mut self.past, rest);
            return Some((Ok(answer(batch)), self));
        }
        let mut batch = Vec::new();
        while batch.is_empty() {
            let lines = self.lines.as_mut()?;
            match lines.recv().await {
                Ok(line) => batch.push(line),
                Err(RecvError::Lagged(n_missed)) => return Some((Ok(missed(n_missed, self.told)), self)),
                Err(RecvError::Closed) => return None,
            }
            while batch.len() < BATCH
                && let Ok(line) = lines.try_recv()
            {
                batch.push(line);
            }
            let (source, told) = (&self.source, self.told);
            batch.retain(|line| {
                source.as_deref().is_none_or(|source| source == &*line.source) && Some(line.number) > told
            });
        }
        Some((Ok(answer(batch)), self))
    }
}

fn answer(lines: Vec<Line>) -> LogLines {
    let told = |line: Line| LogLine {
        source: line.source.to_string(),
        text: line.text.to_string(),
        number: line.number,
    };
    LogLines { lines: lines.into_iter().map(told).collect() }
}

fn missed(n_lines: u64, told: Option<u64>) -> LogLines {
    let text = format!("impetus: {n_lines} lines missed, they came faster than they were read");
    LogLines { lines: vec![LogLine { source: server::NAME.into(), text, number: told.unwrap_or_default() }] }
}
