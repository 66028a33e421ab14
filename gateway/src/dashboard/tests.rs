use http_body_util::BodyExt;

use super::*;

const SCRIPT: File = File {
    path: "assets/index-1a2b.js",
    tag: "\"1a2b\"",
    plain: b"plain",
    gzip: Some(b"gzip"),
    brotli: Some(b"brotli"),
};

fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
}

async fn body(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn a_file_comes_in_the_smallest_form_that_the_client_takes() {
    let check = async |accepted: &'static str, encoding: Option<&str>, expected: &str| {
        let response = answer(&SCRIPT, &headers(&[(ACCEPT_ENCODING, accepted)]));
        let told = response.headers().get(CONTENT_ENCODING).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(told.as_deref(), encoding, "{accepted}");
        assert_eq!(body(response).await, expected, "{accepted}");
    };
    check("gzip, deflate, br, zstd", Some("br"), "brotli").await;
    check("gzip;q=0.5, br;q=0", Some("gzip"), "gzip").await;
    check("GZIP", Some("gzip"), "gzip").await;
    check("identity", None, "plain").await;
    check("", None, "plain").await;
}

#[tokio::test]
async fn what_is_known_is_not_sent_again() {
    let check = async |tags: &'static str, status: u16| {
        let response = answer(&SCRIPT, &headers(&[(IF_NONE_MATCH, tags), (ACCEPT_ENCODING, "br")]));
        assert_eq!(response.status(), status, "{tags}");
        assert_eq!(response.headers()[ETAG], SCRIPT.tag);
        assert_eq!(body(response).await.is_empty(), status == 304, "{tags}");
    };
    check("\"1a2b\"", 304).await;
    check("\"other\", W/\"1a2b\"", 304).await;
    check("*", 304).await;
    check("\"other\"", 200).await;
}

#[tokio::test]
async fn every_file_is_held_to_the_policy_and_only_assets_are_kept_for_good() {
    let script = answer(&SCRIPT, &HeaderMap::new());
    assert_eq!(script.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
    assert_eq!(script.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
    let page = index(HeaderMap::new()).await;
    assert_eq!(page.headers()[CACHE_CONTROL], "no-cache");
    assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    for response in [script, page] {
        let headers = response.headers();
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        let script_source = policy.split(';').find(|part| part.trim().starts_with("script-src")).unwrap();
        assert_eq!(script_source.trim(), "script-src 'self'");
        for part in ["default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{part}");
        }
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[REFERRER_POLICY], "no-referrer");
    }
}

#[test]
fn what_is_built_in_is_a_page_or_nothing() {
    assert_eq!(find(FILES, INDEX).is_some(), !FILES.is_empty());
    for file in FILES {
        assert!(file.path == INDEX || file.path.starts_with("assets/"), "{} is not served", file.path);
        assert!(!file.plain.is_empty() && file.tag.starts_with('"'), "{}", file.path);
        let forms = [file.gzip, file.brotli];
        assert!(forms.into_iter().flatten().all(|bytes| bytes.len() < file.plain.len()), "{}", file.path);
    }
}
