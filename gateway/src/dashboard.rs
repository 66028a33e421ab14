//! The dashboard: a page and its files, embedded when the program was built from `dashboard/dist`, if that was there. It
//! needs no key; what it shows it asks of `/admin` with the key that somebody gives it.

use axum::{
    extract::Path,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
            IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
    routing::get,
};

use crate::{access::Need, dialect::Refusal, error::Failure, server::Routes};

/// What the page may do: its own scripts, its own server, and nothing else. Its library of controls writes style sheets
/// into the page, so those may be anything.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; \
                      worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// The page's own file.
const INDEX: &str = "index.html";

/// What `GET /` says where no page was built in.
const PLAIN: &str = include_str!("dashboard/plain.html");

/// A file of the page.
#[derive(Debug)]
struct File {
    /// Within `dist`, with slashes.
    path: &'static str,
    /// Of its content, in quotes.
    tag: &'static str,
    plain: &'static [u8],
    gzip: Option<&'static [u8]>,
    brotli: Option<&'static [u8]>,
}

// `FILES`, by path.
include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// The paths of the page.
pub(crate) fn routes() -> Routes {
    Routes::new().route_for(Need::Nothing, "/", get(index)).route_for(
        Need::Nothing,
        "/assets/{name}",
        get(asset),
    )
}

async fn index(headers: HeaderMap) -> Response {
    let plain = File { path: INDEX, tag: "\"plain\"", plain: PLAIN.as_bytes(), gzip: None, brotli: None };
    answer(find(FILES, INDEX).unwrap_or(&plain), &headers)
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    let path = format!("assets/{name}");
    let file = find(FILES, &path).ok_or_else(|| Refusal(Failure::no_such_path(&format!("/{path}"))))?;
    Ok(answer(file, &headers))
}

fn find<'a>(files: &'a [File], path: &str) -> Option<&'a File> {
    files.iter().find(|file| file.path == path)
}

fn answer(file: &File, asked: &HeaderMap) -> Response {
    let is_known = asked.get(IF_NONE_MATCH).is_some_and(|tags| names(tags, file.tag));
    let (encoding, body) = file.encoded_for(asked);
    let mut response = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { body.into_response() };
    let headers = response.headers_mut();
    let mut set =
        |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    set(CONTENT_TYPE, kind(file.path));
    set(ETAG, file.tag);
    // The names of assets have a digest of what is in them.
    let is_asset = file.path.starts_with("assets/");
    set(CACHE_CONTROL, if is_asset { "public, max-age=31536000, immutable" } else { "no-cache" });
    set(VARY, "accept-encoding");
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(REFERRER_POLICY, "no-referrer");
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(PERMISSIONS, "camera=(), geolocation=(), microphone=()");
    set(OPENER, "same-origin");
    if let Some(encoding) = encoding.filter(|_| !is_known) {
        set(CONTENT_ENCODING, encoding);
    }
    response
}

impl File {
    /// The smallest form that the client takes, and its name.
    fn encoded_for(&self, asked: &HeaderMap) -> (Option<&'static str>, &'static [u8]) {
        let forms = [("br", self.brotli), ("gzip", self.gzip)];
        let taken =
            forms.into_iter().find_map(|(name, bytes)| Some((name, bytes.filter(|_| takes(asked, name))?)));
        taken.map_or((None, self.plain), |(name, bytes)| (Some(name), bytes))
    }
}

/// Whether the client takes this encoding, as `Accept-Encoding` says; a quality of zero is a refusal.
fn takes(asked: &HeaderMap, encoding: &str) -> bool {
    let values = asked.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|choice| {
        let mut parts = choice.split(';').map(str::trim);
        let is_it = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f64>().ok());
        is_it && quality.is_none_or(|quality| quality > 0.0)
    })
}

/// Whether a list of tags has this one.
fn names(tags: &HeaderValue, tag: &str) -> bool {
    let Ok(tags) = tags.to_str() else { return false };
    tags.split(',')
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == tag || known == "*")
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, suffix)| suffix) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
