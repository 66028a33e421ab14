//! What is done while a model waits, and how long its wait and its load took.

use super::{budget::sized, *};

/// A model of this footprint with one file.
fn filed(model: &str, bytes: u64) -> Arc<Manifest> {
    Manifest { files: vec![model.into()], ..Manifest::clone(&sized(model, bytes)) }.into()
}

#[tokio::test(start_paused = true)]
async fn weights_are_read_while_a_model_waits_as_far_as_they_fit() {
    let mut play = Play::begin(1);
    let standby = play.risen().await;
    let lease = play.lease(&filed("a", 60)).await;
    let mut first = standby;
    first.serve().await;
    assert!(play.ahead.try_recv().is_err(), "it has not waited");
    let second = play.risen().await;
    let _waiting = play.lease(&filed("b", 60)).await;
    assert_eq!(play.ahead.recv().await, Some((vec!["b".into()], 40)));
    drop(lease);
    first.stop().await;
    let mut second = second;
    second.serve().await;
    assert!(play.ahead.try_recv().is_err(), "once");
}

#[tokio::test(start_paused = true)]
async fn no_more_is_read_than_the_machine_has_left() {
    let mut play = Play::begin(0);
    let limit = Memory::ram(100);
    let pools = Pools { limit, total: Memory::ram(1000), available: Memory::ram(30) };
    play.memory.send(pools).unwrap();
    let _lease = play.lease(&filed("a", 60)).await;
    assert_eq!(play.ahead.recv().await, Some((vec!["a".into()], 30)), "it waits for a worker to start");
}

#[tokio::test(start_paused = true)]
async fn what_is_read_of_all_fits_together_and_who_came_first_is_first() {
    let mut play = Play::begin(0);
    let sized = |model, bytes| Arc::new(Manifest { size_bytes: bytes, ..Manifest::clone(&filed(model, 60)) });
    let mut leases = Vec::new();
    for manifest in [sized("c", 30), sized("b", 50), sized("a", 40), sized("d", 10)] {
        leases.push(play.lease(&manifest).await);
    }
    for (model, bytes) in [("c", 30), ("b", 50), ("a", 20)] {
        assert_eq!(play.ahead.recv().await, Some((vec![model.into()], bytes)));
    }
    drop(leases.remove(0));
    assert_eq!(play.ahead.recv().await, Some((vec!["d".into()], 10)));
}

#[tokio::test(start_paused = true)]
async fn each_part_of_a_load_is_timed() {
    let mut play = Play::begin(1);
    let mut first = play.risen().await;
    let lease = play.lease(&sized("a", 60)).await;
    first.serve().await;
    let _waiting = play.lease(&sized("b", 60)).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let second = play.next().await;
    drop(lease);
    first.stop().await;
    let pause = |ms| tokio::time::sleep(Duration::from_millis(ms));
    pause(20).await;
    second.rise().await;
    let mut second = second;
    second.placed().await;
    pause(3).await;
    second.tell(What::Progress(0.1)).await;
    pause(400).await;
    second.serve().await;
    let rows = play.fleet.snapshot().await.unwrap().workers;
    let row = rows.into_iter().find(|row| row.model.as_deref() == Some("b")).unwrap();
    let times = row.load.unwrap();
    let ms = [times.room, times.standby, times.open, times.load].map(|time| time.as_millis());
    assert_eq!(ms, [700, 20, 3, 400]);
}
