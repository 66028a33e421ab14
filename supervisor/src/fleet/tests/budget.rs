//! Who gets memory, and who makes room.

use super::*;

pub(super) fn sized(model: &str, bytes: u64) -> Arc<Manifest> {
    let spec = WorkerSpec { slots: 4, ..manifest(model).spec.clone() };
    Manifest { spec, footprint: Memory::ram(bytes), ..Manifest::clone(&manifest(model)) }.into()
}

impl Play {
    pub(super) async fn lease(&self, manifest: &Arc<Manifest>) -> Lease {
        self.fleet.acquire(Wanted::of(manifest.clone())).await.unwrap()
    }

    /// Has the model served, and gives its worker and a lease on it.
    pub(super) async fn up(&mut self, manifest: &Arc<Manifest>) -> (Actor, Lease) {
        let mut lease = self.lease(manifest).await;
        let mut worker = self.risen().await;
        assert_eq!(worker.serve().await.model, manifest.spec.model);
        lease.ready().await.unwrap();
        (worker, lease)
    }

    pub(super) async fn placed(&self) -> u64 {
        self.fleet.snapshot().await.unwrap().placed.of("ram")
    }
}

async fn is_queued(lease: &mut Lease) -> bool {
    matches!(lease.next().await, LeaseState::Queued(_))
}

#[tokio::test(start_paused = true)]
async fn who_is_idle_makes_room_at_once() {
    let mut play = Play::begin(0);
    let (a, b) = (sized("a", 60), sized("b", 60));
    let (first, lease) = play.up(&a).await;
    drop(lease);
    let start = Instant::now();
    let mut waiting = play.lease(&b).await;
    first.stop().await;
    let mut second = play.risen().await;
    second.serve().await;
    waiting.ready().await.unwrap();
    assert_eq!((Instant::now() - start, play.placed().await), (Duration::ZERO, 60));
    assert_eq!(play.state("a").await, "available");
}

#[tokio::test(start_paused = true)]
async fn who_is_in_use_gives_others_their_turn_and_comes_back() {
    let mut play = Play::begin(0);
    let (a, b) = (sized("a", 60), sized("b", 60));
    let (mut first, lease) = play.up(&a).await;
    let start = Instant::now();
    let mut waiting = play.lease(&b).await;
    assert!(is_queued(&mut waiting).await);
    first.told_to(|leave| matches!(leave, Leave::Drain(_))).await;
    assert_eq!(Instant::now() - start, Duration::from_secs(2));
    let mut late = play.lease(&a).await;
    assert!(is_queued(&mut late).await, "nobody new gets a worker that leaves");
    drop(lease);
    first.stop().await;
    let mut second = play.risen().await;
    assert_eq!(second.serve().await.model, "b");
    let held = waiting.ready().await.unwrap();
    assert_eq!(held.model, "b");
    let start = Instant::now();
    second.told_to(|leave| matches!(leave, Leave::Drain(_))).await;
    assert!(Instant::now() - start <= Duration::from_secs(2));
    drop(waiting);
    second.stop().await;
    let mut third = play.risen().await;
    assert_eq!(third.serve().await.model, "a");
    late.ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pinned_model_stays_and_who_waits_is_refused_with_the_numbers() {
    let mut play = Play::begin(0);
    let pinned = Manifest { pin: true, ..Manifest::clone(&sized("a", 60)) }.into();
    let (first, lease) = play.up(&pinned).await;
    drop(lease);
    let mib = 1 << 20;
    play.memory.send_modify(|pools| pools.limit = Memory::ram(100));
    let mut waiting = play.lease(&sized("b", 60)).await;
    let start = Instant::now();
    let error = waiting.ready().await.unwrap_err();
    assert_eq!(Instant::now() - start, Duration::from_mins(1));
    assert_eq!((error.code(), error.retry_after_s), (Code::NoCapacity, 10));
    assert!(error.message.contains("a holds"), "{error}");
    assert_eq!(first.orders.borrow().leave, Leave::No);
    play.memory.send_modify(|pools| pools.limit = Memory::ram(1000 * mib));
    let (second, _lease) = play.up(&sized("b", 600 * mib)).await;
    assert_eq!(second.orders.borrow().leave, Leave::No);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_can_never_fit_is_refused_at_once() {
    let play = Play::begin(0);
    play.memory.send_modify(|pools| pools.limit = Memory::ram(512 << 20));
    let start = Instant::now();
    let error = play.lease(&sized("a", 3 << 30)).await.ready().await.unwrap_err();
    assert_eq!((Instant::now() - start, error.code()), (Duration::ZERO, Code::NoCapacity));
    assert_eq!(
        error.message,
        "a is too large: it needs 3.0 GiB of ram, and workers may hold 512 MiB of ram together, of which 512 MiB of \
         ram is free (nobody holds any); give it fewer slots or a shorter context, or raise the budget"
    );
}

#[tokio::test(start_paused = true)]
async fn more_memory_is_noticed() {
    let mut play = Play::begin(0);
    let (_first, _lease) = play.up(&sized("a", 60)).await;
    let mut waiting = play.lease(&sized("b", 60)).await;
    assert!(is_queued(&mut waiting).await);
    play.memory.send_modify(|pools| pools.limit = Memory::ram(120));
    let mut second = play.risen().await;
    second.serve().await;
    waiting.ready().await.unwrap();
    assert_eq!(play.placed().await, 120);
}

#[tokio::test(start_paused = true)]
async fn a_death_for_lack_of_memory_is_answered_with_more_of_it_then_with_fewer_slots() {
    let mut play = Play::begin(0);
    let out_of_memory = || ExitCause::LoadFailed(Error::new(Code::NoCapacity, "no memory for the context"));
    let mut lease = play.lease(&sized("a", 60)).await;
    for (footprint, slots) in [(60, 4), (90, 4), (90, 2), (90, 1)] {
        let mut worker = play.risen().await;
        assert_eq!((worker.placed().await.slots, play.placed().await), (slots, footprint));
        worker.tell(What::Exited(out_of_memory())).await;
    }
    let error = lease.ready().await.unwrap_err();
    assert_eq!(error.code(), Code::ModelLoadFailed);
    assert!(error.message.contains("with one slot and all the memory"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn who_is_killed_from_outside_is_started_again_at_once_and_for_ever() {
    let mut play = Play::begin(0);
    let start = Instant::now();
    let mut worker = None;
    for _ in 0..20 {
        let (up, _lease) = play.up(&sized("a", 60)).await;
        let killed = ExitCause::Signalled { signal: 9, memory_ran_out: false, last_words: Vec::new() };
        up.tell(What::Exited(killed)).await;
        worker = Some(up);
    }
    assert!(worker.is_some() && Instant::now() == start);
}

#[tokio::test(start_paused = true)]
async fn a_request_says_how_long_its_model_stays() {
    let mut play = Play::begin(0);
    let (worker, lease) = play.up(&sized("a", 60)).await;
    drop(lease);
    let wanted = |keep_alive| Wanted {
        keep_alive: Some(KeepAlive::from_seconds(keep_alive)),
        ..Wanted::of(sized("a", 60))
    };
    let mut again = play.fleet.acquire(wanted(30)).await.unwrap();
    again.ready().await.unwrap();
    drop(again);
    let start = Instant::now();
    worker.stop().await;
    assert_eq!(Instant::now() - start, Duration::from_secs(30));
    let (worker, lease) = play.up(&sized("a", 60)).await;
    let mut again = play.fleet.acquire(wanted(0)).await.unwrap();
    again.ready().await.unwrap();
    drop((lease, again));
    let start = Instant::now();
    worker.stop().await;
    assert_eq!(Instant::now(), start, "at once");
}
