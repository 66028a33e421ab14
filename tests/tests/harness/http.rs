//! HTTP as a client speaks it.

use std::net::SocketAddr;

use reqwest::{Client, Method, RequestBuilder, Response, header::HeaderMap};
use serde_json::{Value, json};

use super::{sse::EventStream, wait::PATIENCE};

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";
const EMBEDDINGS: &str = "/v1/embeddings";

/// A client of one server.
pub(crate) struct Http {
    client: Client,
    listen: SocketAddr,
}

/// A whole answer of a completion endpoint.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) finish_reason: String,
    pub(crate) usage: Value,
}

/// An error as OpenAI's API shows it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) kind: String,
    pub(crate) code: String,
    pub(crate) param: Option<String>,
    pub(crate) message: String,
}

/// A greedy chat of one message.
pub(crate) fn chat(content: &str) -> Value {
    json!({"model": "impetus-tiny", "temperature": 0, "messages": [{"role": "user", "content": content}]})
}

/// A greedy completion of a bare text.
pub(crate) fn completion(prompt: &str) -> Value {
    json!({"model": "impetus-tiny", "temperature": 0, "prompt": prompt})
}

/// The path that takes requests such as `body`.
fn path_of(body: &Value) -> &'static str {
    match body {
        _ if body.get("prompt").is_some() => COMPLETIONS,
        _ if body.get("input").is_some() => EMBEDDINGS,
        _ => CHAT,
    }
}

impl Http {
    pub(crate) fn new(listen: SocketAddr) -> Self {
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { client, listen }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.listen))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// The JSON at `path`.
    pub(crate) async fn get_json(&self, path: &str) -> Value {
        self.get(path).await.json().await.unwrap()
    }

    /// Sends a chat, a completion or what is to be embedded.
    pub(crate) async fn post(&self, body: &Value) -> Response {
        self.request(Method::POST, path_of(body)).json(body).send().await.unwrap()
    }

    /// The whole answer to a request.
    pub(crate) async fn ask(&self, body: &Value) -> Answer {
        let response = self.post(body).await;
        let status = response.status();
        let value: Value = response.json().await.unwrap();
        assert_eq!(status, 200, "{body} was answered with {value}");
        let choice = &value["choices"][0];
        let text = choice.pointer("/message/content").or(choice.get("text"));
        Answer {
            text: text.and_then(Value::as_str).unwrap().to_owned(),
            finish_reason: choice["finish_reason"].as_str().unwrap().to_owned(),
            usage: value["usage"].clone(),
        }
    }

    /// The stream that answers a request; its usage comes with it.
    pub(crate) async fn stream(&self, body: &Value) -> EventStream {
        let mut body = body.clone();
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
        EventStream::of(self.post(&body).await)
    }

    /// The error that answers a request.
    pub(crate) async fn refused(&self, body: &Value) -> Refusal {
        Refusal::of(self.post(body).await).await
    }
}

impl Refusal {
    pub(crate) async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text:?}"));
        let error = value["error"].as_object().unwrap_or_else(|| panic!("{status}: {text}"));
        let string =
            |name: &str| error[name].as_str().unwrap_or_else(|| panic!("{name} in {text}")).to_owned();
        Self {
            status,
            headers,
            kind: string("type"),
            code: string("code"),
            param: error["param"].as_str().map(str::to_owned),
            message: string("message"),
        }
    }
}
