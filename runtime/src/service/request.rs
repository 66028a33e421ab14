//! A request as it arrives, checked: the worker trusts no caller, whatever the gateway has checked before.

use std::sync::Arc;

use chrono::{DateTime, Local};
use impetus_proto::{
    Code, Error,
    worker::{
        Chat, Echo, GenerateRequest, Infill, Stopping, TokenizeRequest, generate_request, tokenize_request,
    },
};

use super::{Conversation, score, tools};
use crate::{
    engine::{TokenId, Vocabulary},
    output::{Output, StopParams},
    prompt::{ChatInput, InfillTokens, TemplateError},
    sampling::{MAX_TOP, Sampler, SamplingError, SamplingParams},
};

/// The most tokens that may end an output besides the model's own.
const MAX_STOP_TOKENS: usize = 256;

/// The most log probabilities that the prompt of one request gets, alternatives counted.
const MAX_PROMPT_SCORES: usize = 1 << 20;

/// What a request may not exceed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Tokens of one slot.
    pub(super) context_tokens: u32,
    /// Token ids are below it.
    pub(super) vocabulary: u32,
}

/// A request whose numbers and names are all valid.
pub(super) struct Request {
    pub(super) input: Input,
    /// Whose it is.
    pub(super) owner: Arc<str>,
    /// Who has more goes first.
    pub(super) priority: i32,
    pub(super) resume: Vec<TokenId>,
    pub(super) max_tokens: Option<u32>,
    pub(super) echo: Option<Echo>,
    pub(super) sampler: Sampler,
    pub(super) output: Output,
}

/// What the prompt is made of.
pub(super) enum Input {
    /// A conversation, and the time that its template tells.
    Chat(Box<Chat>, DateTime<Local>),
    Text(String),
    Tokens(Vec<TokenId>),
    /// A hole in a text, and how many tokens its filling has at most.
    Infill(Box<Infill>, Option<u32>),
}

/// How the text of a prompt is tokenized.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spelling {
    /// Without the token that begins a text.
    bare: bool,
    /// Names of control tokens in a raw prompt are text.
    plain: bool,
}

/// What makes prompts of inputs.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) model: &'a Conversation,
    pub(super) vocabulary: &'a dyn Vocabulary,
    pub(super) infill: Option<&'a InfillTokens>,
    pub(super) context_tokens: u32,
}

/// A prompt, tokenized.
pub(super) struct Prompt {
    /// The text that was tokenized, or that the tokens stand for.
    pub(super) text: String,
    pub(super) tokens: Vec<TokenId>,
}

impl Limits {
    /// Refuses a prompt of `n_tokens` that leaves no room for a token behind it.
    pub(super) fn check_prompt(self, n_tokens: usize) -> Result<(), Error> {
        match n_tokens {
            0 => Err(Error::invalid("messages", "the prompt is empty: it has no tokens")),
            n if n >= self.context_tokens as usize => Err(context_exceeded(self.context_tokens, n, "")),
            _ => Ok(()),
        }
    }

    pub(super) fn check_tokens(self, ids: Vec<u32>, param: &str) -> Result<Vec<TokenId>, Error> {
        if let Some(id) = ids.iter().find(|&&id| id >= self.vocabulary) {
            let expected =
                format!("token id {id} is not in the vocabulary: ids are below {}", self.vocabulary);
            return Err(Error::invalid(param, expected));
        }
        Ok(ids.into_iter().map(TokenId).collect())
    }
}

/// The words are those that OpenAI's clients look for.
fn context_exceeded(context_tokens: u32, n_tokens: usize, at_least: &str) -> Error {
    let message = format!(
        "This model's maximum context length is {context_tokens} tokens. However, your prompt has {at_least}{n_tokens} \
         tokens. Please shorten it, or give the model more context."
    );
    Error::new(Code::ContextLengthExceeded, message).with_param("messages")
}

/// Refuses a prompt of `n_tokens` whose scores would fill more than memory and messages are meant for.
pub(super) fn check_echo(n_tokens: usize, top: u32) -> Result<(), Error> {
    let each = top as usize + 1;
    if n_tokens <= MAX_PROMPT_SCORES / each {
        return Ok(());
    }
    let message = format!(
        "log probabilities of {n_tokens} tokens of a prompt with {top} alternatives each are too many: \
         ask for fewer alternatives"
    );
    Err(Error::invalid("logprobs", message))
}

/// Checks everything but the prompt itself.
pub(super) fn validate(
    request: GenerateRequest,
    limits: Limits,
    vocabulary: Arc<dyn Vocabulary>,
    infill: Option<&InfillTokens>,
) -> Result<Request, Error> {
    let stopping = request.stopping.unwrap_or_default();
    let max_tokens = stopping.max_tokens;
    let mut stop = check_stopping(&stopping, limits)?;
    let invalid = |error: SamplingError| Error::invalid(error.parameter(), error.to_string());
    let mut params = SamplingParams::from(&request.sampling.unwrap_or_default());
    params.logprobs = request.logprobs.map(|logprobs| logprobs.top);
    if let Some(count) = request.echo.and_then(|echo| echo.top_logprobs).filter(|&count| count > MAX_TOP) {
        return Err(invalid(SamplingError::TooManyLogprobs { count }));
    }
    let mut sampler = Sampler::new(params, request.choice, Arc::clone(&vocabulary)).map_err(invalid)?;
    if let Some(generate_request::Input::Infill(_)) = &request.input {
        // What follows a filling is another file, unless the end of one is no end at all.
        let ends = infill.ok_or_else(no_infill)?.ends();
        stop.stop_tokens.extend(ends.iter().filter(|_| !stop.ignore_end));
    }
    if stop.min_tokens > 0 {
        sampler = sampler.open_for(stop.min_tokens, stop.ends(&*vocabulary));
    }
    let output = Output::new(vocabulary, &stop).map_err(|error| Error::invalid("stop", error.to_string()))?;
    let resume = limits.check_tokens(request.resume.unwrap_or_default().tokens, "resume")?;
    let input = match request.input {
        Some(generate_request::Input::Chat(chat)) => {
            Input::Chat(Box::new(chat), local_time(request.asked_unix_s))
        }
        Some(generate_request::Input::Text(text)) => Input::Text(text),
        Some(generate_request::Input::Tokens(tokens)) => {
            Input::Tokens(limits.check_tokens(tokens.ids, "prompt")?)
        }
        Some(generate_request::Input::Infill(infill)) => Input::Infill(Box::new(infill), max_tokens),
        None => return Err(Error::invalid("prompt", "the request has neither messages nor a prompt")),
    };
    let (owner, priority) = (request.owner.into(), request.priority);
    Ok(Request { input, owner, priority, resume, max_tokens, echo: request.echo, sampler, output })
}

/// Checks what ends the output, but for the stop strings.
fn check_stopping(stopping: &Stopping, limits: Limits) -> Result<StopParams, Error> {
    let count = stopping.stop_tokens.len();
    if count > MAX_STOP_TOKENS {
        let message = format!("stop_token_ids has {count} tokens; at most {MAX_STOP_TOKENS} are supported");
        return Err(Error::invalid("stop_token_ids", message));
    }
    limits.check_tokens(stopping.stop_tokens.clone(), "stop_token_ids")?;
    let (least, most) = (stopping.min_tokens, stopping.max_tokens.unwrap_or(u32::MAX));
    if least > most {
        let message = format!("min_tokens is {least}, which is more than the {most} that are asked for");
        return Err(Error::invalid("min_tokens", message));
    }
    Ok(StopParams::from(stopping))
}

/// The input of a request to tokenize, and how its text is to be read.
pub(super) fn to_tokenize(request: TokenizeRequest) -> Result<(Input, Spelling), Error> {
    let spelling = Spelling { bare: request.bare, plain: request.plain };
    let input = match request.input {
        Some(tokenize_request::Input::Chat(chat)) => Input::Chat(Box::new(chat), Local::now()),
        Some(tokenize_request::Input::Text(text)) => Input::Text(text),
        Some(tokenize_request::Input::Infill(infill)) => Input::Infill(Box::new(infill), None),
        None => return Err(Error::invalid("prompt", "the request has neither messages nor a prompt")),
    };
    Ok((input, spelling))
}

/// A moment in seconds since 1970, as this machine's clock shows it; 0 is now, and so is what no calendar has.
fn local_time(unix_s: u64) -> DateTime<Local> {
    let moment = i64::try_from(unix_s).ok().filter(|&seconds| seconds > 0);
    moment.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).map_or_else(Local::now, Into::into)
}

fn no_infill() -> Error {
    Error::new(Code::Unprocessable, "this model has no fill-in-the-middle tokens").with_param("suffix")
}

impl Reader<'_> {
    /// Renders the template where there is one to render, and tokenizes. Takes as long as the text is long; a text
    /// that cannot fit is refused before it is tokenized.
    pub(super) fn prompt(self, input: Input, spelling: Spelling) -> Result<Prompt, Error> {
        let (text, special) = match input {
            Input::Tokens(tokens) => return Ok(self.spelled(tokens)),
            Input::Infill(infill, max_tokens) => return self.infill(&infill, max_tokens),
            Input::Text(text) => (text, !spelling.plain),
            Input::Chat(chat, now) => {
                let input = ChatInput::new(&chat, now).map_err(|error| refused(&error))?;
                (self.model.render(&input, &tools::rules(&chat)?.tools)?, true)
            }
        };
        let at_least = text.len() / self.vocabulary.longest_piece_bytes().max(1);
        if at_least >= self.context_tokens as usize {
            return Err(context_exceeded(self.context_tokens, at_least, "at least "));
        }
        let tokens = if spelling.bare {
            self.vocabulary.encode_bare(&text, special)
        } else {
            self.vocabulary.encode(&text, special)
        };
        let tokens = tokens.map_err(|error| Error::invalid("messages", error.to_string()))?;
        Ok(Prompt { text, tokens })
    }

    /// Leaves the filling as much of the context as it may take, half of it at most, or a quarter where nobody says.
    fn infill(self, infill: &Infill, max_tokens: Option<u32>) -> Result<Prompt, Error> {
        let tokens = self.infill.ok_or_else(no_infill)?;
        let context = self.context_tokens;
        let filling = max_tokens.map_or(context / 4, |most| most.min(context / 2)).max(1);
        let room = context.saturating_sub(filling) as usize;
        let tokens = tokens.prompt(infill, self.vocabulary, room);
        Ok(self.spelled(tokens.map_err(|error| Error::invalid("prompt", error.to_string()))?))
    }

    fn spelled(self, tokens: Vec<TokenId>) -> Prompt {
        Prompt { text: score::text(&tokens, self.vocabulary), tokens }
    }
}

/// What is wrong with a conversation, by the field that it is wrong in.
pub(super) fn refused(error: &TemplateError) -> Error {
    let param = match error {
        TemplateError::Json { field: "tools_json", .. } => "tools",
        TemplateError::Json { field: "template_arguments_json", .. }
        | TemplateError::ReservedArgument { .. }
        | TemplateError::UnknownArgument { .. } => "chat_template_kwargs",
        _ => "messages",
    };
    Error::invalid(param, error.to_string())
}
