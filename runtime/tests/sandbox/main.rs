//! What a worker can still do from inside its sandbox, tried by a real worker in a process of its own: this program,
//! started again. Every attempt is also made without a sandbox, so that its refusal is known to come from there.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // this is a test

mod attempts;
mod probe;
mod worker;

use std::{env, process::ExitCode};

use attempts::{Attempt, Means};
use worker::Worker;

/// Said to this program when it is to be the worker.
const AS_WORKER: &str = "--as-worker";

/// A test and its name.
type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("a_sealed_worker_reads_its_model_and_serves", a_sealed_worker_reads_its_model_and_serves),
    ("without_a_sandbox_everything_is_as_the_user_may", without_a_sandbox_everything_is_as_the_user_may),
    ("a_sealed_worker_hands_on_what_it_computed", a_sealed_worker_hands_on_what_it_computed),
];

/// Speaks as much of a test harness's language as cargo and nextest use.
fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let is_said = |word: &str| arguments.iter().any(|argument| argument == word);
    if is_said(AS_WORKER) {
        return impetus_runtime::run::<probe::Probe>();
    }
    if is_said("--list") {
        let listed = TESTS.iter().filter(|_| !is_said("--ignored"));
        listed.for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let is_meant = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(*filter));
    for (name, test) in TESTS.iter().filter(|(name, _)| is_meant(name)) {
        println!("test {name}");
        test();
    }
    ExitCode::SUCCESS
}

fn a_sealed_worker_reads_its_model_and_serves() {
    let worker = Worker::start(true, None);
    let has = |means| match means {
        Means::Landlock => worker.level.contains("landlock "),
        Means::Seccomp => worker.level.contains("seccomp"),
    };
    if cfg!(target_os = "linux") {
        assert!(has(Means::Seccomp), "every kernel of the last ten years has it: {}", worker.level);
        assert_eq!(has(Means::Landlock), worker::has_landlock(), "{}", worker.level);
    }
    let expected = |attempt: &Attempt| match attempt.refusal {
        Some((means, refusal)) if has(means) => refusal,
        _ => attempt.otherwise,
    };
    worker.check(expected);
    worker.serves();
    worker.ends_when_asked();
}

fn without_a_sandbox_everything_is_as_the_user_may() {
    let worker = Worker::start(false, None);
    assert_eq!(worker.level, "off");
    worker.check(|attempt| attempt.otherwise);
    worker.serves();
    worker.ends_when_asked();
}

fn a_sealed_worker_hands_on_what_it_computed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let prompt = "a prompt that is long enough for what is computed of it to be worth keeping in a file";
    let mut cached = Vec::new();
    for _ in 0..2 {
        let given = file.reopen().unwrap();
        let worker = Worker::start(true, Some(&given));
        // From now on the worker alone has it.
        drop(given);
        cached.push(worker.answers(prompt));
        worker.ends_when_asked();
    }
    assert_eq!(cached, [0, prompt.len() as u32 - 1]);
}
