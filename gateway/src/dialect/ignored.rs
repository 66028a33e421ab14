//! The fields that no API defines: accepted, and named to the client in a header.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::field::Fields;

const HEADER: HeaderName = HeaderName::from_static("x-impetus-ignored");

/// The most names listed, and the longest name in bytes.
const MAX_NAMES: usize = 16;
const MAX_NAME_BYTES: usize = 64;

/// Names of fields that had no effect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ignored(Vec<String>);

impl Ignored {
    /// Adds what nobody took of an object, under `prefix` (empty, or ending in a dot).
    pub(super) fn add(&mut self, prefix: &str, fields: &Fields<'_>) {
        for name in fields.rest() {
            self.name(prefix, name);
        }
    }

    /// Adds one name, under `prefix`.
    pub(super) fn name(&mut self, prefix: &str, name: &str) {
        let name = sanitise(prefix, name);
        if self.0.len() < MAX_NAMES && !self.0.contains(&name) {
            self.0.push(name);
        }
    }

    /// Leaves out a name that had an effect after all.
    pub(super) fn forget(&mut self, name: &str) {
        self.0.retain(|known| known != name);
    }

    /// Names them in an answer's head.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        if let Ok(value) = HeaderValue::from_str(&self.0.join(",")) {
            headers.insert(HEADER, value);
        }
    }
}

fn sanitise(prefix: &str, name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '?' };
    prefix.chars().chain(name.chars().map(safe)).take(MAX_NAME_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_fit_for_a_header() {
        let check = |body: &str, expected: Option<&str>| {
            let mut ignored = Ignored::default();
            ignored.add("", &Fields::of_body(body.as_bytes()).unwrap());
            let mut headers = HeaderMap::new();
            ignored.write(&mut headers);
            assert_eq!(headers.get(HEADER).map(|value| value.to_str().unwrap()), expected, "{body}");
        };
        check("{}", None);
        check(r#"{"a":1,"b-c":2}"#, Some("a,b-c"));
        check(r#"{"a":1,"a":2}"#, Some("a"));
        check(r#"{"x\r\nset-cookie: y":1,"größe":2,"a,b":3}"#, Some("x??set-cookie??y,gr??e,a?b"));
        check(&format!(r#"{{"{}":1}}"#, "n".repeat(500)), Some("n".repeat(64).as_str()));
        let many: Vec<String> = (0..40).map(|i| format!(r#""f{i:02}":0"#)).collect();
        let first: Vec<String> = (0..16).map(|i| format!("f{i:02}")).collect();
        check(&format!("{{{}}}", many.join(",")), Some(&first.join(",")));
    }
}
