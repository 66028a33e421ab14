//! Reading a request's body within its limits.

mod shape;

use axum::{
    body::Body,
    http::{
        HeaderMap, Request,
        header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, ORIGIN},
    },
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::Limits;
use crate::error::Failure;

/// What a body may take at once on the word of its `Content-Length`, in bytes.
const TRUSTED_BYTES: usize = 64 << 10;

/// The whole body, or why not.
pub(crate) async fn read(request: Request<Body>, limits: Limits) -> Result<Bytes, Failure> {
    refuse_other_types(request.headers())?;
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let waits_for_continue = request.headers().contains_key(EXPECT);
    let limit = limits.max_body_bytes;
    let mut body = request.into_body();
    let read = async {
        // A client that waits for "100 Continue" gets it with the first read; this one is not to send anything.
        if waits_for_continue && announced.is_some_and(|length| length > limit) {
            return Err(Failure::body_too_large(limit));
        }
        if let Some(bytes) = collect(&mut body, announced, limit).await? {
            return Ok(bytes);
        }
        discard(&mut body, limit).await;
        Err(Failure::body_too_large(limit))
    };
    let seconds = limits.body_timeout.as_secs();
    let bytes =
        timeout(limits.body_timeout, read).await.unwrap_or_else(|_| Err(Failure::body_too_slow(seconds)))?;
    shape::check(&bytes, limits.max_depth, limits.max_messages)?;
    Ok(bytes)
}

/// A page of another site can have a browser send a form without asking first, but no JSON. A browser says from where
/// such a request comes; what says nothing of it is a program, and the type that `curl -d` makes up means nothing.
fn refuse_other_types(headers: &HeaderMap) -> Result<(), Failure> {
    if !headers.contains_key(ORIGIN) {
        return Ok(());
    }
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let text = value.to_str().unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"));
    if is_json { Ok(()) } else { Err(Failure::body_not_json(&kind)) }
}

/// `None` when the body is longer than `limit`.
async fn collect(body: &mut Body, announced: Option<usize>, limit: usize) -> Result<Option<Bytes>, Failure> {
    if announced.is_some_and(|length| length > limit) {
        return Ok(None);
    }
    let mut bytes = BytesMut::with_capacity(announced.unwrap_or_default().min(TRUSTED_BYTES));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::body_broken(&error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limit - bytes.len() {
            return Ok(None);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Some(bytes.freeze()))
}

/// Reads on for a while: many clients do not look for an answer before they have sent everything, and closing on
/// them would reset the connection under the answer.
async fn discard(body: &mut Body, limit: usize) {
    let mut left = limit;
    while let Some(Ok(frame)) = body.frame().await {
        let n_bytes = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(n_bytes) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
