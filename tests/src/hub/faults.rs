//! What goes wrong with a hub.

use std::collections::HashMap;

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

/// Each is used up by the requests that it befalls.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Requests for contents that are put off, for so many seconds.
    pub put_off: Option<(u32, u64)>,
    /// Requests for contents that fail with 500.
    pub errors: u32,
    /// Contents whose connection is cut after so many bytes.
    pub cut: Option<(u32, usize)>,
    /// Contents in which the byte at this place of the file comes as another.
    pub flip: Option<(u32, u64)>,
    /// Files come as a whole, whatever part was asked for.
    pub without_ranges: bool,
    /// Nothing tells one state of a file from another.
    pub without_tags: bool,
    /// Requests after which a link that was given no longer holds.
    pub link_uses: Option<u32>,
    /// What became of links so far.
    pub links: Links,
}

/// Links that were given.
#[derive(Debug, Clone, Default)]
pub struct Links {
    given: u64,
    /// How often each was used, by its query.
    uses: HashMap<String, u32>,
}

impl Faults {
    /// The answer to the next request for this path, if that fails.
    pub(super) fn next(&mut self, path: &str) -> Option<Response> {
        if path.starts_with("/api/") {
            return None;
        }
        if let Some((left, seconds)) = self.put_off.filter(|(left, _)| *left > 0) {
            self.put_off = Some((left - 1, seconds));
            let when = [(header::RETRY_AFTER, seconds.to_string())];
            return Some((StatusCode::TOO_MANY_REQUESTS, when).into_response());
        }
        if self.errors > 0 {
            self.errors -= 1;
            return Some(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        }
        None
    }

    /// A link to a content.
    pub(super) fn link(&mut self) -> u64 {
        self.links.given += 1;
        self.links.given
    }

    /// Whether this link still holds.
    pub(super) fn holds(&mut self, query: &str) -> bool {
        let Some(most) = self.link_uses else { return true };
        let uses = self.links.uses.entry(query.to_owned()).or_default();
        *uses += 1;
        *uses <= most
    }

    /// Where the next content is cut.
    pub(super) fn cut(&mut self) -> Option<usize> {
        take(&mut self.cut)
    }

    /// The byte of it that comes as another, if it is in this range.
    pub(super) fn flip(&mut self, from: u64, to: u64) -> Option<u64> {
        let is_in = self.flip.is_some_and(|(_, at)| (from..to).contains(&at));
        if is_in { take(&mut self.flip) } else { None }
    }
}

fn take<T: Copy>(fault: &mut Option<(u32, T)>) -> Option<T> {
    let (left, what) = fault.filter(|(left, _)| *left > 0)?;
    *fault = Some((left - 1, what));
    Some(what)
}
