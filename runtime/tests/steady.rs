//! Sequences that decode allocate nothing, on the engine's thread and on those that choose tokens beside it, but the text
//! that leaves it: a buffer for each event, which its reader frees.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use impetus_runtime::{
    engine::{
        Batch, Limits, Rows, SlotId, StepError, TextEngine, TokenId, Unsupported, Want, fake::ByteVocabulary,
    },
    output::{Output, StopParams},
    sampling::{Sampler, SamplingParams},
    scheduler::{Counters, Draft, Event, Scheduler, SchedulerSettings, Sequence, SequenceParams, Turn},
};
use tokio::sync::mpsc;

/// So many logits that several threads choose from them.
const WIDE: u32 = 8192;

const LIMITS: Limits = Limits {
    slots: 8,
    context_tokens: 2048,
    tokens_per_step: 256,
    chunk_rows: 256,
    chunks_per_step: 8,
    vocabulary: 257,
};

/// Ticks until every buffer has the size that it needs, and ticks that are looked at.
const WARM_UP: usize = 128;
const STEADY: usize = 512;

/// The system's allocator, which counts for each thread and for all of them.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// Of all threads.
static EVERYWHERE: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is the system allocator's; counting touches nothing but a number of the thread's own, which needs
// no allocation and no destructor, and an atomic one.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: the caller keeps to the contract of the function of the same name.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count();
        // SAFETY: as above.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}

impl Counting {
    fn count() {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        EVERYWHERE.fetch_add(1, Relaxed);
    }
}

/// An engine without a model that allocates nothing: letters, most probably the one that the position tells. Half
/// characters have buffers of their own, once for each sequence.
struct Letters {
    held: [u32; LIMITS.slots as usize],
    row: Vec<f32>,
    /// The logit of that letter; those of the others are 10.
    best: f32,
}

impl Letters {
    fn new(best: f32, vocabulary: u32) -> Self {
        Self { held: [0; LIMITS.slots as usize], row: vec![0.0; vocabulary as usize], best }
    }
}

impl TextEngine for Letters {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn step(&mut self, batch: &Batch, rows: &mut Rows) -> Result<(), StepError> {
        for chunk in batch.chunks() {
            let held = &mut self.held[chunk.slot.0 as usize];
            let tokens = batch.tokens(chunk);
            assert_eq!(*held, chunk.position);
            for (idx, token) in tokens.iter().enumerate() {
                *held += 1;
                if chunk.want == Want::All || chunk.want == Want::Last && idx + 1 == tokens.len() {
                    self.row.fill(f32::NEG_INFINITY);
                    let next = (held.wrapping_mul(2_654_435_761) >> 16).wrapping_add(token.0) % 20;
                    self.row[97..117].fill(10.0);
                    self.row[97 + next as usize] = self.best;
                    rows.push(&self.row);
                }
            }
        }
        Ok(())
    }

    fn kv_truncate(&mut self, slot: SlotId, length: u32) -> Result<(), Unsupported> {
        self.held[slot.0 as usize] = length;
        Ok(())
    }

    fn kv_copy(&mut self, _: SlotId, _: SlotId, _: u32) -> Result<(), Unsupported> {
        Err(Unsupported)
    }

    fn kv_clear(&mut self, slot: SlotId) {
        self.held[slot.0 as usize] = 0;
    }
}

fn sequence(params: SamplingParams, stop: &StopParams) -> (Sequence, mpsc::Receiver<Event>) {
    let vocabulary = Arc::new(ByteVocabulary::default());
    let (events, receiver) = mpsc::channel(32);
    let sequence = Sequence::new(SequenceParams {
        owner: "".into(),
        prompt: (97..117).map(TokenId).collect(),
        resume: Vec::new(),
        max_tokens: Some(1500),
        prompt_scores: None,
        sampler: Sampler::new(params, 0, vocabulary.clone()).expect("the parameters are in range"),
        constraint: None,
        output: Output::new(vocabulary, stop).expect("the stop strings are in range"),
        events,
        submitted: Instant::now(),
        priority: 0,
    });
    (sequence, receiver)
}

/// Checks what each tick allocates while sequences with these parameters decode.
fn check(what: &str, settings: SchedulerSettings, sampling: &SamplingParams, stop: &StopParams) {
    let vocabulary = if settings.sampling_threads > 1 { WIDE } else { LIMITS.vocabulary };
    let limits = Limits { vocabulary, ..LIMITS };
    let mut scheduler = Scheduler::new(limits, settings, Arc::new(Counters::default()));
    let mut engine = Letters::new(11.0, vocabulary);
    if settings.draft_tokens > 0 {
        // It knows what comes next, and is sure of it.
        let draft = Letters::new(30.0, vocabulary);
        scheduler = scheduler.drafting(Draft::new(Box::new(draft), limits, 0.0));
    }
    let mut readers = Vec::new();
    for seed in 0..LIMITS.slots {
        let (sequence, reader) = sequence(SamplingParams { seed: seed.into(), ..sampling.clone() }, stop);
        scheduler.submit(sequence);
        readers.push(reader);
    }
    let is_shared = settings.sampling_threads > 1;
    let allocations = || if is_shared { EVERYWHERE.load(Relaxed) } else { ALLOCATIONS.get() };
    // Each thread beside allocates once as it begins, which on a busy machine may be late.
    let mut n_beginning = settings.sampling_threads.saturating_sub(1) as usize;
    let mut n_events = 0;
    for tick in 0..WARM_UP + STEADY {
        let before = allocations();
        let turn = scheduler.tick(&mut engine, Instant::now());
        let n_allocated = allocations() - before;
        assert_eq!(turn.expect("the engine is well"), Turn::Stepped, "{what}");
        let (mut n_texts, mut n_more) = (0, 0);
        for reader in &mut readers {
            while let Ok(event) = reader.try_recv() {
                let Event::Tokens(said) = event else { panic!("{what}: {event:?}") };
                n_texts += said.parts.len();
                n_more += said.tokens.len() - 1;
                n_events += 1;
            }
        }
        // The text of a token that was guessed is made, and the event's text grows by it.
        let allowed = n_texts..=n_texts + 2 * n_more;
        if tick < WARM_UP {
            continue;
        }
        let n_begun = n_allocated.saturating_sub(*allowed.end()).min(n_beginning);
        n_beginning -= n_begun;
        assert!(
            allowed.contains(&(n_allocated - n_begun)),
            "{what}: {n_allocated} in tick {tick}, {n_texts} texts, {n_more} tokens more than events"
        );
    }
    assert_eq!(
        n_events,
        readers.len() * (WARM_UP + STEADY),
        "{what}: every sequence has an event in every tick"
    );
}

#[test]
fn decoding_allocates_the_text_that_it_says() {
    let plain = SchedulerSettings::default();
    let greedy = SamplingParams::default();
    let sampled = SamplingParams { temperature: 1.0, ..SamplingParams::default() };
    let filtered = SamplingParams {
        temperature: 0.8,
        top_k: 40,
        top_p: Some(0.9),
        min_p: Some(0.05),
        typical_p: Some(0.95),
        ..SamplingParams::default()
    };
    let penalised = SamplingParams { repetition_penalty: Some(1.1), ..filtered.clone() };
    let stop = StopParams { stop: vec!["abab".to_owned(), "zz".to_owned()], ..StopParams::default() };
    let none = StopParams::default();
    check("greedy", plain, &greedy, &none);
    check("sampled", plain, &sampled, &none);
    check("filtered", plain, &filtered, &none);
    check("penalised", plain, &penalised, &none);
    check("stop strings", plain, &greedy, &stop);
    check("threads", SchedulerSettings { sampling_threads: 3, ..plain }, &filtered, &none);
    check("guesses", SchedulerSettings { lookup_tokens: 8, ..plain }, &filtered, &none);
    check("drafts", SchedulerSettings { draft_tokens: 8, ..plain }, &greedy, &none);
}
