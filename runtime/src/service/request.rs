//! A request as it arrives, checked: the worker trusts no caller, whatever the gateway has checked before.

use std::sync::Arc;

use impetus_proto::{
    Code, Error,
    worker::{Chat, GenerateRequest, Stopping, generate_request, tokenize_request},
};

use crate::{
    engine::{TokenId, Vocabulary},
    output::{Output, StopParams},
    prompt::{ChatInput, ChatTemplate, TemplateError},
    sampling::{Sampler, SamplingError, SamplingParams},
};

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
    pub(super) resume: Vec<TokenId>,
    pub(super) max_tokens: Option<u32>,
    pub(super) sampler: Sampler,
    pub(super) output: Output,
}

/// What the prompt is made of.
pub(super) enum Input {
    Chat(Box<Chat>),
    Text(String),
    Tokens(Vec<TokenId>),
}

/// A prompt, tokenized.
pub(super) struct Prompt {
    /// The text that was tokenized; empty when tokens were given.
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

    fn check_tokens(self, ids: Vec<u32>, param: &str) -> Result<Vec<TokenId>, Error> {
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

/// Checks everything but the prompt itself.
pub(super) fn validate(
    request: GenerateRequest,
    limits: Limits,
    vocabulary: Arc<dyn Vocabulary>,
) -> Result<Request, Error> {
    let Stopping { max_tokens, stop, ignore_end, .. } = request.stopping.unwrap_or_default();
    let invalid = |error: SamplingError| Error::invalid(error.parameter(), error.to_string());
    let params = SamplingParams::from(&request.sampling.unwrap_or_default());
    let sampler = Sampler::new(params, request.choice, limits.vocabulary).map_err(invalid)?;
    let output = Output::new(vocabulary, &StopParams { stop, ignore_end })
        .map_err(|error| Error::invalid("stop", error.to_string()))?;
    let resume = limits.check_tokens(request.resume.unwrap_or_default().tokens, "resume")?;
    let input = match request.input {
        Some(generate_request::Input::Chat(chat)) => Input::Chat(Box::new(chat)),
        Some(generate_request::Input::Text(text)) => Input::Text(text),
        Some(generate_request::Input::Tokens(tokens)) => {
            Input::Tokens(limits.check_tokens(tokens.ids, "prompt")?)
        }
        Some(generate_request::Input::Infill(_)) => return Err(no_infill()),
        None => return Err(Error::invalid("prompt", "the request has neither messages nor a prompt")),
    };
    Ok(Request { input, resume, max_tokens, sampler, output })
}

impl TryFrom<Option<tokenize_request::Input>> for Input {
    type Error = Error;

    fn try_from(input: Option<tokenize_request::Input>) -> Result<Self, Error> {
        match input {
            Some(tokenize_request::Input::Chat(chat)) => Ok(Self::Chat(Box::new(chat))),
            Some(tokenize_request::Input::Text(text)) => Ok(Self::Text(text)),
            Some(tokenize_request::Input::Infill(_)) => Err(no_infill()),
            None => Err(Error::invalid("prompt", "the request has neither messages nor a prompt")),
        }
    }
}

fn no_infill() -> Error {
    Error::new(Code::Unprocessable, "this model has no fill-in-the-middle tokens").with_param("suffix")
}

/// Renders the template where there is one to render, and tokenizes. Takes as long as the text is long; a text
/// that cannot fit is refused before it is tokenized.
pub(super) fn prompt(
    input: Input,
    template: Result<&ChatTemplate, &TemplateError>,
    vocabulary: &dyn Vocabulary,
    context_tokens: u32,
) -> Result<Prompt, Error> {
    let (text, special) = match input {
        Input::Tokens(tokens) => return Ok(Prompt { text: String::new(), tokens }),
        Input::Text(text) => (text, true),
        Input::Chat(chat) => {
            let template = template.map_err(refused)?;
            let input = ChatInput::new(&chat, chrono::Local::now()).map_err(|error| refused(&error))?;
            (template.render(&input).map_err(|error| refused(&error))?, true)
        }
    };
    let at_least = text.len() / vocabulary.longest_piece_bytes().max(1);
    if at_least >= context_tokens as usize {
        return Err(context_exceeded(context_tokens, at_least, "at least "));
    }
    let tokens =
        vocabulary.encode(&text, special).map_err(|error| Error::invalid("messages", error.to_string()))?;
    Ok(Prompt { text, tokens })
}

fn refused(error: &TemplateError) -> Error {
    let param = match error {
        TemplateError::Json { field: "tools_json", .. } => "tools",
        TemplateError::Json { field: "template_arguments_json", .. }
        | TemplateError::ReservedArgument { .. } => "chat_template_kwargs",
        _ => "messages",
    };
    Error::invalid(param, error.to_string())
}
