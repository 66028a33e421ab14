//! Waiting for a supervisor, a model and a turn.

use super::*;
use crate::metrics::Stage;

#[tokio::test(start_paused = true)]
async fn leaving_while_waiting_releases() {
    let fake = Fake::start();
    fake.delay_lease(Duration::from_mins(1));
    let waited_before = metrics::so_far(Stage::Lease);
    let mut events = generate(fake.upstream(), request());
    tokio::time::timeout(Duration::from_secs(1), events.next()).await.unwrap_err();
    drop(events);
    assert!(metrics::so_far(Stage::Lease) >= waited_before + Duration::from_millis(900), "it waited");
    fake.until_idle().await;
    assert!(fake.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_supervisors_refusal_is_the_answer() {
    for code in [Code::ModelNotFound, Code::ModelLoadFailed, Code::NoCapacity] {
        let fake = Fake::start();
        let refusal = Error::new(code, "no").with_retry_after(7);
        fake.refuse_lease(refusal.clone());
        assert_eq!(run(&fake).await, (String::new(), Err(refusal)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_is_away_for_a_moment_is_waited_for() {
    let fake = Fake::start();
    for _ in 0..3 {
        fake.refuse_lease(Error::new(Code::Unavailable, "starting"));
    }
    assert_eq!(run(&fake).await, ("ok".to_owned(), Ok(())));
    fake.set_away(true);
    let waits = async {
        tokio::time::sleep(Duration::from_secs(15)).await;
        fake.set_away(false);
    };
    let (told, ()) = tokio::join!(run(&fake), waits);
    assert_eq!(told, ("ok".to_owned(), Ok(())));
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_stays_away_is_not() {
    let limits = (&impetus_config::Config::default()).into();
    let upstream = Arc::new(Upstream::new("/nonexistent/supervisor.sock", limits));
    let started = Instant::now();
    let error = generate(upstream, request()).next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!((20..22).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_model_is_bounded() {
    let fake = Fake::start();
    fake.delay_lease(Duration::from_hours(1));
    let error = run(&fake).await.1.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(error.message.contains("600 s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_request_is_bounded_in_all() {
    let fake = Fake::start();
    let upstream = fake.upstream_with(|config| config.gateway.request_timeout_s = 5);
    let check = async |expected: &str| {
        let started = Instant::now();
        let (text, end) = told(generate(upstream.clone(), request())).await;
        let error = end.unwrap_err();
        assert_eq!((text.as_str(), error.code()), (expected, Code::DeadlineExceeded));
        assert!(error.message.contains("gateway.request_timeout_s"), "{error}");
        assert_eq!(started.elapsed().as_secs(), 5);
        fake.until_idle().await;
    };
    fake.script([accepted(), delta(0, &[1], "a"), Step::Stall]);
    check("a").await;
    fake.answer_with(|_| vec![accepted(), Step::Wait(Duration::from_secs(1)), Step::Die]);
    check("").await;
    fake.delay_lease(Duration::from_hours(1));
    check("").await;
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_and_a_long_wait_ends() {
    let fake = Fake::start();
    fake.set_slots(1);
    fake.answer_with(|_| vec![accepted(), Step::Stall]);
    let upstream = fake.upstream_with(|config| {
        config.gateway.max_queue = 1;
        config.gateway.queue_timeout_s = 30;
    });
    let mut running = Vec::new();
    for _ in 0..2 {
        let mut events = generate(upstream.clone(), request());
        events.next().await.unwrap().unwrap();
        running.push(events);
    }
    let mut third = generate(upstream.clone(), request());
    tokio::time::timeout(Duration::from_secs(10), third.next()).await.unwrap_err();
    let refused = told(generate(upstream.clone(), request())).await.1.unwrap_err();
    assert_eq!((refused.code(), refused.retry_after_s), (Code::QueueFull, 1));
    let late = third.next().await.unwrap().unwrap_err();
    assert_eq!((late.code(), late.retry_after_s), (Code::QueueTimeout, 1));
    drop(third);
    let mut fourth = generate(upstream, request());
    tokio::time::timeout(Duration::from_secs(10), fourth.next()).await.unwrap_err();
    drop(running);
    fourth.next().await.unwrap().unwrap();
}
