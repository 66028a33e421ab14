//! The answer, written while it is sent: as JSON its vectors are several times as large as in memory.

use std::{convert::Infallible, iter};

use axum::{
    body::Body,
    http::{HeaderValue, header::CONTENT_TYPE},
    response::Response,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream;
use impetus_proto::worker::Embedding;
use schemars::JsonSchema;
use serde::Serialize;

use super::Encoding;
use crate::upstream::Embedded;

/// What stands before the vectors, and what ends the object after them.
const BEGINNING: &[u8] = br#"{"object":"list","data":["#;
const END: &[u8] = b"}";

/// The whole of an answer, for its description: it is written piece by piece.
#[derive(JsonSchema)]
#[schemars(rename = "Embeddings")]
#[expect(dead_code, reason = "it is never in memory as a whole")]
pub(in crate::dialect::openai) struct Answer {
    object: &'static str,
    data: Vec<Item<'static>>,
    model: String,
    usage: Usage,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EmbeddingItem")]
struct Item<'a> {
    object: &'static str,
    index: usize,
    embedding: Values<'a>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EmbeddingValues")]
#[serde(untagged)]
enum Values<'a> {
    Float(&'a [f32]),
    Base64(String),
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EmbeddingUsage")]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// `embedded` as a response.
pub(super) fn response(embedded: Embedded, encoding: Encoding) -> Response {
    let chunks = chunks(embedded, encoding).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(stream::iter(chunks)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The body in pieces, one for each vector and one for what follows them.
fn chunks(embedded: Embedded, encoding: Encoding) -> impl Iterator<Item = Bytes> {
    let total_tokens = embedded.tokens();
    let usage = Usage { prompt_tokens: total_tokens, total_tokens };
    let Embedded { model, embeddings } = embedded;
    let vectors = embeddings.into_iter().enumerate().map(move |(index, embedding)| {
        let before = if index == 0 { BEGINNING } else { b"," };
        write(before, &item(index, &embedding, encoding), b"")
    });
    let rest = iter::once_with(move || {
        let model = write(br#"],"model":"#, &*model, br#","usage":"#);
        [model, write(b"", &usage, END)].concat().into()
    });
    vectors.chain(rest)
}

fn item(index: usize, embedding: &Embedding, encoding: Encoding) -> Item<'_> {
    let values = &embedding.values;
    let embedding = match encoding {
        Encoding::Float => Values::Float(values),
        Encoding::Base64 => {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            Values::Base64(BASE64_STANDARD.encode(bytes))
        }
    };
    Item { object: "embedding", index, embedding }
}

/// JSON with what stands around it.
fn write(before: &[u8], value: &(impl Serialize + ?Sized), after: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(256);
    bytes.put_slice(before);
    serde_json::to_writer((&mut bytes).writer(), value).expect("our own answers serialize into memory");
    bytes.put_slice(after);
    bytes.freeze()
}
