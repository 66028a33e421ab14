//! Outputs with guesses are those without, token for token and score for score; they take fewer steps.

use std::collections::HashSet;

use super::*;

const LOOKUP: SchedulerSettings =
    SchedulerSettings { lookup_tokens: 8, draft_tokens: 0, step_stretch: 0.0, sampling_threads: 0 };

pub(super) fn bench(limits: Limits, faults: Faults, settings: SchedulerSettings) -> Bench {
    let mut bench = Bench::new(limits, faults);
    bench.scheduler = Scheduler::new(limits, settings, Arc::clone(&bench.counters));
    bench
}

/// What all readers get in the end, the times left out. Readers look in between, since the rooms of some are small.
pub(super) fn read(bench: &mut Bench, asks: &[Ask]) -> Vec<Got> {
    let mut readers: Vec<_> = asks.iter().map(|ask| (bench.submit(ask), Got::default())).collect();
    while readers.iter().any(|(_, got)| got.ending.is_none() && got.failed.is_none()) {
        bench.run();
        for (reader, got) in &mut readers {
            let more = drain(reader);
            got.prompt = got.prompt.take().or(more.prompt);
            got.tokens.extend(more.tokens);
            got.scores.extend(more.scores);
            got.text += &more.text;
            got.failed = got.failed.take().or(more.failed);
            got.ending = got.ending.take().or(more.ending);
        }
    }
    for ending in readers.iter_mut().filter_map(|(_, got)| got.ending.as_mut()) {
        ending.timings = Timings::default();
        // Who finds a slot of another depends on who has ended by then.
        ending.usage.cached_tokens = 0;
    }
    readers.into_iter().map(|(_, got)| got).collect()
}

/// What comes of `asks` with guesses and without, which is the same; and the bench with guesses.
fn same(limits: Limits, faults: Faults, asks: &[Ask]) -> (Vec<Got>, Bench) {
    let expected = read(&mut bench(limits, faults, SchedulerSettings::default()), asks);
    let mut guessing = bench(limits, faults, LOOKUP);
    let got = read(&mut guessing, asks);
    assert_eq!(got, expected, "{asks:?}");
    (got, guessing)
}

pub(super) const REPEATING: Faults = Faults {
    rigid_kv: false,
    refuses_loads: false,
    kv_tokens: None,
    fatal_at_step: None,
    reject: None,
    repeats: 16,
};

#[test]
fn a_text_that_repeats_its_prompt_takes_half_the_steps() {
    let asked = ask(b"fn add(a: u32, b: u32) -> u32 { a + b } fn", 200);
    let (got, bench) = same(limits(1, 512, 64), REPEATING, std::slice::from_ref(&asked));
    assert_eq!(got[0].tokens.len(), 200);
    assert!(bench.engine.n_steps() <= 100, "{} steps", bench.engine.n_steps());
    let stats = bench.counters.stats("m");
    assert_eq!(stats.completion_tokens, 200);
    assert_eq!(stats.prompt_tokens, asked.prompt.len() as u64, "guesses are no prompt");
    assert_eq!(200 - stats.accepted_tokens, bench.engine.n_steps(), "each step has a token of its own");
    assert!(stats.guessed_tokens >= stats.accepted_tokens);
}

#[test]
fn without_a_setting_nothing_is_guessed() {
    let mut bench = bench(limits(1, 512, 64), REPEATING, SchedulerSettings::default());
    read(&mut bench, &[ask(b"again and again and again", 50)]);
    assert_eq!((bench.engine.n_steps(), bench.counters.stats("m").guessed_tokens), (50, 0));
}

#[test]
fn the_tokens_of_a_step_are_one_event() {
    let mut bench = bench(limits(1, 512, 64), REPEATING, LOOKUP);
    let mut reader = bench.submit(&Ask { logprobs: Some(1), ..ask(b"one two one two one two one", 60) });
    bench.run();
    let mut events = 0;
    while let Ok(Event::Tokens(said)) = reader.try_recv() {
        events += 1;
        assert_eq!(said.scores.len(), said.tokens.len());
        assert!(said.parts.len() <= 1, "{said:?}");
    }
    assert_eq!(events, bench.engine.n_steps());
}

#[test]
fn scores_come_with_what_they_are_of() {
    use crate::output::{
        Beginning,
        format::{Template, named},
    };
    let (events, mut reader) = mpsc::channel(128);
    let vocabulary = Arc::new(ByteVocabulary::default());
    let sampling = SamplingParams { logprobs: Some(0), ..SamplingParams::default() };
    let said = "hm</think>Yes hm</think>Yes h";
    let beginning = Beginning { prompt_tail: "<think>".to_owned(), ..Beginning::default() };
    let format = named("hermes", &Template::new("")).unwrap();
    let sequence = Sequence::new(SequenceParams {
        owner: "".into(),
        priority: 0,
        prompt: said.bytes().map(|byte| TokenId(byte.into())).collect(),
        resume: Vec::new(),
        max_tokens: Some(90),
        prompt_scores: None,
        sampler: Sampler::new(sampling, 0, vocabulary.clone()).unwrap(),
        constraint: None,
        output: Output::new(vocabulary, &StopParams::default()).unwrap().read_as(&*format, &beginning, None),
        events,
        submitted: Instant::now(),
    });
    let mut bench = bench(limits(1, 256, 128), REPEATING, LOOKUP);
    bench.scheduler.submit(sequence);
    bench.run();
    let (mut tokens, mut kinds) = (Vec::new(), 0);
    while let Ok(Event::Tokens(said)) = reader.try_recv() {
        assert!(said.parts.len() <= 1, "{said:?}");
        assert_eq!(said.index as usize, tokens.len());
        kinds |= said
            .parts
            .iter()
            .fold(0, |kinds, part| kinds | if matches!(part, Part::Text(_)) { 1 } else { 2 });
        tokens.extend(said.tokens);
    }
    assert_eq!((tokens.len(), kinds), (90, 3));
    assert!(bench.engine.n_steps() < 60, "{} steps", bench.engine.n_steps());
}

#[test]
fn slots_hold_what_came_true_and_nothing_else() {
    let faults = Faults { repeats: 11, ..REPEATING };
    let mut bench = bench(limits(1, 512, 64), faults, LOOKUP);
    let prompt = b"la la la la lo la la la la lo";
    let mut reader = bench.submit(&ask(prompt, 150));
    let mut n_tokens = 0;
    while bench.tick() == Turn::Stepped {
        n_tokens += drain(&mut reader).tokens.len();
        assert_eq!(bench.engine.held(SlotId(0)) as usize, prompt.len() + n_tokens - 1);
    }
    let stats = bench.counters.stats("m");
    assert_eq!(n_tokens, 150);
    assert!(stats.accepted_tokens > 0 && stats.guessed_tokens > stats.accepted_tokens, "{stats:?}");
}

#[test]
fn an_engine_that_cannot_forget_soon_guesses_no_more() {
    let faults = Faults { rigid_kv: true, repeats: 11, ..REPEATING };
    let (_, bench) = same(limits(2, 256, 64), faults, &[ask(b"so so so so so so", 100)]);
    let stats = bench.counters.stats("m");
    assert!((1..=20).contains(&stats.guessed_tokens), "{stats:?}");
    let computed_again = stats.prompt_tokens - 17;
    assert!((17..140).contains(&computed_again), "once: {stats:?}");
}

#[test]
fn an_engine_that_computes_tokens_in_turn_is_given_no_guesses() {
    let limits = Limits { chunk_rows: 1, ..limits(1, 512, 64) };
    let (_, bench) = same(limits, REPEATING, &[ask(b"again and again and again", 50)]);
    assert_eq!((bench.engine.n_steps(), bench.counters.stats("m").guessed_tokens), (50, 0));
}

#[test]
fn the_guesses_of_a_step_are_of_one_length() {
    let limits = limits(3, 256, 256);
    let Bench { mut scheduler, engine, counters } =
        bench(limits, Faults { repeats: 14, ..REPEATING }, LOOKUP);
    let mut most_lengths = 0;
    let look = |batch: &Batch| {
        let decoding = batch.chunks().iter().filter(|chunk| chunk.position > 0);
        let lengths: HashSet<_> = decoding.map(|chunk| batch.tokens(chunk).len()).collect();
        most_lengths = most_lengths.max(lengths.len());
    };
    let mut engine = Watched { engine, look };
    let asks = [ask(b"one two one two one", 90), ask(b"aaaaaaaaaaaaaaaa", 60), ask(b"xyz xyz xyz", 90)];
    let _readers = asks.map(|ask| {
        let (sequence, reader) = sequence(&ask);
        scheduler.submit(sequence);
        reader
    });
    while scheduler.tick(&mut engine, Instant::now()).unwrap() == Turn::Stepped {}
    let stats = counters.stats("m");
    assert_eq!((stats.completion_tokens, most_lengths), (240, 1));
    assert!(stats.accepted_tokens > 0, "{stats:?}");
}

#[test]
fn nobody_is_preempted_for_a_guess() {
    // Room for the sequences and not one token more.
    let faults = Faults { kv_tokens: Some(2 * (24 + 39)), ..REPEATING };
    let asks = [ask(b"ha ha ha ha ha ha ha ha ", 40), ask(b"ho ho ho ho ho ho ho ho ", 40)];
    let (_, bench) = same(limits(2, 128, 64), faults, &asks);
    let stats = bench.counters.stats("m");
    assert_eq!(stats.preemptions, 0);
    assert!(stats.accepted_tokens > 0, "{stats:?}");
}

#[test]
fn what_a_grammar_forbids_is_no_guess_that_comes_true() {
    let asks = [
        Ask { lark: Some("start: /(ab|cd|;){30}/"), temperature: 1.0, ..ask(b"ababab;cdab;ababab;", 200) },
        Ask {
            lark: Some("start: /[a-z]{4}(-[a-z]{4}){9}/"),
            logprobs: Some(3),
            ..ask(b"abcd-abcd-abcd", 90)
        },
    ];
    let (got, bench) = same(limits(2, 256, 64), Faults { repeats: 14, ..REPEATING }, &asks);
    assert!(
        got.iter().all(|got| got.ending.as_ref().is_some_and(|ending| ending.reason == FinishReason::End))
    );
    assert!(bench.counters.stats("m").accepted_tokens > 0);
}

#[test]
fn a_replay_goes_on_with_guesses() {
    let whole = Ask { temperature: 0.8, ..ask(b"row row row your boat, row row", 60) };
    let faults = Faults { repeats: 14, ..REPEATING };
    let expected = read(&mut bench(limits(1, 256, 64), faults, LOOKUP), std::slice::from_ref(&whole));
    for cut in 0..60 {
        let resumed = Ask { resume: expected[0].tokens[..cut].to_vec(), ..whole.clone() };
        let got = read(&mut bench(limits(1, 256, 64), faults, LOOKUP), &[resumed]);
        assert_eq!(got[0].tokens, expected[0].tokens[cut..], "cut at {cut}");
    }
}

#[test]
fn many_sequences_leave_no_room_for_guesses() {
    let asks: Vec<_> = (0..16u8).map(|n| ask(&[b'a' + n; 12], 20)).collect();
    let (_, bench) = same(limits(16, 64, 256), REPEATING, &asks);
    assert_eq!(bench.counters.stats("m").guessed_tokens, 0);
    let (_, bench) = same(limits(4, 64, 256), REPEATING, &asks);
    assert!(bench.counters.stats("m").accepted_tokens > 0);
}

pub(super) fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let word = prop::sample::select(vec!["ab", "abc ", "x", "yz, ", "\u{e9}", "\n"]);
    let prompt = prop::collection::vec(word, 1..20).prop_map(|words| words.concat().into_bytes());
    let stop = prop::sample::subsequence(vec!["abcx", "yz, yz", "\n\n"], 0..3);
    let sampling = (prop_oneof![Just(0.0), 0.3..1.5_f32], any::<bool>(), prop::option::of(0..3_u32));
    let ask = (prompt, 0..50_u32, stop, sampling, prop::option::of(0..2_u32), 2..6_usize).prop_map(
        |(prompt, max_tokens, stop, (temperature, mirostat, logprobs), prompt_scores, room)| Ask {
            prompt,
            max_tokens,
            stop: stop.into_iter().map(str::to_owned).collect(),
            temperature,
            mirostat,
            logprobs,
            prompt_scores,
            room,
            ..Ask::default()
        },
    );
    prop::collection::vec(ask, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_about_an_output_changes(
        asks in asks(),
        slots in 1..5_u32,
        tokens_per_step in 4..40_u32,
        repeats in 8..=16_u8,
        rigid_kv: bool,
        kv_tokens in prop::option::of(150..300_usize),
    ) {
        let faults = Faults { rigid_kv, kv_tokens, repeats, ..Faults::default() };
        same(limits(slots, 128, tokens_per_step.max(slots)), faults, &asks);
    }
}
