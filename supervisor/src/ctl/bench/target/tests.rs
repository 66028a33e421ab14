use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// The answer to a request whose body holds `ignore_eos`, where the server does not know that.
const REFUSAL: &str = r#"{"error":{"message":"ignore_eos is not a field"}}"#;

fn target(url: &str) -> Target {
    Target::new(url, "m".into(), Some("sk-1".into())).unwrap()
}

#[test]
fn addresses_are_those_that_people_write() {
    let check = |url: &str, authority: &str, path: &str| {
        let target = target(url);
        assert_eq!((target.authority.as_str(), target.path.as_str()), (authority, path), "{url}");
    };
    check("http://127.0.0.1:8080", "127.0.0.1:8080", "/v1");
    check("http://127.0.0.1:8080/v1/", "127.0.0.1:8080", "/v1");
    check("http://[::1]:1/llm/v1", "[::1]:1", "/llm/v1");
    check("http://host/", "host:80", "/v1");
    let refused = |url: &str, expected: &str| {
        let error = Target::new(url, "m".into(), None).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("http://127.0.0.1:8080"), "{error}");
    };
    refused("https://host", "https is not spoken here");
    refused("host:80", "does not begin with http://");
    refused("http://", "a host and a port");
    refused("http://user@host", "a host and a port");
    refused("http://host/a b", "blanks");
}

#[test]
fn a_question_becomes_the_request_of_its_endpoint() {
    let target = target("http://h:1");
    let question = Question { prompt: "a b".into(), max_tokens: 3, keeps_text: false, is_chat: false };
    let (path, body) = target.body(&question);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(path, "/v1/completions");
    assert_eq!((&body["prompt"], &body["max_tokens"]), (&json!("a b"), &json!(3)));
    assert_eq!((&body["temperature"], &body["ignore_eos"]), (&json!(0), &json!(true)));
    let (path, body) = target.body(&Question { is_chat: true, ..question });
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(path, "/v1/chat/completions");
    assert_eq!(body["messages"], json!([{"role": "user", "content": "a b"}]));
    assert_eq!((&body["prompt"], &body["ignore_eos"]), (&Value::Null, &Value::Null));
}

/// A server that knows no `ignore_eos` and takes `per_connection` requests on each connection; gives the number of its
/// connections when `n_requests` were answered.
async fn serve(listener: TcpListener, n_requests: usize, per_connection: usize) -> usize {
    let (mut answered, mut connections) = (0, 0);
    while answered < n_requests {
        let (stream, _) = listener.accept().await.unwrap();
        connections += 1;
        let mut stream = BufReader::new(stream);
        for _ in 0..per_connection.min(n_requests - answered) {
            let mut length = 0;
            loop {
                let mut line = String::new();
                assert!(stream.read_line(&mut line).await.unwrap() > 0, "the client went away");
                if let Some(value) = line.strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            let is_refused = String::from_utf8(body).unwrap().contains("ignore_eos");
            let (status, body) =
                if is_refused { ("400 No", REFUSAL.to_owned()) } else { ("200 OK", events()) };
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.get_mut().write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            answered += 1;
        }
    }
    connections
}

fn events() -> String {
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}});
    format!("data: {{\"choices\":[{{\"text\":\"x\"}}]}}\n\ndata: {usage}\n\ndata: [DONE]\n\n")
}

#[tokio::test]
async fn connections_are_used_again_and_replaced_when_the_server_closed_them() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut target = target(&format!("http://{}", listener.local_addr().unwrap()));
    let server = tokio::spawn(serve(listener, 4, 2));
    target.try_out().await.unwrap();
    assert!(!target.ignores_end());
    let question = Question { prompt: "a".into(), max_tokens: 1, keeps_text: true, is_chat: false };
    for _ in 0..2 {
        let seen = target.ask(&question, Instant::now()).await.unwrap();
        assert_eq!((seen.text.as_str(), seen.prompt_tokens, seen.completion_tokens), ("x", 3, 1));
    }
    assert_eq!(server.await.unwrap(), 2);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = target(&url).try_out().await.unwrap_err();
    assert!(matches!(error, BenchError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&url), "{error}");
}

#[tokio::test]
async fn a_gateway_that_counts_no_times_has_none() {
    let check = async |head: &str, body: &str, is_counted: bool| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = target(&format!("http://{}", listener.local_addr().unwrap()));
        let serve = async {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                assert!(stream.read_line(&mut line).await.unwrap() > 0, "the client went away");
            }
            let answer = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        assert_eq!(tokio::join!(target.times(), serve).0.is_some(), is_counted, "{head} {body}");
    };
    let counter = "# TYPE x counter\nimpetus_stage_seconds_total{stage=\"sse\"} 0.5\n";
    check("200 OK", counter, true).await;
    check("200 OK", "impetus_requests_total 1\n", false).await;
    check("200 OK", "", false).await;
    check("403 Forbidden", counter, false).await;
}
