//! Workers that are lost in the middle of an answer, and supervisors that are lost beside it.

use super::*;
use crate::fake::rest;

const TEXT: &str = "one two three four";

/// The events of `upstream`'s answer while each worker's share is as long as `share` says of the tokens so far.
fn shares(fake: &Fake, text: &'static str, share: impl Fn(usize) -> Vec<Step> + Send + Sync + 'static) {
    fake.answer_with(move |request| {
        let n_resumed = request.resume.as_ref().map_or(0, |resume| resume.tokens.len());
        let mut steps = rest(request, text);
        steps.truncate(2);
        steps.extend(share(n_resumed));
        steps
    });
}

#[tokio::test(start_paused = true)]
async fn wherever_a_worker_is_lost_the_answer_is_whole() {
    let ours = |code| Step::Fail(Error::new(code, "leaving"));
    let ends = [
        Step::Die,
        Step::Crash,
        Step::End,
        ours(Code::WorkerCrashed),
        ours(Code::Unavailable),
        delta(9, &[7], "gap"),
        delta(0, &[100], "repeated"),
        of_another_model(delta(1, &[7], "stranger")),
    ];
    let whole = completion(TEXT);
    for end in ends {
        for n_steps in 0..whole.len() {
            // What is said out of turn must not happen to be in turn.
            if n_steps == 1 && matches!(&end, Step::Send(event) if event.index == 0) {
                continue;
            }
            let fake = Fake::start();
            fake.answer_with(|request| rest(request, TEXT));
            let mut script = whole[..n_steps].to_vec();
            script.push(end.clone());
            fake.script(script.clone());
            assert_eq!(run(&fake).await, (TEXT.to_owned(), Ok(())), "{script:?}");
            assert_eq!(fake.requests().len(), 2, "{script:?}");
            fake.until_idle().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn any_number_of_workers_may_be_lost() {
    let fake = Fake::start();
    let text = "a b c d e f g h i j k l m n o p q r s t";
    shares(&fake, text, |_| vec![Step::Die]);
    assert_eq!(run(&fake).await, (text.to_owned(), Ok(())));
    assert_eq!(fake.requests().len(), 21);
    // Not even a token apiece.
    let fake = Fake::start();
    for _ in 0..50 {
        fake.script([accepted(), Step::Die]);
    }
    assert_eq!(run(&fake).await, ("ok".to_owned(), Ok(())));
    assert!(fake.acquire_requests().iter().all(|request| !request.alone), "nobody suspects it");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_lost_is_told_again() {
    let fake = Fake::start();
    fake.answer_with(|request| rest(request, "one two"));
    fake.script([accepted(), delta(0, &[100, 101], "one two"), delta(2, &[2], ""), Step::Die]);
    assert_eq!(run(&fake).await, ("one two".to_owned(), Ok(())));
    let resumed = fake.requests()[1].resume.clone().unwrap().tokens;
    assert_eq!(resumed, [100, 101, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_successor_goes_on_without_a_pause() {
    let fake = Fake::start();
    fake.answer_with(|request| rest(request, TEXT));
    for lost in [Step::Die, Step::Crash, Step::Fail(Error::new(Code::Unavailable, "draining"))] {
        fake.script([accepted(), delta(0, &[100], "one "), lost.clone()]);
        let started = Instant::now();
        assert_eq!(run(&fake).await, (TEXT.to_owned(), Ok(())));
        assert!(started.elapsed() < Duration::from_millis(50), "{lost:?}: {:?}", started.elapsed());
    }
    // It is the supervisor that knows of an end; a connection need not.
    fake.script([accepted(), delta(0, &[100], "one "), Step::Hang]);
    let started = Instant::now();
    let ends = async {
        fake.until_busy().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        fake.end_worker("hung: it gave no sign of life for 3 s", false);
    };
    assert_eq!(tokio::join!(run(&fake), ends).0, (TEXT.to_owned(), Ok(())));
    assert!(started.elapsed() < Duration::from_millis(5_150), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_keeps_failing_without_an_end_is_given_up() {
    let untrue = vec![accepted(), delta(1, &[1], "gap")];
    let failed = Err(("", Code::WorkerCrashed));
    check(vec![untrue.clone(), untrue.clone(), untrue.clone()], failed).await;
    let begun = vec![accepted(), delta(0, &[1], "a"), delta(2, &[1], "gap")];
    check(vec![begun, untrue.clone(), untrue], Err(("a", Code::WorkerCrashed))).await;
    let leaving = vec![Step::Fail(Error::new(Code::Unavailable, "draining"))];
    check(vec![leaving; 20], Err(("", Code::Unavailable))).await;
    check(vec![vec![accepted(), Step::End]; 20], failed).await;
}

#[tokio::test(start_paused = true)]
async fn an_alias_that_means_something_else_by_now_is_not_asked_for() {
    let fake = Fake::start();
    fake.answer_with(|request| rest(request, TEXT));
    fake.script([accepted(), delta(0, &[100], "one "), Step::Die]);
    run(&fake).await.1.unwrap();
    let asked: Vec<String> = fake.acquire_requests().into_iter().map(|request| request.model).collect();
    assert_eq!(asked, [crate::fake::ALIAS, MODEL]);
}

#[tokio::test(start_paused = true)]
async fn the_times_of_a_resumed_answer_are_those_of_all_of_it() {
    // Each time is counted once: waiting for the worker that goes on is a part of decoding.
    let check = async |n_lost: u32, lease_ds: u128| {
        let fake = Fake::start();
        fake.delay_lease(Duration::from_secs(4));
        fake.answer_with(|request| {
            let mut steps = rest(request, TEXT);
            steps.insert(1, Step::Wait(Duration::from_secs(2)));
            steps
        });
        let pause = Step::Wait(Duration::from_secs(1));
        for _ in 0..n_lost {
            fake.script([accepted(), pause.clone(), Step::Die]);
        }
        fake.script([accepted(), pause.clone(), delta(0, &[100], "one "), pause, Step::Die]);
        let events: Vec<_> = generate(fake.upstream(), request()).collect().await;
        let Some(Ok(Event::Finished(finished))) = events.last() else { panic!("{events:?}") };
        let Timings { queue_us, tokenize_us, prefill_us, decode_us } = finished.timings;
        let times = (queue_us, tokenize_us, prefill_us / 100_000, decode_us / 100_000);
        assert_eq!(times, (0, 0, 10, 70), "{n_lost}");
        assert_eq!(finished.lease.as_millis() / 100, lease_ds, "{n_lost}");
        assert_eq!((finished.usage.prompt_tokens, finished.usage.completion_tokens), (5, 5));
    };
    check(0, 40).await;
    check(1, 80).await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisors_death_is_not_noticed() {
    let fake = Fake::start();
    fake.script([
        accepted(),
        delta(0, &[100], "one "),
        Step::Wait(Duration::from_secs(10)),
        delta(1, &[101], "two"),
        Step::Wait(Duration::from_secs(10)),
        finished(2, &[2], ""),
    ]);
    let supervisor = async {
        fake.until_busy().await;
        fake.set_away(true);
        tokio::time::sleep(Duration::from_secs(12)).await;
        fake.set_away(false);
    };
    let (told, ()) = tokio::join!(run(&fake), supervisor);
    assert_eq!(told, ("one two".to_owned(), Ok(())));
    let asked = fake.acquire_requests();
    assert_eq!((asked[0].worker_id.as_str(), asked.last().unwrap().worker_id.as_str()), ("", "gguf-1"));
    assert_eq!(fake.requests().len(), 1, "one worker did it all");
    fake.until_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_while_there_is_no_supervisor_is_replaced_by_the_next_one() {
    let fake = Fake::start();
    fake.answer_with(|request| rest(request, TEXT));
    fake.script([accepted(), delta(0, &[100], "one "), Step::Wait(Duration::from_secs(5)), Step::Crash]);
    let supervisor = async {
        fake.until_busy().await;
        fake.set_away(true);
        tokio::time::sleep(Duration::from_secs(12)).await;
        fake.set_away(false);
    };
    let (told, ()) = tokio::join!(run(&fake), supervisor);
    assert_eq!(told, (TEXT.to_owned(), Ok(())));
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_running_request_keeps_its_turn() {
    let fake = Fake::start();
    fake.set_slots(1);
    let upstream = fake.upstream_with(|config| config.gateway.max_queue = 0);
    fake.answer_with(|request| rest(request, TEXT));
    fake.script([accepted(), delta(0, &[100], "one "), Step::Wait(Duration::from_secs(1)), Step::Die]);
    fake.script([accepted(), delta(0, &[100], "one "), Step::Stall]);
    let mut running = generate(upstream.clone(), request());
    running.next().await.unwrap().unwrap();
    fake.delay_lease(Duration::from_secs(5));
    let other = tokio::spawn(told(generate(upstream.clone(), request())));
    let begun = tokio::spawn(told(Box::pin(
        futures::stream::iter([Ok(Event::Accepted { model: MODEL.into(), prompt_tokens: 5 })]).chain(running),
    )));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let refused = told(generate(upstream, request())).await.1.unwrap_err();
    assert_eq!(refused.code(), Code::QueueFull, "the line is full while its worker is away");
    for told in [begun, other] {
        assert_eq!(told.await.unwrap(), (TEXT.to_owned(), Ok(())));
    }
}

#[tokio::test(start_paused = true)]
async fn replays_are_counted_by_cause() {
    let metrics = metrics::install().unwrap();
    let fake = Fake::start();
    fake.answer_with(|request| rest(request, TEXT));
    fake.script([accepted(), delta(0, &[100], "one "), delta(1, &[101], "two "), Step::Stall]);
    let ends = async {
        fake.until_busy().await;
        fake.end_worker("killed by the kernel at 512 MiB (limit 512 MiB)", true);
    };
    assert_eq!(tokio::join!(run(&fake), ends).0, (TEXT.to_owned(), Ok(())));
    let text = metrics.render();
    assert!(text.contains("impetus_replays_total{model=\"tiny\",cause=\"memory\"} 1\n"), "{text}");
    assert!(text.contains("impetus_replay_seconds_count{model=\"tiny\"}"), "{text}");
    assert!(text.contains("impetus_replayed_tokens_total{model=\"tiny\"}"), "{text}");
}
