//! One request, asked as any client asks it: when its first text comes, and what it says.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use rand::Rng;
use serde_json::{Value, json};

/// Longer than a prompt of thousands of tokens takes.
const PATIENCE: Duration = Duration::from_mins(10);

const WORDS: [&str; 16] = [
    "the", "time", "of", "a", "good", "man", "people", "work", "live", "house", "water", "every", "day",
    "world", "small", "read",
];

/// What came of a request.
#[derive(Debug)]
pub(super) struct Asked {
    /// Until the first text, and until the last.
    pub(super) first: Duration,
    pub(super) last: Duration,
    /// Of the prompt, as the server counts.
    pub(super) prompt_tokens: u64,
    pub(super) cached_tokens: u64,
    pub(super) completion_tokens: u64,
    pub(super) text: String,
}

/// Asks the server at `address` to go on with `prompt`, a text or the ids of its tokens.
pub(super) fn ask(
    address: &str,
    model: &str,
    prompt: impl Into<Value>,
    max_tokens: u32,
) -> anyhow::Result<Asked> {
    let body = json!({
        "model": model,
        "prompt": prompt.into(),
        "max_tokens": max_tokens,
        "temperature": 0,
        "ignore_eos": true,
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    let body = body.to_string();
    let begun = Instant::now();
    let mut socket = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let head = format!(
        "POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(format!("{head}{body}").as_bytes()).context("sending a request")?;
    read(BufReader::new(socket), begun)
}

/// A text that is like no other one, of so many words.
pub(super) fn text(words: usize) -> String {
    let mut random = rand::rng();
    let mark: String = (0..8).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect();
    let word = |_| WORDS[random.random_range(0..WORDS.len())];
    std::iter::once(mark.as_str()).chain((0..words).map(word)).collect::<Vec<_>>().join(" ")
}

fn read(mut answer: impl BufRead, begun: Instant) -> anyhow::Result<Asked> {
    let (mut line, mut everything) = (String::new(), String::new());
    let (mut first, mut last, mut text, mut usage) = (None, Duration::ZERO, String::new(), Value::Null);
    loop {
        line.clear();
        ensure!(answer.read_line(&mut line)? > 0, "the answer ended early: {everything}");
        let Some(event) = line.strip_prefix("data: ") else {
            everything.push_str(&line);
            continue;
        };
        if event.starts_with("[DONE]") {
            break;
        }
        let event: Value = serde_json::from_str(event).with_context(|| format!("reading {event:?}"))?;
        ensure!(event["error"].is_null(), "the server failed: {event}");
        let said = event["choices"][0]["text"].as_str().unwrap_or_default();
        if !said.is_empty() {
            last = begun.elapsed();
            first.get_or_insert(last);
        }
        text.push_str(said);
        if event["usage"].is_object() {
            usage = event["usage"].clone();
        }
    }
    Ok(Asked {
        first: first.context("the answer has no text")?,
        last,
        completion_tokens: usage["completion_tokens"].as_u64().unwrap_or_default(),
        prompt_tokens: usage["prompt_tokens"].as_u64().unwrap_or_default(),
        cached_tokens: usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap_or_default(),
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_texts_and_its_usage() {
        let answer = "HTTP/1.1 200 OK\r\n\r\n5\r\ndata: {\"choices\":[{\"text\":\"a\"}]}\n\n\
                      data: {\"choices\":[{\"text\":\"b\"}],\"usage\":null}\n\n\
                      data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n\
                      data: [DONE]\n\n";
        let asked = read(answer.as_bytes(), Instant::now()).unwrap();
        assert_eq!((asked.text.as_str(), asked.prompt_tokens, asked.cached_tokens), ("ab", 9, 4));
        let error = read("HTTP/1.1 503 No\r\n\r\n{\"error\":{}}\n".as_bytes(), Instant::now()).unwrap_err();
        assert!(error.to_string().contains("503"), "{error}");
        assert!(read("data: {\"error\":{\"message\":\"x\"}}\n".as_bytes(), Instant::now()).is_err());
    }

    #[test]
    fn texts_differ_from_their_first_letter_on() {
        let (one, two) = (text(5), text(5));
        assert_eq!(one.split(' ').count(), 6);
        assert_ne!(one.split(' ').next(), two.split(' ').next());
    }
}
