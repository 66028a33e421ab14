//! What the fake's worker does in a call that one message answers, and its true answers.

use impetus_proto::{
    Error,
    worker::{
        Description, DetokenizeReply, DetokenizeRequest, RerankReply, RerankRequest, Score, Stats, Task,
        TokenizeReply, TokenizeRequest, tokenize_request::Input,
    },
};

use super::MODEL;

/// What a worker does in one call.
#[derive(Debug, Clone)]
pub(crate) enum Call<R> {
    /// Answer, truly.
    Answer,
    /// Answer what is no answer to the request.
    Lie(fn(&mut R)),
    /// Fail with an error of ours.
    Fail(Error),
    /// Fail as the transport does when the process is gone, and lose the lease with it.
    Die,
    /// The same, by the worker's own doing.
    Crash,
    /// Say nothing until the caller leaves.
    Stall,
}

/// The token that begins a text, whose bytes are its other tokens.
pub(crate) const BEGIN: u32 = 1;

/// What the worker says that it reads of a request, a token for each byte.
pub(super) fn tokenized(request: &TokenizeRequest) -> TokenizeReply {
    let prompt = match &request.input {
        Some(Input::Text(text)) => text.clone(),
        Some(Input::Chat(chat)) => {
            let said = chat.messages.iter().map(|message| format!("{}: {}\n", message.role, message.content));
            said.chain((!chat.continue_last).then(|| "assistant:".to_owned())).collect()
        }
        Some(Input::Infill(infill)) => format!("<P>{}<S>{}<M>", infill.prefix, infill.suffix),
        None => String::new(),
    };
    let begin = (!request.bare).then_some(BEGIN);
    let tokens: Vec<u32> = begin.into_iter().chain(prompt.bytes().map(u32::from)).collect();
    let pieces = tokens.iter().map(|&token| if token == BEGIN { Vec::new() } else { vec![token as u8] });
    let pieces = pieces.collect();
    TokenizeReply { model: MODEL.into(), tokens, prompt, pieces }
}

/// The bytes that the tokens are, as text.
pub(super) fn detokenized(request: &DetokenizeRequest) -> DetokenizeReply {
    let bytes: Vec<u8> = request.tokens.iter().map(|&token| token as u8).collect();
    DetokenizeReply { model: MODEL.into(), text: String::from_utf8_lossy(&bytes).into_owned() }
}

/// What the worker says of itself.
pub(super) fn description() -> Description {
    Description {
        model: MODEL.into(),
        format: "gguf".into(),
        engine: "fake 1".into(),
        architecture: "llama".into(),
        context_tokens: 2048,
        trained_context_tokens: 4096,
        vocabulary: 256,
        slots: 2,
        chat_template: true,
        task: Task::Generate.into(),
        infill: true,
        tools: true,
        output_format: "hermes".into(),
        chat_template_source: "{{ messages }}".into(),
        begin_text: "<s>".into(),
        end_text: "</s>".into(),
        ..Description::default()
    }
}

/// What the worker does: one of its slots is busy.
pub(super) fn stats() -> Stats {
    Stats { model: MODEL.into(), slots_busy: 1, slots_total: 2, ..Stats::default() }
}

/// The score of a document: the share of the query's bytes that it has.
pub(crate) fn score(query: &str, document: &str) -> Score {
    let n_common = query.bytes().filter(|byte| document.as_bytes().contains(byte)).count();
    let tokens = (query.len() + document.len()) as u32;
    Score { value: n_common as f32 / query.len() as f32, tokens, truncated: document.len() > 1000 }
}

/// The scores of all documents.
pub(super) fn ranked(request: &RerankRequest) -> RerankReply {
    let scores = request.documents.iter().map(|document| score(&request.query, document)).collect();
    RerankReply { model: MODEL.into(), scores }
}
