//! HTTPS over real connections.

use std::{path::Path, sync::Arc};

use impetus_config::TlsConfig;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};
use tokio_rustls::TlsConnector;

use super::{wire::Served, *};

/// Writes a certificate for `name` and its key; answers the certificate.
fn certify(dir: &Path, name: &str) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    std::fs::write(dir.join("key.pem"), signing_key.serialize_pem()).unwrap();
    std::fs::write(dir.join("cert.pem"), cert.pem()).unwrap();
    cert.der().clone()
}

fn config(dir: &Path) -> GatewayConfig {
    let tls = TlsConfig { cert: Some(dir.join("cert.pem")), key: Some(dir.join("key.pem")) };
    GatewayConfig { tls, header_timeout_s: 1, ..GatewayConfig::default() }
}

type Stream = tokio_rustls::client::TlsStream<TcpStream>;

/// A client's connection that trusts this certificate alone.
async fn connect(served: &Served, cert: &CertificateDer<'static>, protocol: &str) -> std::io::Result<Stream> {
    let mut roots = RootCertStore::empty();
    roots.add(cert.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(served.address).await?;
    let name = "localhost".to_owned().try_into().unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// What `/health` is answered on a connection of its own.
async fn health(served: &Served, cert: &CertificateDer<'static>) -> std::io::Result<String> {
    let mut stream = connect(served, cert, "http/1.1").await?;
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_over_tls() {
    let (fake, dir) = (Fake::start(), tempfile::tempdir().unwrap());
    let cert = certify(dir.path(), "localhost");
    let served = Served::start(&fake, &config(dir.path())).await;
    assert!(health(&served, &cert).await.unwrap().starts_with("HTTP/1.1 200 OK"));

    let stream = connect(&served, &cert, "h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut client, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    let connection = tokio::spawn(connection);
    let uri = format!("https://localhost{CHAT_PATH}");
    let request = Request::post(uri).body(Body::from(STREAMED)).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert!(text.ends_with(b"data: [DONE]\n\n"));
    let rebound = Request::get("https://evil.example/health").body(Body::empty()).unwrap();
    assert_eq!(client.send_request(rebound).await.unwrap().status(), StatusCode::FORBIDDEN);
    // Whoever asks nothing more is let go.
    let ended = tokio::time::timeout(Duration::from_secs(20), connection).await.expect("it is closed");
    ended.unwrap().unwrap();
}

#[tokio::test]
async fn whoever_does_not_speak_tls_is_let_go() {
    let (fake, dir) = (Fake::start(), tempfile::tempdir().unwrap());
    certify(dir.path(), "localhost");
    let served = Served::start(&fake, &config(dir.path())).await;
    for sent in ["", "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"] {
        let mut answer = Vec::new();
        let _ = served.connect(sent).await.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP"), "{sent:?}");
    }
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_a_bad_one_is_not() {
    let (fake, dir) = (Fake::start(), tempfile::tempdir().unwrap());
    let first = certify(dir.path(), "localhost");
    let served = Served::start(&fake, &config(dir.path())).await;
    let until_trusted = async |cert: &CertificateDer<'static>| {
        let look = async {
            while health(&served, cert).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), look).await.expect("it is in force");
    };
    until_trusted(&first).await;
    let second = certify(dir.path(), "localhost");
    until_trusted(&second).await;
    assert!(health(&served, &first).await.is_err());
    std::fs::write(dir.path().join("cert.pem"), "-----BEGIN CERTIFICATE-----\nnonsense").unwrap();
    let third = tempfile::tempdir().unwrap();
    let other = certify(third.path(), "localhost");
    std::fs::copy(third.path().join("key.pem"), dir.path().join("key.pem")).unwrap();
    // The former one goes on, and a good pair is taken up again.
    assert!(health(&served, &second).await.is_ok());
    std::fs::copy(third.path().join("cert.pem"), dir.path().join("cert.pem")).unwrap();
    until_trusted(&other).await;
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let check = |expected: &str| {
        let config = Config { gateway: config(dir.path()), ..Config::default() };
        let message = Gateway::new(&config, "/nonexistent").unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    check("cannot read the certificate");
    certify(dir.path(), "localhost");
    std::fs::write(dir.path().join("key.pem"), "").unwrap();
    check("cannot read the private key");
    std::fs::write(dir.path().join("cert.pem"), "").unwrap();
    check("there is no certificate in");
    certify(dir.path(), "localhost");
    let other = tempfile::tempdir().unwrap();
    certify(other.path(), "localhost");
    std::fs::copy(other.path().join("key.pem"), dir.path().join("key.pem")).unwrap();
    check("cannot be used");
}
