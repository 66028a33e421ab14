//! Keys, certificates and names.

use super::*;

const SECRET: &str = "sk-this-is-a-secret";
/// Of `SECRET`.
const DIGEST: &str = "75de6ac85a02942df6c92e0e87a3301503231e3c67c8692933a32a5fac9b287c";

#[test]
fn of_a_key_only_its_digest_is_kept() {
    let file = format!("[[auth.key]]\nname = 'a'\nkey = '{SECRET}'\n");
    let inline = format!("auth.key=[{{name='a', key='{SECRET}'}}]");
    for loaded in [load(Some(&file), &[], &[]), load(None, &[], &[&inline])] {
        let loaded = loaded.0.unwrap();
        let entry = &loaded.config.auth.key[0];
        assert_eq!(
            (entry.key_sha256.as_deref(), entry.scopes.as_slice()),
            (Some(DIGEST), &[Scope::Inference][..])
        );
        let json = serde_json::to_string(&loaded.config).unwrap();
        for shown in [loaded.describe(), json, format!("{:?}", loaded.config), format!("{loaded:?}")] {
            assert!(!shown.contains(SECRET), "{shown}");
        }
        let described = toml::from_str::<Config>(&loaded.describe()).unwrap();
        assert_eq!(described, loaded.config);
    }
    let (given, hashed) =
        (loaded(&file), loaded(&format!("[[auth.key]]\nname = 'a'\nkey_sha256 = '{DIGEST}'")));
    assert_eq!(given, hashed);
}

#[test]
fn what_is_wrong_with_a_key_is_said_without_it() {
    let check = |file: &str, expected: &str| {
        let (result, path) = load(Some(file), &[], &[]);
        let message = result.expect_err(file).to_string().replace(&*path.to_string_lossy(), "c.toml");
        assert_eq!(message, expected);
    };
    check(
        "[[auth.key]]\nname = 'a'\nkey = 'short'",
        "c.toml:3: auth.key[0].key = (a secret): expected 16 to 1024 characters of ASCII without spaces; \
         `supervisorctl key add` makes good ones",
    );
    check(
        "[[auth.key]]\nname = 'a'\nkey = 123456",
        "c.toml:3: auth.key[0].key = (a secret): expected a string in quotes",
    );
    check("auth.key = 'sk-123'", "c.toml:1: auth.key = (a secret): expected a list");
    check(
        "[[auth.key]]\nname = 'a'\nkey = '0123456789abcdef'\nkey_sha256 = ''",
        "c.toml:3: auth.key[0].key = (a secret): expected nothing beside key_sha256, which stands for it",
    );
    check(
        "[[auth.key]]\nname = 'a'",
        "c.toml:1: auth.key[0] = (a secret): expected the setting key or key_sha256 in it",
    );
    check(
        "[[auth.key]]\nname = 'a'\nkey_sha256 = 'ab'",
        "c.toml:3: auth.key[0].key_sha256 = \"ab\": expected the SHA-256 of a key as 64 hexadecimal digits",
    );
    let digest = format!("key_sha256 = '{DIGEST}'");
    let entry = |more: &str| format!("[[auth.key]]\nname = 'a'\n{digest}\n{more}");
    check(
        &entry("scopes = ['root']"),
        "c.toml:4: auth.key[0].scopes[0] = \"root\": expected inference or admin",
    );
    check(
        &entry("scopes = []"),
        "c.toml:4: auth.key[0].scopes = []: expected at least one of \"inference\" and \"admin\"",
    );
    check(
        &entry("expires = 'soon'"),
        "c.toml:4: auth.key[0].expires = \"soon\": expected a date or a time since 1970 in quotes, such as \
         \"2030-01-31\" or \"2030-01-31T18:00:00Z\"",
    );
    check(
        &entry("priority = 101"),
        "c.toml:4: auth.key[0].priority = 101: expected a whole number from -100 to 100",
    );
    check(&entry("priority = 'high'"), "c.toml:4: auth.key[0].priority = \"high\": expected a whole number");
    check(
        &(entry("") + &entry("")),
        "c.toml:5: auth.key[1].name = \"a\": expected a name of at most 64 letters, digits, '-', '_' and '.' that no \
         other key has",
    );
}

#[test]
fn names_and_certificates_are_checked() {
    let check = |file: &str, expected: &str| {
        let message = load(Some(file), &[], &[]).0.expect_err(file).to_string();
        assert!(message.contains(expected), "{message}");
    };
    check("gateway.allowed_hosts = ['http://x']", "allowed_hosts[0] = \"http://x\": expected a host name");
    check("gateway.allowed_hosts = ['x:80']", "allowed_hosts[0]");
    check("gateway.cors.origins = ['example.org']", "cors.origins[0] = \"example.org\": expected an origin");
    check("gateway.cors.origins = ['https://example.org/']", "cors.origins[0]");
    check("gateway.names.'a b' = 'm'", "gateway.names.a b = \"m\": expected a model for a name of at most");
    check("gateway.names = { 'claude-*' = '' }", "gateway.names.claude-* = \"\": expected a name of at most");
    check("gateway.names = { 'claude-*' = 1 }", "expected a string in quotes");
    check("gateway.names = 'claude-*'", "gateway.names = \"claude-*\": expected a table");
    check("gateway.tls.cert = 'a'", "gateway.tls.cert = ");
    check("gateway.tls.key = 'a'", "expected a certificate beside it, in gateway.tls.cert");
    check(
        "auth.deny_addresses = ['localhost']",
        "auth.deny_addresses[0] = \"localhost\": expected an IP address",
    );
    let config = loaded(
        "[gateway]\nallowed_hosts = ['*', 'a.b', '::1', '[::1]']\ntls = { cert = 'c.pem', key = '/k.pem' }\n\
         cors.origins = ['*', 'null', 'http://localhost:*', 'vscode-webview://*']\n\
         [auth]\nallow_addresses = ['10.0.0.0/8', '::1']",
    );
    assert!(config.gateway.tls.cert.unwrap().is_absolute());
    assert!(config.auth.allow_addresses[0].contains("10.1.2.3".parse().unwrap()));
}
