//! Server-sent events, read as they come.

use reqwest::Response;
use serde_json::Value;

use super::http::Answer;

/// One event of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    Chunk(Value),
    Error(Value),
    Done,
}

pub(crate) struct EventStream {
    response: Response,
    buffer: Vec<u8>,
}

impl EventStream {
    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        let content_type = response.headers()["content-type"].to_str().unwrap();
        assert!(content_type.starts_with("text/event-stream"), "{content_type}");
        Self { response, buffer: Vec::new() }
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|bytes| bytes == b"\n\n") {
                let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Some(parse(&event[..end]));
            }
            let Some(bytes) = self.response.chunk().await.expect("a stream ends by its own rules") else {
                assert!(self.buffer.is_empty(), "cut off: {:?}", String::from_utf8_lossy(&self.buffer));
                return None;
            };
            self.buffer.extend_from_slice(&bytes);
        }
    }

    /// Reads until `count` chunks have brought text, and answers with that text.
    pub(crate) async fn read_texts(&mut self, count: usize) -> String {
        let mut texts = Vec::new();
        while texts.len() < count {
            match self.next().await {
                Some(Event::Chunk(chunk)) => {
                    let text = text_of(&chunk);
                    if !text.is_empty() {
                        texts.push(text.to_owned());
                    }
                }
                other => panic!("{other:?} after {texts:?}"),
            }
        }
        texts.concat()
    }

    /// All events to the end.
    pub(crate) async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    /// The answer that the stream amounts to, which must end as it should.
    pub(crate) async fn whole(self) -> Answer {
        let events = self.rest().await;
        let Some((Event::Done, events)) = events.split_last() else { panic!("no [DONE]: {events:?}") };
        let chunks: Vec<&Value> = events
            .iter()
            .map(|event| match event {
                Event::Chunk(chunk) => chunk,
                other => panic!("{other:?} within a stream"),
            })
            .collect();
        let (last, before) = chunks.split_last().expect("a stream has chunks");
        assert_eq!(last["choices"], Value::Array(Vec::new()), "the usage comes last, alone");
        assert!(before.iter().all(|chunk| chunk["usage"].is_null()), "{before:?}");
        let reasons: Vec<&str> =
            before.iter().filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str()).collect();
        let [reason] = reasons.as_slice() else { panic!("finish reasons {reasons:?}") };
        Answer {
            text: before.iter().map(|chunk| text_of(chunk)).collect(),
            finish_reason: (*reason).to_owned(),
            usage: last["usage"].clone(),
        }
    }
}

/// The text that a chunk adds.
fn text_of(chunk: &Value) -> &str {
    let choice = &chunk["choices"][0];
    choice.pointer("/delta/content").or(choice.get("text")).and_then(Value::as_str).unwrap_or_default()
}

fn parse(event: &[u8]) -> Event {
    let text = std::str::from_utf8(event).expect("events are UTF-8");
    // Some dialects name their events in a line before.
    let data =
        text.strip_prefix("event: ").and_then(|named| named.split_once('\n')).map_or(text, |(_, data)| data);
    let data = data.strip_prefix("data: ").unwrap_or_else(|| panic!("no data: {text:?}"));
    if data == "[DONE]" {
        return Event::Done;
    }
    let value: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data:?}"));
    if value.get("error").is_some() { Event::Error(value) } else { Event::Chunk(value) }
}
