//! How many slots a model gets where that is up to the room there is.

use super::{
    budget::sized,
    rooms::{rooms, roomy},
    *,
};

/// A model whose weights take `weights` and each slot `kv`; its worker may keep as much in prefixes as in slots.
pub(super) fn wide(model: &str, weights: u64, kv: u64) -> Arc<Manifest> {
    let width = |slots: u32| {
        let kv = u64::from(slots) * kv;
        Width {
            slots,
            footprint: Memory::ram(weights + kv),
            growth: None,
            kv: Memory::ram(kv),
            prefix_bytes: 0,
        }
    };
    let widths = crate::policy::slots::NUMBERS.map(width);
    let sized = sized(model, widths[0].footprint.of("ram"));
    let spec = WorkerSpec { slots: widths[0].slots, ..sized.spec.clone() };
    Manifest { spec, widths: widths.into(), ..Manifest::clone(&sized) }.into()
}

impl Play {
    /// Has the model served, and gives its worker, a lease on it and the slots that it was told.
    async fn up_with(&mut self, manifest: &Arc<Manifest>) -> (Actor, Lease, u32) {
        let mut lease = self.lease(manifest).await;
        let mut worker = self.risen().await;
        let slots = worker.serve().await.slots;
        lease.ready().await.unwrap();
        (worker, lease, slots)
    }

    /// Has another model come that leaves the idle `worker` no room, and go.
    async fn evict(&mut self, worker: Actor) {
        let limit = self.memory.borrow().limit.of("ram");
        let mut lease = self.lease(&sized("other", limit)).await;
        worker.stop().await;
        let mut other = self.risen().await;
        other.serve().await;
        lease.ready().await.unwrap();
        drop(lease);
        let fleet = self.fleet.clone();
        let (unloaded, ()) = tokio::join!(fleet.unload("other".into()), other.stop());
        unloaded.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_as_there_is_room_for_and_nobody_goes_for_more() {
    let check = async |taken: u64, manifest: Arc<Manifest>, slots: u32, footprint: u64| {
        let mut play = Play::begin(0);
        let (other, lease) = play.up(&sized("other", taken)).await;
        drop(lease);
        let (_worker, _lease, got) = play.up_with(&manifest).await;
        assert_eq!((got, play.placed().await), (slots, taken + footprint), "{taken}");
        assert_eq!(other.orders.borrow().leave, Leave::No, "{taken}");
    };
    check(1, wide("a", 20, 1), 8, 28).await;
    check(1, wide("a", 20, 10), 4, 60).await;
    check(41, wide("a", 20, 10), 2, 40).await;
    check(70, wide("a", 20, 10), 1, 30).await;
    // What is given by the settings is given whatever it is for, and not for more.
    let fixed = |bytes| Manifest { fixed: Some(Memory::ram(bytes)), ..Manifest::clone(&wide("a", 20, 1)) };
    check(1, fixed(25).into(), 4, 25).await;
    check(1, fixed(90).into(), 8, 90).await;
    check(1, fixed(5).into(), 1, 5).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_configured_is_not_cut() {
    let mut play = Play::begin(0);
    let (first, lease) = play.up(&sized("other", 70)).await;
    drop(lease);
    let mut waiting = play.lease(&sized("a", 60)).await;
    first.stop().await;
    assert_eq!(play.risen().await.serve().await.slots, 4);
    waiting.ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_goes_makes_room_for_the_fewest_and_leaves_what_it_leaves() {
    let mut play = Play::begin(0);
    let (first, lease) = play.up(&sized("other", 80)).await;
    drop(lease);
    let mut waiting = play.lease(&wide("a", 20, 10)).await;
    first.stop().await;
    assert_eq!(play.risen().await.serve().await.slots, 4);
    waiting.ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn models_that_wait_together_leave_each_other_the_fewest() {
    let mut play = Play::begin(2);
    let standbys = [play.next().await, play.next().await];
    let _leases = [play.lease(&wide("a", 20, 10)).await, play.lease(&wide("b", 20, 10)).await];
    let huge = play.lease(&wide("huge", 200, 10)).await.ready().await.unwrap_err();
    assert!(huge.message.contains("; give it a shorter context, or raise the budget"), "{huge}");
    let mut slots = Vec::new();
    for mut standby in standbys {
        standby.rise().await;
        slots.push(standby.placed().await.slots);
    }
    slots.sort_unstable();
    assert_eq!((slots, play.placed().await), (vec![2, 4], 100));
}

#[tokio::test(start_paused = true)]
async fn prefixes_of_others_and_who_goes_at_once_give_way_to_slots() {
    let mut play = Play::begin(0);
    let (mut a, _a) = play.up(&roomy("a", 10, 40)).await;
    let (b, lease) = play.up(&sized("b", 20)).await;
    drop(lease);
    let fleet = play.fleet.clone();
    let unloading = tokio::spawn(async move { fleet.unload("b".into()).await });
    let mut waiting = play.lease(&wide("c", 40, 10)).await;
    assert!(matches!(waiting.next().await, LeaseState::Queued(_)));
    b.stop().await;
    unloading.await.unwrap().unwrap();
    a.told_room(10).await;
    a.ticks(10, 10).await;
    assert_eq!(play.risen().await.serve().await.slots, 4);
    waiting.ready().await.unwrap();
    assert_eq!(play.rooms().await, rooms(&[("a", 10), ("c", 0)]));
}

#[tokio::test(start_paused = true)]
async fn a_successor_has_as_many_as_fit_of_those_that_its_predecessor_had() {
    let mut play = Play::begin(0);
    play.memory.send_modify(|pools| pools.limit = Memory::ram(60));
    let model = wide("a", 20, 10);
    let (worker, lease, slots) = play.up_with(&model).await;
    assert_eq!(slots, 4);
    play.memory.send_modify(|pools| pools.limit = Memory::ram(1000));
    worker.crash().await;
    drop(lease);
    let (worker, lease, slots) = play.up_with(&model).await;
    assert_eq!(slots, 4, "its prefixes are those of four");
    play.memory.send_modify(|pools| pools.limit = Memory::ram(45));
    worker.crash().await;
    drop(lease);
    let (worker, lease, slots) = play.up_with(&model).await;
    assert_eq!(slots, 2);
    play.memory.send_modify(|pools| pools.limit = Memory::ram(1000));
    let fleet = play.fleet.clone();
    let replaced = tokio::spawn(async move { fleet.replace(model).await });
    let mut next = play.risen().await;
    assert_eq!(next.serve().await.slots, 2, "what takes over has as many");
    assert_eq!(replaced.await.unwrap(), Ok(true));
    drop(lease);
    worker.stop().await;
    next.crash().await;
    let (_worker, _lease, slots) = play.up_with(&wide("a", 20, 10)).await;
    assert_eq!(slots, 2);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_comes_back_gets_more_than_few() {
    let check = async |limit: u64, first: u32, second: u32| {
        let mut play = Play::begin(0);
        play.memory.send_modify(|pools| pools.limit = Memory::ram(limit));
        let wide = wide("a", 20, 10);
        let (worker, lease, slots) = play.up_with(&wide).await;
        drop(lease);
        play.evict(worker).await;
        play.memory.send_modify(|pools| pools.limit = Memory::ram(2000));
        let _again = play.lease(&wide).await;
        assert_eq!((slots, play.risen().await.serve().await.slots), (first, second), "{limit}");
    };
    check(45, 2, 8).await;
    check(65, 4, 4).await;
}

#[tokio::test(start_paused = true)]
async fn other_settings_are_another_number() {
    let mut play = Play::begin(0);
    play.memory.send_modify(|pools| pools.limit = Memory::ram(65));
    let first = wide("a", 20, 10);
    let (_worker, _lease, slots) = play.up_with(&first).await;
    play.memory.send_modify(|pools| pools.limit = Memory::ram(1000));
    let spec = WorkerSpec { context_tokens: 9, ..first.spec.clone() };
    let second = Arc::new(Manifest { spec, ..Manifest::clone(&first) });
    let fleet = play.fleet.clone();
    let replaced = tokio::spawn(async move { fleet.replace(second).await });
    assert_eq!((slots, play.risen().await.serve().await.slots), (4, 8));
    assert_eq!(replaced.await.unwrap(), Ok(true));
}

#[tokio::test(start_paused = true)]
async fn one_request_alone_gets_one_slot() {
    let mut play = Play::begin(0);
    let wide = wide("a", 20, 1);
    let mut lease = play.fleet.acquire(Wanted { alone: true, ..Wanted::of(wide) }).await.unwrap();
    assert_eq!(play.risen().await.serve().await.slots, 1);
    lease.ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_death_for_lack_of_memory_leaves_fewer() {
    let mut play = Play::begin(0);
    let mut lease = play.lease(&wide("a", 20, 10)).await;
    for (slots, footprint) in [(4, 60), (4, 90), (2, 60), (2, 90), (1, 67)] {
        let mut worker = play.risen().await;
        assert_eq!((worker.placed().await.slots, play.placed().await), (slots, footprint));
        let cause = ExitCause::LoadFailed(Error::new(Code::NoCapacity, "no memory for the context"));
        worker.tell(What::Exited(cause)).await;
    }
    assert!(lease.ready().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_model_comes_beside_another_where_the_usual_slots_fit() {
    let mut play = Play::begin(0);
    let fits = async |manifest| play.fleet.fits_beside(manifest, "other".into()).await.unwrap();
    assert!(fits(wide("a", 20, 20)).await);
    assert!(fits(wide("a", 60, 20)).await, "there could never be room for four");
    assert!(!fits(wide("a", 90, 20)).await);
    play.memory.send_modify(|pools| pools.limit = Memory::ram(200));
    let (_other, _lease) = play.up(&sized("other", 130)).await;
    let fits = async |manifest| play.fleet.fits_beside(manifest, "other".into()).await.unwrap();
    assert!(fits(wide("a", 30, 10)).await);
    assert!(!fits(wide("a", 40, 10)).await, "but for two");
}
