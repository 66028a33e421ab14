//! Rows that several threads choose from.

use super::{
    guess::{REPEATING, bench, read},
    *,
};

#[test]
fn threads_choose_what_the_engines_thread_chooses() {
    // Wide enough that it pays to wake them.
    let wide = Limits { vocabulary: 16 << 10, ..limits(6, 256, 64) };
    let asks: Vec<Ask> = (0..6)
        .map(|n| Ask {
            temperature: if n == 0 { 0.0 } else { 0.9 },
            logprobs: (n == 2).then_some(3),
            mirostat: n == 3,
            ..ask(&[n, 1, 2, 3, n, 1, 2], 24)
        })
        .collect();
    let got = |sampling_threads: u32, lookup_tokens: u32| {
        let settings = SchedulerSettings { lookup_tokens, sampling_threads, ..SchedulerSettings::default() };
        read(&mut bench(wide, REPEATING, settings), &asks)
    };
    let expected = got(0, 0);
    assert!(expected.iter().all(|got| got.tokens.len() == 24));
    for (threads, lookup_tokens) in [(2, 0), (5, 0), (5, 8)] {
        assert_eq!(got(threads, lookup_tokens), expected, "{threads} threads, guesses of {lookup_tokens}");
    }
}
