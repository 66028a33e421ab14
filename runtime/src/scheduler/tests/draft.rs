//! Outputs with a draft model are those without, token for token, however well it guesses and whatever becomes of it.

use std::{cell::RefCell, rc::Rc};

use super::{
    guess::{REPEATING, asks, read},
    *,
};
use crate::engine::{Chunk, Want};

/// The draft model alone, and beside lookups.
const DRAFT: SchedulerSettings =
    SchedulerSettings { lookup_tokens: 0, draft_tokens: 8, step_stretch: 0.0, sampling_threads: 0 };
const BOTH: SchedulerSettings = SchedulerSettings { lookup_tokens: 8, ..DRAFT };

fn bench(limits: Limits, faults: Faults, settings: SchedulerSettings, draft: Draft) -> Bench {
    let mut bench = Bench::new(limits, faults);
    bench.scheduler =
        Scheduler::new(limits, settings, Arc::clone(&bench.counters)).drafting(draft.at_any_price());
    bench
}

fn draft(limits: Limits, faults: Faults) -> Draft {
    Draft::new(Box::new(FakeEngine::new(limits, faults)), limits, DRAFT.step_stretch)
}

/// What comes of `asks` with a draft model of these faults, alone and beside lookups, and without guesses, which is the
/// same; and the bench of the draft model alone.
fn same(limits: Limits, faults: Faults, drafts: Faults, asks: &[Ask]) -> (Vec<Got>, Bench) {
    let expected = read(&mut Bench::new(limits, faults), asks);
    let got = read(&mut bench(limits, faults, BOTH, draft(limits, drafts)), asks);
    assert_eq!(got, expected, "{asks:?}");
    let mut drafting = bench(limits, faults, DRAFT, draft(limits, drafts));
    let got = read(&mut drafting, asks);
    assert_eq!(got, expected, "{asks:?}");
    (got, drafting)
}

/// A draft model that knows what `REPEATING` says, each of whose batches is shown to `look`.
fn watched(limits: Limits, look: impl FnMut(&Batch) + 'static) -> Draft {
    let engine = FakeEngine::new(limits, REPEATING);
    Draft::new(Box::new(Watched { engine, look }), limits, DRAFT.step_stretch)
}

#[test]
fn a_draft_model_that_is_right_saves_steps() {
    let asked = ask(b"fn add(a: u32, b: u32) -> u32 { a + b } fn", 200);
    let limits = limits(1, 512, 64);
    let (got, bench) = same(limits, REPEATING, REPEATING, std::slice::from_ref(&asked));
    assert_eq!(got[0].tokens.len(), 200);
    let stats = bench.counters.stats("m");
    assert_eq!(stats.completion_tokens, 200);
    assert_eq!(stats.prompt_tokens, asked.prompt.len() as u64, "what a draft model computes is no prompt");
    assert_eq!(200 - stats.accepted_tokens, bench.engine.n_steps(), "each step has a token of its own");
    assert!(bench.engine.n_steps() < 40, "{} steps", bench.engine.n_steps());
    assert_eq!(
        (stats.drafted_tokens, stats.accepted_draft_tokens),
        (stats.guessed_tokens, stats.accepted_tokens)
    );
    // One for each guess, and one where the next is not probable.
    assert!(stats.draft_steps <= stats.drafted_tokens + stats.steps, "{stats:?}");
}

#[test]
fn what_is_found_is_not_drafted() {
    let asked = ask(b"again and again and again and again", 150);
    let limits = limits(1, 512, 64);
    let mut bench = bench(limits, REPEATING, BOTH, draft(limits, REPEATING));
    read(&mut bench, &[asked]);
    let stats = bench.counters.stats("m");
    assert!(stats.accepted_tokens > 100 && stats.drafted_tokens < stats.guessed_tokens / 2, "{stats:?}");
}

#[test]
fn a_draft_model_that_is_wrong_is_seldom_asked() {
    let drafts = Faults { repeats: 1, ..REPEATING };
    let (_, bench) = same(limits(2, 512, 64), REPEATING, drafts, &[ask(b"abc abd abe abf", 300)]);
    let stats = bench.counters.stats("m");
    assert!((1..80).contains(&stats.drafted_tokens), "{stats:?}");
    assert!(stats.draft_steps < 120, "{stats:?}");
}

#[test]
fn what_was_guessed_wrong_is_cut_and_what_is_known_computed_once() {
    let limits = limits(1, 512, 64);
    let n_computed = Rc::new(RefCell::new(0));
    let counted = Rc::clone(&n_computed);
    let draft = watched(limits, move |batch| *counted.borrow_mut() += batch.n_tokens() as u64);
    let mut bench = bench(limits, Faults { repeats: 12, ..REPEATING }, DRAFT, draft);
    let prompt = b"la la la la lo la la la la lo";
    read(&mut bench, &[ask(prompt, 150)]);
    let stats = bench.counters.stats("m");
    assert!(stats.accepted_tokens > 0 && stats.drafted_tokens > stats.accepted_tokens, "{stats:?}");
    // The fake engine panics where a chunk does not begin where its slot ends.
    let most = prompt.len() as u64 + 150 + stats.drafted_tokens;
    assert!(*n_computed.borrow() <= most, "{} of {most}", n_computed.borrow());
}

#[test]
fn sequences_that_decode_are_drafted_together_and_guess_as_many() {
    let limits = limits(3, 256, 256);
    let n_chunks = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&n_chunks);
    let draft = watched(limits, move |batch| seen.borrow_mut().push(batch.chunks().len()));
    let Bench { mut scheduler, engine, counters } = bench(limits, REPEATING, DRAFT, draft);
    let mut most_lengths = 0;
    let look = |batch: &Batch| {
        let decoding = batch.chunks().iter().filter(|chunk| chunk.position > 0);
        let lengths: std::collections::HashSet<_> = decoding.map(|chunk| batch.tokens(chunk).len()).collect();
        most_lengths = most_lengths.max(lengths.len());
    };
    let mut engine = Watched { engine, look };
    let asks = [ask(b"one two one two one", 90), ask(b"aaaaaaaaaaaaaaaa", 90), ask(b"xyz xyz xyz", 90)];
    let _readers = asks.map(|ask| {
        let (sequence, reader) = sequence(&ask);
        scheduler.submit(sequence);
        reader
    });
    while scheduler.tick(&mut engine, Instant::now()).unwrap() == Turn::Stepped {}
    let stats = counters.stats("m");
    assert_eq!((stats.completion_tokens, most_lengths), (270, 1));
    assert!(stats.accepted_draft_tokens > 90, "{stats:?}");
    let n_chunks = n_chunks.borrow();
    assert!(n_chunks.iter().filter(|n| **n == 3).count() * 2 > n_chunks.len(), "{n_chunks:?}");
}

#[test]
fn a_long_prompt_is_taken_in_by_pieces_while_everybody_goes_on() {
    let limits = limits(2, 512, 16);
    let mut bench = bench(limits, REPEATING, DRAFT, draft(limits, REPEATING));
    let mut quick = bench.submit(&ask(b"quick quick", 200));
    bench.tick();
    let mut long = bench.submit(&ask(&[b'x'; 300], 100));
    let mut n_quick = drain(&mut quick).tokens.len();
    while n_quick < 200 {
        assert_eq!(bench.tick(), Turn::Stepped);
        let n_more = drain(&mut quick).tokens.len();
        assert!(n_more > 0, "a token with every step");
        n_quick += n_more;
    }
    bench.run();
    assert_eq!(drain(&mut long).tokens.len(), 100);
    assert!(bench.counters.stats("m").accepted_draft_tokens > 0);
}

#[test]
fn a_prompt_is_made_up_for_apart_from_guesses_and_little_of_it_while_nothing_is_known() {
    let check = |stretch: f64, expected: &[usize]| {
        let limits = limits(1, 1024, 512);
        let computed = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&computed);
        let look = move |batch: &Batch| {
            seen.borrow_mut()
                .push((batch.n_tokens(), batch.chunks().iter().any(|chunk| chunk.want == Want::Last)));
        };
        let engine = FakeEngine::new(limits, REPEATING);
        let draft = Draft::new(Box::new(Watched { engine, look }), limits, stretch);
        read(&mut bench(limits, REPEATING, DRAFT, draft), &[ask(&[b'x'; 400], 100)]);
        let computed = computed.borrow();
        let (prompts, guesses): (Vec<_>, Vec<_>) = computed.iter().partition(|(_, has_row)| !has_row);
        let prompts: Vec<_> = prompts.iter().map(|(n_tokens, _)| *n_tokens).collect();
        assert_eq!(prompts[..expected.len()], *expected, "{stretch}");
        assert!(prompts.iter().sum::<usize>() >= 400, "{stretch}: {prompts:?}");
        assert!(guesses.len() > 10 && guesses.iter().all(|(n_tokens, _)| *n_tokens <= 8 + 2), "{guesses:?}");
    };
    check(2.0, &[64]);
    // Without a bound at once.
    check(0.0, &[400]);
}

/// What is computed: some of a prompt by the draft model, prompts by the model, or tokens of sequences that decode.
#[derive(Debug, PartialEq)]
enum Computed {
    MadeUp,
    Prompts,
    Tokens,
}

#[test]
fn nothing_is_made_up_for_in_a_step_that_computes_prompts() {
    use Computed::{MadeUp, Prompts, Tokens};
    let check = |second: Option<Ask>, expected: &[Computed]| {
        let limits = limits(2, 512, 512);
        let computed = Rc::new(RefCell::new(Vec::new()));
        let (drafts, steps) = (Rc::clone(&computed), Rc::clone(&computed));
        let draft = watched(limits, move |batch| {
            let is_made_up = batch.chunks().iter().all(|chunk| chunk.want == Want::Nothing);
            drafts.borrow_mut().push(if is_made_up { MadeUp } else { Tokens });
        });
        let Bench { mut scheduler, engine, .. } = bench(limits, REPEATING, DRAFT, draft);
        let look = move |batch: &Batch| {
            // Chunks with guesses want all rows.
            let is_prompt = |chunk: &Chunk| batch.tokens(chunk).len() > 1 && chunk.want != Want::All;
            let has_prompts = batch.chunks().iter().any(is_prompt);
            steps.borrow_mut().push(if has_prompts { Prompts } else { Tokens });
        };
        let mut engine = Watched { engine, look };
        let mut readers = Vec::new();
        for asked in [Some(ask(b"quick quick", 100)), second].into_iter().flatten() {
            let (sequence, reader) = sequence(&asked);
            scheduler.submit(sequence);
            readers.push(reader);
            scheduler.tick(&mut engine, Instant::now()).unwrap();
        }
        scheduler.tick(&mut engine, Instant::now()).unwrap();
        assert_eq!(*computed.borrow(), expected, "{} sequences", readers.len());
    };
    check(None, &[Prompts, MadeUp, Tokens]);
    // The step has room for what is due of the first one, and it is made up for in the next.
    check(Some(ask(&[b'x'; 300], 100)), &[Prompts, Prompts, MadeUp, Tokens]);
}

#[test]
fn what_a_draft_model_takes_is_time_that_a_sequence_waited() {
    let limits = limits(1, 128, 64);
    let worked = Rc::new(RefCell::new(Duration::ZERO));
    let working = Rc::clone(&worked);
    let draft = watched(limits, move |_| {
        let begun = Instant::now();
        std::hint::black_box(FakeEngine::row_after(&vec![TokenId(7); 200_000], VOCABULARY));
        *working.borrow_mut() += begun.elapsed();
    });
    let Bench { mut scheduler, mut engine, .. } = bench(limits, REPEATING, DRAFT, draft);
    let (sequence, mut reader) = sequence(&ask(b"tick tock tick tock", 5));
    scheduler.submit(sequence);
    // All ticks are said to begin now: what there is between slot and end is what the last one took.
    let now = Instant::now();
    let ending = loop {
        *worked.borrow_mut() = Duration::ZERO;
        assert_eq!(scheduler.tick(&mut engine, now).unwrap(), Turn::Stepped);
        if let Some(ending) = drain(&mut reader).ending {
            break ending;
        }
    };
    let (Timings { prefill, decode, .. }, worked) = (ending.timings, *worked.borrow());
    assert!(worked > Duration::ZERO, "the last tick has guesses");
    assert!(prefill + decode >= worked, "{prefill:?} and {decode:?} of {worked:?}");
}

#[test]
fn choices_of_one_prompt_and_their_grammars_stay_what_they_are() {
    let choices = (0..4).map(|choice| Ask { choice, temperature: 0.9, ..ask(b"row row row your boat", 60) });
    let grammars = [
        Ask { lark: Some("start: /(ab|cd|;){30}/"), temperature: 1.0, ..ask(b"ababab;cdab;ababab;", 200) },
        Ask {
            lark: Some("start: /[a-z]{4}(-[a-z]{4}){9}/"),
            logprobs: Some(3),
            ..ask(b"abcd-abcd-abcd", 90)
        },
    ];
    let asks: Vec<_> = choices.chain(grammars).collect();
    for slots in [1, 3, 6] {
        let (_, bench) = same(limits(slots, 256, 64), Faults { repeats: 14, ..REPEATING }, REPEATING, &asks);
        assert!(bench.counters.stats("m").accepted_draft_tokens > 0);
    }
}

#[test]
fn a_replay_goes_on_with_drafts() {
    let whole = Ask { temperature: 0.8, ..ask(b"row row row your boat, row row", 60) };
    let faults = Faults { repeats: 14, ..REPEATING };
    let limits = limits(1, 256, 64);
    let new = || bench(limits, faults, DRAFT, draft(limits, REPEATING));
    let expected = read(&mut new(), std::slice::from_ref(&whole));
    for cut in 0..60 {
        let resumed = Ask { resume: expected[0].tokens[..cut].to_vec(), ..whole.clone() };
        let got = read(&mut new(), &[resumed]);
        assert_eq!(got[0].tokens, expected[0].tokens[cut..], "cut at {cut}");
    }
}

#[test]
fn what_becomes_of_a_draft_model_is_nobodys_trouble() {
    // Its faults, and how many steps it has at most.
    let check = |drafts: Faults, expected: std::ops::RangeInclusive<u64>| {
        let asks = [ask(b"ha ha ha ha ha ha ha ha ", 60), ask(b"ho ho ho ho ho ho ho ho ", 60)];
        let (_, bench) = same(limits(2, 128, 64), Faults { repeats: 13, ..REPEATING }, drafts, &asks);
        let stats = bench.counters.stats("m");
        assert!(expected.contains(&stats.draft_steps), "{drafts:?}: {stats:?}");
        assert_eq!(stats.finished, 2);
    };
    check(Faults { fatal_at_step: Some(1), ..REPEATING }, 1..=1);
    check(Faults { fatal_at_step: Some(5), ..REPEATING }, 5..=5);
    check(Faults { reject: Some(SlotId(1)), ..REPEATING }, 1..=1);
    // It cannot forget, three times; it is full from the beginning, or after a while.
    check(Faults { rigid_kv: true, ..REPEATING }, 4..=40);
    check(Faults { kv_tokens: Some(10), ..REPEATING }, 1..=5);
    check(Faults { kv_tokens: Some(100), ..REPEATING }, 4..=80);
}

#[test]
fn a_draft_model_with_less_context_guesses_as_far_as_it_goes() {
    let (of, asked) = (limits(1, 512, 64), ask(b"on and on and on and on", 300));
    let small = Limits { context_tokens: 100, ..of };
    let draft = Draft::new(Box::new(FakeEngine::new(small, REPEATING)), of, 0.0);
    let mut drafting = bench(of, REPEATING, DRAFT, draft);
    let expected = read(&mut Bench::new(of, REPEATING), std::slice::from_ref(&asked));
    assert_eq!(read(&mut drafting, &[asked]), expected);
    let stats = drafting.counters.stats("m");
    assert!((30..80).contains(&stats.accepted_draft_tokens), "{stats:?}");
}

#[test]
fn a_step_of_a_draft_model_is_a_step_to_who_watches() {
    let limits = limits(1, 128, 64);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let counters: Rc<RefCell<Arc<Counters>>> = Rc::default();
    let (paces, watching) = (Rc::clone(&seen), Rc::clone(&counters));
    let draft = watched(limits, move |_| paces.borrow_mut().push(watching.borrow().pace()));
    let mut bench = bench(limits, REPEATING, DRAFT, draft);
    counters.borrow_mut().clone_from(&bench.counters);
    read(&mut bench, &[ask(b"tick tock tick tock", 40)]);
    let seen = seen.borrow();
    assert!(seen.len() > 10, "{seen:?}");
    assert!(seen.is_sorted_by(|a, b| a.steps < b.steps), "each of them counts: {seen:?}");
    assert!(seen.iter().all(|pace| pace.pending == 1 && pace.step_tokens > 0), "{seen:?}");
    let (pace, stats) = (bench.counters.pace(), bench.counters.stats("m"));
    assert_eq!((pace.step_tokens, pace.largest_step_tokens), (0, 19), "its prompt is the largest step");
    assert_eq!(pace.steps, stats.ticks + stats.draft_steps);
}

fn faults() -> impl Strategy<Value = Faults> {
    let kv_tokens = prop::option::of(40..300_usize);
    let fatal_at_step = prop::option::of(1..200_u64);
    let reject = prop::option::weighted(0.1, (0..5_u32).prop_map(SlotId));
    (any::<bool>(), kv_tokens, fatal_at_step, reject, 8..=16_u8).prop_map(
        |(rigid_kv, kv_tokens, fatal_at_step, reject, repeats)| Faults {
            rigid_kv,
            kv_tokens,
            fatal_at_step,
            reject,
            repeats,
            ..Faults::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_about_an_output_changes(
        asks in asks(),
        slots in 1..5_u32,
        tokens_per_step in 4..40_u32,
        repeats in 8..=16_u8,
        rigid_kv in prop::bool::weighted(0.2),
        kv_tokens in prop::option::of(150..300_usize),
        drafts in faults(),
    ) {
        let model = Faults { rigid_kv, kv_tokens, repeats, ..Faults::default() };
        same(limits(slots, 128, tokens_per_step.max(slots)), model, drafts, &asks);
    }

    /// Readers that go away in the middle leave slots behind that others follow in.
    #[test]
    fn who_is_left_is_not_disturbed_by_who_goes(
        cancelled in prop::collection::vec((1..40_usize, 0..3_u8, 1..12_usize), 1..8),
        drafts in faults(),
    ) {
        let limits = limits(2, 128, 24);
        let mut bench = bench(limits, REPEATING, DRAFT, draft(limits, drafts));
        let prompt = |length: usize, letter: u8| -> Vec<u8> {
            (0..length).map(|idx| b'a' + letter + (idx % 3) as u8).collect()
        };
        let mut kept = Vec::new();
        for (length, letter, n_ticks) in cancelled {
            let gone = bench.submit(&ask(&prompt(length, letter), 60));
            kept.push((length, letter, bench.submit(&ask(&prompt(length + 1, letter), 20))));
            for _ in 0..n_ticks {
                bench.tick();
            }
            drop(gone);
        }
        bench.run();
        for (length, letter, mut reader) in kept {
            let expected = read(&mut Bench::new(limits, REPEATING), &[ask(&prompt(length + 1, letter), 20)]);
            prop_assert_eq!(&drain(&mut reader).tokens, &expected[0].tokens);
        }
    }
}
