//! What becomes of the workers of a former supervisor.

use super::*;

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
