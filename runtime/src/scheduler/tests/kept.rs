//! Prefixes that come back to slots which have lost them.

use std::fs::File;

use impetus_proto::launch::PrefixSpec;

use super::*;

const ROOM: u64 = 1 << 20;

fn keeping(bench: Bench, ram_bytes: u64, file: Option<File>) -> (Bench, Arc<Prefixes>) {
    let spec = PrefixSpec { ram_bytes, file_bytes: 1 << 24, fingerprint: b"f".to_vec() };
    let prefixes = Prefixes::new(&spec, file, &bench.counters);
    let scheduler = bench.scheduler.keeping(Arc::clone(&prefixes));
    (Bench { scheduler, ..bench }, prefixes)
}

fn bench(slots: u32, faults: Faults) -> Bench {
    keeping(Bench::new(limits(slots, 512, 64), faults), ROOM, None).0
}

/// Tokens that begin like those of the same `kind` only.
fn prompt(kind: u8, n: usize) -> Vec<u8> {
    (0..n).map(|idx| kind.wrapping_mul(53).wrapping_add((idx * idx) as u8) % 251).collect()
}

fn answer(bench: &mut Bench, ask: &Ask) -> Got {
    let mut reader = bench.submit(ask);
    bench.run();
    let got = drain(&mut reader);
    assert_eq!(got.tokens, oracle(&ask.prompt, ask.max_tokens as usize));
    got
}

fn cached(got: &Got) -> u32 {
    got.ending.as_ref().unwrap().usage.cached_tokens
}

/// Saves what idle slots hold, as the engine's thread does when there is nothing else to do.
fn settle(bench: &mut Bench) {
    let deadline = Instant::now() + Duration::from_mins(1);
    bench.scheduler.flush(deadline);
    while bench.scheduler.keep_idle(&bench.engine) == Keeping::Kept {
        bench.scheduler.flush(deadline);
    }
}

#[test]
fn a_conversation_that_lost_its_slot_comes_back() {
    let mut bench = bench(1, Faults::default());
    answer(&mut bench, &ask(&prompt(1, 100), 10));
    answer(&mut bench, &ask(&prompt(2, 100), 10));
    let computed = bench.counters.stats("").prompt_tokens;
    let got = answer(&mut bench, &ask(&prompt(1, 150), 10));
    assert_eq!(cached(&got), 100);
    let stats = bench.counters.stats("");
    assert_eq!((stats.restored_tokens, stats.cached_tokens), (100, 100));
    assert_eq!(stats.prompt_tokens - computed, 50);
    // What the slot has longer than anything that was kept is taken from there.
    let got = answer(&mut bench, &ask(&prompt(1, 160), 10));
    assert_eq!((cached(&got), bench.counters.stats("").restored_tokens), (150, 100));
}

#[test]
fn nobody_gets_what_another_owner_has_computed() {
    let mut bench = bench(1, Faults::default());
    let of = |owner: &'static str, kind: u8| Ask { owner, ..ask(&prompt(kind, 100), 5) };
    answer(&mut bench, &of("a", 1));
    answer(&mut bench, &of("a", 2));
    assert_eq!(cached(&answer(&mut bench, &of("b", 1))), 0);
    assert_eq!(bench.counters.stats("").restored_tokens, 0);
    assert_eq!(cached(&answer(&mut bench, &of("a", 1))), 99);
    assert_eq!(cached(&answer(&mut bench, &of("b", 1))), 99);
}

#[test]
fn what_needs_its_rows_is_computed() {
    let mut bench = bench(1, Faults::default());
    let scored = Ask { prompt_scores: Some(0), ..ask(&prompt(1, 100), 5) };
    answer(&mut bench, &ask(&prompt(1, 100), 5));
    answer(&mut bench, &ask(&prompt(2, 100), 5));
    assert_eq!(cached(&answer(&mut bench, &scored)), 0);
    // A replay that has to go through the rows of what it said before takes no more than its prompt from there.
    let mirostat = Ask { mirostat: true, temperature: 0.9, ..ask(&prompt(3, 100), 80) };
    let mut reader = bench.submit(&mirostat);
    bench.run();
    let whole = drain(&mut reader).tokens;
    answer(&mut bench, &ask(&prompt(2, 100), 5));
    let mut reader = bench.submit(&Ask { resume: whole[..70].to_vec(), ..mirostat });
    bench.run();
    let got = drain(&mut reader);
    assert_eq!((got.tokens.as_slice(), cached(&got)), (&whole[70..], 99));
}

#[test]
fn an_engine_that_cannot_save_computes_again() {
    let mut bench = bench(1, Faults { rigid_kv: true, ..Faults::default() });
    for kind in [1, 2, 1, 2] {
        assert_eq!(cached(&answer(&mut bench, &ask(&prompt(kind, 100), 5))), 0);
    }
    assert_eq!(bench.counters.stats("").prefix_ram_peak_bytes, 0);
}

/// Cannot cut a slot's content off, as an engine with a recurrent state.
struct Uncut(FakeEngine);

impl TextEngine for Uncut {
    fn limits(&self) -> Limits {
        self.0.limits()
    }

    fn step(&mut self, batch: &Batch, rows: &mut Rows) -> Result<(), StepError> {
        self.0.step(batch, rows)
    }

    fn kv_truncate(&mut self, slot: SlotId, length: u32) -> Result<(), Unsupported> {
        if length == self.0.held(slot) { Ok(()) } else { Err(Unsupported) }
    }

    fn kv_copy(&mut self, _: SlotId, _: SlotId, _: u32) -> Result<(), Unsupported> {
        Err(Unsupported)
    }

    fn kv_clear(&mut self, slot: SlotId) {
        self.0.kv_clear(slot);
    }

    fn kv_bytes(&self, slot: SlotId) -> Option<u64> {
        self.0.kv_bytes(slot)
    }

    fn kv_save(&self, slot: SlotId, state: &mut Vec<u8>) -> Result<(), Unsupported> {
        self.0.kv_save(slot, state)
    }

    fn kv_load(&mut self, slot: SlotId, state: &[u8], tokens: u32) -> Result<(), Unsupported> {
        self.0.kv_load(slot, state, tokens)
    }
}

#[test]
fn an_engine_that_cannot_cut_takes_whole_prefixes() {
    let Bench { mut scheduler, engine, counters } = bench(1, Faults::default());
    let mut engine = Uncut(engine);
    let mut answer = |prompt: Vec<u8>| {
        let (sequence, mut reader) = sequence(&ask(&prompt, 1));
        scheduler.submit(sequence);
        while scheduler.tick(&mut engine, Instant::now()).unwrap() == Turn::Stepped {}
        let got = drain(&mut reader);
        assert_eq!(got.tokens, oracle(&prompt, 1));
        (cached(&got), counters.stats("").restored_tokens)
    };
    assert_eq!(answer(prompt(1, 100)), (0, 0));
    assert_eq!(answer(prompt(2, 100)), (0, 0));
    assert_eq!(answer(prompt(1, 90)), (0, 0), "it would have to be cut");
    assert_eq!(answer(prompt(2, 130)), (100, 100));
    assert_eq!(answer(prompt(1, 120)), (100, 200));
}

#[test]
fn what_an_engine_refuses_to_load_is_taken_from_a_slot() {
    let mut bench = bench(2, Faults { refuses_loads: true, ..Faults::default() });
    for kind in [1, 2, 3] {
        answer(&mut bench, &ask(&prompt(kind, if kind == 1 { 300 } else { 100 }), 5));
    }
    assert_eq!(cached(&answer(&mut bench, &ask(&prompt(1, 150), 5))), 0);
    assert_eq!(cached(&answer(&mut bench, &ask(&prompt(1, 300), 5))), 150, "a slot has so many");
    let wanted: Vec<_> = prompt(1, 300).iter().map(|&byte| TokenId(byte.into())).collect();
    assert!(bench.scheduler.keeper.find(&"".into(), &wanted, 0).is_none(), "it was refused twice");
    assert_eq!(bench.counters.stats("").restored_tokens, 0);
}

/// Looks at the counters while it saves and loads.
struct Copying {
    engine: FakeEngine,
    counters: Arc<Counters>,
    loads: u32,
}

impl TextEngine for Copying {
    fn limits(&self) -> Limits {
        self.engine.limits()
    }

    fn step(&mut self, batch: &Batch, rows: &mut Rows) -> Result<(), StepError> {
        assert!(self.counters.pace().pending > 0, "a step is to end");
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

    fn kv_bytes(&self, slot: SlotId) -> Option<u64> {
        self.engine.kv_bytes(slot)
    }

    fn kv_save(&self, slot: SlotId, state: &mut Vec<u8>) -> Result<(), Unsupported> {
        let Pace { pending, step_tokens, .. } = self.counters.pace();
        assert!(pending > 0 && step_tokens >= 100, "a save is to end, as a step of {step_tokens} tokens is");
        self.engine.kv_save(slot, state)
    }

    fn kv_load(&mut self, slot: SlotId, state: &[u8], tokens: u32) -> Result<(), Unsupported> {
        let Pace { pending, step_tokens, .. } = self.counters.pace();
        assert!(
            pending > 0 && step_tokens == tokens,
            "a load is to end, as a step of {step_tokens} tokens is"
        );
        self.loads += 1;
        self.engine.kv_load(slot, state, tokens)
    }
}

#[test]
fn who_runs_waits_for_one_that_comes_back_at_a_time() {
    let mut before = bench(3, Faults::default());
    for kind in 1..=6 {
        answer(&mut before, &ask(&prompt(kind, 100), 5));
    }
    let Bench { mut scheduler, engine, counters } = before;
    let mut engine = Copying { engine, counters: Arc::clone(&counters), loads: 0 };
    let mut seen = Vec::new();
    let mut readers = Vec::new();
    for asks in [&[(7, 100)][..], &[(1, 120), (2, 120)], &[], &[]] {
        for &(kind, n) in asks {
            let (sequence, reader) = sequence(&ask(&prompt(kind, n), 20));
            scheduler.submit(sequence);
            readers.push(reader);
        }
        scheduler.tick(&mut engine, Instant::now()).unwrap();
        seen.push((counters.stats("").slots_busy, engine.loads));
    }
    assert_eq!(seen, [(1, 0), (2, 1), (3, 2), (3, 2)]);
}

#[test]
fn what_is_preempted_comes_back() {
    let mut bench = bench(2, Faults { kv_tokens: Some(300), ..Faults::default() });
    let prompts = [prompt(1, 120), prompt(2, 120)];
    let mut readers: Vec<_> = prompts.iter().map(|prompt| bench.submit(&ask(prompt, 60))).collect();
    bench.run();
    for (prompt, reader) in prompts.iter().zip(&mut readers) {
        assert_eq!(drain(reader).tokens, oracle(prompt, 60));
    }
    let stats = bench.counters.stats("");
    assert!(stats.preemptions > 0);
    assert!(stats.restored_tokens >= 120, "{}", stats.restored_tokens);
}

#[test]
fn the_next_process_goes_on_where_this_one_stopped() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let open = || Some(File::options().read(true).write(true).open(file.path()).unwrap());
    let (mut first, prefixes) = keeping(Bench::new(limits(2, 512, 64), Faults::default()), ROOM, open());
    for kind in [1, 2] {
        answer(&mut first, &ask(&prompt(kind, 200), 40));
    }
    settle(&mut first);
    assert_eq!(first.scheduler.keep_idle(&first.engine), Keeping::Nothing, "each is saved once");
    assert_eq!(first.counters.stats("").prefix_file_bytes, 2 * 239 * 8, "4 bytes a token, 4 its state");
    drop((first, prefixes));
    // A process that ends gives the file up at once; threads take a moment.
    while file.reopen().unwrap().try_lock().is_err() {
        std::thread::yield_now();
    }

    let (mut second, prefixes) = keeping(Bench::new(limits(2, 512, 64), Faults::default()), ROOM, open());
    for kind in [1, 2] {
        let first_prompt = prompt(kind, 200);
        let said = oracle(&first_prompt, 40).iter().map(|token| token.0 as u8).collect();
        let turn = ask(&[first_prompt, said, b"and now?".to_vec()].concat(), 10);
        let (sequence, mut reader) = sequence(&turn);
        prefixes.fetch(&sequence);
        second.scheduler.submit(sequence);
        second.run();
        let got = drain(&mut reader);
        assert_eq!((got.tokens.clone(), cached(&got)), (oracle(&turn.prompt, 10), 239));
    }
    assert_eq!(second.counters.stats("").restored_tokens, 2 * 239);
}

#[test]
fn a_long_answer_is_saved_while_it_is_given() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let bench = Bench::new(limits(1, 4096, 64), Faults::default());
    let (mut bench, prefixes) = keeping(bench, ROOM, Some(file.reopen().unwrap()));
    let _reader = bench.submit(&Ask { room: 4096, ..ask(&prompt(1, 900), 3000) });
    bench.scheduler.flush(Instant::now() + Duration::from_mins(1));
    let steps_of_prompt = 900_u64.div_ceil(64);
    while bench.engine.n_steps() < steps_of_prompt + 254 {
        bench.tick();
    }
    assert_eq!(bench.counters.stats("").prefix_ram_bytes, 0, "a short one is saved when it has ended");
    while bench.engine.n_steps() < steps_of_prompt + 1500 {
        bench.tick();
        bench.scheduler.flush(Instant::now() + Duration::from_mins(1));
    }
    // Saved with 1155 and with 2179 tokens.
    assert!(!prefixes.is_unfiled("", &tokens(&bench, 2179)));
    assert!(prefixes.is_unfiled("", &tokens(&bench, 2350)));
}

/// What the only sequence has so far.
fn tokens(bench: &Bench, n: usize) -> Vec<TokenId> {
    let Running { sequence, .. } = &bench.scheduler.running[0];
    sequence.tokens()[..n].to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whoever comes and however little is kept: all get what they would get alone, and the room is never exceeded.
    #[test]
    fn what_comes_back_changes_no_answer(
        slots in 1..4u32,
        room in prop::sample::select(vec![0, 600, 3000, ROOM]),
        full_at in prop::option::of(300..600usize),
        asks in prop::collection::vec((0..3u8, 40..200usize, 1..30u32, any::<bool>(), 0..12usize), 1..16),
    ) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let faults = Faults { kv_tokens: full_at, ..Faults::default() };
        let bench = Bench::new(limits(slots, 256, 64), faults);
        let (mut bench, prefixes) = keeping(bench, room, Some(file.reopen().unwrap()));
        let mut open = Vec::new();
        for (kind, length, max_tokens, is_other, pause) in asks {
            let owner = if is_other { "other" } else { "" };
            let ask = Ask { owner, ..ask(&prompt(kind, length), max_tokens) };
            let (sequence, reader) = sequence(&ask);
            prefixes.fetch(&sequence);
            bench.scheduler.submit(sequence);
            open.push((ask, reader));
            for _ in 0..pause {
                if bench.tick() == Turn::Idle {
                    bench.scheduler.keep_idle(&bench.engine);
                }
            }
            prop_assert!(bench.counters.stats("").prefix_ram_peak_bytes <= room);
        }
        bench.run();
        for (ask, reader) in &mut open {
            prop_assert_eq!(drain(reader).tokens, oracle(&ask.prompt, ask.max_tokens as usize));
        }
        prop_assert!(bench.counters.stats("").prefix_ram_peak_bytes <= room);
    }
}
