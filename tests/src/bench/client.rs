//! An HTTP client that does next to nothing, since it runs on the cores that it measures: it notes when each event
//! arrives and understands only the last one.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{Measured, Task, model::BenchModel};

/// Longer than anything here takes; a server that hangs ends the run instead of hanging it.
const PATIENCE: Duration = Duration::from_mins(2);

/// What one stream saw.
struct Seen {
    begun: Instant,
    /// When each token arrived.
    tokens: Vec<Instant>,
    usage: Value,
}

/// Streams `task` through the gateway at `address`.
pub(super) fn run(address: SocketAddr, model: &BenchModel, task: Task) -> anyhow::Result<Measured> {
    let streams = thread::scope(|scope| {
        let stream = |n| move || stream(address, &request(model, task, n), task.completion_tokens);
        let threads: Vec<_> = (0..task.streams).map(|n| scope.spawn(stream(n))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, anyhow::Result<Seen>>| {
            thread.join().map_err(|_| anyhow::anyhow!("a client's thread panicked"))?
        };
        threads.into_iter().map(join).collect::<anyhow::Result<Vec<Seen>>>()
    })?;
    for seen in &streams {
        let cached = &seen.usage["prompt_tokens_details"]["cached_tokens"];
        ensure!(*cached == 0, "{cached} tokens of a prompt were cached: nothing was measured");
    }
    measured(task, &streams).context("no stream had two tokens")
}

/// One stream's request: token ids, so that its length is exact, and each stream's its own, so that nothing is
/// cached.
fn request(model: &BenchModel, task: Task, stream: u32) -> String {
    let ids = model.prompt_ids.len() as u32;
    let first = task.seed.wrapping_mul(131).wrapping_add(stream.wrapping_mul(31));
    let prompt = (0..task.prompt_tokens).map(|n| model.prompt_ids.start + first.wrapping_add(n * 7) % ids);
    let body = json!({
        "model": super::MODEL,
        "prompt": prompt.collect::<Vec<u32>>(),
        "max_tokens": task.completion_tokens,
        "temperature": 0,
        "ignore_eos": true,
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    let body = body.to_string();
    format!(
        "POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn stream(address: SocketAddr, request: &str, completion_tokens: u32) -> anyhow::Result<Seen> {
    let mut socket = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let begun = Instant::now();
    socket.write_all(request.as_bytes()).context("sending a request")?;

    let mut reader = BufReader::new(socket);
    let (mut line, mut last, mut everything) = (Vec::new(), Vec::new(), String::new());
    let mut arrived = Vec::with_capacity(completion_tokens as usize + 4);
    loop {
        line.clear();
        ensure!(reader.read_until(b'\n', &mut line)? > 0, "the answer ended early: {everything}");
        // Every event is one line; headers and the sizes of HTTP chunks are none.
        let Some(event) = line.strip_prefix(b"data: ") else {
            everything.push_str(&String::from_utf8_lossy(&line));
            continue;
        };
        if event.starts_with(b"[DONE]") {
            break;
        }
        // Signs of life, the finish reason and the usage have no text.
        if shows_text(event) {
            arrived.push(Instant::now());
        }
        std::mem::swap(&mut line, &mut last);
    }
    let text = last.strip_prefix(b"data: ").unwrap_or_default();
    let last: Value = serde_json::from_slice(text).context("reading the last event")?;
    let counted = last["usage"]["completion_tokens"].as_u64();
    ensure!(
        counted == Some(u64::from(completion_tokens)) && arrived.len() == completion_tokens as usize,
        "{completion_tokens} tokens were asked for, {counted:?} counted, {} seen",
        arrived.len()
    );
    Ok(Seen { begun, tokens: arrived, usage: last["usage"].clone() })
}

fn shows_text(event: &[u8]) -> bool {
    const TEXT: &[u8] = b"\"text\":\"";
    let begin = event.windows(TEXT.len()).position(|window| window == TEXT);
    begin.and_then(|begin| event.get(begin + TEXT.len())).is_some_and(|&byte| byte != b'"')
}

/// Decoding is measured while all streams decode: from the last one's first token to the first one's last.
fn measured(task: Task, streams: &[Seen]) -> Option<Measured> {
    let from = streams.iter().filter_map(|seen| seen.tokens.first()).max()?;
    let to = streams.iter().filter_map(|seen| seen.tokens.last()).min()?;
    let begun = streams.iter().map(|seen| seen.begun).min()?;
    let within = |seen: &Seen| seen.tokens.iter().filter(|at| *at > from && *at <= to).count();
    let tokens: usize = streams.iter().map(within).sum();
    let decode = tokens as f64 / to.checked_duration_since(*from)?.as_secs_f64();
    let prefill = f64::from(task.streams * task.prompt_tokens) / (*from - begun).as_secs_f64();
    Some(Measured { prefill, decode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_counts() {
        let check = |event: &str, expected| assert_eq!(shows_text(event.as_bytes()), expected, "{event}");
        check(r#"{"id":"a","choices":[{"text":"qu","index":0}]}"#, true);
        check(r#"{"id":"a","choices":[{"text":"","index":0,"finish_reason":"length"}]}"#, false);
        check(r#"{"id":"a","choices":[],"usage":{"completion_tokens":3}}"#, false);
    }

    #[test]
    fn decoding_is_measured_while_all_streams_decode() {
        let zero = Instant::now();
        let at = |ms: &[u64]| Seen {
            begun: zero,
            tokens: ms.iter().map(|&ms| zero + Duration::from_millis(ms)).collect(),
            usage: Value::Null,
        };
        let task = Task { streams: 2, prompt_tokens: 10, completion_tokens: 4, seed: 0 };
        let streams = [at(&[1000, 2000, 3000, 4000]), at(&[2000, 3000, 4000, 5000])];
        let Measured { prefill, decode } = measured(task, &streams).unwrap();
        assert_eq!((prefill, decode), (10.0, 2.0));
    }
}
