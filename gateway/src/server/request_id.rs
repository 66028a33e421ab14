//! The id that follows a request through every process and log.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};

/// The header that carries the id, in requests and answers.
pub(super) const HEADER: HeaderName = HeaderName::from_static(impetus_proto::REQUEST_ID);

/// The longest id taken from a client, in bytes.
const MAX_BYTES: usize = 128;

/// The client's id where it is fit for logs and headers, else a new one.
pub(super) fn of(headers: &HeaderMap) -> Arc<str> {
    headers
        .get(HEADER)
        .and_then(|value| value.to_str().ok())
        .filter(|id| is_sane(id))
        .map_or_else(|| format!("req_{:032x}", rand::random::<u128>()).into(), Into::into)
}

fn is_sane(id: &str) -> bool {
    (1..=MAX_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sane_ids_are_taken() {
        let check = |sent: Option<&[u8]>, taken: bool| {
            let mut headers = HeaderMap::new();
            if let Some(sent) = sent {
                headers.insert(HEADER, axum::http::HeaderValue::from_bytes(sent).unwrap());
            }
            let id = of(&headers);
            assert_eq!(sent == Some(id.as_bytes()), taken, "{sent:?} gave {id}");
            assert!(is_sane(&id));
        };
        check(None, false);
        check(Some(b"abc-1.2:3/4"), true);
        check(Some(b""), false);
        check(Some(b"two words"), false);
        check(Some("grün".as_bytes()), false);
        check(Some(&[b'x'; 128]), true);
        check(Some(&[b'x'; 129]), false);
    }

    #[test]
    fn new_ids_differ() {
        assert_ne!(of(&HeaderMap::new()), of(&HeaderMap::new()));
    }
}
