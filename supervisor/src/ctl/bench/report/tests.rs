use serde_json::json;

use super::*;
use crate::ctl::bench::{
    part::{Ratios, Stages},
    stages::{PerRequest, PerToken},
};

fn side(first: f64, failed: usize) -> SideFigures {
    let spread = |p50: f64| Some(Spread { p50, p95: p50 * 2.0, p99: p50 * 4.0 });
    SideFigures {
        requests: 4,
        failed,
        first_failure: (failed > 0).then(|| "it is full".into()),
        prompt_tokens: Some(33.5),
        cached_tokens: Some(0.0),
        completion_tokens: Some(8.0),
        first_token_ms: spread(first),
        inter_token_ms: spread(2.0),
        request_ms: spread(first * 2.0),
        prefill_tokens_per_s: Some(640.0),
        decode_tokens_per_s: None,
        tokens_per_s: Some(100.25),
        stages_ms: Some(Stages {
            queue: Some(0.1),
            prefill: Some(9.0),
            decode: Some(14.0),
            outside: Some(0.4),
        }),
        stages_us: Some(StageFigures {
            per_request: PerRequest {
                http: Some(110.4),
                lease: Some(200.0),
                tokenize: Some(90.0),
                queue: Some(100.0),
                prefill: Some(9000.0),
                keep: Some(0.0),
            },
            per_token: PerToken {
                compose: Some(0.5),
                decode: Some(1750.0),
                sample: Some(12.125),
                detokenize: Some(1.0),
                events: None,
                sse: None,
            },
        }),
        engine: Some(
            json!({"share_of_time": 0.985, "us_per_step": 1234.5, "guessed_tokens": 9, "accepted_tokens": 6}),
        ),
    }
}

fn report() -> Report {
    let ratios = Ratios {
        first_token_ms: Some(0.5),
        inter_token_ms: Some(1.0),
        prefill_tokens_per_s: Some(1.0),
        decode_tokens_per_s: None,
        tokens_per_s: Some(1.0),
    };
    let cell = Figures {
        workload: "completion",
        streams: Some(2),
        rate: None,
        prompt_tokens: 32,
        completion_tokens: 8,
        ours: side(10.0, 0),
        vs: Some(side(20.0, 1)),
        ratios: Some(ratios),
    };
    Report {
        model: "m".into(),
        server: Server {
            url: "http://127.0.0.1:1".into(),
            version: "0.1.0".into(),
            slots: 4,
            context_tokens: 1024,
        },
        vs: Some(Peer { url: "http://127.0.0.1:2".into(), model: "n".into(), ignores_end: false }),
        pairs: 5,
        cells: vec![cell],
        skipped: vec![Skipped {
            workload: "completion",
            prompt_tokens: 4096,
            completion_tokens: 8,
            reason: "the model has 1024 tokens of context".into(),
        }],
        memory: vec![Memory { process: "gateway".into(), pid: 7, rss_bytes: 6 << 20 }],
    }
}

#[test]
fn for_people() {
    insta::assert_snapshot!(report().text(), @r"
    m on http://127.0.0.1:1, impetus 0.1.0, 4 slots of 1024 tokens; 5 rounds of each cell
    vs n on http://127.0.0.1:2
    vs knows no ignore_eos: its completions may be shorter

    WORKLOAD    STREAMS  PROMPT  TOKENS  SERVER  FIRST TOKEN, MS     BETWEEN TOKENS, MS  PREFILL/S  DECODE/S  ALL/S  FAILED
    completion  2        32      8       ours    10.0 / 20.0 / 40.0  2.0 / 4.0 / 8.0     640.0      -         100.2  0 of 4
    completion  2        32      8       vs      20.0 / 40.0 / 80.0  2.0 / 4.0 / 8.0     640.0      -         100.2  1 of 4
    completion  2        32      8       ratio   0.500               1.000               1.000      -         1.000

    WORKLOAD    STREAMS  PROMPT  QUEUE, MS  PREFILL, MS  DECODE, MS  OUTSIDE, MS  ENGINE  US/STEP  GUESSED
    completion  2        32      0.1        9.0          14.0        0.4          98.5 %  1234     6 of 9

    microseconds of a request, and of a token (/T)
    WORKLOAD    STREAMS  PROMPT  HTTP  LEASE  TOKENIZE  QUEUE  PREFILL  KEEP  COMPOSE/T  DECODE/T  SAMPLE/T  DETOKENIZE/T  EVENTS/T  SSE/T
    completion  2        32      110   200    90        100    9000     0     0.50       1750.00   12.12     1.00          -         -

    memory of gateway, pid 7: 6.0 MiB
    not measured: completion of 4096 and 8 tokens: the model has 1024 tokens of context
    failed: vs, completion, 2: it is full
    ");
}

#[test]
fn a_failed_request_of_either_side_is_a_failure() {
    let mut report = report();
    assert!(report.has_failures());
    report.cells[0].vs = None;
    assert!(!report.has_failures());
}
