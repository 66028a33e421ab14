//! The scheduler against the fake engine, whose output betrays any token that is in the wrong place.

mod constraint;
mod draft;
mod guess;
mod kept;
mod scores;
mod shared;
mod turns;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use tokio::sync::mpsc;

use self::constraint::constraint;
use super::*;
use crate::{
    engine::{
        TokenId, Unsupported,
        fake::{ByteVocabulary, FakeEngine, Faults},
    },
    output::{Output, Part, StopParams},
    sampling::{MirostatParams, Sampler, SamplingParams, Score},
};

const VOCABULARY: u32 = 257;

fn limits(slots: u32, context_tokens: u32, tokens_per_step: u32) -> Limits {
    Limits {
        slots,
        context_tokens,
        tokens_per_step,
        chunk_rows: tokens_per_step,
        chunks_per_step: slots,
        vocabulary: VOCABULARY,
    }
}

/// What a test submits.
#[derive(Debug, Clone, Default)]
struct Ask {
    owner: &'static str,
    /// Which of several completions of one prompt it is.
    choice: u32,
    prompt: Vec<u8>,
    resume: Vec<TokenId>,
    max_tokens: u32,
    temperature: f32,
    stop: Vec<String>,
    room: usize,
    /// Alternatives of each token, of the completion and of the prompt.
    logprobs: Option<u32>,
    prompt_scores: Option<u32>,
    /// The prompt alone.
    no_completion: bool,
    mirostat: bool,
    /// A grammar, and whether the output goes on where that may end.
    lark: Option<&'static str>,
    ignore_end: bool,
    min_tokens: u32,
    priority: i32,
}

fn ask(prompt: &[u8], max_tokens: u32) -> Ask {
    Ask { prompt: prompt.to_vec(), max_tokens, room: 1024, ..Ask::default() }
}

fn sequence(ask: &Ask) -> (Sequence, mpsc::Receiver<Event>) {
    let (events, receiver) = mpsc::channel(ask.room.max(2));
    let mirostat = ask.mirostat.then_some(MirostatParams { version: 2, tau: 3.0, eta: 0.3 });
    let (temperature, logprobs) = (ask.temperature, ask.logprobs);
    let params = SamplingParams { seed: 7, temperature, logprobs, mirostat, ..SamplingParams::default() };
    let ignore_end = ask.lark.is_none() || ask.ignore_end;
    let stop = StopParams { stop: ask.stop.clone(), ignore_end, ..StopParams::default() };
    let sequence = Sequence::new(SequenceParams {
        owner: ask.owner.into(),
        priority: ask.priority,
        prompt: ask.prompt.iter().map(|&byte| TokenId(byte.into())).collect(),
        resume: ask.resume.clone(),
        max_tokens: (ask.max_tokens > 0 || ask.no_completion).then_some(ask.max_tokens),
        prompt_scores: ask.prompt_scores,
        sampler: Sampler::new(params, ask.choice, Arc::new(ByteVocabulary::default()))
            .unwrap()
            .open_for(ask.min_tokens, vec![TokenId(256)]),
        constraint: ask.lark.map(|lark| constraint(lark, ask.ignore_end)),
        output: Output::new(Arc::new(ByteVocabulary::default()), &stop).unwrap(),
        events,
        submitted: Instant::now(),
    });
    (sequence, receiver)
}

struct Bench {
    scheduler: Scheduler,
    engine: FakeEngine,
    counters: Arc<Counters>,
}

impl Bench {
    fn new(limits: Limits, faults: Faults) -> Self {
        let counters = Arc::new(Counters::default());
        Self {
            scheduler: Scheduler::new(limits, SchedulerSettings::default(), Arc::clone(&counters)),
            engine: FakeEngine::new(limits, faults),
            counters,
        }
    }

    fn submit(&mut self, ask: &Ask) -> mpsc::Receiver<Event> {
        let (sequence, receiver) = sequence(ask);
        self.scheduler.submit(sequence);
        receiver
    }

    fn tick(&mut self) -> Turn {
        self.scheduler.tick(&mut self.engine, Instant::now()).expect("the engine is well")
    }

    fn run(&mut self) {
        for _ in 0..100_000 {
            if self.tick() != Turn::Stepped {
                return;
            }
        }
        panic!("the sequences do not end");
    }
}

/// Everything a reader got.
#[derive(Debug, Default, PartialEq)]
struct Got {
    prompt: Option<Vec<(TokenId, Score)>>,
    tokens: Vec<TokenId>,
    scores: Vec<Score>,
    text: String,
    ending: Option<Ending>,
    failed: Option<String>,
}

fn text(parts: &[Part]) -> String {
    parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.as_str(),
            other => panic!("{other:?} of a plain output"),
        })
        .collect()
}

fn drain(receiver: &mut mpsc::Receiver<Event>) -> Got {
    let mut got = Got::default();
    let mut next = None;
    while let Ok(event) = receiver.try_recv() {
        assert!(got.ending.is_none() && got.failed.is_none(), "nothing follows the end");
        match event {
            Event::Prompt(scores) => {
                assert!(got.tokens.is_empty() && got.prompt.is_none(), "the prompt comes first, and once");
                got.prompt = Some(scores);
            }
            Event::Tokens(Said { index, tokens, parts, scores, ending }) => {
                got.scores.extend(scores);
                assert_eq!(index, next.unwrap_or(index), "no gap, no repetition");
                next = Some(index + tokens.len() as u32);
                got.tokens.extend(tokens);
                got.text += &text(&parts);
                got.ending = ending.map(|ending| *ending);
            }
            Event::Over { ending, .. } => got.ending = Some(ending),
            Event::Failed(reason) => got.failed = Some(reason),
        }
        got.text += &got.ending.as_ref().map_or_else(String::new, |ending| text(&ending.rest));
    }
    got
}

/// What greedy sampling gives, worked out without a scheduler.
fn oracle(prompt: &[u8], n: usize) -> Vec<TokenId> {
    let mut history: Vec<_> = prompt.iter().map(|&byte| TokenId(byte.into())).collect();
    for _ in 0..n {
        history.push(FakeEngine::greedy_after(&history, VOCABULARY));
    }
    history.split_off(prompt.len())
}

#[test]
fn one_sequence_gets_what_the_engine_says() {
    let mut bench = Bench::new(limits(2, 64, 8), Faults::default());
    let mut reader = bench.submit(&ask(b"hello there, engine", 20));
    bench.run();
    let got = drain(&mut reader);
    assert_eq!(got.tokens, oracle(b"hello there, engine", 20));
    let ending = got.ending.unwrap();
    assert_eq!(ending.reason, FinishReason::Length);
    assert_eq!(
        ending.usage,
        Usage { prompt_tokens: 19, cached_tokens: 0, completion_tokens: 20, reasoning_tokens: 0 }
    );
}

#[test]
fn the_context_ends_a_sequence_without_a_limit() {
    let mut bench = Bench::new(limits(1, 16, 8), Faults::default());
    let mut reader = bench.submit(&ask(b"0123456789", 0));
    bench.run();
    assert_eq!(drain(&mut reader).tokens, oracle(b"0123456789", 6));
}

#[test]
fn many_sequences_share_the_steps() {
    let mut bench = Bench::new(limits(8, 64, 64), Faults::default());
    let prompts: Vec<_> = (0..8u8).map(|n| vec![b'a' + n; 3 + n as usize]).collect();
    let mut readers: Vec<_> = prompts.iter().map(|prompt| bench.submit(&ask(prompt, 30))).collect();
    bench.run();
    for (prompt, reader) in prompts.iter().zip(&mut readers) {
        assert_eq!(drain(reader).tokens, oracle(prompt, 30));
    }
    assert_eq!(bench.engine.max_chunks(), 8);
    assert!(bench.engine.n_steps() < 40, "{} steps for 240 tokens", bench.engine.n_steps());
}

#[test]
fn a_long_prompt_does_not_hold_up_who_decodes() {
    let mut bench = Bench::new(limits(2, 512, 16), Faults::default());
    let mut quick = bench.submit(&ask(b"quick", 40));
    bench.tick();
    let mut long = bench.submit(&ask(&[b'x'; 300], 2));
    for expected in 2..=20 {
        bench.tick();
        assert_eq!(40 - quick.capacity().saturating_sub(1024 - 40), expected, "a token with every step");
    }
    bench.run();
    assert_eq!(drain(&mut quick).tokens, oracle(b"quick", 40));
    assert_eq!(drain(&mut long).tokens, oracle(&[b'x'; 300], 2));
}

#[test]
fn a_dropped_reader_frees_the_slot_within_a_step() {
    let mut bench = Bench::new(limits(1, 256, 16), Faults::default());
    let gone = bench.submit(&ask(b"nobody will read this", 200));
    let mut next = bench.submit(&ask(b"but this", 3));
    bench.tick();
    bench.tick();
    drop(gone);
    bench.tick();
    assert_eq!(bench.counters.stats("m").cancelled, 1);
    assert_eq!(bench.counters.stats("m").slots_busy, 1, "the next one has the slot");
    bench.run();
    assert_eq!(drain(&mut next).tokens, oracle(b"but this", 3));
    assert_eq!(bench.counters.stats("m").slots_busy, 0);
}

#[test]
fn a_slow_reader_pauses_alone_and_counts_as_no_hang() {
    let mut bench = Bench::new(limits(2, 256, 16), Faults::default());
    let mut slow = bench.submit(&Ask { room: 2, ..ask(b"slow", 10) });
    let mut fast = bench.submit(&ask(b"fast", 30));
    bench.run();
    assert_eq!(drain(&mut fast).tokens, oracle(b"fast", 30));
    assert_eq!(bench.tick(), Turn::Blocked);
    assert_eq!(bench.counters.pace().pending, 0, "nothing waits for the engine");
    let mut tokens = Vec::new();
    while tokens.len() < 10 {
        tokens.extend(drain(&mut slow).tokens);
        bench.run();
    }
    assert_eq!(tokens, oracle(b"slow", 10));
}

/// Shows each batch before it is computed.
struct Watched<F> {
    engine: FakeEngine,
    look: F,
}

impl<F: FnMut(&Batch)> TextEngine for Watched<F> {
    fn limits(&self) -> Limits {
        self.engine.limits()
    }

    fn step(&mut self, batch: &Batch, rows: &mut Rows) -> Result<(), StepError> {
        (self.look)(batch);
        self.engine.step(batch, rows)
    }

    fn kv_truncate(&mut self, slot: SlotId, length: u32) -> Result<(), Unsupported> {
        self.engine.kv_truncate(slot, length)
    }

    fn kv_copy(&mut self, from: SlotId, to: SlotId, length: u32) -> Result<(), Unsupported> {
        self.engine.kv_copy(from, to, length)
    }

    fn kv_clear(&mut self, slot: SlotId) {
        self.engine.kv_clear(slot);
    }
}

#[test]
fn the_size_of_a_step_is_known_while_it_runs() {
    let Bench { mut scheduler, engine, counters } = Bench::new(limits(1, 64, 8), Faults::default());
    let (sequence, _reader) = sequence(&ask(b"eleven tok.", 2));
    scheduler.submit(sequence);
    let sizes = |pace: Pace| (pace.steps, pace.pending, pace.step_tokens, pace.largest_step_tokens);
    let mut seen = Vec::new();
    // As the thread that reports looks at them.
    let mut engine = Watched { engine, look: |_: &Batch| seen.push(sizes(counters.pace())) };
    while scheduler.tick(&mut engine, Instant::now()).unwrap() == Turn::Stepped {}
    // The prompt in two chunks, then the first token that was generated.
    assert_eq!(seen, [(0, 1, 8, 0), (1, 1, 3, 8), (2, 1, 1, 8)]);
    assert_eq!(sizes(counters.pace()), (3, 0, 0, 8));
}

#[test]
fn a_second_turn_computes_only_what_is_new() {
    let mut bench = Bench::new(limits(2, 256, 16), Faults::default());
    let first = b"turn one of a conversation";
    let mut reader = bench.submit(&ask(first, 8));
    bench.run();
    let mut second = first.to_vec();
    second.extend(drain(&mut reader).tokens.iter().map(|token| token.0.min(255) as u8));
    second.extend(b" and turn two");
    let before = bench.counters.stats("m").prompt_tokens;
    let mut reader = bench.submit(&ask(&second, 8));
    bench.run();
    let got = drain(&mut reader);
    assert_eq!(got.tokens, oracle(&second, 8));
    let cached = got.ending.unwrap().usage.cached_tokens;
    assert!(cached >= first.len() as u32 + 7, "{cached} tokens were cached");
    let computed = bench.counters.stats("m").prompt_tokens - before;
    assert_eq!(computed, (second.len() as u64) - u64::from(cached));
}

#[test]
fn an_engine_that_cannot_cut_its_cache_computes_again() {
    let mut bench = Bench::new(limits(1, 256, 16), Faults { rigid_kv: true, ..Faults::default() });
    for prompt in [&b"the same beginning, one"[..], b"the same beginning, two"] {
        let mut reader = bench.submit(&ask(prompt, 5));
        bench.run();
        let got = drain(&mut reader);
        assert_eq!(got.tokens, oracle(prompt, 5));
        assert_eq!(got.ending.unwrap().usage.cached_tokens, 0);
    }
}

#[test]
fn a_full_cache_preempts_and_loses_nothing() {
    let faults = Faults { kv_tokens: Some(60), ..Faults::default() };
    let mut bench = Bench::new(limits(4, 128, 16), faults);
    let prompts = [b"preempt me a", b"preempt me b", b"preempt me c"];
    let mut readers: Vec<_> = prompts.iter().map(|prompt| bench.submit(&ask(*prompt, 25))).collect();
    bench.run();
    for (prompt, reader) in prompts.iter().zip(&mut readers) {
        assert_eq!(drain(reader).tokens, oracle(*prompt, 25));
    }
    assert!(bench.counters.stats("m").preemptions > 0);
}

#[test]
fn a_request_too_large_for_the_cache_alone_fails_alone() {
    let mut bench = Bench::new(limits(2, 128, 16), Faults { kv_tokens: Some(30), ..Faults::default() });
    let mut large = bench.submit(&ask(&[b'l'; 40], 5));
    bench.run();
    assert!(drain(&mut large).failed.unwrap().contains("KV cache"));
    let mut small = bench.submit(&ask(b"small", 5));
    bench.run();
    assert_eq!(drain(&mut small).tokens, oracle(b"small", 5));
}

#[test]
fn a_rejected_chunk_fails_its_sequence_alone() {
    let mut bench = Bench::new(limits(2, 64, 16), Faults { reject: Some(SlotId(0)), ..Faults::default() });
    let mut readers = [bench.submit(&ask(b"first", 5)), bench.submit(&ask(b"other", 5))];
    bench.run();
    let got = readers.each_mut().map(drain);
    let failed = got.iter().filter(|got| got.failed.is_some()).count();
    let served = got.iter().filter(|got| got.tokens.len() == 5).count();
    assert_eq!((failed, served), (1, 1));
}

#[test]
fn a_fatal_error_ends_the_scheduler() {
    let mut bench = Bench::new(limits(1, 64, 16), Faults { fatal_at_step: Some(3), ..Faults::default() });
    let _reader = bench.submit(&ask(b"doomed", 30));
    bench.tick();
    bench.tick();
    let fatal = bench.scheduler.tick(&mut bench.engine, Instant::now()).expect_err("the third step is fatal");
    assert!(fatal.to_string().contains("fatal_at_step"));
}

#[test]
fn a_replay_goes_on_where_the_stream_broke_off() {
    // The second ends where the context does.
    for (temperature, max_tokens) in [(0.0, 24), (0.0, 0), (0.9, 24)] {
        let whole = Ask { temperature, stop: vec!["zzzz".into()], ..ask(b"replayed prompt", max_tokens) };
        let mut bench = Bench::new(limits(2, 48, 16), Faults::default());
        let mut reader = bench.submit(&whole);
        bench.run();
        let expected = drain(&mut reader);
        for cut in 0..=expected.tokens.len() {
            let resume = expected.tokens[..cut].to_vec();
            let mut bench = Bench::new(limits(2, 48, 16), Faults::default());
            let mut reader = bench.submit(&Ask { resume, ..whole.clone() });
            bench.run();
            let got = drain(&mut reader);
            assert_eq!(got.tokens, expected.tokens[cut..], "cut at {cut}");
            let (a, b) = (got.ending.unwrap(), expected.ending.clone().unwrap());
            assert_eq!((a.reason, a.usage.completion_tokens), (b.reason, b.usage.completion_tokens));
            assert!(expected.text.ends_with(&got.text), "cut at {cut}");
        }
    }
}

#[test]
fn timings_are_of_the_ticks() {
    let mut bench = Bench::new(limits(1, 64, 16), Faults::default());
    let (sequence, mut reader) = sequence(&ask(b"timed", 3));
    let submitted = sequence.submitted();
    bench.scheduler.submit(sequence);
    for n in 1..=3 {
        bench.scheduler.tick(&mut bench.engine, submitted + Duration::from_secs(n)).unwrap();
    }
    let timings = drain(&mut reader).ending.unwrap().timings;
    assert_eq!(timings.queue, Duration::from_secs(1));
    assert!(timings.prefill < Duration::from_secs(1), "{timings:?}");
    assert_eq!(timings.decode.as_secs_f64().round() as u64, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes and goes: no slot is shared (the fake engine would panic), every sequence that is not
    /// cancelled ends with exactly the oracle's tokens, and in the end no slot is busy.
    #[test]
    fn every_sequence_ends_as_if_it_were_alone(
        slots in 1..5u32,
        tokens_per_step in 4..40u32,
        rigid_kv: bool,
        full_at in prop::option::of(150..400usize),
        asks in prop::collection::vec((1..60usize, 0..3u8, 1..20u32, prop::option::of(0..30usize), 0..6usize), 1..14),
    ) {
        let faults = Faults { rigid_kv, kv_tokens: full_at, ..Faults::default() };
        let mut bench = Bench::new(limits(slots, 96, tokens_per_step.max(slots)), faults);
        let mut open = Vec::new();
        let mut turn = 0;
        for (length, letter, max_tokens, cancel_after, pause) in asks {
            let prompt: Vec<u8> = (0..length).map(|idx| b'a' + letter + (idx / 40) as u8 * letter).collect();
            let reader = bench.submit(&ask(&prompt, max_tokens));
            open.push((prompt, max_tokens, Some(reader), cancel_after.map(|after| turn + after)));
            for _ in 0..pause {
                bench.tick();
                turn += 1;
                for (_, _, reader, cancel) in &mut open {
                    if cancel.is_some_and(|at| at <= turn) {
                        *reader = None;
                    }
                }
            }
        }
        bench.run();
        for (prompt, max_tokens, reader, _) in &mut open {
            if let Some(reader) = reader {
                let got = drain(reader);
                prop_assert_eq!(got.tokens, oracle(prompt, *max_tokens as usize));
                prop_assert!(got.ending.is_some());
            }
        }
        bench.tick();
        prop_assert_eq!(bench.counters.n_sequences(), 0);
    }
}
