use proptest::prelude::*;

use super::{
    appetite::Appetite,
    index::{Index, agreeing},
    *,
};
use crate::scheduler::Room;

fn tokens(text: &str) -> Vec<TokenId> {
    text.bytes().map(|byte| TokenId(byte.into())).collect()
}

fn text(tokens: &[TokenId]) -> String {
    tokens.iter().map(|token| char::from(token.0 as u8)).collect()
}

#[test]
fn what_stood_behind_the_same_tokens_comes_next() {
    let check = |said: &str, room: usize, expected: &str| {
        let mut guesser = Guesser::new(8, 100);
        assert_eq!(text(guesser.guess(&tokens(said), room)), expected, "{said} {room}");
    };
    check("", 8, "");
    check("a", 8, "");
    check("abc", 8, "");
    check("abcdab", 8, "cd");
    check("abcdab", 1, "c");
    check("abcdab", 0, "");
    // As many as agree, but no more than the first guess has.
    check("abcdefabcd", 8, "efab");
    // The last occurrence, but a longer one goes before it.
    check("abXabYab", 8, "Ya");
    check("wxabXabYwxab", 8, "XabY");
    // What repeats itself goes on from itself.
    check("-aaaaa", 8, "aaaa");
    check("xyxyxyx", 8, "yxyx");
}

#[test]
fn a_place_that_was_right_for_long_is_kept_to() {
    let (frame, mut guesser) = ("0123456789", Guesser::new(4, 200));
    // The frame was last followed by "two", but what is repeated from its beginning on has "one" there.
    let before = format!("begin {frame}one; {frame}two; begin ");
    let said = tokens(&format!("{before}{frame}"));
    for end in before.len()..=said.len() {
        guesser.guess(&said[..end], 1);
        guesser.learn(1);
    }
    assert_eq!(text(guesser.guess(&said, 3)), "one");
    // Without what has been followed the last occurrence counts.
    let behind = tokens(&format!("{frame}one; {frame}two; {frame}"));
    assert_eq!(text(Guesser::new(4, 200).guess(&behind, 3)), "two");
}

#[test]
fn guesses_grow_while_they_come_true_and_are_seldom_while_they_do_not() {
    let mut appetite = Appetite::new(12);
    let lengths: Vec<_> = (0..4)
        .map(|_| {
            let length = appetite.next();
            appetite.learn(length, length);
            length
        })
        .collect();
    assert_eq!(lengths, [4, 8, 12, 12]);
    // All wrong: a few guesses, then one or two in hundreds of tokens.
    let mut guessed = |n_tokens: usize| -> usize {
        let lengths = (0..n_tokens).map(|_| {
            let length = appetite.next();
            if length > 0 {
                appetite.learn(length, 0);
            }
            length
        });
        lengths.sum()
    };
    assert!(guessed(1000) < 60);
    assert!(guessed(1000) <= 6);
    // A probe that comes true ends the pause.
    while appetite.next() == 0 {}
    appetite.learn(2, 2);
    assert_eq!(appetite.next(), 4);
    appetite.learn(4, 1);
    assert_eq!(appetite.next(), 2, "one more than came true");
}

#[test]
fn a_sequence_alone_may_guess_more_than_those_that_share_a_step() {
    let check = |(lookup, draft), n_sequences, expected: usize| {
        let room = Room { tokens: 512, rows: 512, chunks: 16 };
        assert_eq!(
            Share::new(lookup, draft).next(n_sequences, room),
            expected,
            "{lookup} {draft} {n_sequences}"
        );
    };
    check((0, 32), 1, 32);
    check((0, 32), 2, 7);
    check((8, 32), 5, 2);
    check((8, 0), 1, 8);
    check((2, 0), 2, 2);
    check((0, 32), 9, 0);
    check((0, 0), 1, 0);
    check((0, 32), 0, 0);
}

proptest! {
    /// Whatever is found is there, and an index that grew is the index of the whole.
    #[test]
    fn an_index_finds_what_is_there(said in prop::collection::vec(0..4_u32, 0..80), cuts in prop::collection::vec(0..80_usize, 0..6)) {
        let said: Vec<_> = said.into_iter().map(TokenId).collect();
        let mut grown = Index::new(80);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(said.len())).collect();
        cuts.sort_unstable();
        for cut in cuts {
            grown.extend(&said[..cut]);
        }
        grown.extend(&said);
        let mut whole = Index::new(80);
        whole.extend(&said);
        let found = whole.find(&said);
        prop_assert_eq!(grown.find(&said), found);
        if let Some((place, n_agreeing)) = found {
            prop_assert!(place < said.len() && n_agreeing >= 2);
            prop_assert_eq!(&said[place - n_agreeing..place], &said[said.len() - n_agreeing..]);
            prop_assert_eq!(agreeing(&said, place), n_agreeing);
        }
    }
}
