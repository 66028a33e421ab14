//! Models go: unloaded, idle, at the end of the server.

use super::*;

#[tokio::test(start_paused = true)]
async fn unloading_waits_for_leases_and_new_ones_for_the_next_worker() {
    let mut play = Play::begin(1);
    let mut first = play.risen().await;
    let mut lease = play.acquire("a").await;
    first.serve().await;
    lease.ready().await.unwrap();
    let fleet = play.fleet.clone();
    let unloading = tokio::spawn(async move { fleet.unload("a".into()).await });
    first.told_to(|leave| matches!(leave, Leave::Drain(_))).await;
    let mut late = play.acquire("a").await;
    assert!(matches!(late.next().await, LeaseState::Queued(_)));
    assert!(!unloading.is_finished());
    drop(lease);
    first.stop().await;
    unloading.await.unwrap().unwrap();
    play.risen().await.serve().await;
    assert_eq!(late.ready().await.unwrap().worker.as_str(), "gguf-2");
}

#[tokio::test(start_paused = true)]
async fn an_unloaded_model_stays_away() {
    let mut play = Play::begin(0);
    let mut lease = play.acquire("a").await;
    let mut worker = play.risen().await;
    worker.serve().await;
    lease.ready().await.unwrap();
    drop(lease);
    let fleet = play.fleet.clone();
    let (unloaded, ()) = tokio::join!(fleet.unload("a".into()), worker.stop());
    unloaded.unwrap();
    assert_eq!(play.state("a").await, "available");
    play.fleet.unload("a".into()).await.unwrap();
    assert!(play.births.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_idle_model_is_stopped_after_its_time_unless_pinned() {
    let mut play = Play::begin(0);
    let idle = Manifest { ttl: Some(Duration::from_mins(1)), ..Manifest::clone(&manifest("idle")) };
    let pinned = Manifest { pin: true, spec: manifest("pinned").spec.clone(), ..idle.clone() };
    let mut workers = Vec::new();
    for manifest in [pinned, idle] {
        let mut lease = play.fleet.acquire(Wanted::of(manifest.into())).await.unwrap();
        let mut worker = play.risen().await;
        worker.serve().await;
        lease.ready().await.unwrap();
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(worker.orders.borrow().leave, Leave::No, "leased");
        workers.push(worker);
    }
    let start = Instant::now();
    workers.pop().unwrap().stop().await;
    assert_eq!(Instant::now() - start, Duration::from_mins(1));
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(workers.pop().unwrap().orders.borrow().leave, Leave::No, "pinned");
}

#[tokio::test(start_paused = true)]
async fn the_end_drains_what_is_leased_and_refuses_what_is_new() {
    let mut play = Play::begin(1);
    let mut worker = play.risen().await;
    let mut lease = play.acquire("a").await;
    worker.serve().await;
    lease.ready().await.unwrap();
    let standby = play.risen().await;
    let deadline = Instant::now() + Duration::from_secs(30);
    play.phase.send(Phase::Draining { deadline }).unwrap();
    standby.stop().await;
    worker.told_to(|leave| leave == Leave::Drain(deadline)).await;
    assert_eq!(play.acquire("a").await.ready().await.unwrap_err().code(), Code::Unavailable);
    drop(lease);
    worker.stop().await;
    play.end.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_hurries() {
    let mut play = Play::begin(1);
    let mut worker = play.risen().await;
    let mut lease = play.acquire("a").await;
    worker.serve().await;
    lease.ready().await.unwrap();
    let mut standby = play.risen().await;
    play.phase.send(Phase::Hurried).unwrap();
    worker.told_to(|leave| leave == Leave::Kill).await;
    standby.told_to(|leave| leave == Leave::Kill).await;
    worker.crash().await;
    standby.crash().await;
    play.end.await.unwrap();
}
