//! What workers say of a response.

use futures::StreamExt;
use impetus_proto::{Code, worker::generate_request::Input};

use super::conversation::shorten;
use crate::upstream::{Events, Request, Upstream, generate};
use std::sync::Arc;

/// Generates; where the conversation may be truncated and is too long, what is oldest in it is left out until it fits.
pub(super) fn begin(upstream: Arc<Upstream>, request: Request, is_truncated: bool) -> Events {
    if !is_truncated {
        return generate(upstream, request);
    }
    let mut request = request;
    Box::pin(async_stream::try_stream! {
        loop {
            let mut events = generate(upstream.clone(), request.clone());
            match events.next().await {
                Some(Err(error)) if error.code() == Code::ContextLengthExceeded && shortened(&mut request) => {}
                first => {
                    if let Some(first) = first {
                        yield first?;
                    }
                    while let Some(event) = events.next().await {
                        yield event?;
                    }
                    return;
                }
            }
        }
    })
}

fn shortened(request: &mut Request) -> bool {
    match &mut request.generate.input {
        Some(Input::Chat(chat)) => shorten(&mut chat.messages),
        _ => false,
    }
}
