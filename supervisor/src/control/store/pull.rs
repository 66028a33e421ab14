//! `Pull`, and how pulls stand.

use futures::{StreamExt, stream};
use impetus_models::{ModelName, Reference};
use impetus_proto::{
    Code, Error,
    store::{PullEvent, PullRequest, PullStatus, pull_event::Event},
};
use tonic::Status;

use super::{super::Answers, StoreService};
use crate::{
    pulls::{Course, Follower, Wanted, shown},
    store::PullRow,
};

/// Formats that a model can be wanted in.
const FORMATS: [&str; 4] = ["", "gguf", "candle", "onnx"];

/// A follower and what it has told already.
struct Following {
    follower: Follower,
    has_planned: bool,
    is_over: bool,
}

impl StoreService {
    /// Answers how the pull goes until it ends.
    pub(super) async fn answer_pull(&self, request: PullRequest) -> Result<Answers<PullEvent>, Error> {
        let plan_only = request.plan_only;
        let wanted = wanted(request)?;
        if plan_only {
            let plan = self.0.pulls.plan(&wanted).await?;
            return Ok(stream::iter([Ok(event(Event::Plan(plan)))]).boxed());
        }
        let follower = self.0.pulls.follow(wanted).await?;
        let following = Following { follower, has_planned: false, is_over: false };
        let service = self.clone();
        let events = stream::unfold(following, move |following| service.clone().next(following));
        Ok(events.flat_map(stream::iter).boxed())
    }

    async fn next(self, mut following: Following) -> Option<(Vec<Result<PullEvent, Status>>, Following)> {
        if following.is_over {
            return None;
        }
        let lost =
            || Error::new(Code::Unavailable, "the pull ended without a word; look at the server's log");
        let Some(Course { plan, progress, end }) = following.follower.next().await else {
            following.is_over = true;
            return Some((vec![Err(lost().into())], following));
        };
        let mut events = Vec::new();
        if let Some(plan) = plan.filter(|_| !following.has_planned) {
            following.has_planned = true;
            events.push(Ok(event(Event::Plan(plan))));
        }
        events.extend(progress.map(|progress| Ok(event(Event::Progress(progress)))));
        if let Some(end) = end {
            following.is_over = true;
            events.push(match end {
                Ok(kept) => Ok(event(Event::Done(self.message(*kept, &[])))),
                Err(error) => Err(error.into()),
            });
        }
        Some((events, following))
    }
}

pub(super) fn message(pull: PullRow) -> PullStatus {
    PullStatus {
        id: pull.id,
        reference: shown(&pull.reference),
        name: pull.name,
        state: pull.state.name().into(),
        detail: pull.detail,
        bytes: pull.bytes,
        total_bytes: pull.total_bytes,
        detached: pull.detached,
        started_unix_s: pull.started_s,
    }
}

fn wanted(request: PullRequest) -> Result<Wanted, Error> {
    let reference: Reference = request
        .reference
        .parse()
        .map_err(|error: impetus_models::ReferenceError| Error::invalid("reference", error.to_string()))?;
    if reference.is_address() && !request.local {
        let message = "only supervisorctl on the server's own machine may name an address; name a model of the hub or \
                       of Ollama's library";
        return Err(Error::new(Code::Forbidden, message).with_param("reference"));
    }
    if !FORMATS.contains(&request.format.as_str()) {
        return Err(Error::invalid("format", "the format is gguf, candle or onnx"));
    }
    let name = (!request.name.is_empty()).then(|| ModelName::new(&request.name)).transpose();
    let name = name.map_err(|error| Error::invalid("name", error.to_string()))?;
    Ok(Wanted { reference, name, format: request.format, detach: request.detach })
}

fn event(event: Event) -> PullEvent {
    PullEvent { event: Some(event) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_pulled_is_refused_by_name() {
        let check = |request: PullRequest, expected: Result<(), &str>| {
            let got = wanted(request).map(drop).map_err(|error| error.param);
            assert_eq!(got, expected.map_err(str::to_owned));
        };
        let hub = PullRequest { reference: "a/b:Q4_0".into(), ..PullRequest::default() };
        check(hub.clone(), Ok(()));
        check(PullRequest { reference: "../..".into(), ..hub.clone() }, Err("reference"));
        check(
            PullRequest { reference: "https://example.org/m.gguf".into(), ..hub.clone() },
            Err("reference"),
        );
        check(
            PullRequest { reference: "https://example.org/m.gguf".into(), local: true, ..hub.clone() },
            Ok(()),
        );
        check(PullRequest { format: "tar".into(), ..hub.clone() }, Err("format"));
        check(PullRequest { name: "../x".into(), ..hub.clone() }, Err("name"));
        check(PullRequest { name: "qwen3:0.6b".into(), ..hub }, Ok(()));
    }
}
