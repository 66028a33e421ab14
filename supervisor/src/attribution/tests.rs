use super::*;

const SIGKILL: i32 = 9;
const SIGSEGV: i32 = 11;

fn check(status: i32, facts: Facts, expected: &str) {
    let facts = Facts { status: Some(ExitStatus::from_raw(status)), ..facts };
    assert_eq!(attribute(facts).to_string(), expected);
}

fn said(words: &[&str]) -> Facts {
    Facts { last_words: words.iter().map(ToString::to_string).collect(), ..Facts::default() }
}

fn meant(intent: Intent) -> Facts {
    Facts { intent, ..Facts::default() }
}

fn failed(code: Code) -> Facts {
    Facts { failed: Some(Error::new(code, "bad magic")), ..said(&["x"]) }
}

/// Killed by the kernel with these MiB held and allowed.
fn killed(peak: u64, limit: Option<u64>) -> Facts {
    Facts {
        kernel_kill: Some(KernelKill { peak_bytes: Some(peak << 20) }),
        limit_bytes: limit.map(|mib| mib << 20),
        ..Facts::default()
    }
}

#[test]
fn every_end_has_a_sentence() {
    check(0, Facts::default(), "exited with code 0");
    check(4 << 8, said(&["a", "b", "c", "d"]), "exited with code 4; it last said: b | c | d");
    check(SIGSEGV, Facts::default(), "killed by SIGSEGV");
    check(SIGSEGV | 0x80, said(&["boom"]), "killed by SIGSEGV; it last said: boom");
    check(SIGKILL, Facts::default(), "killed by SIGKILL");
    let no_memory = || Facts { memory_ran_out: true, ..Facts::default() };
    check(SIGKILL, no_memory(), "killed by SIGKILL, probably by the kernel because memory ran out");
    check(SIGSEGV, no_memory(), "killed by SIGSEGV");
    check(64, Facts::default(), "killed by signal 64");
    check(127 << 8, said(&["launch: cannot execute x"]), "could not be started: launch: cannot execute x");
    check(SIGKILL, meant(Intent::Stop), "stopped on request");
    let patience = Duration::from_secs(30);
    check(SIGKILL, meant(Intent::Stuck(patience)), "hung: it had work and made no step for 30 s");
    check(SIGKILL, meant(Intent::Silent(patience)), "hung: it gave no sign of life for 30 s");
    check(SIGKILL, meant(Intent::Stalled(patience)), "hung: it made no progress while loading for 30 s");
    check(3 << 8, failed(Code::ModelLoadFailed), "could not load its model: bad magic");
    assert_eq!(attribute(Facts::default()).to_string(), "ended for an unknown reason");
}

#[test]
fn memory_is_told_with_its_numbers() {
    check(SIGKILL, killed(512, Some(512)), "killed by the kernel at 512 MiB (limit 512 MiB)");
    check(SIGKILL, killed(511, Some(512)), "killed by the kernel at 511 MiB (limit 512 MiB)");
    let machine = "because the machine's memory ran out";
    check(
        SIGKILL,
        killed(300, Some(512)),
        &format!("killed by the kernel at 300 MiB (limit 512 MiB) {machine}"),
    );
    check(SIGKILL, killed(300, None), &format!("killed by the kernel at 300 MiB {machine}"));
    let unknown = Facts { kernel_kill: Some(KernelKill { peak_bytes: None }), ..Facts::default() };
    check(SIGKILL, unknown, "killed by the kernel");
    // The kernel was faster than the supervisor's own patience; a stop on order needs no other reason.
    let stuck = Intent::Stuck(Duration::from_secs(5));
    let both = Facts { intent: stuck, ..killed(512, Some(512)) };
    check(SIGKILL, both, "killed by the kernel at 512 MiB (limit 512 MiB)");
    check(SIGKILL, Facts { intent: Intent::Stop, ..killed(512, Some(512)) }, "stopped on request");
    let watched = Facts { limit_bytes: Some(512 << 20), ..meant(Intent::OverLimit(530 << 20)) };
    check(SIGKILL, watched, "killed by the watcher at 530 MiB (limit 512 MiB)");
    let unseen = attribute(Facts { is_adopted: true, ..said(&["boom"]) }).to_string();
    let expected =
        "ended; its exit status is unknown, since an earlier supervisor had started it; it last said: boom";
    assert_eq!(unseen, expected);
}

#[test]
fn who_is_to_blame() {
    // May be a request, is from outside, is memory.
    let check = |status: i32, facts: Facts, expected: (bool, bool, bool)| {
        let cause = attribute(Facts { status: Some(ExitStatus::from_raw(status)), ..facts });
        let got = (cause.may_be_request(), cause.is_from_outside(), cause.is_memory());
        assert_eq!(got, expected, "{cause}");
    };
    check(SIGKILL, Facts::default(), (false, true, false));
    check(SIGSEGV, Facts::default(), (true, false, false));
    check(4 << 8, Facts::default(), (true, false, false));
    check(SIGKILL, Facts { memory_ran_out: true, ..Facts::default() }, (true, false, true));
    check(SIGKILL, killed(512, Some(512)), (true, false, true));
    check(SIGKILL, meant(Intent::OverLimit(1)), (true, false, true));
    check(SIGKILL, meant(Intent::Stop), (false, false, false));
    check(SIGKILL, meant(Intent::Stuck(Duration::ZERO)), (true, false, false));
    check(SIGKILL, meant(Intent::Silent(Duration::ZERO)), (false, true, false));
    check(3 << 8, failed(Code::ModelLoadFailed), (false, false, false));
    check(3 << 8, failed(Code::NoCapacity), (false, false, true));
}
