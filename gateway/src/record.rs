//! What is known of one request when it ends: its log line and its metrics. Whoever works on the request holds a
//! `Record`; the last one to let go ends it, so a client that leaves is accounted for like any other.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use axum::http::StatusCode;
use futures::{Stream, StreamExt};
use impetus_proto::{Error, worker::FinishReason};
use tokio::time::Instant;
use tracing::{Span, debug, info};

use crate::{
    access::Caller,
    clock,
    error::Failure,
    metrics::{self, Stage, Timed},
    trace::{RequestId, Value},
    upstream::{Asked, Embedded, Event, Events, Ranked},
};

/// What the log and the metrics call a request whose client left before its answer was whole.
const CLIENT_LEFT: u16 = 499;

/// A handle on the account of one request.
#[derive(Debug, Clone)]
pub(crate) struct Record(Arc<Account>);

#[derive(Debug)]
struct Account {
    id: RequestId,
    endpoint: &'static str,
    span: Span,
    started: Instant,
    caller: OnceLock<Caller>,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// Of the response's head.
    status: Option<StatusCode>,
    /// What the head says went wrong.
    code: Option<&'static str>,
    inference: Option<Inference>,
}

/// What a model does for the request, in all its choices.
#[derive(Debug, Default)]
struct Inference {
    outcome: Outcome,
    /// Choices that have begun and not ended.
    n_running: u32,
    model: Option<Arc<str>>,
    inter_token: Option<::metrics::Histogram>,
    first_token: Option<Instant>,
    /// By their place in the request.
    prompts: BTreeMap<u32, Prompt>,
    completion_tokens: u64,
    /// Tokens that the caller's key has paid for already.
    charged_tokens: u64,
}

/// A prompt, which is one however many choices it has.
#[derive(Debug, Clone, Copy, Default)]
struct Prompt {
    tokens: u64,
    /// Those that every choice found, which are those that were there before them; absent while none has ended.
    cached_tokens: Option<u64>,
}

/// What a model does for one choice.
#[derive(Debug, Default)]
struct Choice {
    prompt: u32,
    last_token: Option<Instant>,
    completion_tokens: u64,
}

#[derive(Debug, Clone, Copy, Default)]
enum Outcome {
    #[default]
    Running,
    Finished,
    Failed {
        status: StatusCode,
        code: &'static str,
    },
}

/// An answer of a model that comes as a whole.
pub(crate) trait Whole {
    /// The canonical name of the model that gave it.
    fn model(&self) -> &Arc<str>;

    /// Tokens that were computed for it.
    fn tokens(&self) -> u64;
}

impl Whole for Embedded {
    fn model(&self) -> &Arc<str> {
        &self.model
    }

    fn tokens(&self) -> u64 {
        Embedded::tokens(self)
    }
}

impl Whole for Ranked {
    fn model(&self) -> &Arc<str> {
        &self.model
    }

    fn tokens(&self) -> u64 {
        Ranked::tokens(self)
    }
}

impl Record {
    /// Opens the account of a request that has just come in, within its span.
    pub(crate) fn open(id: RequestId, endpoint: &'static str, span: Span) -> Self {
        metrics::began(endpoint);
        let (caller, progress) = (OnceLock::new(), Mutex::default());
        Self(Arc::new(Account { id, endpoint, span, started: Instant::now(), caller, progress }))
    }

    /// The request's id.
    pub(crate) fn id(&self) -> &RequestId {
        &self.0.id
    }

    /// The request is from this caller, whose key pays for it.
    pub(crate) fn identify(&self, caller: Caller) {
        if !caller.name.is_empty() {
            self.0.span.record("key", &*caller.name);
            self.0.id.trace().set("impetus.key", &*caller.name);
        }
        self.0.caller.get_or_init(|| caller);
    }

    /// Who sent the request, once it was let in.
    pub(crate) fn caller(&self) -> Caller {
        self.0.caller.get().cloned().unwrap_or_default()
    }

    /// By whom and when the request is made, which is now that it is understood.
    pub(crate) fn asked(&self) -> Asked {
        metrics::spent(Stage::Http, self.0.started.elapsed());
        let caller = self.caller();
        Asked {
            id: self.id().clone(),
            priority: caller.priority(),
            owner: caller.name,
            began: Instant::now(),
            unix_s: clock::unix_now(),
        }
    }

    /// The response's head is on its way.
    pub(crate) fn answered(&self, status: StatusCode) {
        self.0.progress().status = Some(status);
    }

    /// The response is an error of this code.
    pub(crate) fn refused(&self, code: &'static str) {
        self.0.progress().code = Some(code);
    }

    /// Passes on the events of one choice, which continues the prompt of that place in the request, and takes account
    /// of each. A request whose answer has several choices begins all of them before the first has ended.
    pub(crate) fn observe(
        &self,
        prompt: u32,
        events: Events,
    ) -> impl Stream<Item = Result<Event, Error>> + Send + Unpin + use<> {
        self.0.progress().inference.get_or_insert_default().n_running += 1;
        let (Self(account), mut choice) = (self.clone(), Choice { prompt, ..Choice::default() });
        Timed(events).inspect(move |event| {
            if let Some(inference) = &mut account.progress().inference {
                match event {
                    Ok(event) => {
                        inference.see(event, &mut choice, &account);
                        inference.charge(&account);
                    }
                    Err(error) => inference.fail(error),
                }
            }
        })
    }

    /// Waits for an answer that comes as a whole, to a request that is understood, and takes account of it.
    pub(crate) async fn observe_whole<T: Whole>(
        &self,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        metrics::spent(Stage::Http, self.0.started.elapsed());
        self.0.progress().inference = Some(Inference::default());
        let answer = answer.await;
        if let Some(inference) = &mut self.0.progress().inference {
            match &answer {
                Ok(whole) => inference.whole(whole, &self.0),
                Err(error) => inference.fail(error),
            }
        }
        answer
    }
}

impl Inference {
    fn see(&mut self, event: &Event, choice: &mut Choice, account: &Account) {
        match event {
            Event::Accepted { model, prompt_tokens } => {
                account.span.record("model", &**model);
                account.id.trace().set("gen_ai.response.model", &**model);
                self.inter_token = Some(metrics::inter_token(model));
                self.model = Some(model.clone());
                let prompt = self.prompts.entry(choice.prompt).or_default();
                // Choices of one prompt share it.
                metrics::accepted(u64::from(*prompt_tokens).saturating_sub(prompt.tokens));
                prompt.tokens = (*prompt_tokens).into();
            }
            Event::Delta(delta) => self.tokens(delta.n_tokens, choice, account),
            Event::Prompt(_) => {}
            Event::Finished(finished) => {
                self.tokens(finished.rest.n_tokens, choice, account);
                let cached: u64 = finished.usage.cached_tokens.into();
                let prompt = self.prompts.entry(choice.prompt).or_default();
                prompt.tokens = finished.usage.prompt_tokens.into();
                prompt.cached_tokens = Some(prompt.cached_tokens.map_or(cached, |least| least.min(cached)));
                let reason = match finished.reason {
                    FinishReason::Length => "length",
                    FinishReason::ToolCalls => "tool_calls",
                    FinishReason::Stop | FinishReason::Unspecified => "stop",
                };
                let reason = Value::Texts(vec![reason.to_owned()]);
                account.id.trace().set("gen_ai.response.finish_reasons", reason);
                self.completion_tokens -= choice.completion_tokens;
                self.completion_tokens += u64::from(finished.usage.completion_tokens);
                self.n_running -= 1;
                if self.n_running == 0 {
                    self.outcome = Outcome::Finished;
                }
            }
        }
    }

    fn whole(&mut self, whole: &impl Whole, account: &Account) {
        account.span.record("model", &**whole.model());
        account.id.trace().set("gen_ai.response.model", &**whole.model());
        self.model = Some(whole.model().clone());
        metrics::accepted(whole.tokens());
        self.prompts.entry(0).or_default().tokens = whole.tokens();
        self.outcome = Outcome::Finished;
    }

    fn tokens(&mut self, count: usize, choice: &mut Choice, account: &Account) {
        if count == 0 {
            return;
        }
        choice.completion_tokens += count as u64;
        self.completion_tokens += count as u64;
        metrics::generated(count);
        let now = Instant::now();
        if let (Some(last), Some(histogram)) = (choice.last_token.replace(now), &self.inter_token) {
            let gap = (now - last).as_secs_f64() / count as f64;
            histogram.record_many(gap, count);
            metrics::gaps(gap, count);
        }
        if let (None, Some(model)) = (self.first_token, &self.model) {
            self.first_token = Some(now);
            metrics::first_token(model, now - account.started);
            account.id.trace().event("gen_ai.first_token", Vec::new());
        }
    }

    /// Has the caller's key pay for the tokens so far.
    fn charge(&mut self, account: &Account) {
        let tokens = self.prompt_tokens() + self.completion_tokens;
        let more = tokens.saturating_sub(self.charged_tokens);
        if let Some(caller) = account.caller.get().filter(|_| more > 0) {
            caller.take_tokens(more);
            self.charged_tokens = tokens;
        }
    }

    fn prompt_tokens(&self) -> u64 {
        self.prompts.values().map(|prompt| prompt.tokens).sum()
    }

    fn cached_tokens(&self) -> u64 {
        self.prompts.values().filter_map(|prompt| prompt.cached_tokens).sum()
    }

    fn fail(&mut self, error: &Error) {
        let failure = Failure::from(error.clone());
        self.outcome = Outcome::Failed { status: failure.status, code: failure.code };
    }
}

impl Account {
    /// The request is over, for the metrics of errors and for its trace.
    fn trace_end(&self, status: u16, code: Option<&'static str>) {
        let code = code.or((status == CLIENT_LEFT).then_some("client_left"));
        if let Some(code) = code {
            metrics::failed(self.endpoint, code);
        }
        self.id.trace().end(status, code);
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        let endpoint = self.endpoint;
        let progress = std::mem::take(self.progress.get_mut().unwrap_or_else(PoisonError::into_inner));
        let head = progress.status.map_or(CLIENT_LEFT, |status| status.as_u16());
        let entered = self.span.enter();
        let key = self.caller.get().map(|caller| caller.name.clone()).unwrap_or_default();
        let Some(mut inference) = progress.inference else {
            metrics::ended_of_key(&key, head, 0);
            metrics::ended(endpoint, "", head, took);
            self.trace_end(head, progress.code);
            debug!(endpoint, status = head, ms = whole_ms(took), "request ended");
            drop(entered);
            return;
        };
        inference.charge(self);
        let (status, code) = match inference.outcome {
            Outcome::Finished => (head, "finished"),
            Outcome::Failed { status, code } => (status.as_u16(), code),
            Outcome::Running => (CLIENT_LEFT, "client_left"),
        };
        let model = inference.model.as_deref().unwrap_or_default();
        metrics::ended(endpoint, model, status, took);
        let failed = (code != "finished").then_some(code);
        metrics::served(failed.is_some_and(|code| code != "client_left"));
        metrics::ended_of_key(&key, status, inference.prompt_tokens() + inference.completion_tokens);
        if !model.is_empty() {
            let (prompt, cached) = (inference.prompt_tokens(), inference.cached_tokens());
            metrics::tokens(model, prompt, cached, inference.completion_tokens);
            let trace = self.id.trace();
            trace.set("gen_ai.usage.input_tokens", prompt);
            trace.set("gen_ai.usage.cache_read.input_tokens", cached);
            trace.set("gen_ai.usage.output_tokens", inference.completion_tokens);
        }
        self.trace_end(status, failed);
        info!(
            endpoint,
            status,
            outcome = code,
            prompt_tokens = inference.prompt_tokens(),
            cached_tokens = inference.cached_tokens(),
            completion_tokens = inference.completion_tokens,
            first_token_ms = inference.first_token.map(|at| whole_ms(at - self.started)),
            ms = whole_ms(took),
            "request ended"
        );
        drop(entered);
    }
}

/// Milliseconds as a number that a log line can hold.
fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use impetus_proto::{Code, worker::Usage};

    use super::*;
    use crate::upstream::{Delta, Finished};

    fn accepted() -> Event {
        Event::Accepted { model: "tiny".into(), prompt_tokens: 5 }
    }

    /// What is counted for a request whose events are taken until there are no more for now.
    async fn check(
        endpoint: &'static str,
        head: Option<u16>,
        events: Vec<Result<Event, Error>>,
        expected: &str,
    ) {
        let metrics = metrics::install().unwrap();
        let record = Record::open("id".into(), endpoint, Span::none());
        let mut events = record.observe(0, Box::pin(stream::iter(events)));
        while events.next().await.is_some() {}
        if let Some(status) = head {
            record.answered(StatusCode::from_u16(status).unwrap());
        }
        drop(record);
        let in_flight = |n| format!("impetus_requests_in_flight{{endpoint=\"{endpoint}\"}} {n}\n");
        assert!(metrics.render().contains(&in_flight(1)), "the body still holds the record");
        drop(events);
        let text = metrics.render();
        let counted = format!("impetus_requests_total{{endpoint=\"{endpoint}\",{expected}}} 1\n");
        assert!(text.contains(&counted) && text.contains(&in_flight(0)), "{counted} is not in\n{text}");
    }

    #[tokio::test]
    async fn an_end_is_counted_for_what_it_was() {
        let crash = || Err(Error::new(Code::WorkerCrashed, "lost"));
        let no_model = || Err(Error::new(Code::ModelNotFound, "none"));
        let whole = || vec![Ok(accepted()), Ok(Event::Finished(Finished::default()))];
        check("finished", Some(200), whole(), r#"model="tiny",status="200""#).await;
        check("left", Some(200), vec![Ok(accepted())], r#"model="tiny",status="499""#).await;
        check("left_early", None, vec![], r#"model="",status="499""#).await;
        check("crashed_in_stream", Some(200), vec![Ok(accepted()), crash()], r#"model="tiny",status="500""#)
            .await;
        check("not_found", Some(404), vec![no_model()], r#"model="",status="404""#).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_until_a_request_is_understood_is_counted_whatever_it_asks_for() {
        const LONG: Duration = Duration::from_mins(1);
        let record = Record::open("id".into(), "understood", Span::none());
        tokio::time::advance(LONG).await;
        let before = metrics::so_far(Stage::Http);
        record.asked();
        let asked = metrics::so_far(Stage::Http);
        let failed = async { Err::<Ranked, _>(Error::new(Code::ModelNotFound, "none")) };
        record.observe_whole(failed).await.unwrap_err();
        let observed = metrics::so_far(Stage::Http);
        assert!(asked >= before + LONG && observed >= asked + LONG, "{before:?} {asked:?} {observed:?}");
    }

    #[tokio::test]
    async fn choices_are_counted_together() {
        let metrics = metrics::install().unwrap();
        let check = async |model: &'static str, ends: [bool; 2], status: u16, counts: [u32; 3]| {
            let record = Record::open("id".into(), model, Span::none());
            record.answered(StatusCode::OK);
            // The second has found what the first has prefilled.
            let choices = ends.into_iter().zip([2, 4]).map(|(ends, cached_tokens)| {
                let usage =
                    Usage { prompt_tokens: 5, cached_tokens, completion_tokens: 3, reasoning_tokens: 0 };
                let rest = Delta { n_tokens: 1, ..Delta::default() };
                let end = Finished { usage, rest: rest.clone(), ..Finished::default() };
                let accepted = Event::Accepted { model: model.into(), prompt_tokens: 5 };
                let token = Event::Delta(rest);
                let events = [accepted, token].into_iter().chain(ends.then_some(Event::Finished(end)));
                record.observe(0, Box::pin(stream::iter(events.map(Ok).collect::<Vec<_>>())))
            });
            for mut choice in choices.collect::<Vec<_>>() {
                while choice.next().await.is_some() {}
            }
            drop(record);
            let text = metrics.render();
            let [prompt, cached, completion] = counts;
            for line in [
                format!(
                    "impetus_requests_total{{endpoint=\"{model}\",model=\"{model}\",status=\"{status}\"}} 1"
                ),
                format!("impetus_prompt_tokens_total{{model=\"{model}\"}} {prompt}"),
                format!("impetus_prompt_cached_tokens_total{{model=\"{model}\"}} {cached}"),
                format!("impetus_completion_tokens_total{{model=\"{model}\"}} {completion}"),
                format!("impetus_time_to_first_token_seconds_count{{model=\"{model}\"}} 1"),
            ] {
                assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
            }
        };
        check("both_end", [true, true], 200, [5, 2, 6]).await;
        // The client leaves before the second has ended.
        check("one_ends", [true, false], 499, [5, 2, 4]).await;
    }
}
