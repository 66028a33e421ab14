//! What becomes of the workers of a former supervisor.

use impetus_proto::launch::{PoolBytes, Tick};

use super::{
    rooms::{rooms, roomy},
    *,
};

/// The worker `gguf-<number>` of the model `a`.
fn inherited(number: u64, serves: bool) -> Inherited<()> {
    let manifest = manifest("a");
    let worker = Adopted {
        id: WorkerId::new("gguf", number),
        format: "gguf".into(),
        spec: WorkerSpec { socket: format!("/run/gguf-{number}.sock"), ..manifest.spec.clone() },
        description: serves.then(|| Description { slots: 4, ..Description::default() }),
        sandbox: String::new(),
        process: (),
    };
    Inherited { worker, manifest: Some(manifest), held: Memory::ram(7) }
}

fn held(worker: &str) -> Wanted {
    Wanted { worker: Some(worker.to_owned()), ..Wanted::of(manifest("a")) }
}

#[tokio::test(start_paused = true)]
async fn a_worker_goes_on_serving_and_numbers_go_on_above_it() {
    let mut play = Play::inherit(1, vec![inherited(7, true)]);
    let adopted = play.next().await;
    let placement = adopted.orders.borrow().place.clone().unwrap();
    assert_eq!((placement.spec.model.as_str(), adopted.orders.borrow().leave), ("a", Leave::No));
    let hold = play.fleet.acquire(held("gguf-7")).await.unwrap().ready().await.unwrap();
    assert_eq!((hold.endpoint.as_str(), hold.slots), ("unix:///run/gguf-7.sock", 4));
    assert_eq!(play.acquire("a").await.ready().await.unwrap().worker.as_str(), "gguf-7");
    assert_eq!(play.next().await.birth.id.as_str(), "gguf-8");
    assert_eq!(play.state("a").await, "ready");
    adopted.crash().await;
    assert_eq!(play.state("a").await, "backoff");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_loads_is_waited_for() {
    let mut play = Play::inherit(0, vec![inherited(1, false)]);
    let adopted = play.next().await;
    let mut lease = play.acquire("a").await;
    assert_eq!(lease.next().await, LeaseState::Loading(0.0));
    adopted.tell(What::Serving(Box::default())).await;
    assert_eq!(lease.ready().await.unwrap().worker.as_str(), "gguf-1");
}

#[tokio::test(start_paused = true)]
async fn the_first_that_serves_stays_and_the_others_finish() {
    let mut play = Play::inherit(0, vec![inherited(1, false), inherited(2, true), inherited(3, true)]);
    let leaving = [play.next().await, play.next().await, play.next().await]
        .map(|actor| (actor.birth.id.to_string(), actor.orders.borrow().leave != Leave::No));
    let expected = [("gguf-2", false), ("gguf-3", true), ("gguf-1", true)];
    assert_eq!(leaving, expected.map(|(id, leaves)| (id.to_owned(), leaves)));
}

/// Whether the worker stays when it was told `told`, and the model is as `wanted` says now.
async fn stays(told: WorkerSpec, wanted: Option<WorkerSpec>) -> bool {
    let mut one = inherited(1, true);
    one.worker.spec = told;
    one.manifest = wanted.map(|spec| Arc::new(Manifest { spec, ..Manifest::clone(&manifest("a")) }));
    let mut play = Play::inherit(0, vec![one]);
    let adopted = play.next().await;
    let leave = adopted.orders.borrow().leave;
    // Whoever holds it goes on holding it in any case.
    let lease = play.fleet.acquire(held("gguf-1")).await.unwrap().ready().await.unwrap();
    assert_eq!(lease.worker.as_str(), "gguf-1");
    leave == Leave::No
}

#[tokio::test(start_paused = true)]
async fn only_who_serves_what_is_wanted_stays() {
    let spec = || WorkerSpec { slots: 4, ..manifest("a").spec.clone() };
    assert!(stays(spec(), Some(spec())).await);
    assert!(stays(WorkerSpec { slots: 2, ..spec() }, Some(spec())).await, "it had been given fewer");
    assert!(!stays(WorkerSpec { slots: 8, ..spec() }, Some(spec())).await);
    assert!(!stays(spec(), Some(WorkerSpec { path: "/other".into(), ..spec() })).await);
    assert!(!stays(spec(), None).await);
}

/// The worker of the model `a`, which holds `bytes` and may keep prefixes in 50; it was told `room` last.
fn with_room(bytes: u64, room: u64, serves: bool) -> Inherited<()> {
    let manifest = roomy("a", bytes, 50);
    let mut one = inherited(1, serves);
    one.worker.spec = manifest.spec.clone();
    one.worker.spec.prefixes.as_mut().unwrap().ram_bytes = room;
    Inherited { manifest: Some(manifest), ..one }
}

#[tokio::test(start_paused = true)]
async fn what_it_may_have_counts_until_it_says_what_it_has() {
    let mut play = Play::inherit(0, vec![with_room(30, 20, true)]);
    let mut adopted = play.next().await;
    adopted.told_room(20).await;
    assert_eq!(play.rooms().await, rooms(&[("a", 50)]));
    adopted.ticks(20, 20).await;
    assert_eq!(play.rooms().await, rooms(&[("a", 20)]));
    let play = Play::inherit(0, vec![with_room(30, 20, false)]);
    assert_eq!(play.rooms().await, rooms(&[("a", 20)]), "it has kept nothing yet");
}

#[tokio::test(start_paused = true)]
async fn it_is_told_no_more_than_there_is() {
    let check = async |bytes: u64, told: u64, expected: u64| {
        let mut play = Play::inherit(0, vec![with_room(bytes, told, true)]);
        assert_eq!(play.next().await.orders.borrow().prefix_room, Some(expected), "{bytes} {told}");
    };
    check(30, 50, 50).await;
    check(80, 50, 20).await;
    check(80, 10, 10).await;
    check(120, 10, 0).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_to_go_says_nothing_of_its_model() {
    let mib = |n: u64| n << 20;
    let mut play = Play::inherit(0, vec![inherited(1, true), inherited(2, true)]);
    play.memory.send_modify(|pools| pools.limit = Memory::ram(mib(1000)));
    for bytes in [mib(300), mib(500)] {
        let worker = play.next().await;
        let peaks = vec![PoolBytes { pool: "ram".into(), bytes }];
        worker.tell(What::Tick(Tick { peaks, ..Tick::default() }.into())).await;
    }
    let fits = async |limit| {
        play.memory.send_modify(|pools| pools.limit = Memory::ram(limit));
        play.fleet.fits_beside(manifest("a"), "a".into()).await.unwrap()
    };
    assert_eq!((fits(mib(301)).await, fits(mib(299)).await), (true, false));
}
