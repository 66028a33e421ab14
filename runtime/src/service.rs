//! What a worker serves: `worker.v1.Worker` over the scheduler. Everything is validated again here, whoever the
//! caller is.

mod completion;
mod dialogue;
mod embed;
mod request;
mod rerank;
mod score;
#[cfg(test)]
mod tests;
mod tools;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::TrySendError,
    },
    time::{Duration, Instant},
};

use impetus_proto::{
    Code, Error, REQUEST_ID,
    worker::{
        Accepted, DescribeRequest, Description, DetokenizeReply, DetokenizeRequest, DrainReply, DrainRequest,
        Echo, EmbedReply, EmbedRequest, GenerateEvent, GenerateRequest, Prompt, RerankReply, RerankRequest,
        Stats, StatsRequest, TokenizeReply, TokenizeRequest, generate_event, worker_server::Worker,
    },
};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::{Stream, StreamExt};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use tonic::{Request, Response, Status};
use tracing::{Instrument, debug, info_span};

use crate::{
    engine::{TokenId, Vocabulary},
    prompt::InfillTokens,
    run::engine_thread::{Order, Work},
    sampling::grammar::Grammars,
    scheduler::{Counters, Sequence, SequenceParams, Stage},
    service::{
        completion::Completion,
        dialogue::{Dialogue, Held},
        request::Spelling,
    },
};

pub(crate) use dialogue::Conversation;

/// Events that may lie unread before a sequence pauses for its reader.
const EVENTS_PER_READER: usize = 32;

/// How long the engine's thread may take to hear that it is to save what slots hold, and how often it is told.
const SAVE_LIMIT: Duration = Duration::from_secs(5);
const SAVE_PAUSE: Duration = Duration::from_millis(5);

/// How long tokenizing one prompt may take.
const TOKENIZE_DEADLINE: Duration = Duration::from_secs(20);

/// The worker's service. Cheap to clone: all of it is shared.
#[derive(Clone)]
pub(crate) struct Service {
    shared: Arc<Shared>,
}

struct Shared {
    description: Description,
    vocabulary: Arc<dyn Vocabulary>,
    conversation: Conversation,
    grammars: Grammars,
    infill: Option<InfillTokens>,
    work: Work,
    counters: Arc<Counters>,
    draining: AtomicBool,
    /// Requests in progress, from their first check to the end of their stream.
    requests: TaskTracker,
}

impl Service {
    /// A service that hands its work to the engine's thread.
    pub(crate) fn new(
        description: Description,
        vocabulary: Arc<dyn Vocabulary>,
        conversation: Conversation,
        work: Work,
        counters: Arc<Counters>,
    ) -> Self {
        let (draining, requests) = (AtomicBool::new(false), TaskTracker::new());
        let infill = InfillTokens::of(&*vocabulary);
        let grammars = Grammars::new(Arc::clone(&vocabulary));
        let shared = Shared {
            description,
            vocabulary,
            conversation,
            grammars,
            infill,
            work,
            counters,
            draining,
            requests,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Refuses new requests from now on; resolves when no stream is left and what slots hold is saved.
    pub(crate) async fn drain(&self) {
        self.shared.draining.store(true, Ordering::SeqCst);
        self.shared.requests.close();
        self.shared.requests.wait().await;
        self.save().await;
    }

    /// Has what slots hold saved, unless the engine is gone.
    async fn save(&self) {
        let Work::Generate { orders, .. } = &self.shared.work else { return };
        let (done, saved) = oneshot::channel();
        let mut order = Order::Save(done);
        let deadline = tokio::time::Instant::now() + SAVE_LIMIT;
        loop {
            order = match orders.try_send(order) {
                Ok(()) => return drop(saved.await),
                // It is full of sequences that have lost their readers.
                Err(TrySendError::Full(order)) if tokio::time::Instant::now() < deadline => order,
                Err(_) => return,
            };
            tokio::time::sleep(SAVE_PAUSE).await;
        }
    }

    /// Refuses a request for another model, which a gateway with an old lease may send.
    fn check_model(&self, model: &str) -> Result<(), Error> {
        let ours = &self.shared.description.model;
        if model == ours {
            return Ok(());
        }
        Err(Error::new(Code::WrongModel, format!("this worker serves `{ours}`, not `{model}`")))
    }

    /// Begins a request for `model`, which is in progress as long as the token lives.
    fn enter(&self, model: &str) -> Result<TaskTrackerToken, Error> {
        self.check_model(model)?;
        let in_progress = self.shared.requests.token();
        if self.shared.draining.load(Ordering::SeqCst) {
            return Err(Error::new(Code::Unavailable, "this worker is being stopped"));
        }
        Ok(in_progress)
    }

    /// The model is for something else.
    fn wrong_task(&self, what: &str) -> Error {
        let message = format!("`{}` {what}", self.shared.description.model);
        Error::new(Code::UnsupportedParameter, message).with_param("model")
    }

    fn limits(&self) -> request::Limits {
        request::Limits {
            context_tokens: self.shared.description.context_tokens,
            vocabulary: self.shared.vocabulary.size(),
        }
    }

    async fn start(&self, request: GenerateRequest) -> Result<EventStream, Error> {
        let in_progress = self.enter(&request.model)?;
        let Work::Generate { orders, prefixes, .. } = &self.shared.work else {
            let what = match self.shared.work {
                Work::Rerank { .. } => "ranks documents: it generates no text",
                _ => "is an embedding model: it generates no text",
            };
            return Err(self.wrong_task(what));
        };
        let begun = Instant::now();
        let limits = self.limits();
        let vocabulary = Arc::clone(&self.shared.vocabulary);
        let (dialogue, request) =
            blocking(move || Dialogue::check(&request).map(|dialogue| (dialogue, request))).await??;
        let request::Request { input, owner, priority, resume, max_tokens, echo, sampler, output } =
            request::validate(request, limits, Arc::clone(&vocabulary), self.shared.infill.as_ref())?;
        let request::Prompt { text, tokens: prompt } = self.read(input, Spelling::default()).await?;
        limits.check_prompt(prompt.len())?;
        let prompt_scores = echo.and_then(|echo| echo.top_logprobs);
        request::check_echo(prompt.len(), prompt_scores.unwrap_or_default())?;
        let accepted = Accepted { prompt_tokens: prompt.len() as u32 };
        debug!(prompt_tokens = prompt.len(), resumed_tokens = resume.len(), max_tokens, "accepted");
        let index = resume.len() as u32;

        let (events, receiver) = mpsc::channel(EVENTS_PER_READER);
        let (shared, prefixes) = (Arc::clone(&self.shared), prefixes.clone());
        let (sequence, text, tokenize) = blocking(move || {
            let Held { output, constraint } =
                dialogue.begin(&text, output, &shared.conversation, &shared.grammars)?;
            let submitted = Instant::now();
            let sequence = Sequence::new(SequenceParams {
                owner,
                priority,
                prompt,
                resume,
                max_tokens,
                prompt_scores,
                sampler,
                constraint,
                output,
                events,
                submitted,
            });
            if let Some(prefixes) = prefixes {
                prefixes.fetch(&sequence);
            }
            Ok::<_, Error>((Box::new(sequence), text, submitted - begun))
        })
        .await??;
        self.shared.counters.spent(Stage::Tokenize, tokenize);
        orders.try_send(Order::Generate(sequence)).map_err(|error| match error {
            TrySendError::Full(_) => {
                Error::new(Code::NoCapacity, "too many requests wait for this model: try again soon")
                    .with_retry_after(1)
            }
            TrySendError::Disconnected(_) => Error::new(Code::Unavailable, "the engine has stopped"),
        })?;

        let mut first = vec![generate_event::Event::Accepted(accepted)];
        // Whoever has tokens has the prompt. What is to be said with it comes from the sequence.
        if matches!(echo, Some(Echo { top_logprobs: None })) && index == 0 {
            first.push(generate_event::Event::Prompt(Prompt { text: text.clone(), logprobs: Vec::new() }));
        }
        let model = self.shared.description.model.clone();
        let event =
            |event| GenerateEvent { model: model.clone(), index, tokens: Vec::new(), event: Some(event) };
        let first: Vec<_> = first.into_iter().map(|first| Ok(event(first))).collect();
        let rest = Completion::new(model, vocabulary, text, receiver, in_progress).tokenized_in(tokenize);
        Ok(Box::pin(tokio_stream::iter(first).chain(rest)))
    }

    /// Renders and tokenizes off the async threads.
    async fn read(&self, input: request::Input, spelling: Spelling) -> Result<request::Prompt, Error> {
        let shared = Arc::clone(&self.shared);
        let work = blocking(move || {
            let reader = request::Reader {
                model: &shared.conversation,
                vocabulary: shared.vocabulary.as_ref(),
                infill: shared.infill.as_ref(),
                context_tokens: shared.description.context_tokens,
            };
            reader.prompt(input, spelling)
        });
        match tokio::time::timeout(TOKENIZE_DEADLINE, work).await {
            Ok(prompt) => prompt?,
            Err(_) => {
                Err(Error::invalid("messages", "the prompt takes too long to tokenize: make it shorter"))
            }
        }
    }
}

/// Runs `work` on a thread that may block; a panic in it (a tokenizer's, say) is an error of this request alone.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
        .await
        .map_err(|error| Error::internal(format!("the prompt could not be prepared: {error}")))
}

type EventStream = Pin<Box<dyn Stream<Item = Result<GenerateEvent, Status>> + Send>>;

/// The id under which the caller knows this request, or nothing.
fn request_id<T>(request: &Request<T>) -> String {
    let id = request.metadata().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    id.unwrap_or_default().chars().take(128).collect()
}

#[tonic::async_trait]
impl Worker for Service {
    type GenerateStream = EventStream;

    async fn generate(&self, request: Request<GenerateRequest>) -> Result<Response<EventStream>, Status> {
        let span = info_span!("sequence", id = request_id(&request));
        let request = request.into_inner();
        async {
            match self.start(request).await {
                Ok(stream) => Ok(Response::new(stream)),
                Err(error) => {
                    debug!(code = ?error.code(), %error, "refused");
                    Err(error.into())
                }
            }
        }
        .instrument(span)
        .await
    }

    async fn embed(&self, request: Request<EmbedRequest>) -> Result<Response<EmbedReply>, Status> {
        let span = info_span!("embedding", id = request_id(&request));
        async { Ok(Response::new(Service::embed(self, request.into_inner()).await?)) }.instrument(span).await
    }

    async fn tokenize(&self, request: Request<TokenizeRequest>) -> Result<Response<TokenizeReply>, Status> {
        let request = request.into_inner();
        self.check_model(&request.model)?;
        let (input, spelling) = request::to_tokenize(request)?;
        let request::Prompt { text, tokens } = self.read(input, spelling).await?;
        let spelled = |token: &TokenId| score::spelling(*token, &*self.shared.vocabulary).to_vec();
        Ok(Response::new(TokenizeReply {
            model: self.shared.description.model.clone(),
            pieces: tokens.iter().map(spelled).collect(),
            tokens: tokens.into_iter().map(|token| token.0).collect(),
            prompt: text,
        }))
    }

    async fn detokenize(
        &self,
        request: Request<DetokenizeRequest>,
    ) -> Result<Response<DetokenizeReply>, Status> {
        let DetokenizeRequest { model, tokens } = request.into_inner();
        self.check_model(&model)?;
        let tokens = self.limits().check_tokens(tokens, "tokens")?;
        let vocabulary = Arc::clone(&self.shared.vocabulary);
        let text = blocking(move || score::text(&tokens, &*vocabulary)).await?;
        Ok(Response::new(DetokenizeReply { model, text }))
    }

    async fn rerank(&self, request: Request<RerankRequest>) -> Result<Response<RerankReply>, Status> {
        let span = info_span!("ranking", id = request_id(&request));
        async { Ok(Response::new(Service::rerank(self, request.into_inner()).await?)) }.instrument(span).await
    }

    async fn describe(&self, _: Request<DescribeRequest>) -> Result<Response<Description>, Status> {
        Ok(Response::new(self.shared.description.clone()))
    }

    async fn stats(&self, _: Request<StatsRequest>) -> Result<Response<Stats>, Status> {
        Ok(Response::new(self.shared.counters.stats(&self.shared.description.model)))
    }

    async fn drain(&self, _: Request<DrainRequest>) -> Result<Response<DrainReply>, Status> {
        Service::drain(self).await;
        Ok(Response::new(DrainReply { model: self.shared.description.model.clone() }))
    }
}
