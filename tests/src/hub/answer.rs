//! A content, or a part of one, as it goes out: piece by piece, no further than is allowed.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use futures::stream;

use super::{Inner, lock};

/// What goes out at once.
const PIECE_BYTES: usize = 4 << 10;

/// What is left of a content.
struct Going {
    hub: Arc<Inner>,
    rest: Bytes,
    cut: Option<usize>,
}

/// Answers a request for a content.
pub(super) fn content(hub: &Arc<Inner>, tag: &str, file: &Bytes, headers: &HeaderMap) -> Response {
    let total = file.len();
    let (asked, cut, flip, without_ranges, without_tags) = {
        let mut faults = lock(&hub.faults);
        let asked = headers.get(header::RANGE).and_then(|range| range_of(range.to_str().ok()?, total));
        let asked = asked.filter(|_| !faults.without_ranges);
        let (from, to) = asked.unwrap_or((0, total));
        (asked, faults.cut(), faults.flip(from as u64, to as u64), faults.without_ranges, faults.without_tags)
    };
    let (from, to) = asked.unwrap_or((0, total));
    let mut part = file.slice(from..to);
    if let Some(at) = flip {
        let mut changed = BytesMut::from(part.as_ref());
        if let Some(byte) = usize::try_from(at).ok().and_then(|at| changed.get_mut(at - from)) {
            *byte ^= 0xff;
        }
        part = changed.freeze();
    }
    let length = part.len();
    let body = Body::from_stream(stream::try_unfold(Going { hub: hub.clone(), rest: part, cut }, next));
    let mut answer = ([(header::CONTENT_LENGTH, length.to_string())], body).into_response();
    if !without_tags {
        let tag = format!("\"{tag}-{total}\"").parse().expect("it is ASCII");
        answer.headers_mut().insert(header::ETAG, tag);
    }
    if asked.is_some() {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes {from}-{}/{total}", to.saturating_sub(1));
        answer.headers_mut().insert(header::CONTENT_RANGE, range.parse().expect("it is ASCII"));
    } else if !without_ranges {
        answer.headers_mut().insert(header::ACCEPT_RANGES, header::HeaderValue::from_static("bytes"));
    }
    answer
}

async fn next(mut going: Going) -> Result<Option<(Bytes, Going)>, std::io::Error> {
    if going.rest.is_empty() {
        return Ok(None);
    }
    if going.cut == Some(0) {
        return Err(std::io::ErrorKind::ConnectionReset.into());
    }
    let mut most = PIECE_BYTES.min(going.rest.len()).min(going.cut.unwrap_or(usize::MAX));
    // No more than is allowed goes out, whoever else goes out meanwhile.
    let mut allowed = going.hub.allowed.subscribe();
    loop {
        let limit = *allowed.borrow_and_update();
        let mut taken = 0;
        going.hub.served.send_if_modified(|served| {
            let room = limit.map_or(u64::MAX, |limit| limit.saturating_sub(*served));
            taken = most.min(usize::try_from(room).unwrap_or(usize::MAX));
            *served += taken as u64;
            taken > 0
        });
        if taken > 0 {
            most = taken;
            break;
        }
        if allowed.changed().await.is_err() {
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
    }
    let piece = going.rest.split_to(most);
    going.cut = going.cut.map(|cut| cut - most);
    Ok(Some((piece, going)))
}

/// First byte and the one after the last.
fn range_of(range: &str, total: usize) -> Option<(usize, usize)> {
    let (from, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (from, last): (usize, usize) = (from.parse().ok()?, last.parse().ok()?);
    (from <= last && from < total).then(|| (from, (last + 1).min(total)))
}
