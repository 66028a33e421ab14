//! What the fake's worker makes of inputs: vectors that tell which input they are of.

use impetus_proto::worker::{EmbedInput, EmbedReply, EmbedRequest, Embedding, Tokens, embed_input::Input};

use super::{Call, MODEL};

/// Bytes or tokens of an input beyond which it is cut.
pub(crate) const LIMIT: usize = 1000;

/// What a worker does in one `Embed` call.
pub(crate) type Embed = Call<EmbedReply>;

pub(crate) fn text(text: impl Into<String>) -> EmbedInput {
    EmbedInput { input: Some(Input::Text(text.into())) }
}

pub(crate) fn tokens(ids: &[u32]) -> EmbedInput {
    EmbedInput { input: Some(Input::Tokens(Tokens { ids: ids.to_vec() })) }
}

/// What the worker makes of an input.
pub(crate) fn vector(input: &EmbedInput) -> Embedding {
    let (size, sum) = match &input.input {
        Some(Input::Text(text)) => (text.len(), text.bytes().map(u32::from).sum()),
        Some(Input::Tokens(tokens)) => (tokens.ids.len(), tokens.ids.iter().sum::<u32>()),
        None => (0, 0),
    };
    let values = vec![0.1, -1.0 / sum as f32, size as f32];
    Embedding { values, tokens: size.min(LIMIT) as u32, truncated: size > LIMIT }
}

/// The worker's true answer.
pub(super) fn reply(request: &EmbedRequest) -> EmbedReply {
    let mut embeddings: Vec<Embedding> = request.inputs.iter().map(vector).collect();
    if request.dimensions > 0 {
        for embedding in &mut embeddings {
            embedding.values.truncate(request.dimensions as usize);
        }
    }
    EmbedReply { model: MODEL.into(), embeddings }
}
