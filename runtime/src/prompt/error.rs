//! What can go wrong between a conversation and its prompt.

use std::error::Error as _;
use std::io;

/// Why a conversation has no prompt.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The model file came without a chat template, and there is no default that would not be a guess.
    #[error(
        "this model has no chat template; send a prompt to /v1/completions instead, \
         or use a file of the model that includes one"
    )]
    NoChatTemplate,
    /// The template is larger than any real one.
    #[error("the model's chat template has {bytes} bytes; at most {limit} are supported")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size supported.
        limit: usize,
    },
    /// The template is refused before it is compiled.
    #[error("the model's chat template is refused at line {line}: {reason}")]
    Refused {
        /// Where, counted from one.
        line: usize,
        /// Why.
        reason: &'static str,
    },
    /// The template is not valid Jinja.
    #[error("the model's chat template does not compile: {0}")]
    Compile(#[source] minijinja::Error),
    /// The template does not accept this conversation; these are its own words.
    #[error("the model's chat template refuses the conversation: {message}")]
    Raised {
        /// What it passed to `raise_exception`.
        message: String,
    },
    /// The template failed on this conversation.
    #[error("the model's chat template failed on this conversation: {0}")]
    Render(#[source] minijinja::Error),
    /// The template wanted more than it is allowed.
    #[error("the model's chat template exceeded its limit of {0} on this conversation; send less")]
    Exceeded(Limit),
    /// A field of the request that holds JSON holds something else.
    #[error("{field} is not valid: {source}")]
    Json {
        /// The field's name, as in the protocol.
        field: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A template argument has the name of something else that a template gets.
    #[error("template_arguments_json: {name:?} cannot be set, it is what the conversation is passed as")]
    ReservedArgument {
        /// The argument's name.
        name: String,
    },
    /// A template argument that the template does not read.
    #[error("chat_template_kwargs: this model's chat template has no variable {name:?}; leave it out")]
    UnknownArgument {
        /// The argument's name.
        name: String,
    },
    /// `continue_last` was asked for without anything to continue.
    #[error("continue_last needs an assistant's message at the end of the conversation")]
    NothingToContinue,
    /// The template leaves out the message that is to be continued.
    #[error("the model's chat template does not show the last message as it is, so it cannot be continued")]
    LastMessageMissing,
    /// The thread that renders could not be started.
    #[error("no thread could be started to render the chat template: {0}")]
    Thread(#[source] io::Error),
    /// The template engine panicked.
    #[error("the template engine failed on the model's chat template")]
    Panicked,
}

/// What a template is not given more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Instructions executed.
    Instructions,
    /// Wall-clock time.
    Time,
    /// Bytes of one value, or of all values made.
    Memory,
    /// Bytes of output.
    Output,
    /// Depth of values inside values.
    Depth,
}

/// The message of `raise_exception`, as it travels through the template engine.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Raised(pub(super) String);

/// A limit that was passed, as it travels through the template engine.
#[derive(Debug, thiserror::Error)]
#[error("limit of {0}")]
pub(super) struct Passed(pub(super) Limit);

impl TemplateError {
    /// Whether another request could fare better with the same model.
    pub fn is_request_fault(&self) -> bool {
        match self {
            Self::NoChatTemplate
            | Self::TooLarge { .. }
            | Self::Refused { .. }
            | Self::Compile(_)
            | Self::Thread(_)
            | Self::Panicked => false,
            Self::Raised { .. }
            | Self::Render(_)
            | Self::Exceeded(_)
            | Self::Json { .. }
            | Self::ReservedArgument { .. }
            | Self::UnknownArgument { .. }
            | Self::NothingToContinue
            | Self::LastMessageMissing => true,
        }
    }

    /// Finds out what stands behind an error of the template engine.
    pub(super) fn from_render(error: minijinja::Error) -> Self {
        if error.kind() == minijinja::ErrorKind::OutOfFuel {
            return Self::Exceeded(Limit::Instructions);
        }
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(Raised(message)) = cause.downcast_ref() {
                return Self::Raised { message: message.clone() };
            }
            if let Some(Passed(limit)) = cause.downcast_ref() {
                return Self::Exceeded(*limit);
            }
            if let Some(inner) = cause.downcast_ref::<minijinja::Error>()
                && inner.kind() == minijinja::ErrorKind::OutOfFuel
            {
                return Self::Exceeded(Limit::Instructions);
            }
            source = cause.source();
        }
        Self::Render(error)
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Instructions => "instructions",
            Self::Time => "time",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::Depth => "depth",
        })
    }
}
