//! The file on a tape that ends at any byte.

use proptest::prelude::*;

use super::*;

const LIMIT: u64 = DATA_START + 5 * 4096;

/// A file in memory, whose writer dies when it has written what is `left`.
#[derive(Clone)]
struct Tape {
    bytes: Arc<Mutex<Vec<u8>>>,
    left: Arc<AtomicU64>,
}

impl Tape {
    fn new(bytes: Vec<u8>, left: u64) -> Self {
        Self { bytes: Arc::new(Mutex::new(bytes)), left: Arc::new(AtomicU64::new(left)) }
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    fn arena(&self, fingerprint: &[u8]) -> Arena {
        let arena = Arena::new(Box::new(self.clone()), LIMIT, fingerprint, Arc::default());
        assert!(arena.open().unwrap());
        arena
    }
}

impl Disk for Tape {
    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.bytes.lock().unwrap().resize(bytes as usize, 0);
        Ok(())
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if buffer.is_empty() {
            return Ok(());
        }
        let bytes = self.bytes.lock().unwrap();
        let from = bytes.get(offset as usize..).and_then(|bytes| bytes.get(..buffer.len()));
        buffer.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let n = (bytes.len() as u64).min(self.left.load(Relaxed)) as usize;
        self.left.fetch_sub(n as u64, Relaxed);
        let mut tape = self.bytes.lock().unwrap();
        let end = offset as usize + n;
        if n > 0 && tape.len() < end {
            tape.resize(end, 0);
        }
        tape.get_mut(offset as usize..end).unwrap_or_default().copy_from_slice(&bytes[..n]);
        if n < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        Ok(true)
    }
}

fn tokens(first: u32, n: usize) -> Vec<TokenId> {
    (first..).take(n).map(TokenId).collect()
}

/// Every other kind of tokens has another state.
fn state_of(tokens: &[TokenId]) -> Vec<u8> {
    tokens.iter().flat_map(|token| (token.0 * 31).to_le_bytes()).collect()
}

fn write(arena: &Arena, owner: u8, tokens: &[TokenId]) -> io::Result<()> {
    arena.write(&Content { owner: [owner; 32], tokens, state: &state_of(tokens) }, true)
}

/// All that the file has, each as `(owner, first token, tokens)`. None is listed that cannot be used.
fn contents(arena: &Arena) -> Vec<(u8, u32, usize)> {
    let extents = arena.with(|index| index.as_ref().unwrap().extents.clone());
    let mut contents = Vec::new();
    let mut end = DATA_START;
    let mut in_order = extents.clone();
    in_order.sort_by_key(|extent| extent.offset);
    for extent in in_order {
        assert!(extent.offset >= end, "two prefixes in one place");
        end = extent.offset + extent.bytes();
        let mut state = vec![0; extent.state_bytes as usize];
        arena.read(&extent, &mut state).expect("what is listed is whole");
        assert_eq!(state, state_of(&extent.tokens));
        contents.push((extent.owner[0], extent.tokens[0].0, extent.tokens.len()));
    }
    assert!(end <= LIMIT, "more than the limit");
    contents.sort_unstable();
    contents
}

/// A file with these prefixes, written in this order.
fn tape_of(prefixes: &[(u8, u32, usize)]) -> Tape {
    let tape = Tape::new(Vec::new(), u64::MAX);
    let arena = tape.arena(b"f");
    for &(owner, first, n) in prefixes {
        write(&arena, owner, &tokens(first, n)).unwrap();
    }
    tape
}

#[test]
fn what_is_written_is_there_for_the_next_process() {
    let tape = tape_of(&[(1, 0, 100), (2, 0, 100), (1, 500, 90)]);
    let arena = tape.arena(b"f");
    assert_eq!(contents(&arena), [(1, 0, 100), (1, 500, 90), (2, 0, 100)]);
    let gain = Gain { elsewhere: 0, whole: false };
    let check = |owner: u8, wanted: &[TokenId], expected: Option<usize>| {
        let found = arena.find(&[owner; 32], wanted, gain).map(|extent| extent.tokens.len());
        assert_eq!(found, expected);
    };
    check(1, &tokens(0, 300), Some(100));
    check(1, &tokens(500, 80), Some(90));
    check(2, &tokens(500, 80), None);
    check(3, &tokens(0, 300), None);
    assert!(arena.has(&[1; 32], &tokens(0, 110)), "it has grown by little");
    assert!(!arena.has(&[1; 32], &tokens(0, 130)));
}

#[test]
fn another_fingerprint_has_nothing_and_takes_over() {
    let tape = tape_of(&[(1, 0, 100)]);
    let other = tape.arena(b"g");
    assert_eq!(contents(&other), []);
    write(&other, 1, &tokens(7, 70)).unwrap();
    assert_eq!(contents(&tape.arena(b"g")), [(1, 7, 70)]);
    assert_eq!(contents(&tape.arena(b"f")), [], "what was here before is overwritten");
}

#[test]
fn the_longer_replaces_the_shorter_and_the_oldest_goes() {
    let tape = tape_of(&[(1, 0, 100), (1, 0, 200)]);
    assert_eq!(contents(&tape.arena(b"f")), [(1, 0, 200)]);
    // Each takes a fifth of the file.
    let tape = tape_of(&[(1, 0, 400), (2, 0, 400), (3, 0, 400), (4, 0, 400), (5, 0, 400)]);
    let arena = tape.arena(b"f");
    arena.find(&[1; 32], &tokens(0, 400), Gain { elsewhere: 0, whole: false }).unwrap();
    write(&arena, 6, &tokens(0, 400)).unwrap();
    let owners: Vec<_> = contents(&arena).into_iter().map(|(owner, ..)| owner).collect();
    assert_eq!(owners, [1, 3, 4, 5, 6]);
    // What is larger than the file leaves it as it is.
    write(&arena, 7, &tokens(0, 2600)).unwrap();
    assert_eq!(contents(&arena).len(), 5);
}

#[test]
fn a_writer_that_dies_at_any_byte_leaves_the_old_or_the_new() {
    let full = [(1, 0, 500), (2, 0, 500), (3, 0, 480), (4, 0, 480), (5, 0, 510)];
    for (before, (owner, first, n)) in [
        (&[][..], (1, 0, 80)),
        (&[(1, 0, 100)], (2, 0, 80)),
        (&[(1, 0, 100), (2, 0, 90)], (1, 0, 150)),
        (&full, (6, 0, 64)),
    ] {
        let old = tape_of(before);
        let was = contents(&old.arena(b"f"));
        let whole = Tape::new(old.bytes(), u64::MAX);
        write(&whole.arena(b"f"), owner, &tokens(first, n)).unwrap();
        let is = contents(&whole.arena(b"f"));
        let written = u64::MAX - whole.left.load(Relaxed);
        for left in 0..written {
            let cut = Tape::new(old.bytes(), left);
            write(&cut.arena(b"f"), owner, &tokens(first, n)).unwrap_err();
            let now = contents(&cut.arena(b"f"));
            let had_to_go = was.iter().filter(|prefix| !is.contains(prefix));
            let without: Vec<_> = was.iter().filter(|prefix| is.contains(prefix)).copied().collect();
            assert!(now == was || (now == without && had_to_go.count() > 0), "{now:?} after {left} bytes");
            // Whoever comes next goes on.
            cut.left.store(u64::MAX, Relaxed);
            write(&cut.arena(b"f"), owner, &tokens(first, n)).unwrap();
            assert_eq!(contents(&cut.arena(b"f")), is, "after {left} bytes");
        }
    }
}

#[test]
fn one_that_lives_on_after_an_error_goes_on() {
    let tape = tape_of(&[(1, 0, 100)]);
    let arena = tape.arena(b"f");
    for left in [0, 1, 200, 500, 900] {
        tape.left.store(left, Relaxed);
        write(&arena, 2, &tokens(0, 100)).unwrap_err();
        assert_eq!(contents(&arena), [(1, 0, 100)]);
        assert_eq!(contents(&tape.arena(b"f")), [(1, 0, 100)]);
    }
    tape.left.store(u64::MAX, Relaxed);
    write(&arena, 2, &tokens(0, 100)).unwrap();
    assert_eq!(contents(&arena), [(1, 0, 100), (2, 0, 100)]);
}

#[test]
fn numbers_that_cannot_be_are_no_prefixes() {
    let extent = |offset: u64, n_tokens: usize, state_bytes: u64| Extent {
        offset,
        state_bytes,
        owner: [1; 32],
        tokens: tokens(0, n_tokens),
        tokens_crc: crc32fast::hash(&bytes_of(&tokens(0, n_tokens))),
        state_crc: 0,
        last_used: AtomicU64::new(u64::MAX),
        is_broken: AtomicBool::new(false),
    };
    let check = |extents: &[Extent], expected: usize| {
        let mut bytes = vec![0; LIMIT as usize];
        let block = Block::write(2, &index::digest(&[b"f"]), extents.iter());
        bytes[..block.len()].copy_from_slice(&block);
        for extent in extents {
            let tokens = bytes_of(&extent.tokens);
            let place = bytes.get_mut(extent.offset as usize..).and_then(|rest| rest.get_mut(..tokens.len()));
            place
                .unwrap_or_default()
                .copy_from_slice(&tokens[..if extent.offset < LIMIT { tokens.len() } else { 0 }]);
        }
        let arena = Tape::new(bytes, u64::MAX).arena(b"f");
        assert_eq!(arena.with(|index| index.as_ref().unwrap().extents.len()), expected, "{extents:?}");
        // The clock at its end stays there.
        write(&arena, 2, &tokens(0, 100)).unwrap();
    };
    check(&[extent(DATA_START, 10, 50)], 1);
    check(&[extent(DATA_START, 10, 50), extent(DATA_START + 4096, 10, 50)], 2);
    check(&[extent(DATA_START, 10, 5000), extent(DATA_START + 4096, 10, 50)], 1);
    check(&[extent(DATA_START, 10, 50), extent(DATA_START, 10, 50)], 1);
    check(&[extent(DATA_START, 10, u64::MAX)], 0);
    check(&[extent(u64::MAX - 4095, 10, 10_000)], 0);
    check(&[extent(1 << 40, 10, 10)], 0);
}

#[test]
fn a_file_that_is_longer_than_allowed_is_cut() {
    let tape = Tape::new(vec![9; LIMIT as usize + 100], u64::MAX);
    assert_eq!(contents(&tape.arena(b"f")), []);
    assert_eq!(tape.bytes().len() as u64, LIMIT);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is written and wherever a writer dies: what is listed is apart, within the limit, and whole.
    #[test]
    fn the_file_is_never_broken(
        writes in prop::collection::vec((0..3u8, 0..3u32, 64..600usize, prop::option::of(0..6000u64)), 1..25),
    ) {
        let tape = Tape::new(Vec::new(), u64::MAX);
        let mut arena = tape.arena(b"f");
        for (owner, first, n, dies) in writes {
            tape.left.store(dies.unwrap_or(u64::MAX), Relaxed);
            let written = write(&arena, owner, &tokens(first * 1000, n));
            tape.left.store(u64::MAX, Relaxed);
            if written.is_err() {
                arena = tape.arena(b"f");
            } else {
                prop_assert!(arena.has(&[owner; 32], &tokens(first * 1000, n)));
            }
            let now = contents(&arena);
            prop_assert_eq!(contents(&tape.arena(b"f")), now);
            prop_assert!(tape.bytes().len() as u64 <= LIMIT);
        }
    }

    /// A byte that changes costs the prefix that it is of, or what the newest block says; nothing wrong is read.
    #[test]
    fn a_flipped_byte_is_seen(at in 0..2 * BLOCK_BYTES as usize + 8 * 4096, bit in 0..8u8, in_data: bool) {
        let tape = tape_of(&[(1, 0, 100), (2, 0, 300), (1, 0, 200)]);
        let len = tape.bytes().len();
        let at = if in_data { DATA_START as usize + at % (len - DATA_START as usize) } else { at % 400 };
        tape.bytes.lock().unwrap()[at] ^= 1 << bit;
        let arena = tape.arena(b"f");
        for extent in arena.with(|index| index.as_ref().unwrap().extents.clone()) {
            prop_assert_eq!(&extent.tokens, &tokens(0, extent.tokens.len()));
            let mut state = vec![0; extent.state_bytes as usize];
            match arena.read(&extent, &mut state) {
                Ok(()) => prop_assert_eq!(state, state_of(&extent.tokens)),
                Err(_) => prop_assert!(!arena.has(&extent.owner, &extent.tokens), "it is not found again"),
            }
        }
    }
}
