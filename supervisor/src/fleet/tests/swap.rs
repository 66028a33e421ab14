//! Workers beside the usual one: successors, and workers for one request alone.

use super::*;

impl Play {
    /// A model that serves, with a lease on it.
    async fn serving(&mut self) -> (Actor, Lease) {
        let mut lease = self.acquire("a").await;
        let mut worker = self.risen().await;
        worker.serve().await;
        lease.ready().await.unwrap();
        (worker, lease)
    }

    fn replace(&self, manifest: Manifest) -> JoinHandle<Result<bool, Error>> {
        let fleet = self.fleet.clone();
        tokio::spawn(async move { fleet.replace(manifest.into()).await })
    }

    async fn alone(&self) -> Lease {
        self.fleet.acquire(Wanted { alone: true, ..Wanted::of(manifest("a")) }).await.unwrap()
    }

    async fn roles(&self) -> Vec<(String, &'static str)> {
        let rows = self.fleet.snapshot().await.unwrap().workers;
        rows.iter().map(|row| (row.id.to_string(), row.role.name())).collect()
    }
}

fn sized(bytes: u64) -> Manifest {
    Manifest { footprint: Memory::ram(bytes), ..Manifest::clone(&manifest("a")) }
}

#[tokio::test(start_paused = true)]
async fn a_successor_takes_over_when_it_is_ready_and_the_former_finishes() {
    let mut play = Play::begin(0);
    let (former, lease) = play.serving().await;
    let replaced = play.replace(sized(10));
    let mut successor = play.risen().await;
    successor.placed().await;
    let mut early = play.acquire("a").await;
    assert_eq!(early.ready().await.unwrap().worker.as_str(), "gguf-1", "the former serves meanwhile");
    assert_eq!(former.orders.borrow().leave, Leave::No);
    successor.serve().await;
    assert!(replaced.await.unwrap().unwrap());
    assert_eq!(play.acquire("a").await.ready().await.unwrap().worker.as_str(), "gguf-2");
    assert_eq!(play.roles().await, [("gguf-1".to_owned(), "retiring"), ("gguf-2".to_owned(), "")]);
    assert!(matches!(former.orders.borrow().leave, Leave::Drain(_)));
    let LeaseState::Retired(hold) = early.next().await else { panic!("whoever asks now gets another one") };
    assert_eq!(hold.worker.as_str(), "gguf-1", "it is held as before");
    drop((early, lease));
    former.stop().await;
    assert_eq!(play.roles().await, [("gguf-2".to_owned(), "")]);
}

#[tokio::test(start_paused = true)]
async fn a_successor_that_does_not_come_up_changes_nothing() {
    let mut play = Play::begin(0);
    let (former, _lease) = play.serving().await;
    let replaced = play.replace(sized(10));
    let mut successor = play.risen().await;
    successor.placed().await;
    successor.tell(What::Exited(broken_file())).await;
    let error = replaced.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::ModelLoadFailed);
    assert!(error.message.contains("goes on as it was"), "{error}");
    assert_eq!(former.orders.borrow().leave, Leave::No);
    assert_eq!(play.roles().await, [("gguf-1".to_owned(), "")]);
    assert_eq!(play.state("a").await, "ready");
}

#[tokio::test(start_paused = true)]
async fn without_room_for_both_the_former_drains_first() {
    let mut play = Play::begin(0);
    let fleet = play.fleet.clone();
    let mut lease = fleet.acquire(Wanted::of(sized(60).into())).await.unwrap();
    let mut former = play.risen().await;
    former.serve().await;
    lease.ready().await.unwrap();
    assert!(!play.replace(sized(70)).await.unwrap().unwrap());
    former.told_to(|leave| matches!(leave, Leave::Drain(_))).await;
    let mut waiting = fleet.acquire(Wanted::of(sized(70).into())).await.unwrap();
    assert!(matches!(waiting.next().await, LeaseState::Queued(_)));
    drop(lease);
    former.stop().await;
    play.risen().await.serve().await;
    assert_eq!(waiting.ready().await.unwrap().worker.as_str(), "gguf-2");
}

#[tokio::test(start_paused = true)]
async fn the_last_of_several_successors_wins() {
    let mut play = Play::begin(0);
    let (_former, _lease) = play.serving().await;
    let first = play.replace(sized(10));
    let mut one = play.risen().await;
    one.placed().await;
    let second = play.replace(sized(20));
    assert_eq!(first.await.unwrap().unwrap_err().code(), Code::Conflict);
    one.stop().await;
    play.risen().await.serve().await;
    assert!(second.await.unwrap().unwrap());
    assert_eq!(play.acquire("a").await.ready().await.unwrap().worker.as_str(), "gguf-3");
}

#[tokio::test(start_paused = true)]
async fn who_must_be_alone_gets_a_worker_of_its_own_one_after_the_other() {
    let mut play = Play::begin(0);
    let (_usual, _shared) = play.serving().await;
    let mut first = play.alone().await;
    let mut second = play.alone().await;
    let mut worker = play.risen().await;
    worker.serve().await;
    assert_eq!(first.ready().await.unwrap().worker.as_str(), "gguf-2");
    assert!(matches!(second.next().await, LeaseState::Queued(_)));
    assert_eq!(play.acquire("a").await.ready().await.unwrap().worker.as_str(), "gguf-1");
    drop(first);
    assert_eq!(second.ready().await.unwrap().worker.as_str(), "gguf-2");
    drop(second);
    worker.stop().await;
    assert_eq!(play.roles().await, [("gguf-1".to_owned(), "")]);
}

#[tokio::test(start_paused = true)]
async fn the_death_of_a_lonely_worker_is_its_holders_alone() {
    let mut play = Play::begin(0);
    let (_usual, _shared) = play.serving().await;
    let mut first = play.alone().await;
    let mut second = play.alone().await;
    let mut worker = play.risen().await;
    worker.serve().await;
    first.ready().await.unwrap();
    worker.crash().await;
    let LeaseState::Lost(loss) = first.next().await else { panic!("the lease goes on") };
    assert!(loss.may_be_request);
    drop(first);
    play.risen().await.serve().await;
    assert_eq!(second.ready().await.unwrap().worker.as_str(), "gguf-3");
    assert_eq!(play.acquire("a").await.ready().await.unwrap().worker.as_str(), "gguf-1");
    let rows = play.fleet.snapshot().await.unwrap().workers;
    assert!(rows.iter().all(|row| row.restarts == 0), "nothing is held against the model: {rows:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_taken_up_again_by_the_workers_name() {
    let mut play = Play::begin(0);
    let (_worker, lease) = play.serving().await;
    let again = |id: &str| Wanted { worker: Some(id.into()), ..Wanted::of(manifest("a")) };
    let mut held = play.fleet.acquire(again("gguf-1")).await.unwrap();
    assert_eq!(held.ready().await.unwrap().worker.as_str(), "gguf-1");
    drop(lease);
    assert_eq!(play.fleet.snapshot().await.unwrap().workers[0].leases, 1);
    let mut gone = play.fleet.acquire(again("gguf-9")).await.unwrap();
    assert!(matches!(gone.next().await, LeaseState::Lost(_)));
}
