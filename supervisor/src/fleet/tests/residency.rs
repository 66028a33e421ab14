//! Models come up, and come back when their workers die.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_standby_becomes_the_models_worker_and_the_next_one_starts() {
    let mut play = Play::begin(1);
    let mut first = play.risen().await;
    let mut lease = play.acquire("a").await;
    let spec = first.serve().await;
    assert_eq!((spec.model.as_str(), spec.socket.as_str()), ("a", "/run/gguf-1.sock"));
    let hold = lease.ready().await.unwrap();
    assert_eq!((hold.endpoint.as_str(), hold.worker.as_str()), ("unix:///run/gguf-1.sock", "gguf-1"));
    assert_eq!(play.next().await.birth.id.as_str(), "gguf-2");
    let snapshot = play.fleet.snapshot().await.unwrap();
    let states: Vec<_> =
        snapshot.workers.iter().map(|row| (row.id.as_str(), row.state.name(), row.leases)).collect();
    assert_eq!(states, [("gguf-1", "ready", 1), ("gguf-2", "standby", 0)]);
}

#[tokio::test(start_paused = true)]
async fn without_standbys_a_worker_starts_when_it_is_wanted() {
    let mut play = Play::begin(0);
    let mut lease = play.acquire("a").await;
    assert!(matches!(lease.next().await, LeaseState::Queued(_)));
    let mut worker = play.risen().await;
    worker.serve().await;
    lease.ready().await.unwrap();
    assert!(play.births.try_recv().is_err(), "no standby is wanted");
}

#[tokio::test(start_paused = true)]
async fn a_death_ends_its_leases_and_the_successor_serves_new_ones() {
    let mut play = Play::begin(1);
    let mut first = play.risen().await;
    let mut lease = play.acquire("a").await;
    first.serve().await;
    lease.ready().await.unwrap();
    let mut second = play.risen().await;
    first.crash().await;
    let LeaseState::Lost(loss) = lease.next().await else { panic!("the lease goes on") };
    assert_eq!((loss.cause.as_str(), loss.may_be_request), ("exited with code 4; it last said: boom", true));
    let mut again = play.acquire("a").await;
    second.serve().await;
    assert_eq!(again.ready().await.unwrap().worker.as_str(), "gguf-2");
    let snapshot = play.fleet.snapshot().await.unwrap();
    assert_eq!(snapshot.workers[0].restarts, 1);
    assert_eq!(snapshot.workers[0].last_exit.as_deref(), Some("exited with code 4; it last said: boom"));
}

#[tokio::test(start_paused = true)]
async fn who_waits_goes_on_waiting_when_a_load_crashes() {
    let mut play = Play::begin(1);
    let mut first = play.risen().await;
    let mut lease = play.acquire("a").await;
    first.placed().await;
    first.crash().await;
    let mut second = play.risen().await;
    second.serve().await;
    assert_eq!(lease.ready().await.unwrap().worker.as_str(), "gguf-2");
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_given_up_and_delays_nobody_else() {
    let mut play = Play::begin(1);
    let mut lease = play.acquire("bad").await;
    for _ in 0..4 {
        let mut worker = play.risen().await;
        worker.placed().await;
        worker.crash().await;
    }
    assert_eq!(play.state("bad").await, "backoff");
    let start = Instant::now();
    let mut good = play.acquire("good").await;
    let mut worker = play.risen().await;
    assert_eq!(worker.serve().await.model, "good");
    good.ready().await.unwrap();
    assert_eq!(Instant::now() - start, Duration::ZERO, "the other model's backoff is not waited for");
    let mut last = play.risen().await;
    assert_eq!(last.placed().await.model, "bad");
    last.crash().await;
    let error = lease.ready().await.unwrap_err();
    assert_eq!((error.code(), error.retry_after_s), (Code::ModelLoadFailed, 30));
    assert!(error.message.contains("5 times within 300 s"), "{error}");
    assert_eq!(play.acquire("bad").await.ready().await.unwrap_err(), error, "refused at once");
    assert_eq!(play.fleet.restart("bad".into()).await.unwrap(), Some(Restarted::Model("bad".into())));
    let mut retried = play.acquire("bad").await;
    play.risen().await.serve().await;
    retried.ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broken_file_is_not_tried_again_until_it_is_another() {
    let mut play = Play::begin(1);
    let mut worker = play.risen().await;
    let mut lease = play.acquire("a").await;
    worker.placed().await;
    worker.tell(What::Exited(broken_file())).await;
    let error = lease.ready().await.unwrap_err();
    assert_eq!(error.code(), Code::ModelLoadFailed);
    assert_eq!(error.message, "a cannot be loaded: bad magic");
    assert_eq!(play.state("a").await, "failed");
    let mut next = play.risen().await;
    assert!(play.acquire("a").await.ready().await.is_err());
    let replaced = Manifest { modified: Some(SystemTime::UNIX_EPOCH), ..Manifest::clone(&manifest("a")) };
    let mut lease = play.fleet.acquire(Wanted::of(replaced.into())).await.unwrap();
    next.serve().await;
    lease.ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn standbys_that_never_come_up_are_reported_and_tried_slowly() {
    let mut play = Play::begin(1);
    for _ in 0..5 {
        play.next().await.crash().await;
    }
    let mut lease = play.acquire("a").await;
    let error = lease.ready().await.unwrap_err();
    assert_eq!(error.code(), Code::ModelLoadFailed);
    assert!(error.message.contains("no gguf worker starts: the last one exited with code 4"), "{error}");
    let start = Instant::now();
    let risen = play.next().await;
    assert_eq!(Instant::now() - start, LIMITS.max, "it is tried again by itself");
    risen.crash().await;
    play.fleet.forgive(manifest("a")).await.unwrap();
    play.risen().await.serve().await;
    assert_eq!(Instant::now() - start, LIMITS.max, "or at once when it is asked for");
    assert_eq!(play.acquire("a").await.ready().await.unwrap().model, "a");
}
