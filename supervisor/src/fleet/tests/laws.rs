//! What holds whatever clients, operators and workers do, in any order.

use std::collections::HashSet;

use impetus_proto::launch::{PrefixSpec, Tick};
use proptest::prelude::*;

use super::*;

const MODELS: [&str; 3] = ["a", "b", "c"];

/// What the models' workers hold; two fit at a time, within [`LIMIT`].
const FOOTPRINTS: [u64; 3] = [30, 40, 50];
const LIMIT: u64 = 100;

/// What the worker of the last one holds with half the slots.
const LEAST: u64 = 35;

/// What each of them may keep prefixes in, where there is room.
const ROOM: u64 = 25;

/// Something that a client, an operator, a worker or the clock does. Workers are picked by a number.
#[derive(Debug, Clone)]
enum Act {
    Acquire(usize),
    Alone(usize),
    Replace(usize),
    Release(usize),
    Unload(usize),
    Restart(usize),
    Rise(usize),
    Serve(usize),
    GiveUp(usize),
    Crash(usize),
    Refuse(usize),
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let n = 0usize..8;
    prop_oneof![
        (0..MODELS.len()).prop_map(Act::Acquire),
        (0..MODELS.len()).prop_map(Act::Alone),
        (0..MODELS.len()).prop_map(Act::Replace),
        n.clone().prop_map(Act::Release),
        (0..MODELS.len()).prop_map(Act::Unload),
        (0..MODELS.len()).prop_map(Act::Restart),
        n.clone().prop_map(Act::Rise),
        n.clone().prop_map(Act::Serve),
        n.clone().prop_map(Act::GiveUp),
        n.clone().prop_map(Act::Crash),
        n.prop_map(Act::Refuse),
        (0u64..40_000).prop_map(Act::Pass),
    ]
}

struct World {
    play: Play,
    actors: Vec<Actor>,
    leases: Vec<Lease>,
    /// Those that want to be alone.
    lonely: Vec<Lease>,
}

impl World {
    async fn act(&mut self, act: Act) {
        let actor = |n: usize| (!self.actors.is_empty()).then(|| n % self.actors.len());
        match act {
            Act::Acquire(model) => self.acquire(model, false).await,
            Act::Alone(model) => self.acquire(model, true).await,
            Act::Replace(model) => {
                let fleet = self.play.fleet.clone();
                tokio::spawn(async move { fleet.replace(sized(model)).await });
            }
            Act::Release(n) if !self.leases.is_empty() => {
                drop(self.leases.swap_remove(n % self.leases.len()));
            }
            Act::Unload(model) => {
                let fleet = self.play.fleet.clone();
                tokio::spawn(async move { fleet.unload(MODELS[model].into()).await });
            }
            Act::Restart(model) => drop(self.play.fleet.restart(MODELS[model].into()).await.unwrap()),
            Act::Rise(n) => {
                if let Some(n) = actor(n) {
                    self.actors[n].rise_once().await;
                }
            }
            Act::Serve(n) => {
                if let Some(n) = actor(n) {
                    self.actors[n].serve_once().await;
                }
            }
            Act::GiveUp(n) => {
                if let Some(n) = actor(n) {
                    self.actors[n].give_up().await;
                }
            }
            Act::Crash(n) | Act::Refuse(n) => {
                if let Some(n) = actor(n) {
                    let gone = self.actors.swap_remove(n);
                    let is_placed = gone.orders.borrow().place.is_some();
                    let cause =
                        if matches!(act, Act::Refuse(_)) && is_placed { broken_file() } else { crash() };
                    gone.tell(What::Exited(cause)).await;
                }
            }
            Act::Pass(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Act::Release(_) => {}
        }
        self.settle().await;
    }

    async fn acquire(&mut self, model: usize, alone: bool) {
        let wanted = Wanted { alone, ..Wanted::of(sized(model)) };
        let lease = self.play.fleet.acquire(wanted).await.unwrap();
        if alone { &mut self.lonely } else { &mut self.leases }.push(lease);
    }

    /// Lets the fleet do all it can, and takes in the workers that it started.
    async fn settle(&mut self) {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        while let Ok(actor) = self.play.births.try_recv() {
            self.actors.push(actor);
        }
    }

    /// Workers do from now on what they are told.
    async fn be_good(&mut self) {
        for _ in 0..200 {
            let mut staying = Vec::new();
            for mut actor in std::mem::take(&mut self.actors) {
                let leave = actor.orders.borrow().leave;
                if leave == Leave::No {
                    actor.rise_once().await;
                    actor.serve_once().await;
                    staying.push(actor);
                } else {
                    actor.tell(What::Exited(ExitCause::Stopped)).await;
                }
            }
            self.actors = staying;
            self.settle().await;
            self.finish_lonely().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Who has been alone with a worker is done, so that the next one can be.
    async fn finish_lonely(&mut self) {
        let mut waiting = Vec::new();
        for mut lease in std::mem::take(&mut self.lonely) {
            if tokio::time::timeout(Duration::ZERO, lease.ready()).await.is_err() {
                waiting.push(lease);
            }
        }
        self.lonely = waiting;
    }

    async fn check(&self) {
        let snapshot = self.play.fleet.snapshot().await.unwrap();
        let (mut seats, mut ids) = (HashSet::new(), HashSet::new());
        for row in &snapshot.workers {
            assert!(ids.insert(row.id.clone()), "{row:?} is listed twice");
            let seat =
                row.model.clone().filter(|_| row.role != Role::Retiring).map(|model| (model, row.role));
            // One that leaves may be followed already by another that tries requests alone.
            let is_staying = matches!(row.state, State::Loading { .. } | State::Ready);
            assert!(
                !is_staying || seat.is_none_or(|seat| seats.insert(seat)),
                "{row:?} is not the only one: {snapshot:?}"
            );
        }
        let counted = |row: &WorkerRow| row.footprint.of("ram") + row.prefix_room_bytes;
        let placed: u64 = snapshot.workers.iter().map(counted).sum();
        assert!(placed <= LIMIT && placed == snapshot.placed.of("ram"), "{snapshot:?}");
        let n_standbys =
            snapshot.workers.iter().filter(|row| row.model.is_none() && row.pid.is_some()).count();
        assert!(n_standbys <= 1 + 3 * MODELS.len(), "{snapshot:?}");
    }
}

fn sized(model: usize) -> Arc<Manifest> {
    let footprint = Memory::ram(FOOTPRINTS[model]);
    let manifest = manifest(MODELS[model]);
    let prefixes = Some(PrefixSpec { ram_bytes: ROOM, ..PrefixSpec::default() });
    let spec = WorkerSpec { prefixes, slots: 2, ..manifest.spec.clone() };
    let width = |slots, footprint| Width {
        slots,
        footprint,
        growth: None,
        kv: Memory::default(),
        prefix_bytes: ROOM / u64::from(3 - slots),
    };
    // The last one may be given one slot instead.
    let widths = match model {
        2 => vec![width(2, footprint.clone()), width(1, Memory::ram(LEAST))],
        _ => Vec::new(),
    };
    Manifest { spec, footprint, widths, ..Manifest::clone(&manifest) }.into()
}

impl Actor {
    fn did(&mut self, what: &'static str) -> bool {
        !self.done.insert(what)
    }

    async fn rise_once(&mut self) {
        if !self.did("rise") {
            self.rise().await;
        }
    }

    async fn serve_once(&mut self) {
        if self.orders.borrow().place.is_some() && !self.did("serve") {
            self.serve().await;
        }
    }

    /// Has no more of prefixes than it may.
    async fn give_up(&mut self) {
        let (place, room) = (self.orders.borrow().place.clone(), self.orders.borrow().prefix_room);
        let placed = place.and_then(|place| Some(place.spec.prefixes.as_ref()?.ram_bytes));
        if let Some(room) = room.or(placed).filter(|_| self.done.contains("serve")) {
            let stats = Stats { prefix_room_bytes: room, prefix_ram_bytes: room, ..Stats::default() };
            self.tell(What::Tick(Tick { stats: Some(stats), ..Tick::default() }.into())).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn memory_suffices_seats_have_one_worker_and_no_lease_waits_for_ever(acts in prop::collection::vec(act(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut world = World { play: Play::begin(1), actors: Vec::new(), leases: Vec::new(), lonely: Vec::new() };
            world.settle().await;
            for act in acts {
                world.act(act).await;
                world.check().await;
            }
            world.be_good().await;
            world.check().await;
            let snapshot = world.play.fleet.snapshot().await.unwrap();
            assert!(world.lonely.is_empty(), "{} leases hang: {snapshot:?}", world.lonely.len());
            for mut lease in std::mem::take(&mut world.leases) {
                // What is not decided after minutes of good behaviour never will be.
                let decided = tokio::time::timeout(Duration::ZERO, lease.ready()).await;
                let Ok(outcome) = decided else { panic!("a lease hangs: {snapshot:?}") };
                if let Ok(hold) = outcome {
                    let row = snapshot.workers.iter().find(|row| row.id == hold.worker);
                    assert!(row.is_some_and(|row| row.model == Some(hold.model)), "a lease on nothing: {snapshot:?}");
                }
            }
        });
    }
}
