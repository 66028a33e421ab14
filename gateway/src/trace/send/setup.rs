//! What the settings of the way to a collector come down to.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, uri};
use rustls::pki_types::pem;

/// Traces cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TraceError {
    #[error(
        "telemetry.otlp_endpoint is {endpoint:?}; it is the address of a collector, such as \"http://127.0.0.1:4317\""
    )]
    Endpoint { endpoint: String },
    #[error("cannot read the headers for the collector in {}: {source}; check telemetry.otlp_headers", path.display())]
    Headers { path: PathBuf, source: io::Error },
    #[error("line {line} of {} is no header; telemetry.otlp_headers names a file of lines `name: value`", path.display())]
    Header { path: PathBuf, line: usize },
    #[error("cannot read the certificates in {}: {source}; check telemetry.otlp_ca", path.display())]
    Ca { path: PathBuf, source: pem::Error },
    #[error("there is no certificate in {}; telemetry.otlp_ca names a file in PEM", path.display())]
    NoCa { path: PathBuf },
    #[error(
        "the system has no certificates to know the collector by; name those that vouch for it in telemetry.otlp_ca"
    )]
    NoRoots,
}

/// The address of a collector.
pub(super) fn endpoint(text: &str) -> Result<Uri, TraceError> {
    let refused = || TraceError::Endpoint { endpoint: text.to_owned() };
    let uri: Uri = text.parse().map_err(|_| refused())?;
    let is_one = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    is_one.then_some(uri).ok_or_else(refused)
}

/// `path` under the path of `uri`.
pub(super) fn with_path(uri: &Uri, path: &str) -> Result<Uri, TraceError> {
    let mut parts = uri.clone().into_parts();
    let joined = format!("{}/{path}", uri.path().trim_end_matches('/'));
    let refused = || TraceError::Endpoint { endpoint: uri.to_string() };
    parts.path_and_query = Some(uri::PathAndQuery::try_from(joined).map_err(|_| refused())?);
    Uri::from_parts(parts).map_err(|_| refused())
}

/// The headers of a file, a line for each. They may be secrets: no message shows them.
pub(super) fn headers(path: Option<&Path>) -> Result<HeaderMap, TraceError> {
    let Some(path) = path else { return Ok(HeaderMap::new()) };
    let text =
        fs::read_to_string(path).map_err(|source| TraceError::Headers { path: path.to_owned(), source })?;
    let mut headers = HeaderMap::new();
    for (line, text) in (1..).zip(text.lines().map(str::trim)) {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (name, value) = header(text).ok_or_else(|| TraceError::Header { path: path.to_owned(), line })?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    let mut value = HeaderValue::from_str(value.trim()).ok()?;
    value.set_sensitive(true);
    Some((HeaderName::from_bytes(name.trim().as_bytes()).ok()?, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address_of_http() {
        let check = |text: &str, expected: Option<&str>| {
            let found = endpoint(text).and_then(|uri| with_path(&uri, "v1/traces"));
            assert_eq!(found.ok().map(|uri| uri.to_string()).as_deref(), expected, "{text}");
        };
        check("http://127.0.0.1:4318", Some("http://127.0.0.1:4318/v1/traces"));
        check("https://otel.example.org/in/", Some("https://otel.example.org/in/v1/traces"));
        check("127.0.0.1:4317", None);
        check("/tmp/socket", None);
        check("grpc://host:1", None);
        check("", None);
    }

    #[test]
    fn headers_are_lines_and_nothing_shows_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("headers");
        let check = |text: &str, expected: Result<usize, &str>| {
            fs::write(&path, text).unwrap();
            let found = headers(Some(&path));
            assert!(!format!("{found:?}").contains("s3cret"), "{found:?}");
            match (found, expected) {
                (Ok(found), Ok(n)) => assert_eq!(found.len(), n, "{text}"),
                (Err(error), Err(word)) => assert!(error.to_string().contains(word), "{error}"),
                (found, _) => panic!("{text} gave {found:?}"),
            }
        };
        check("", Ok(0));
        check("# none\n\nauthorization: Bearer s3cret\nx-team:\ta\n", Ok(2));
        check("x-a: 1\nauthorization s3cret", Err("line 2"));
        check("two words: s3cret", Err("line 1"));
        let missing = headers(Some(Path::new("/nonexistent/headers"))).unwrap_err().to_string();
        assert!(
            missing.contains("/nonexistent/headers") && missing.contains("telemetry.otlp_headers"),
            "{missing}"
        );
    }
}
