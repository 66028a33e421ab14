//! The trace that a client's request belongs to, as W3C Trace Context has it: <https://www.w3.org/TR/trace-context/>.

use axum::http::HeaderMap;

use super::span::SpanId;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The most of `tracestate` that is passed on, in bytes.
const MAX_STATE_BYTES: usize = 512;

/// The span of a client that a request is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: SpanId,
    /// The client records its part.
    pub(super) is_sampled: bool,
    /// What other systems have to say of the trace; passed on as it is.
    pub(super) state: String,
}

impl Parent {
    /// The client's context. What is not one is as if it were not there, as the standard has it.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(TRACEPARENT).iter();
        let (Some(only), None) = (all.next(), all.next()) else { return None };
        let mut parent = Self::parse(only.to_str().ok()?)?;
        parent.state = state(headers).unwrap_or_default();
        Some(parent)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let [version] = hex::<1>(fields.next()?)?;
        let trace_id = hex::<16>(fields.next()?)?;
        let span_id = hex::<8>(fields.next()?)?;
        let [flags] = hex::<1>(fields.next()?)?;
        // Later versions may have further fields; this one has none, and 255 is no version.
        let is_known = version != 0xff && (version != 0 || fields.next().is_none());
        let is_one = is_known && trace_id != [0; 16] && span_id != [0; 8];
        is_one.then(|| Self { trace_id, span_id, is_sampled: flags & 1 == 1, state: String::new() })
    }
}

fn state(headers: &HeaderMap) -> Option<String> {
    let texts: Result<Vec<_>, _> = headers.get_all(TRACESTATE).iter().map(|value| value.to_str()).collect();
    Some(texts.ok()?.join(",")).filter(|state| state.len() <= MAX_STATE_BYTES)
}

/// Bytes from as many pairs of lower-case hexadecimal digits.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    let pairs = text.as_bytes().chunks_exact(2);
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn only_what_the_standard_knows_is_a_context() {
        let check = |text: &str, expected: Option<bool>| {
            let parent = Parent::parse(text);
            assert_eq!(parent.as_ref().map(|parent| parent.is_sampled), expected, "{text}");
            if let Some(parent) = parent {
                assert_eq!(
                    (parent.trace_id[0], parent.span_id),
                    (0x0a, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31])
                );
            }
        };
        let of = |version: &str, rest: &str| format!("{version}-{TRACE}-b7ad6b7169203331-{rest}");
        check(&of("00", "01"), Some(true));
        check(&of("00", "00"), Some(false));
        check(&of("00", "ff"), Some(true));
        check(&of("01", "01-more"), Some(true));
        check(&of("00", "01-more"), None);
        check(&of("ff", "01"), None);
        check(&of("0", "01"), None);
        check(&of("00", "1"), None);
        check(&format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()), None);
        check(&format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)), None);
        check(&format!("00-{TRACE}-{}-01", "0".repeat(16)), None);
        check(&format!("00-{TRACE}-b7ad6b716920333-01"), None);
        check("", None);
        check("äöü", None);
    }

    #[test]
    fn the_state_is_passed_on_where_it_is_not_too_long_and_two_parents_are_none() {
        let headers = |names: &[(&'static str, &str)]| -> HeaderMap {
            names.iter().fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(*name, HeaderValue::from_str(value).unwrap());
                headers
            })
        };
        let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
        let check = |names: &[(&'static str, &str)], expected: Option<&str>| {
            let found = Parent::of(&headers(names));
            assert_eq!(found.as_ref().map(|parent| parent.state.as_str()), expected, "{names:?}");
        };
        let long = "x".repeat(513);
        check(&[], None);
        check(&[("traceparent", &parent)], Some(""));
        check(&[("traceparent", &parent), ("tracestate", "a=1"), ("tracestate", "b=2")], Some("a=1,b=2"));
        check(&[("traceparent", &parent), ("tracestate", &long)], Some(""));
        check(&[("traceparent", &parent), ("traceparent", &parent)], None);
        check(&[("tracestate", "a=1")], None);
    }
}
