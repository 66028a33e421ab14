//! RAM for prefixes: lent, counted, and taken back before anybody has to go.

use impetus_proto::launch::{PoolBytes, PrefixSpec, Tick};

use super::{budget::sized, *};

/// A model of this footprint whose worker may keep prefixes in `room`.
pub(super) fn roomy(model: &str, bytes: u64, room: u64) -> Arc<Manifest> {
    let prefixes = Some(PrefixSpec { ram_bytes: room, file_bytes: 9, fingerprint: Vec::new() });
    let sized = sized(model, bytes);
    Manifest { spec: WorkerSpec { prefixes, ..sized.spec.clone() }, ..Manifest::clone(&sized) }.into()
}

impl Actor {
    /// Says that it may keep prefixes in `room` and keeps them in `held`.
    pub(super) async fn ticks(&self, room: u64, held: u64) {
        let stats = Stats { prefix_room_bytes: room, prefix_ram_bytes: held, ..Stats::default() };
        self.tell(What::Tick(Tick { stats: Some(stats), ..Tick::default() }.into())).await;
    }

    /// Waits until it is told to keep prefixes in so much.
    pub(super) async fn told_room(&mut self, room: u64) {
        self.orders.wait_for(|orders| orders.prefix_room == Some(room)).await.unwrap();
    }

    fn room(&self) -> u64 {
        let place = self.orders.borrow().place.clone().unwrap();
        place.spec.prefixes.as_ref().unwrap().ram_bytes
    }
}

impl Play {
    /// What the budget counts for the prefixes of each worker with a model.
    pub(super) async fn rooms(&self) -> Vec<(String, u64)> {
        let rows = self.fleet.snapshot().await.unwrap().workers;
        rows.into_iter().filter_map(|row| Some((row.model?, row.prefix_room_bytes))).collect()
    }
}

pub(super) fn rooms(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(model, room)| ((*model).to_owned(), *room)).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_free_is_lent_and_counted() {
    let mut play = Play::begin(0);
    let (a, _a) = play.up(&roomy("a", 30, 50)).await;
    let (b, _b) = play.up(&roomy("b", 15, 50)).await;
    assert_eq!((a.room(), b.room()), (50, 5));
    assert_eq!(play.rooms().await, rooms(&[("a", 50), ("b", 5)]));
    assert_eq!(play.placed().await, 100);
    let limits = |actor: &Actor| actor.orders.borrow().place.clone().unwrap().limit_bytes.unwrap();
    assert_eq!(limits(&a), 30 + 50 + (256 << 20), "it may grow by its room");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_comes_before_prefixes_of_others() {
    let mut play = Play::begin(2);
    let standbys = [play.next().await, play.next().await];
    let _leases = [play.lease(&roomy("a", 30, 50)).await, play.lease(&roomy("b", 30, 50)).await];
    for standby in &standbys {
        standby.rise().await;
    }
    let mut placed = Vec::new();
    for mut standby in standbys {
        standby.placed().await;
        placed.push(standby.room());
    }
    assert_eq!((placed.iter().sum::<u64>(), placed.len()), (40, 2), "{placed:?}");
    assert_eq!(play.placed().await, 100);
}

#[tokio::test(start_paused = true)]
async fn prefixes_make_room_before_anybody_goes() {
    let mut play = Play::begin(0);
    let (mut a, lease) = play.up(&roomy("a", 30, 50)).await;
    drop(lease);
    let mut waiting = play.lease(&roomy("b", 60, 50)).await;
    a.told_room(10).await;
    assert!(matches!(waiting.next().await, LeaseState::Queued(_)));
    assert_eq!(play.rooms().await, rooms(&[("a", 50)]), "counted until it is given up");
    a.ticks(10, 20).await;
    assert_eq!(play.rooms().await, rooms(&[("a", 20)]));
    a.ticks(10, 10).await;
    let mut b = play.risen().await;
    b.serve().await;
    waiting.ready().await.unwrap();
    assert_eq!((b.room(), a.orders.borrow().leave), (0, Leave::No));
    assert_eq!(play.placed().await, 100);
}

#[tokio::test(start_paused = true)]
async fn who_gives_nothing_up_is_not_waited_for() {
    let mut play = Play::begin(0);
    let (a, lease) = play.up(&roomy("a", 30, 50)).await;
    drop(lease);
    let start = Instant::now();
    let mut waiting = play.lease(&sized("b", 60)).await;
    a.stop().await;
    assert_eq!(Instant::now() - start, Duration::from_secs(3));
    play.risen().await.serve().await;
    waiting.ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn those_who_stay_give_up_what_those_who_go_do_not_free() {
    let mut play = Play::begin(0);
    let (mut a, _a) = play.up(&roomy("a", 30, 30)).await;
    let (b, lease) = play.up(&roomy("b", 40, 30)).await;
    drop(lease);
    let mut waiting = play.lease(&sized("c", 65)).await;
    a.told_room(5).await;
    a.ticks(5, 0).await;
    b.stop().await;
    play.risen().await.serve().await;
    waiting.ready().await.unwrap();
    assert_eq!(play.rooms().await, rooms(&[("a", 5), ("c", 0)]));
}

#[tokio::test(start_paused = true)]
async fn who_loads_has_nothing_to_give_up_yet() {
    let mut play = Play::begin(0);
    let _lease = play.lease(&roomy("a", 30, 50)).await;
    let mut a = play.risen().await;
    a.placed().await;
    let mut waiting = play.lease(&sized("b", 60)).await;
    a.told_room(10).await;
    play.risen().await.serve().await;
    waiting.ready().await.unwrap();
    assert_eq!(play.rooms().await, rooms(&[("a", 10), ("b", 0)]));
}

#[tokio::test(start_paused = true)]
async fn what_comes_free_is_lent_again_after_a_while() {
    let mut play = Play::begin(0);
    let (_b, lease) = play.up(&sized("b", 60)).await;
    let (mut a, _a) = play.up(&roomy("a", 30, 50)).await;
    assert_eq!(a.room(), 10);
    play.memory.send_modify(|pools| pools.limit = Memory::ram(120));
    a.ticks(10, 0).await;
    assert_eq!(play.rooms().await, rooms(&[("b", 0), ("a", 10)]));
    tokio::time::sleep(Duration::from_secs(10)).await;
    a.ticks(10, 0).await;
    a.told_room(30).await;
    play.memory.send_modify(|pools| pools.limit = Memory::ram(95));
    a.told_room(5).await;
    drop(lease);
}

#[tokio::test(start_paused = true)]
async fn who_is_alone_keeps_nothing() {
    let mut play = Play::begin(0);
    let wanted = Wanted { alone: true, ..Wanted::of(roomy("a", 30, 50)) };
    let _lease = play.fleet.acquire(wanted).await.unwrap();
    let spec = play.risen().await.placed().await;
    assert_eq!((spec.prefixes, play.placed().await), (None, 30));
}

#[tokio::test(start_paused = true)]
async fn prefixes_are_no_part_of_what_is_measured() {
    let mut play = Play::begin(0);
    let mib = |n: u64| n << 20;
    play.memory.send_modify(|pools| pools.limit = Memory::ram(mib(1000)));
    let (a, _lease) = play.up(&roomy("a", mib(300), mib(50))).await;
    let peaks = vec![PoolBytes { pool: "ram".into(), bytes: mib(340) }];
    // It says that prefixes took more than it may keep.
    let stats = Stats { prefix_ram_peak_bytes: mib(60), ..Stats::default() };
    a.tell(What::Tick(Tick { stats: Some(stats), peaks, ..Tick::default() }.into())).await;
    let row = play.fleet.snapshot().await.unwrap().workers.remove(0);
    assert_eq!((row.peaks, row.footprint), (Memory::ram(mib(290)), Memory::ram(mib(300))));
}
