//! A streamed answer: a piece for each event that says something, then the whole without its text. llama.cpp's own
//! streams have no `[DONE]`.

use std::{convert::Infallible, time::Duration};

use async_stream::stream;
use bytes::Bytes;
use futures::Stream;
use impetus_proto::Error;

use super::{is_said, params::Params, watch::Watch};
use crate::{
    dialect::{frames::frame, openai::error::ErrorBody, silence::Silence},
    error::Failure,
    upstream::Event,
};

/// The body of a streamed answer, which is never silent for longer than `keep_alive`. `first` is what was said before
/// the head.
pub(super) fn body(
    params: Params,
    mut watch: Watch,
    first: Option<Event>,
    mut events: impl Stream<Item = Result<Event, Error>> + Send + Unpin + 'static,
    keep_alive: Duration,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    stream! {
        if let Some(event) = first {
            watch.take(event);
        }
        let mut silence = Silence::new(keep_alive);
        while !watch.is_over() {
            let (text, is_piece) = match silence.next(&mut events).await {
                None => (String::new(), true),
                Some(Some(Ok(event))) => {
                    let is_said = is_said(&event);
                    let added = watch.take(event);
                    let is_piece = is_said && !added.text.is_empty();
                    (added.text, is_piece)
                }
                Some(failed) => {
                    drop(events);
                    let failure = failed.and_then(Result::err).map_or_else(Failure::defect, |error| {
                        Failure::from(params.named(error))
                    });
                    yield Ok(frame(&ErrorBody::of(&failure)));
                    return;
                }
            };
            if is_piece {
                yield Ok(frame(&watch.piece(text)));
                silence.is_broken();
            }
        }
        // What goes on beyond the end is cancelled.
        drop(events);
        match params.chosen(&watch.answer(&params).without_text()) {
            Ok(whole) => yield Ok(frame(&whole)),
            Err(error) => yield Ok(frame(&ErrorBody::of(&error.into()))),
        }
    }
}
