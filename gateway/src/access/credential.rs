//! Where a request carries its key.

use axum::http::{HeaderMap, HeaderName, Uri, header::AUTHORIZATION};
use impetus_proto::{Code, Error};

use super::{Reason, Refused};

/// Headers that hold a key and nothing else.
const PLAIN: [HeaderName; 2] = [HeaderName::from_static("x-api-key"), HeaderName::from_static("api-key")];

/// Names of keys in query strings, as other servers take them.
const QUERY_NAMES: [&str; 6] = ["api_key", "api-key", "apikey", "x-api-key", "access_token", "key"];

/// Every key that the headers carry. Clients that send a made-up one in one header and theirs in another are right with
/// either.
pub(super) fn presented(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let bearers = headers.get_all(AUTHORIZATION).iter().filter_map(|value| bearer(value.as_bytes()));
    let plain =
        PLAIN.into_iter().flat_map(|name| headers.get_all(name)).map(|value| value.as_bytes().trim_ascii());
    bearers.chain(plain).filter(|key| !key.is_empty())
}

/// Query strings end up in the logs of proxies and in histories, so no key is taken from there.
pub(super) fn refuse_in_query(uri: &Uri) -> Result<(), Refused> {
    let parameters = uri.query().unwrap_or_default().split('&');
    let names = parameters.filter_map(|parameter| parameter.split('=').next());
    for name in names {
        if let Some(name) = QUERY_NAMES.into_iter().find(|known| name.eq_ignore_ascii_case(known)) {
            let message = format!(
                "no key is taken from the query string ({name}), which ends up in logs; send it in the header \
                 Authorization: Bearer"
            );
            let error = Error::new(Code::Unauthenticated, message).with_param(name);
            return Err(Refused { reason: Reason::KeyInQuery, error, key: String::new() });
        }
    }
    Ok(())
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = value.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_three_headers() {
        let check = |sent: &[(&str, &str)], expected: &[&str]| {
            let mut headers = HeaderMap::new();
            for (name, value) in sent {
                headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
            }
            let found: Vec<_> = presented(&headers).map(|key| str::from_utf8(key).unwrap()).collect();
            assert_eq!(found, expected, "{sent:?}");
        };
        check(&[], &[]);
        check(&[("authorization", "Bearer one")], &["one"]);
        check(&[("authorization", "bEARER   one ")], &["one"]);
        check(&[("authorization", "Bearer "), ("authorization", "Basic one")], &[]);
        check(&[("x-api-key", "one"), ("api-key", " two")], &["one", "two"]);
        check(&[("x-api-key", "dummy"), ("Authorization", "Bearer one")], &["one", "dummy"]);
    }

    #[test]
    fn no_key_is_taken_from_a_query() {
        let check = |uri: &str, expected: Option<&str>| {
            let refused = refuse_in_query(&uri.parse().unwrap()).err();
            assert_eq!(refused.as_ref().map(|refused| refused.error.param.as_str()), expected, "{uri}");
            assert!(refused.is_none_or(|refused| !refused.error.message.contains("sk-")));
        };
        check("/v1/models", None);
        check("/v1/models?api-version=2024-10-21&beta=true", None);
        check("/v1/models?API_KEY=sk-1", Some("api_key"));
        check("/v1/models?a=b&key=sk-1", Some("key"));
        check("/v1/models?monkey=1", None);
    }
}
