//! Requests with nothing to answer: the model is loaded, or unloaded.

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_stream::stream;
use axum::{
    Json,
    body::Body,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use impetus_proto::Error;
use tokio::time::{Instant, timeout};

use super::{
    answer::Asking,
    error::ErrorBody,
    line::{Line, Piece},
    params::{Endpoint, Params},
    stream::{line, lines_of},
};
use crate::upstream::{self, Caller};

/// A model that is to go as soon as nobody uses it.
const AT_ONCE: i64 = 0;

/// Loads the model, or lets it go. A streamed answer begins after a while even so, and is never silent for longer.
pub(super) async fn answer<E: Endpoint>(asking: &Arc<Asking>, params: &Params) -> Result<Response, Error> {
    let (model, keep_alive) = (asking.named.shown.clone(), params.keep_alive);
    let silence = asking.gateway.limits.keep_alive;
    let asking = asking.clone();
    let mut loading =
        Box::pin(async move { load(&asking, keep_alive).await.map_err(|error| asking.named.worded(error)) });
    let first = if params.is_streamed {
        timeout(silence, &mut loading).await.ok()
    } else {
        Some(loading.as_mut().await)
    };
    if let Some(done) = first {
        return Ok(Json(Line::end(&model, E::said(Piece::default()), done?, None)).into_response());
    }
    let lines = stream! {
        let done = loop {
            yield line(&Line::piece(&model, E::said(Piece::default()), Vec::new()));
            if let Ok(done) = timeout(silence, &mut loading).await {
                break done;
            }
        };
        yield match done {
            Ok(reason) => line(&Line::end(&model, E::said(Piece::default()), reason, None)),
            Err(error) => line(&ErrorBody::of(&error.into())),
        };
    };
    Ok(lines_of(Body::from_stream(lines.map(Ok::<_, Infallible>))))
}

/// Loads the model, or lets it go where it is not to stay; the word for what was done.
pub(super) async fn load(asking: &Asking, keep_alive: Option<i64>) -> Result<&'static str, Error> {
    let goes = keep_alive == Some(AT_ONCE);
    // A model that goes need not come for it.
    if !goes || matches!(asking.named.status.state.as_str(), "ready" | "loading") {
        let (id, model) = (asking.record.id().clone(), asking.named.model.clone());
        upstream::describe(&asking.gateway.upstream, Caller { id, model, keep_alive }).await?;
    }
    Ok(if goes { "unload" } else { "load" })
}

/// Waits until a worker has the model, where none is known to have it; answers for how long.
pub(super) async fn wait(asking: &Asking) -> Result<Duration, Error> {
    if asking.named.is_loaded() {
        return Ok(Duration::ZERO);
    }
    let begun = Instant::now();
    let (id, model) = (asking.record.id().clone(), asking.named.model.clone());
    upstream::describe(&asking.gateway.upstream, Caller { id, model, keep_alive: None }).await?;
    Ok(begun.elapsed())
}
