//! The operations, one row each.

use impetus_proto::Error;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::sample;
use crate::dialect::{
    anthropic, models, ollama,
    openai::{answer, chat_completions, completions, embeddings, error::ErrorBody, llama, rerank},
};

/// The schema of a type.
type Described = fn(&mut SchemaGenerator) -> Schema;

/// What a client can ask.
pub(in crate::dialect) struct Operation {
    pub(in crate::dialect) path: &'static str,
    pub(in crate::dialect) method: &'static str,
    pub(in crate::dialect) id: &'static str,
    pub(in crate::dialect) summary: &'static str,
    /// Reads a sample of its body.
    pub(in crate::dialect) request: Option<fn() -> Result<(), Error>>,
    /// What its body is, where a type says it.
    pub(in crate::dialect) body: Option<Described>,
    pub(in crate::dialect) answer: Described,
    pub(in crate::dialect) error: Described,
    /// It can be streamed.
    pub(in crate::dialect) streams: bool,
    /// The events of its stream by their names, where they have some; then it answers nothing else.
    pub(in crate::dialect) events: &'static [(&'static str, Described)],
    /// It answers plain text.
    pub(in crate::dialect) is_text: bool,
    /// Parameters of the query, with their types.
    pub(in crate::dialect) query: &'static [(&'static str, &'static str)],
}

pub(in crate::dialect) const GET: Operation = Operation {
    path: "",
    method: "get",
    id: "",
    summary: "",
    request: None,
    body: None,
    answer: object,
    error: of::<ErrorBody<'_>>,
    streams: false,
    events: &[],
    is_text: false,
    query: &[],
};
pub(in crate::dialect) const POST: Operation = Operation { method: "post", ..GET };
const RERANK: Operation = Operation {
    summary: "Rank documents by how well they answer a query",
    request: Some(sample::rerank),
    answer: of::<rerank::Ranking>,
    ..POST
};
const LLAMA: Operation = Operation { streams: true, answer: of::<llama::Completion>, ..POST };
const OLLAMA: Operation = Operation { streams: true, error: of::<ollama::ErrorBody<'_>>, ..POST };
const STORED: &[(&str, &str)] =
    &[("stream", "boolean"), ("starting_after", "integer"), ("include_obfuscation", "boolean")];
const LISTED: &[(&str, &str)] = &[("after", "string"), ("limit", "integer"), ("order", "string")];
const PAGES: &[(&str, &str)] = &[("limit", "integer"), ("after_id", "string"), ("before_id", "string")];
const LOADED: &[(&str, &str)] = &[("model", "string"), ("autoload", "boolean")];
const SLOTS: &[(&str, &str)] =
    &[("model", "string"), ("autoload", "boolean"), ("fail_on_no_slot", "boolean")];

/// All of them.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        path: "/v1/models",
        id: "listModels",
        summary: "List models",
        answer: of::<models::List>,
        query: PAGES,
        ..GET
    },
    Operation {
        path: "/v1/models/{name}",
        id: "getModel",
        summary: "Describe a model",
        answer: of::<models::Model>,
        ..GET
    },
    Operation {
        path: "/v1/chat/completions",
        id: "createChatCompletion",
        summary: "Generate the next message of a chat",
        request: Some(sample::chat),
        answer: of::<answer::Whole<chat_completions::Choice>>,
        streams: true,
        ..POST
    },
    Operation {
        path: "/v1/chat/completions/input_tokens",
        id: "countChatTokens",
        summary: "Count the tokens of a chat",
        request: Some(sample::chat),
        answer: of::<llama::InputTokens>,
        ..POST
    },
    Operation {
        path: "/v1/completions",
        id: "createCompletion",
        summary: "Continue a text",
        request: Some(sample::completion),
        answer: of::<answer::Whole<completions::Choice>>,
        streams: true,
        ..POST
    },
    Operation {
        path: "/v1/embeddings",
        id: "createEmbedding",
        summary: "Turn texts into vectors",
        request: Some(sample::embedding),
        answer: of::<embeddings::Answer>,
        ..POST
    },
    Operation {
        path: "/v1/responses",
        id: "createResponse",
        summary: "Answer items with items",
        request: Some(sample::response),
        streams: true,
        ..POST
    },
    Operation {
        path: "/v1/responses/input_tokens",
        id: "countResponseTokens",
        summary: "Count the tokens of a response's input",
        request: Some(sample::response),
        ..POST
    },
    Operation {
        path: "/v1/responses/{id}",
        id: "getResponse",
        summary: "A stored response",
        streams: true,
        query: STORED,
        ..GET
    },
    Operation {
        path: "/v1/responses/{id}",
        method: "delete",
        id: "deleteResponse",
        summary: "Forget a stored response",
        ..GET
    },
    Operation {
        path: "/v1/responses/{id}/cancel",
        id: "cancelResponse",
        summary: "Cancel a response",
        ..POST
    },
    Operation {
        path: "/v1/responses/{id}/input_items",
        id: "listInputItems",
        summary: "The input of a stored response",
        query: LISTED,
        ..GET
    },
    Operation {
        path: "/v1/messages",
        id: "createMessage",
        summary: "Generate the next message of a conversation, in Anthropic's shape",
        request: Some(sample::message),
        answer: of::<anthropic::Message>,
        error: of::<anthropic::ErrorBody<'_>>,
        streams: true,
        ..POST
    },
    Operation {
        path: "/v1/messages/count_tokens",
        id: "countMessageTokens",
        summary: "Count the tokens of a conversation",
        request: Some(sample::message_to_count),
        answer: of::<anthropic::Counted>,
        error: of::<anthropic::ErrorBody<'_>>,
        ..POST
    },
    Operation { path: "/v1/rerank", id: "rerank", ..RERANK },
    Operation { path: "/rerank", id: "rerankPlain", ..RERANK },
    Operation { path: "/v1/reranking", id: "reranking", ..RERANK },
    Operation { path: "/reranking", id: "rerankingPlain", ..RERANK },
    Operation {
        path: "/tokenize",
        id: "tokenize",
        summary: "The tokens of a text or of a chat",
        request: Some(sample::tokenize),
        answer: of::<llama::Tokenized>,
        ..POST
    },
    Operation {
        path: "/detokenize",
        id: "detokenize",
        summary: "The text of tokens",
        request: Some(sample::detokenize),
        answer: of::<llama::Detokenized>,
        ..POST
    },
    Operation {
        path: "/apply-template",
        id: "applyTemplate",
        summary: "The prompt that a chat becomes",
        request: Some(sample::chat),
        answer: of::<llama::Rendered>,
        ..POST
    },
    Operation {
        path: "/infill",
        id: "infill",
        summary: "Fill a hole in a text",
        request: Some(sample::infill),
        ..LLAMA
    },
    Operation {
        path: "/completion",
        id: "nativeCompletion",
        summary: "Continue a text, in llama.cpp's shape",
        request: Some(sample::native),
        ..LLAMA
    },
    Operation {
        path: "/props",
        id: "getProps",
        summary: "What a model and its worker are",
        answer: of::<llama::Props>,
        query: LOADED,
        ..GET
    },
    Operation {
        path: "/slots",
        id: "listSlots",
        summary: "Which slots are busy",
        answer: of::<Vec<llama::Slot>>,
        query: SLOTS,
        ..GET
    },
    Operation {
        path: "/api/chat",
        id: "ollamaChat",
        summary: "Generate the next message of a chat, in Ollama's shape",
        request: Some(sample::ollama_chat),
        answer: of::<ollama::Line<'_, ollama::ChatSaid>>,
        ..OLLAMA
    },
    Operation {
        path: "/api/generate",
        id: "ollamaGenerate",
        summary: "Answer a prompt, in Ollama's shape",
        request: Some(sample::ollama_generate),
        answer: of::<ollama::Line<'_, ollama::GenerateSaid>>,
        ..OLLAMA
    },
    Operation {
        path: "/api/embed",
        id: "ollamaEmbed",
        summary: "Turn texts into vectors, in Ollama's shape",
        request: Some(sample::ollama_embed),
        answer: of::<ollama::Embedded<'_>>,
        error: of::<ollama::ErrorBody<'_>>,
        ..POST
    },
    Operation {
        path: "/api/embeddings",
        id: "ollamaEmbeddings",
        summary: "Turn a text into a vector, in Ollama's older shape",
        request: Some(sample::ollama_embedding),
        answer: of::<ollama::Embedding>,
        error: of::<ollama::ErrorBody<'_>>,
        ..POST
    },
    Operation {
        path: "/api/tags",
        id: "ollamaTags",
        summary: "List models, in Ollama's shape",
        answer: of::<ollama::Tags>,
        error: of::<ollama::ErrorBody<'_>>,
        ..GET
    },
    Operation {
        path: "/api/show",
        id: "ollamaShow",
        summary: "Describe a model, in Ollama's shape",
        request: Some(sample::ollama_show),
        answer: of::<ollama::Shown>,
        error: of::<ollama::ErrorBody<'_>>,
        ..POST
    },
    Operation {
        path: "/api/ps",
        id: "ollamaPs",
        summary: "List the models that are loaded, in Ollama's shape",
        answer: of::<ollama::Running>,
        error: of::<ollama::ErrorBody<'_>>,
        ..GET
    },
    Operation {
        path: "/api/version",
        id: "ollamaVersion",
        summary: "The version of Ollama whose API this is",
        answer: of::<ollama::Version>,
        error: of::<ollama::ErrorBody<'_>>,
        ..GET
    },
    Operation { path: "/", id: "getDashboard", summary: "The dashboard, a page", is_text: true, ..GET },
    Operation {
        path: "/assets/{name}",
        id: "getDashboardFile",
        summary: "A file of the dashboard",
        is_text: true,
        ..GET
    },
    Operation { path: "/openapi.json", id: "getOpenApi", summary: "This document", ..GET },
    Operation { path: "/health", id: "getHealth", summary: "Whether the server is up", ..GET },
    Operation { path: "/ready", id: "getReady", summary: "Whether the default model can be served", ..GET },
    Operation { path: "/metrics", id: "getMetrics", summary: "Prometheus metrics", is_text: true, ..GET },
];

pub(in crate::dialect) fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// An answer whose fields the type that writes it does not tell.
fn object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object"})
}
