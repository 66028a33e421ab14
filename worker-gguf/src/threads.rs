//! The threads that ggml computes with: those entry points of GNU OpenMP's runtime which it calls and which know of
//! teams, defined here and so taken instead of the library's (the ABI is that of libgomp, `libgomp_g.h` and `omp.h` of
//! GCC). `GOMP_atomic_start` and its end, a lock, stay the library's.
//!
//! With libgomp a thread that waits for the others either sleeps at once or spins for milliseconds; here it waits as
//! [`awake`] does. `docs/adr/0017-threads-that-yield.md` has the figures.

use std::{
    cell::{Cell, RefCell},
    env,
    ffi::{c_int, c_long, c_uint, c_void},
    ptr::{self, NonNull},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
};

use impetus_runtime::waiting::awake;
use tracing::warn;

/// Threads of a team; a request for more gets so many.
const MOST_THREADS: u32 = 1024;
/// As much as the system gives libgomp's threads.
const STACK_BYTES: usize = 8 << 20;

/// What a team's threads do, as GCC makes it of a parallel region.
type Region = unsafe extern "C" fn(*mut c_void);

thread_local! {
    /// The team of this thread, where it is its first one; made when it is needed.
    static OWN: RefCell<Option<Pool>> = const { RefCell::new(None) };
    /// Where this thread is while it computes a region.
    static PLACE: Cell<Place> = const { Cell::new(Place { team: None, idx: 0, singles: 0, inside: false }) };
}

#[derive(Clone, Copy)]
struct Place {
    /// Outlives the region; none outside regions and in regions of one thread.
    team: Option<NonNull<Team>>,
    /// Of this thread among the team's.
    idx: u32,
    /// `single` blocks that this thread has come to.
    singles: u32,
    /// Whether it computes a region.
    inside: bool,
}

/// Threads that wait for regions of one thread, which is their first; they end with it.
struct Pool {
    team: Arc<Team>,
    /// Threads beside the first.
    helpers: u32,
    /// The system gave no more than these: it is not asked again.
    is_complete: bool,
}

/// What the threads of a team share.
struct Team {
    /// Regions that were announced.
    regions: AtomicU32,
    /// The newest one; written while no thread computes.
    job: Mutex<Job>,
    /// Threads of it.
    size: AtomicU32,
    /// Those that have come to the barrier, and the barriers that all have passed.
    arrived: AtomicU32,
    passed: AtomicU32,
    /// `single` blocks of this region that somebody has taken.
    singles: AtomicU32,
    /// Threads that sleep or are about to, until the next region and until all are at the barrier.
    idle: AtomicUsize,
    asleep: AtomicUsize,
    /// All threads, to wake them; by their indices.
    threads: Mutex<Vec<Thread>>,
}

#[derive(Clone, Copy)]
struct Job {
    /// Which region this is.
    number: u32,
    size: u32,
    /// None: the thread's life ends.
    region: Option<(Region, Data)>,
}

#[derive(Clone, Copy)]
struct Data(*mut c_void);

// SAFETY: OpenMP hands the data of a region to each of its threads.
unsafe impl Send for Data {}

impl Pool {
    fn new() -> Self {
        let team = Team {
            regions: AtomicU32::new(0),
            job: Mutex::new(Job { number: 0, size: 1, region: None }),
            size: AtomicU32::new(1),
            arrived: AtomicU32::new(0),
            passed: AtomicU32::new(0),
            singles: AtomicU32::new(0),
            idle: AtomicUsize::new(0),
            asleep: AtomicUsize::new(0),
            threads: Mutex::new(vec![thread::current()]),
        };
        Self { team: Arc::new(team), helpers: 0, is_complete: false }
    }

    /// Computes the region with `size` threads, or with fewer where the system gives no more.
    fn compute(&mut self, region: Region, data: *mut c_void, size: u32) {
        self.grow(size);
        let size = size.min(self.helpers + 1);
        self.team.begin(size, Some((region, Data(data))));
        self.team.take_part(0, region, data);
    }

    /// Starts threads until there are `size` with the first, or the system refuses.
    fn grow(&mut self, size: u32) {
        while self.helpers + 1 < size && !self.is_complete {
            let (team, idx) = (Arc::clone(&self.team), self.helpers + 1);
            // No region begins meanwhile.
            let done = team.regions.load(Ordering::SeqCst);
            let thread = thread::Builder::new().name(format!("ggml-{idx}")).stack_size(STACK_BYTES);
            match thread.spawn(move || team.help(idx, done)) {
                Ok(handle) => {
                    lock(&self.team.threads).push(handle.thread().clone());
                    self.helpers = idx;
                }
                Err(error) => {
                    warn!(%error, threads = idx, "no further thread; the model is computed with these");
                    self.is_complete = true;
                }
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.team.begin(0, None);
    }
}

impl Team {
    /// Lets the threads begin a region, or end.
    fn begin(&self, size: u32, region: Option<(Region, Data)>) {
        let number = self.regions.load(Ordering::SeqCst).wrapping_add(1);
        self.size.store(size, Ordering::SeqCst);
        self.singles.store(0, Ordering::SeqCst);
        *lock(&self.job) = Job { number, size, region };
        self.announce(&self.regions, &self.idle);
    }

    /// The life of a thread beside the first; `done` is the newest region that it need not compute.
    fn help(&self, idx: u32, mut done: u32) {
        loop {
            wait(&self.regions, done, &self.idle);
            let job = *lock(&self.job);
            // A thread that is left out of regions may miss one, or see the next before it is announced.
            if job.number == done {
                continue;
            }
            done = job.number;
            match job.region {
                None => return,
                Some((region, Data(data))) if idx < job.size => self.take_part(idx, region, data),
                Some(_) => {}
            }
        }
    }

    /// Computes this thread's part and waits for the others.
    fn take_part(&self, idx: u32, region: Region, data: *mut c_void) {
        let team = (self.size.load(Ordering::SeqCst) > 1).then(|| NonNull::from(self));
        let before = PLACE.replace(Place { team, idx, singles: 0, inside: true });
        // SAFETY: the region and its data come from the same call and live until it returns, which is after the
        // barrier below; each index of the team is taken once.
        unsafe { region(data) };
        PLACE.set(before);
        self.meet();
    }

    /// Returns when all threads of the region have called it.
    fn meet(&self) {
        // Both before this thread is counted: afterwards the others may go on to the next barrier or region.
        let (passed, size) = (self.passed.load(Ordering::SeqCst), self.size.load(Ordering::SeqCst));
        if self.arrived.fetch_add(1, Ordering::SeqCst) + 1 < size {
            wait(&self.passed, passed, &self.asleep);
        } else {
            self.arrived.store(0, Ordering::SeqCst);
            self.announce(&self.passed, &self.asleep);
        }
    }

    /// Changes a number that others wait for, of whom `asleep` counts those that have to be woken.
    fn announce(&self, number: &AtomicU32, asleep: &AtomicUsize) {
        number.fetch_add(1, Ordering::SeqCst);
        // Whoever is not counted yet looks at the number once more before it sleeps.
        if asleep.load(Ordering::SeqCst) > 0 {
            lock(&self.threads).iter().for_each(Thread::unpark);
        }
    }
}

/// Computes a region with `size` threads, of which this is the first; 0 leaves the number open.
///
/// # Safety
///
/// `region` may be called with `data` by as many threads at once.
#[unsafe(no_mangle)]
unsafe extern "C" fn GOMP_parallel(region: Region, data: *mut c_void, size: c_uint, _flags: c_uint) {
    let size = if size == 0 { open_size() } else { size }.min(MOST_THREADS);
    let place = PLACE.get();
    // A region within a region has one thread, as libgomp has it by default.
    if size == 1 || place.inside {
        PLACE.set(Place { team: None, idx: 0, singles: 0, inside: true });
        // SAFETY: the caller's word.
        unsafe { region(data) };
        PLACE.set(place);
        return;
    }
    OWN.with_borrow_mut(|own| own.get_or_insert_with(Pool::new).compute(region, data, size));
}

/// Returns when all threads of the region have called it.
#[unsafe(no_mangle)]
extern "C" fn GOMP_barrier() {
    if let Some(team) = team() {
        team.meet();
    }
}

/// Whether this thread is the one that enters the next `single` block.
#[unsafe(no_mangle)]
extern "C" fn GOMP_single_start() -> bool {
    let Some(team) = team() else { return true };
    let mut place = PLACE.get();
    let nth = place.singles;
    place.singles = nth.wrapping_add(1);
    PLACE.set(place);
    team.singles.compare_exchange(nth, nth.wrapping_add(1), Ordering::SeqCst, Ordering::SeqCst).is_ok()
}

/// The part of a loop that this thread has, in one piece; its share is nothing where this is false.
///
/// # Safety
///
/// The pointers may be written to.
#[unsafe(no_mangle)]
unsafe extern "C" fn GOMP_loop_nonmonotonic_dynamic_start(
    start: c_long,
    end: c_long,
    step: c_long,
    _chunk: c_long,
    part_start: *mut c_long,
    part_end: *mut c_long,
) -> bool {
    let (idx, size) = (c_long::from(omp_get_thread_num()), c_long::from(omp_get_num_threads()));
    let n_steps =
        ((end - start) * step.signum()).max(0).unsigned_abs().div_ceil(step.unsigned_abs().max(1)) as c_long;
    let (from, to) = (n_steps * idx / size, n_steps * (idx + 1) / size);
    // SAFETY: the caller's word.
    unsafe {
        ptr::write(part_start, start + from * step);
        ptr::write(part_end, if to == n_steps { end } else { start + to * step });
    }
    from < to
}

/// There is no second part.
#[unsafe(no_mangle)]
extern "C" fn GOMP_loop_nonmonotonic_dynamic_next(_start: *mut c_long, _end: *mut c_long) -> bool {
    false
}

/// The end of such a loop, where all threads meet.
#[unsafe(no_mangle)]
extern "C" fn GOMP_loop_end() {
    GOMP_barrier();
}

/// Threads of the region.
#[unsafe(no_mangle)]
extern "C" fn omp_get_num_threads() -> c_int {
    team().map_or(1, |team| team.size.load(Ordering::SeqCst) as c_int)
}

/// Which of them this is.
#[unsafe(no_mangle)]
extern "C" fn omp_get_thread_num() -> c_int {
    PLACE.get().idx as c_int
}

/// Threads of a region that names no number: as the environment has it, else one for each core.
fn open_size() -> u32 {
    static SIZE: OnceLock<u32> = OnceLock::new();
    *SIZE.get_or_init(|| {
        let named = env::var("OMP_NUM_THREADS").ok().and_then(|number| number.trim().parse().ok());
        let cores = || thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        named.filter(|number| *number > 0).unwrap_or_else(cores)
    })
}

/// Waits until the number is no longer `known`; `asleep` counts those that sleep meanwhile.
fn wait(number: &AtomicU32, known: u32, asleep: &AtomicUsize) {
    if awake(|| (number.load(Ordering::Acquire) != known).then_some(())).is_some() {
        return;
    }
    asleep.fetch_add(1, Ordering::SeqCst);
    while number.load(Ordering::SeqCst) == known {
        thread::park();
    }
    asleep.fetch_sub(1, Ordering::SeqCst);
}

/// The team of the region that this thread computes, if others do so as well.
fn team() -> Option<&'static Team> {
    // SAFETY: a team outlives the regions of its threads, and what is called here returns before the region does.
    PLACE.get().team.map(|team| unsafe { team.as_ref() })
}

/// What is behind the lock; nobody who holds one of these panics.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
