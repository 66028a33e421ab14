use futures::StreamExt;

use super::*;

fn frame(number: u64, is_delta: bool) -> Frame {
    Frame { sequence_number: number, bytes: format!("{number} ").into(), is_delta }
}

fn log(numbers: impl IntoIterator<Item = u64>) -> Arc<Log> {
    let log = Arc::new(Log::default());
    log.push(numbers.into_iter().map(|number| frame(number, false)).collect());
    log
}

async fn read(log: &Arc<Log>, after: Option<u64>) -> String {
    let frames: Vec<_> = log.clone().follow(after, Duration::from_secs(10)).collect().await;
    frames.into_iter().map(|Ok(frame)| String::from_utf8(frame.to_vec()).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_reader_begins_behind_what_it_has_read() {
    let log = log(0..1000);
    log.close();
    let all = (0..1000).map(|number| number.to_string()).collect::<Vec<_>>().join(" ") + " ";
    assert_eq!(read(&log, None).await, all);
    assert_eq!(read(&log, Some(997)).await, "998 999 ");
    assert_eq!(read(&log, Some(999)).await, "");
    assert_eq!(read(&log, Some(u64::MAX)).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_reader_gets_what_comes_later_and_signs_of_life_between() {
    let log = log(0..2);
    let teller = log.clone();
    let told = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(25)).await;
        teller.push(vec![frame(2, false)]);
        tokio::time::sleep(Duration::from_secs(5)).await;
        teller.push(vec![frame(3, false)]);
        teller.close();
    });
    let alive = String::from_utf8(Frame::keep_alive(1).to_vec()).unwrap();
    assert!(alive.contains(r#""sequence_number":1"#), "{alive}");
    assert_eq!(read(&log, None).await, format!("0 1 {alive}{alive}2 3 "));
    told.await.unwrap();
    log.over().await;
}

#[test]
fn the_oldest_deltas_go_first() {
    let log = Log::default();
    let large =
        |number, is_delta| Frame { sequence_number: number, bytes: vec![b'x'; 64 << 10].into(), is_delta };
    for number in 0..1000 {
        log.push(vec![large(number, number % 100 != 0)]);
        let told = log.lock();
        assert!(told.n_bytes <= MAX_BYTES, "{} bytes behind {number}", told.n_bytes);
    }
    let kept: Vec<u64> = log.with(&[]).iter().map(|frame| frame.sequence_number).collect();
    assert!((0..10).all(|n| kept.contains(&(n * 100))), "what ends an item stays");
    assert!(kept.contains(&999) && !kept.contains(&1));
    let (behind, _) = log.from(1);
    assert_eq!(behind[0].sequence_number, 100, "a gap is read over");
}

#[tokio::test]
async fn who_is_asked_to_stop_before_it_listens_hears_of_it() {
    let log = Log::default();
    log.cancel();
    log.cancelled().await;
}
