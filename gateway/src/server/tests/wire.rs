//! What only a connection shows: limits, leaving, stopping.

use super::*;
use crate::fake::finished;

/// A gateway on a socket of its own.
pub(super) struct Served {
    pub(super) address: SocketAddr,
    course: watch::Sender<Course>,
    server: JoinHandle<()>,
}

impl Served {
    pub(super) async fn start(fake: &Fake, config: &GatewayConfig) -> Self {
        Self::start_with(fake, &Config { gateway: config.clone(), ..Config::default() }).await
    }

    pub(super) async fn start_with(fake: &Fake, config: &Config) -> Self {
        let mut config = config.clone();
        if config.supervisor.state_dir == Config::default().supervisor.state_dir {
            // Nothing of a test is kept in the place of this user's server.
            config.supervisor.state_dir = std::path::Path::new(&fake.socket()).with_file_name("state");
        }
        let gateway = Gateway::new(&config, &fake.socket()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (course, followed) = watch::channel(Course::Serve);
        let server = tokio::spawn(serve(vec![(Entrance::Gateway, listener)], gateway, followed));
        Self { address, course, server }
    }

    pub(super) async fn connect(&self, sent: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        stream
    }

    /// Everything that the server says to `sent` until it closes.
    pub(super) async fn exchange(&self, sent: &str) -> String {
        let mut answer = Vec::new();
        self.connect(sent).await.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }
}

fn chat(body: &str) -> String {
    let length = body.len();
    format!(
        "POST {CHAT_PATH} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn quick() -> GatewayConfig {
    GatewayConfig { header_timeout_s: 1, body_timeout_s: 1, max_body_bytes: 1000, ..GatewayConfig::default() }
}

#[tokio::test]
async fn a_chat_over_a_connection() {
    let fake = Fake::start();
    let served = Served::start(&fake, &GatewayConfig::default()).await;
    let answer = served.exchange(&chat(CHAT)).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"content\":\"ok\""), "{answer}");
}

#[tokio::test]
async fn slow_and_oversized_clients_are_turned_away() {
    let fake = Fake::start();
    let served = Served::start(&fake, &quick()).await;
    let head = |headers: &str| {
        format!("POST {CHAT_PATH} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n")
    };
    let big = "x".repeat(1500);
    let chunked = format!("{}5dc\r\n{big}\r\n0\r\n\r\n", head("transfer-encoding: chunked\r\n"));
    for (sent, expected) in [
        ("GET /health HT".to_owned(), ""),
        (head("content-length: 10\r\n") + "{", "HTTP/1.1 408 "),
        (head("content-length: 1500\r\n") + &big, "HTTP/1.1 413 "),
        (head("content-length: 99999999\r\nexpect: 100-continue\r\n"), "HTTP/1.1 413 "),
        (chunked, "HTTP/1.1 413 "),
        (head(&format!("x: {}\r\n", "y".repeat(100_000))), "HTTP/1.1 431 "),
        ("nonsense\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
    ] {
        let answer = served.exchange(&sent).await;
        let is_expected = if expected.is_empty() { answer.is_empty() } else { answer.starts_with(expected) };
        assert!(is_expected, "{sent:.60} gave {answer}");
        let is_told = answer.is_empty() || answer.contains("{\"error\":{\"message\":\"");
        assert!(is_told, "{sent:.60} gave {answer}");
    }
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_to_the_next_request() {
    const NEXT: &str = "GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let fake = Fake::start();
    let served = Served::start(&fake, &GatewayConfig::default()).await;
    let post = |n_bytes: usize| {
        format!("POST /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: {n_bytes}\r\n\r\n")
    };
    for n_bytes in [0, 100, 300_000] {
        let answer = served.exchange(&(post(n_bytes) + &"x".repeat(n_bytes) + NEXT)).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{n_bytes}: {answer}");
        assert!(answer.contains("HTTP/1.1 200 OK\r\n"), "{n_bytes}: {answer}");
    }
    // What never comes is not waited for, and the client is told.
    let answer = served.exchange(&(post(100) + "x")).await;
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("connection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_leaves_frees_the_worker() {
    let fake = Fake::start();
    let served = Served::start(&fake, &GatewayConfig::default()).await;
    for body in [CHAT, STREAMED] {
        fake.script([accepted(), delta(0, &[1], "a"), Step::Stall]);
        let stream = served.connect(&chat(body)).await;
        fake.until_busy().await;
        drop(stream);
        fake.until_idle().await;
    }
}

#[tokio::test]
async fn stopping_lets_running_requests_finish() {
    let fake = Fake::start();
    let served = Served::start(&fake, &GatewayConfig::default()).await;
    fake.script([
        accepted(),
        delta(0, &[1], "a"),
        Step::Wait(Duration::from_millis(50)),
        finished(1, &[2], "b"),
    ]);
    let idle = served.connect("").await;
    let mut busy = served.connect(&chat(STREAMED)).await;
    fake.until_busy().await;
    served.course.send_replace(Course::Stop);
    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("data: [DONE]"), "{answer}");
    served.server.await.unwrap();
    assert!(TcpStream::connect(served.address).await.is_err(), "nobody listens any more");
    drop(idle);
}

#[tokio::test]
async fn a_retired_gateway_answers_once_more_on_each_connection() {
    const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let fake = Fake::start();
    let served = Served::start(&fake, &quick()).await;
    let mut kept = served.connect("").await;
    kept.write_all(HEALTH).await.unwrap();
    let mut head = [0; 12];
    kept.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    let silent = served.connect("").await;
    served.course.send_replace(Course::Retire);
    while TcpStream::connect(served.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    kept.write_all(HEALTH).await.unwrap();
    let mut rest = String::new();
    kept.read_to_string(&mut rest).await.unwrap();
    let (_, second) = rest.split_once("HTTP/1.1 200 OK\r\n").expect("a second answer");
    assert!(second.contains("connection: close\r\n"), "{rest}");
    served.server.await.unwrap();
    drop(silent);
}

#[tokio::test]
async fn a_client_that_does_not_read_frees_the_worker() {
    let fake = Fake::start();
    let served =
        Served::start(&fake, &GatewayConfig { write_timeout_s: 1, ..GatewayConfig::default() }).await;
    let text = "x".repeat(64 << 10);
    let deltas = (0..1000).map(|i| delta(i, &[1], &text));
    fake.script(std::iter::once(accepted()).chain(deltas).chain([Step::Stall]));
    let _unread = served.connect(&chat(STREAMED)).await;
    fake.until_busy().await;
    tokio::time::timeout(Duration::from_secs(20), fake.until_idle()).await.expect("the request is cancelled");
}

#[tokio::test]
async fn connections_past_the_limit_wait() {
    let fake = Fake::start();
    let served =
        Served::start(&fake, &GatewayConfig { max_connections: 1, ..GatewayConfig::default() }).await;
    fake.script([accepted(), delta(0, &[1], "a"), Step::Stall]);
    let first = served.connect(&chat(STREAMED)).await;
    fake.until_busy().await;
    let mut second =
        served.connect("GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    let mut answer = String::new();
    let early = tokio::time::timeout(Duration::from_millis(100), second.read_to_string(&mut answer)).await;
    assert!(early.is_err() && answer.is_empty(), "{answer}");
    drop(first);
    second.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}
