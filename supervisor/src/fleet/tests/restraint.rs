//! Less is done while the battery is to be spared.

use super::*;
use crate::policy::power::{IDLE, Restraint};

/// A model that is up and that nobody uses.
async fn idle(play: &mut Play, manifest: Arc<Manifest>) -> Actor {
    let mut lease = play.fleet.acquire(Wanted::of(manifest)).await.unwrap();
    let mut worker = play.risen().await;
    worker.serve().await;
    lease.ready().await.unwrap();
    worker
}

#[tokio::test(start_paused = true)]
async fn idle_models_go_soon_unless_they_are_pinned_and_come_back_when_they_are_wanted() {
    let mut play = Play::begin(0);
    let pinned = Arc::new(Manifest { pin: true, ..Manifest::clone(&manifest("pinned")) });
    let pinned = idle(&mut play, pinned).await;
    let plain = idle(&mut play, manifest("plain")).await;
    let mut used = play.acquire("used").await;
    let mut in_use = play.risen().await;
    in_use.serve().await;
    used.ready().await.unwrap();

    play.fleet.restrain(Restraint::UnloadIdle).await.unwrap();
    let start = Instant::now();
    plain.stop().await;
    assert_eq!(Instant::now() - start, IDLE);
    tokio::time::sleep(10 * IDLE).await;
    for stays in [&pinned, &in_use] {
        assert_eq!(stays.orders.borrow().leave, Leave::No);
    }
    idle(&mut play, manifest("plain")).await;
}

#[tokio::test(start_paused = true)]
async fn no_model_is_loaded_and_those_that_are_up_serve() {
    let mut play = Play::begin(0);
    let _worker = idle(&mut play, manifest("up")).await;
    play.fleet.restrain(Restraint::NoNewLoads).await.unwrap();
    play.acquire("up").await.ready().await.unwrap();
    let refused = play.acquire("down").await.ready().await.unwrap_err();
    assert_eq!((refused.code(), refused.retry_after_s), (Code::Unavailable, 60));
    assert!(refused.message.contains("supervisor.on_battery"), "{refused}");
    assert!(play.births.try_recv().is_err());
    play.fleet.restrain(Restraint::None).await.unwrap();
    idle(&mut play, manifest("down")).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_preloaded_meanwhile() {
    let mut play = Play::begin(0);
    play.fleet.restrain(Restraint::UnloadIdle).await.unwrap();
    play.fleet.place(manifest("a")).await.unwrap();
    assert!(!play.fleet.snapshot().await.unwrap().models.contains_key("a"));
    play.fleet.restrain(Restraint::None).await.unwrap();
    play.fleet.place(manifest("a")).await.unwrap();
    play.risen().await.serve().await;
}
