//! What is taken from whom for a model that waits: rooms for prefixes, and who goes.

use super::{
    budget::sized,
    rooms::{rooms, roomy},
    *,
};

impl Play {
    /// Has the model's worker drain as long as somebody holds it.
    async fn drain(&self, model: &'static str, worker: &mut Actor) {
        let fleet = self.fleet.clone();
        tokio::spawn(async move { fleet.unload(model.into()).await });
        worker.told_to(|leave| matches!(leave, Leave::Drain(_))).await;
        worker.tell(What::Draining(Instant::now() + Duration::from_secs(30))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_go_than_prefixes_of_others_leave_missing() {
    let mut play = Play::begin(0);
    let (a, lease_a) = play.up(&sized("a", 30)).await;
    let (b, lease_b) = play.up(&sized("b", 30)).await;
    let (mut c, _c) = play.up(&roomy("c", 10, 30)).await;
    assert_eq!(play.placed().await, 100);
    drop((lease_a, lease_b));
    let mut waiting = play.lease(&sized("d", 55)).await;
    c.told_room(5).await;
    c.ticks(5, 5).await;
    let leaves = |actor: &Actor| actor.orders.borrow().leave != Leave::No;
    let (gone, stays) = if leaves(&a) { (a, b) } else { (b, a) };
    gone.stop().await;
    play.risen().await.serve().await;
    waiting.ready().await.unwrap();
    assert!(!leaves(&stays));
}

#[tokio::test(start_paused = true)]
async fn prefixes_are_given_up_sooner_than_a_long_request_ends() {
    let mut play = Play::begin(0);
    let (mut a, _a) = play.up(&sized("a", 40)).await;
    let (mut b, _b) = play.up(&roomy("b", 20, 40)).await;
    play.drain("a", &mut a).await;
    let start = Instant::now();
    let mut waiting = play.lease(&sized("c", 30)).await;
    b.told_room(10).await;
    b.ticks(10, 10).await;
    play.risen().await.serve().await;
    waiting.ready().await.unwrap();
    assert_eq!((Instant::now() - start, play.placed().await), (Duration::ZERO, 100));
}

#[tokio::test(start_paused = true)]
async fn who_drains_gives_up_prefixes_before_its_requests_end() {
    let mut play = Play::begin(0);
    let (mut a, _a) = play.up(&roomy("a", 30, 50)).await;
    let (mut b, _b) = play.up(&roomy("b", 10, 10)).await;
    play.drain("a", &mut a).await;
    let mut waiting = play.lease(&sized("c", 40)).await;
    b.told_room(0).await;
    a.told_room(20).await;
    assert_eq!(play.rooms().await, rooms(&[("a", 50), ("b", 10)]), "counted until it is given up");
    b.ticks(0, 0).await;
    a.ticks(20, 20).await;
    play.risen().await.serve().await;
    waiting.ready().await.unwrap();
    assert_eq!(play.rooms().await, rooms(&[("a", 20), ("b", 0), ("c", 0)]));
}

#[tokio::test(start_paused = true)]
async fn where_prefixes_are_not_enough_a_request_that_ends_is_waited_for() {
    let mut play = Play::begin(0);
    let (mut a, lease) = play.up(&sized("a", 50)).await;
    let (b, _b) = play.up(&roomy("b", 20, 30)).await;
    play.drain("a", &mut a).await;
    let mut first = play.lease(&sized("c", 45)).await;
    let mut second = play.lease(&sized("d", 5)).await;
    play.placed().await;
    assert_eq!(b.orders.borrow().prefix_room, None, "what comes is enough for both");
    drop(lease);
    a.stop().await;
    for _ in 0..2 {
        play.risen().await.serve().await;
    }
    first.ready().await.unwrap();
    second.ready().await.unwrap();
    assert_eq!(play.rooms().await, rooms(&[("b", 30), ("c", 0), ("d", 0)]));
}

#[tokio::test(start_paused = true)]
async fn who_waits_behind_a_long_request_takes_no_prefixes_before_it_ends() {
    let mut play = Play::begin(0);
    let (mut a, lease) = play.up(&sized("a", 50)).await;
    let (mut b, _b) = play.up(&roomy("b", 20, 30)).await;
    play.drain("a", &mut a).await;
    let mut first = play.lease(&sized("c", 45)).await;
    let mut second = play.lease(&sized("d", 25)).await;
    play.placed().await;
    assert_eq!(b.orders.borrow().prefix_room, None, "the first would get it, and wait all the same");
    drop(lease);
    a.stop().await;
    b.told_room(10).await;
    b.ticks(10, 10).await;
    for _ in 0..2 {
        play.risen().await.serve().await;
    }
    first.ready().await.unwrap();
    second.ready().await.unwrap();
    assert_eq!(play.rooms().await, rooms(&[("b", 10), ("c", 0), ("d", 0)]));
}

#[tokio::test(start_paused = true)]
async fn room_of_who_loads_is_free_at_once() {
    let mut play = Play::begin(1);
    let mut a = play.risen().await;
    let _lease = play.lease(&roomy("a", 30, 50)).await;
    a.placed().await;
    let mut b = play.risen().await;
    let start = Instant::now();
    let _waiting = play.lease(&sized("b", 60)).await;
    b.placed().await;
    assert_eq!(Instant::now() - start, Duration::ZERO);
    assert_eq!(play.rooms().await, rooms(&[("a", 10), ("b", 0)]));
}

#[tokio::test(start_paused = true)]
async fn room_that_is_given_up_counts_once() {
    let mut play = Play::begin(0);
    let (_b, _lease) = play.up(&sized("b", 20)).await;
    let (mut a, lease) = play.up(&roomy("a", 30, 50)).await;
    drop(lease);
    let _first = play.lease(&sized("c", 40)).await;
    a.told_room(10).await;
    let fits = async |bytes| play.fleet.fits_beside(sized("d", bytes), "a".into()).await.unwrap();
    assert_eq!((fits(50).await, fits(51).await), (true, false), "{:?}", play.rooms().await);
    let _second = play.lease(&sized("d", 45)).await;
    play.placed().await;
    assert_eq!(a.orders.borrow().leave, Leave::No, "without it there would not be enough either");
}
