//! The second turn of a long conversation: on both servers while everything is at hand, and on ours after its worker was
//! killed or its model unloaded.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{Plan, Site, process::Peer};
use crate::{
    bench::{
        MODEL,
        ask::{Asked, ask, text},
        report::median,
        server::{Server, Setup},
    },
    process::signal,
};

const SLOTS: u32 = 2;

/// Tokens of an answer, and words that the second turn adds.
const TOKENS: u32 = 9;
const MORE_WORDS: usize = 16;

/// How long a worker gets to keep what it has computed.
const KEEPING: Duration = Duration::from_secs(30);
/// A file that has not changed for so long is whole.
const SETTLED: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(200);

/// What happens between the turns on our server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    Kill,
    Unload,
}

/// One conversation, in milliseconds.
struct Turns {
    /// To the first text of the first turn, which computes everything.
    first: f64,
    second: f64,
    /// Tokens of the second turn's prompt that were not computed again.
    cached_tokens: u64,
}

pub(super) fn measure(site: &Site<'_>, plan: &Plan, file: &Path) -> anyhow::Result<Value> {
    // What a text has in tokens depends on the vocabulary: there is room for half as many again.
    let context_tokens = plan.turn_tokens + plan.turn_tokens / 2 + 128;
    let shape = [SLOTS, context_tokens, plan.threads];
    let models = [(MODEL, file)];
    let setup = Setup { models: &models, format: "gguf", shape, settings: &plan.settings };
    let mut server = Server::start_with(site.programs, &setup)?;
    let peer = Peer::start(file, shape)?;
    let address = server.address()?.to_string();
    let words = words_of(&address, plan.turn_tokens)?;
    ask(peer.address(), MODEL, text(4), TOKENS)?;

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for pair in 0..plan.pairs {
        let order = if pair % 2 == 0 { [true, false] } else { [false, true] };
        for is_ours in order {
            let (side, address) =
                if is_ours { (&mut ours, address.as_str()) } else { (&mut theirs, peer.address()) };
            side.push(turns(address, words, || Ok(()))?);
        }
    }
    drop(peer);
    let ratio =
        |of: fn(&Turns) -> f64| median(ours.iter().zip(&theirs).map(|(ours, theirs)| of(ours) / of(theirs)));
    let medians = |side: &[Turns]| {
        json!({
            "first_turn_ms": median(side.iter().map(|turns| turns.first)),
            "second_turn_ms": median(side.iter().map(|turns| turns.second)),
            "cached_tokens": median(side.iter().map(|turns| turns.cached_tokens as f64)),
        })
    };
    Ok(json!({
        "words": words,
        "ours": medians(&ours),
        "peer": medians(&theirs),
        "ratios": {"first_turn": ratio(|turns| turns.first), "second_turn": ratio(|turns| turns.second)},
        "after_kill": after(&mut server, &address, Between::Kill, [words, plan.pairs as usize])?,
        "after_unload": after(&mut server, &address, Between::Unload, [words, plan.pairs as usize])?,
    }))
}

/// Second turns after `between`, less what a start with the model alone takes, as a share of the first turn.
fn after(
    server: &mut Server,
    address: &str,
    between: Between,
    [words, rounds]: [usize; 2],
) -> anyhow::Result<Value> {
    let (mut loads, mut conversations) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        between.happens(server, 0)?;
        loads.push(millis(ask(address, MODEL, text(4), TOKENS)?.first));
        let kept = kept_bytes(server)?;
        conversations.push(turns(address, words, || between.happens(server, kept))?);
    }
    let load = median(loads).context("there was no round")?;
    let shares = conversations.iter().map(|turns| (turns.second - load) / turns.first);
    Ok(json!({
        "load_ms": load,
        "first_turn_ms": median(conversations.iter().map(|turns| turns.first)),
        "second_turn_ms": median(conversations.iter().map(|turns| turns.second)),
        "cached_tokens": median(conversations.iter().map(|turns| turns.cached_tokens as f64)),
        "share_beyond_load": median(shares),
    }))
}

/// A conversation of two turns, of so many words, with something in between.
fn turns(address: &str, words: usize, between: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Turns> {
    let prompt = text(words);
    let Asked { first, text: said, .. } = ask(address, MODEL, prompt.as_str(), TOKENS)?;
    between()?;
    let next = format!("{prompt}{said} {}", text(MORE_WORDS));
    let second = ask(address, MODEL, next, TOKENS)?;
    Ok(Turns { first: millis(first), second: millis(second.first), cached_tokens: second.cached_tokens })
}

/// Words that have about so many tokens, by what the server counts.
fn words_of(address: &str, tokens: u32) -> anyhow::Result<usize> {
    const WORDS: usize = 64;
    let counted = ask(address, MODEL, text(WORDS), TOKENS)?.prompt_tokens;
    ensure!(counted > 0, "the server counts no tokens");
    Ok((f64::from(tokens) * WORDS as f64 / counted as f64) as usize)
}

impl Between {
    /// Does it, once the worker had the time to keep what it has computed since it had kept so many bytes.
    fn happens(self, server: &mut Server, kept: u64) -> anyhow::Result<()> {
        match self {
            Self::Kill => {
                settle(server, kept)?;
                let worker = server.pids()?.worker;
                ensure!(worker != 0, "no worker has the model");
                signal(worker, Signal::SIGKILL);
                Ok(())
            }
            Self::Unload => server.unload(MODEL),
        }
    }
}

/// Waits until the worker's file of kept prefixes has other than `kept` bytes and changes no more; for so long at most,
/// since a worker may keep none.
fn settle(server: &mut Server, kept: u64) -> anyhow::Result<()> {
    let deadline = Instant::now() + KEEPING;
    let (mut last, mut since) = (kept, Instant::now());
    while Instant::now() < deadline && (last == kept || since.elapsed() < SETTLED) {
        let now = kept_bytes(server)?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Bytes of what the model's worker keeps in its file.
fn kept_bytes(server: &mut Server) -> anyhow::Result<u64> {
    let mut worker = server.worker()?;
    Ok(server.stats(&mut worker)?.prefix_file_bytes)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
