use futures::FutureExt;
use tokio::time::Instant;

use super::*;

const PATIENCE: Duration = Duration::from_mins(1);

/// A place of a request that a worker with `slots` was lent for.
fn enter(queue: &Arc<Queue>, model: &str, slots: u32) -> Result<Place, Error> {
    let mut place = queue.enter(model)?;
    place.lent(model, model, Some(slots));
    Ok(place)
}

/// Whether it is this place's turn now.
fn has_turn(place: &Place) -> bool {
    place.turn(PATIENCE).now_or_never().is_some_and(|turn| turn.is_ok())
}

#[tokio::test(start_paused = true)]
async fn twice_the_slots_are_served_and_so_many_wait() {
    let queue = Arc::new(Queue::new(3));
    let served: Vec<_> = (0..4).map(|_| enter(&queue, "tiny", 2).unwrap()).collect();
    assert!(served.iter().all(has_turn));
    let waiting: Vec<_> = (0..3).map(|_| enter(&queue, "tiny", 2).unwrap()).collect();
    assert!(!waiting.iter().any(has_turn));
    let refused = enter(&queue, "tiny", 2).unwrap_err();
    assert_eq!((refused.code(), refused.retry_after_s), (Code::QueueFull, 1));
    assert!(refused.message.contains("3 requests wait for \"tiny\""), "{refused}");
    // Another model is another line.
    assert!(has_turn(&enter(&queue, "other", 2).unwrap()));
    drop(served);
    assert!(waiting.iter().all(has_turn));
    assert!(has_turn(&enter(&queue, "tiny", 2).unwrap()));
}

#[tokio::test(start_paused = true)]
async fn turns_come_in_order_and_who_leaves_is_skipped() {
    let queue = Arc::new(Queue::new(9));
    let mut places: Vec<_> = (0..6).map(|_| enter(&queue, "tiny", 1).unwrap()).collect();
    let turns = |places: &[Place]| places.iter().map(has_turn).collect::<Vec<_>>();
    assert_eq!(turns(&places), [true, true, false, false, false, false]);
    drop(places.remove(2));
    drop(places.remove(0));
    assert_eq!(turns(&places), [true, true, false, false]);
    let asleep = tokio::spawn({
        let last = places.pop().unwrap();
        async move { last.turn(PATIENCE).await.map(|()| last) }
    });
    tokio::task::yield_now().await;
    drop(places);
    asleep.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_a_worker_holds_up_nobody() {
    let queue = Arc::new(Queue::new(9));
    let slow = queue.enter("tiny").unwrap();
    let places: Vec<_> = (0..3).map(|_| enter(&queue, "tiny", 1).unwrap()).collect();
    assert_eq!(places.iter().map(has_turn).collect::<Vec<_>>(), [true, true, false]);
    // But it is before those that came later.
    assert!(!has_turn(&slow));
    drop(places);
    assert!(has_turn(&slow));
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_bounded() {
    let queue = Arc::new(Queue::new(9));
    let places: Vec<_> = (0..3).map(|_| enter(&queue, "tiny", 1).unwrap()).collect();
    assert!(places[..2].iter().all(has_turn));
    let started = Instant::now();
    let error = places[2].turn(PATIENCE).await.unwrap_err();
    assert_eq!((error.code(), error.retry_after_s), (Code::QueueTimeout, 1));
    assert!(error.message.contains("60 s"), "{error}");
    assert_eq!(started.elapsed(), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn names_of_one_model_share_its_line() {
    let queue = Arc::new(Queue::new(0));
    let mut first = queue.enter("small").unwrap();
    first.lent("small", "tiny", Some(1));
    assert!(has_turn(&first));
    assert_eq!(queue.resolve("small"), "tiny");
    let second = enter(&queue, "tiny", 1).unwrap();
    assert!(has_turn(&second));
    for name in ["small", "tiny"] {
        assert_eq!(queue.enter(name).unwrap_err().code(), Code::QueueFull, "{name}");
    }
    drop(first);
    queue.enter("small").unwrap();
}

#[tokio::test(start_paused = true)]
async fn before_a_worker_is_known_requests_are_bounded_too_and_no_name_stays() {
    let queue = Arc::new(Queue::new(2));
    let places: Vec<_> = (0..10).map(|_| queue.enter("made up").unwrap()).collect();
    assert_eq!(queue.enter("made up").unwrap_err().code(), Code::QueueFull);
    drop(places);
    assert!(queue.lock().lines.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_worker_of_its_own_tells_nothing_of_the_line() {
    let queue = Arc::new(Queue::new(0));
    let mut first = enter(&queue, "tiny", 1).unwrap();
    assert!(has_turn(&first));
    first.lent("tiny", "tiny", None);
    let second = enter(&queue, "tiny", 1).unwrap();
    assert!(has_turn(&first) && has_turn(&second));
    assert!(enter(&queue, "tiny", 1).is_err());
    // Without a number of slots there is no bound.
    let places: Vec<_> = (0..50).map(|_| enter(&queue, "vectors", 0).unwrap()).collect();
    assert_eq!(places.iter().filter(|place| has_turn(place)).count(), 50);
}

#[tokio::test(start_paused = true)]
async fn who_steps_aside_is_before_all_that_came_later() {
    let queue = Arc::new(Queue::new(9));
    let places: Vec<_> = (0..4).map(|_| enter(&queue, "tiny", 1).unwrap()).collect();
    let turns = || places.iter().map(has_turn).collect::<Vec<_>>();
    assert_eq!(turns(), [true, true, false, false]);
    places[0].step_aside();
    assert!(has_turn(&places[2]), "the turn is free for others");
    assert_eq!(turns(), [false, true, true, false], "a turn is not taken back");
    places[2].step_aside();
    assert!(has_turn(&places[0]));
    assert_eq!(turns(), [true, true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_a_request_may_always_wait() {
    let queue = Arc::new(Queue::new(0));
    let places: Vec<_> = (0..2).map(|_| enter(&queue, "tiny", 1).unwrap()).collect();
    assert!(places.iter().all(has_turn));
    assert!(queue.enter("tiny").is_err());
    assert!(!has_turn(&queue.join("tiny").unwrap()));
}
