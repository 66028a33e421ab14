//! The web page that a request comes from, which browsers name in `Origin`. Programs are no pages and name none.

use std::time::Duration;

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{HOST, ORIGIN},
    request::Parts,
};
use impetus_config::CorsConfig;
use impetus_proto::Code;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::{Reason, Refused};
use crate::glob;

/// The methods that any route takes.
const METHODS: [Method; 3] = [Method::GET, Method::POST, Method::DELETE];

/// Pages that may ask from elsewhere.
#[derive(Debug)]
pub(super) struct Origins {
    patterns: Vec<String>,
    max_age: Duration,
}

impl Origins {
    pub(super) fn new(config: &CorsConfig) -> Self {
        let patterns = config.origins.iter().map(|origin| origin.to_ascii_lowercase()).collect();
        Self { patterns, max_age: Duration::from_secs(config.max_age_s) }
    }

    /// Refuses pages from elsewhere that are not listed. For one that is, what its browser has to be told.
    pub(super) fn check(&self, head: &Parts) -> Result<Option<CorsLayer>, Refused> {
        let mut origins = head.headers.get_all(ORIGIN).iter();
        let (Some(origin), None) = (origins.next(), origins.next()) else {
            let is_of_page = head.headers.contains_key(ORIGIN) || is_of_other_page(&head.headers);
            return if is_of_page { Err(refused("several or none")) } else { Ok(None) };
        };
        let text = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        if is_own(&text, head) {
            return Ok(None);
        }
        if self.patterns.iter().any(|pattern| glob::matches(pattern, &text)) {
            return Ok(Some(self.layer(origin.clone())));
        }
        Err(refused(&text))
    }

    fn layer(&self, origin: HeaderValue) -> CorsLayer {
        let exposed = [
            "x-request-id",
            "x-impetus-ignored",
            "x-impetus-truncated",
            "x-should-retry",
            "retry-after",
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
            "x-ratelimit-limit-tokens",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
        ];
        CorsLayer::new()
            .allow_origin(AllowOrigin::exact(origin))
            .allow_methods(METHODS)
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(exposed.map(HeaderName::from_static))
            .allow_private_network(true)
            .max_age(self.max_age)
    }
}

/// Whether a browser says that a page from elsewhere asks, which it does also where it names no origin: for a picture, a
/// script, a frame. A page that is opened for a person to see may be of another site's making.
fn is_of_other_page(headers: &HeaderMap) -> bool {
    let says = |name: &str, values: &[&[u8]]| {
        headers.get(name).is_some_and(|said| values.contains(&said.as_bytes()))
    };
    let is_opened = says("sec-fetch-mode", &[b"navigate"]) && says("sec-fetch-dest", &[b"document"]);
    says("sec-fetch-site", &[b"cross-site", b"same-site"]) && !is_opened
}

/// Whether the page came from this server itself.
fn is_own(origin: &str, head: &Parts) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let bare =
        |authority: &str| authority.strip_suffix(default_port).unwrap_or(authority).to_ascii_lowercase();
    let asked = match head.headers.get(HOST) {
        Some(host) => host.to_str().ok(),
        None => head.uri.authority().map(axum::http::uri::Authority::as_str),
    };
    matches!(scheme, "http" | "https") && asked.is_some_and(|asked| bare(asked) == bare(authority))
}

fn refused(origin: &str) -> Refused {
    let shown: String = origin.chars().take(100).collect();
    let message = format!(
        "pages of the origin {shown:?} may not use this server; have it listed in gateway.cors.origins if they are to"
    );
    Refused::new(Reason::Origin, Code::Forbidden, message)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[test]
    fn pictures_and_frames_of_other_pages_are_refused() {
        let check = |site: &str, mode: &str, dest: &str, is_allowed: bool| {
            let request =
                Request::get("/props").header(HOST, "localhost:8080").header("sec-fetch-site", site);
            let request = request.header("sec-fetch-mode", mode).header("sec-fetch-dest", dest);
            let checked =
                Origins::new(&CorsConfig::default()).check(&request.body(()).unwrap().into_parts().0);
            assert_eq!(checked.is_ok(), is_allowed, "{site} {mode} {dest}");
        };
        check("cross-site", "no-cors", "image", false);
        check("same-site", "no-cors", "script", false);
        check("cross-site", "navigate", "iframe", false);
        check("cross-site", "navigate", "document", true);
        check("same-origin", "cors", "empty", true);
        check("none", "navigate", "document", true);
    }

    #[test]
    fn pages_from_elsewhere_have_to_be_listed() {
        let origins = ["https://chat.example", "http://localhost:*"].map(str::to_owned).to_vec();
        let origins = Origins::new(&CorsConfig { origins, ..CorsConfig::default() });
        let check = |sent: &[&str], host: &str, expected: Option<bool>| {
            let mut request = Request::post("/").header(HOST, host);
            for origin in sent {
                request = request.header(ORIGIN, *origin);
            }
            let checked = origins.check(&request.body(()).unwrap().into_parts().0);
            assert_eq!(checked.ok().map(|layer| layer.is_some()), expected, "{sent:?} {host}");
        };
        check(&[], "localhost:8080", Some(false));
        check(&["http://localhost:8080"], "localhost:8080", Some(false));
        check(&["http://example.org"], "example.org:80", Some(false));
        check(&["https://example.org"], "example.org:80", None);
        check(&["https://chat.example"], "localhost:8080", Some(true));
        check(&["HTTPS://Chat.Example"], "localhost:8080", Some(true));
        check(&["http://localhost:3000"], "localhost:8080", Some(true));
        check(&["https://evil.example"], "localhost:8080", None);
        check(&["https://chat.example.evil.example"], "localhost:8080", None);
        check(&["null"], "localhost:8080", None);
        check(&[""], "localhost:8080", None);
        check(&["file://localhost:8080"], "localhost:8080", None);
        check(&["https://chat.example", "https://evil.example"], "localhost:8080", None);
    }
}
