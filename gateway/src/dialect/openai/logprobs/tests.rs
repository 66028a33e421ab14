use proptest::prelude::*;

use super::{completion::n_chars, *};

#[test]
fn tokens_that_are_not_text_show_their_bytes() {
    let check = |bytes: &[u8], expected: &str| assert_eq!(text(bytes, "bytes:"), expected);
    check(b"", "");
    check(b" a", " a");
    check("€".as_bytes(), "€");
    check(b"\xe2\x82", r"bytes:\xe2\x82");
    check(b"a\xff", r"bytes:\x61\xff");
}

#[test]
fn every_probability_is_a_number() {
    let check = |logprob: f32, expected: f32| assert_eq!(finite(logprob).to_bits(), expected.to_bits());
    check(-0.5, -0.5);
    check(f32::NEG_INFINITY, LEAST);
    check(f32::NAN, LEAST);
}

proptest! {
    #[test]
    fn characters_are_counted_once_however_they_are_cut(text in ".{0,20}", cut in 0usize..60) {
        let (head, tail) = text.as_bytes().split_at(cut.min(text.len()));
        prop_assert_eq!(n_chars(head) + n_chars(tail), text.chars().count());
    }
}
