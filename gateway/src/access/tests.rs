use std::time::Duration;

use axum::http::Request;
use impetus_proto::Code;

use super::*;

/// Keys by name; each key is `sk-` and its name, sixteen characters in all.
fn access(file: &str) -> Access {
    Access::new(&config(file))
}

/// What a configuration file with `file` in it comes down to.
pub(crate) fn config(file: &str) -> Config {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    std::fs::write(&path, file).unwrap();
    impetus_config::load(Some(&path), &[]).unwrap().config
}

fn head(key: Option<&str>) -> Parts {
    let mut request = Request::post("/").header("host", "localhost");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    request.body(()).unwrap().into_parts().0
}

const INFERENCE: Need = Need::Scope(Scope::Inference);
const ADMIN: Need = Need::Scope(Scope::Admin);

const KEYS: &str = "
    [[auth.key]]
    name = 'user'
    key = 'sk-user-01234567'
    [[auth.key]]
    name = 'operator'
    key = 'sk-operator-0123'
    scopes = ['admin']
    [[auth.key]]
    name = 'past'
    key = 'sk-past-01234567'
    expires = '2001-01-01'
    [[auth.key]]
    name = 'slow'
    key = 'sk-slow-01234567'
    requests_per_minute = 2
";

#[tokio::test]
async fn a_key_opens_what_it_is_for() {
    let access = access(KEYS);
    let check = |key: Option<&str>, need: Need, expected: Result<&str, Reason>| {
        let admitted = access.admit(&head(key), need);
        let shown = admitted.as_ref().map(|caller| &*caller.name).map_err(|refused| refused.reason);
        assert_eq!(shown, expected, "{key:?} {need:?}");
        if let (Err(refused), Some(key)) = (&admitted, key) {
            assert!(!refused.error.message.contains(key), "{}", refused.error.message);
        }
    };
    check(Some("sk-user-01234567"), INFERENCE, Ok("user"));
    check(Some("sk-user-01234567"), Need::Key, Ok("user"));
    check(Some("sk-user-01234567"), ADMIN, Err(Reason::Scope));
    check(Some("sk-operator-0123"), ADMIN, Ok("operator"));
    check(Some("sk-operator-0123"), INFERENCE, Err(Reason::Scope));
    check(Some("sk-past-01234567"), INFERENCE, Err(Reason::ExpiredKey));
    check(Some("sk-user-0123456"), INFERENCE, Err(Reason::UnknownKey));
    check(Some("sk-user-012345678"), INFERENCE, Err(Reason::UnknownKey));
    check(None, INFERENCE, Err(Reason::NoKey));
    check(None, Need::Key, Err(Reason::NoKey));
    check(None, Need::Nothing, Ok(""));
    check(Some("unknown"), Need::Nothing, Ok(""));
}

#[tokio::test]
async fn keys_are_asked_for_where_there_are_any_or_others_can_reach_it() {
    let check = |file: &str, expected: bool| {
        let is_let_in = access(file).admit(&head(Some("sk-made-up")), ADMIN).is_ok();
        assert_eq!(is_let_in, expected, "{file}");
    };
    check("", true);
    check("gateway.listen = '[::1]:80'", true);
    check(KEYS, false);
    check("gateway.listen = '0.0.0.0:80'", false);
    check("gateway.listen = '0.0.0.0:80'\nauth.allow_unauthenticated = true", false);
    check(
        "gateway.listen = '0.0.0.0:80'\nauth.allow_unauthenticated = true\nauth.admin_without_keys = true",
        true,
    );
    check(&format!("auth.allow_unauthenticated = true\n{KEYS}"), true);
}

#[tokio::test]
async fn without_keys_the_server_is_changed_from_its_machine_alone() {
    let check = |file: &str, method: Method, need: Need, expected: Result<(), Code>| {
        let access = access(file);
        for key in [None, Some("sk-made-up")] {
            let mut head = head(key);
            head.method = method.clone();
            let admitted = access.admit(&head, need).map(drop).map_err(|refused| refused.error.code());
            assert_eq!(admitted, expected, "{file} {method} {need:?} {key:?}");
        }
    };
    let (post, delete) = (Method::POST, Method::DELETE);
    check("", post.clone(), ADMIN, Ok(()));
    check("gateway.listen = '[::1]:80'", delete.clone(), ADMIN, Ok(()));
    check("auth.admin_without_keys = false", post.clone(), ADMIN, Err(Code::Forbidden));
    check("auth.admin_without_keys = false", Method::GET, ADMIN, Ok(()));
    check("auth.admin_without_keys = false", post.clone(), INFERENCE, Ok(()));
    let everywhere = "gateway.listen = '0.0.0.0:80'\nauth.allow_unauthenticated = true\n";
    check(everywhere, post.clone(), INFERENCE, Ok(()));
    check(everywhere, Method::GET, ADMIN, Ok(()));
    check(everywhere, delete.clone(), ADMIN, Err(Code::Forbidden));
    check(&format!("{everywhere}auth.admin_without_keys = true"), delete.clone(), ADMIN, Ok(()));
    // It opens nothing where keys are asked for.
    check(
        &format!("auth.admin_without_keys = true\n{KEYS}"),
        delete.clone(),
        ADMIN,
        Err(Code::Unauthenticated),
    );
    let mut head = head(Some("sk-operator-0123"));
    head.method = delete;
    assert_eq!(&*access(&format!("{everywhere}{KEYS}")).admit(&head, ADMIN).unwrap().name, "operator");
}

#[tokio::test(start_paused = true)]
async fn a_minute_is_shared_by_all_requests_of_a_key() {
    let access = access(KEYS);
    let ask = || access.admit(&head(Some("sk-slow-01234567")), INFERENCE);
    assert!(ask().is_ok() && ask().is_ok());
    let refused = ask().unwrap_err();
    assert_eq!((refused.reason, refused.error.retry_after_s), (Reason::Rate, 30));
    assert!(access.admit(&head(Some("sk-user-01234567")), INFERENCE).is_ok(), "others have their own");
    tokio::time::advance(Duration::from_secs(30)).await;
    assert!(ask().is_ok());
    assert!(ask().is_err());
}

#[tokio::test]
async fn models_are_known_by_any_of_their_names() {
    let file = "auth.key = [{ name = 'a', key = 'sk-user-01234567', models = ['small', 'qwen*'] }]";
    let caller = access(file).admit(&head(Some("sk-user-01234567")), INFERENCE).unwrap();
    let check = |name: &str, aliases: &[&str], expected: bool| {
        let aliases = aliases.iter().map(ToString::to_string).collect();
        let model =
            impetus_proto::supervisor::ModelStatus { name: name.into(), aliases, ..Default::default() };
        assert_eq!(caller.may_use(&model), expected, "{name}");
    };
    check("small", &[], true);
    check("tiny", &["small"], true);
    check("tiny", &["other"], false);
    check("qwen-7b", &[], true);
    assert!(!caller.may_use_all() && Caller::default().may_use_all());
}
