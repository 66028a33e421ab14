use impetus_proto::supervisor::PoolStatus;

use super::*;
use crate::fake::Fake;

fn status() -> StatusReply {
    let worker =
        WorkerStatus { id: "gguf-1".into(), uptime_s: 7, rss_bytes: 1 << 30, ..WorkerStatus::default() };
    let pool =
        PoolStatus { name: "ram".into(), total_bytes: 100, available_bytes: 40, ..PoolStatus::default() };
    StatusReply { workers: vec![worker], pools: vec![pool], uptime_s: 9, ..StatusReply::default() }
}

#[test]
fn ages_and_a_few_bytes_are_no_news() {
    let now = |change: fn(&mut StatusReply)| {
        let mut status = status();
        change(&mut status);
        Now { unix_ms: 0, status: Ok(status) }
    };
    let check = |change: fn(&mut StatusReply), is_news: bool| {
        assert_eq!(now(|_| {}).is_like(&now(change)), !is_news);
    };
    check(|status| status.uptime_s = 10, false);
    check(|status| status.workers[0].uptime_s = 8, false);
    check(|status| status.workers[0].rss_bytes += 4096, false);
    check(|status| status.workers[0].rss_bytes += 1 << 25, true);
    check(|status| status.workers[0].state = "ready".into(), true);
    check(|status| status.workers[0].completion_tokens = 1, true);
    check(|status| status.workers.clear(), true);
}

#[tokio::test]
async fn whoever_watches_is_told_of_what_changed_and_of_samples() {
    let fake = Fake::start();
    fake.set_status(status());
    std::fs::create_dir(Path::new(&fake.socket()).with_file_name("state")).unwrap();
    let overview = fake.gateway().overview;
    let (mut now, mut newest) = (overview.watch(), overview.newest());
    let (steer, course) = watch::channel(Course::Serve);
    let running = tokio::spawn({
        let (overview, upstream) = (overview.clone(), fake.upstream());
        async move { overview.run(upstream, course).await }
    });
    now.changed().await.unwrap();
    let first = now.borrow_and_update().clone().unwrap();
    assert_eq!(first.status.as_ref().unwrap().workers[0].id, "gguf-1");
    fake.set_status(StatusReply::default());
    now.changed().await.unwrap();
    assert!(now.borrow().as_ref().unwrap().status.as_ref().unwrap().workers.is_empty());
    newest.changed().await.unwrap();
    let samples = overview.samples(Step::Second, 0);
    assert_eq!(samples.last().unwrap().unix_s, *newest.borrow());
    steer.send_replace(Course::Retire);
    overview.over().await;
    overview.exchange().await;
    running.abort();
    let another = fake.gateway().overview;
    another.exchange().await;
    assert!(another.samples(Step::Second, 0).contains(&samples[0]), "the next gateway knows them");
}

#[test]
fn a_minute_is_told_when_it_is_over_with_the_most_it_has_seen() {
    let mut sampling = sample::Sampling::begin();
    let busy = |slots_busy| StatusReply {
        workers: vec![WorkerStatus { slots_busy, waiting: 2, slots_total: 4, ..WorkerStatus::default() }],
        pools: status().pools,
        ..StatusReply::default()
    };
    assert_eq!(sampling.take(60, Some(&busy(1)), 0).len(), 1);
    assert_eq!(sampling.take(61, Some(&busy(3)), 5).len(), 1);
    assert_eq!(sampling.take(62, None, 0).len(), 1);
    let samples = sampling.take(120, Some(&busy(2)), 1);
    let [second, minute] = &samples[..] else { panic!("{samples:?}") };
    assert_eq!((second.unix_s, second.step_s, second.running, second.waiting), (120, 1, 2, 3));
    assert_eq!((minute.unix_s, minute.step_s, minute.running, minute.waiting), (120, 60, 3, 7));
    assert_eq!((minute.slots, minute.pools[0].used_bytes), (4, Some(60)));
}
