use std::path::Path;

use impetus_config::ResponsesConfig;
use impetus_proto::worker::FinishReason;
use tokio::time::{Instant, sleep};

use super::*;
use crate::{
    dialect::openai::responses::{background::Background, store::Store},
    upstream::{Delta, Finished, Part},
};

const KEEP_ALIVE: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn a_stream_is_not_silent_while_a_worker_says_what_is_held_back() {
    let mut params = Params::read(br#"{"input":"x","store":false}"#).unwrap();
    let keeper = Keeper::new(nowhere(), "", &mut params).unwrap();
    let events = async_stream::stream! {
        yield Ok(Event::Accepted { model: "tiny".into(), prompt_tokens: 1 });
        for _ in 0..21 {
            sleep(Duration::from_secs(7)).await;
            yield Ok(Event::Delta(Delta { n_tokens: 1, ..Delta::default() }));
        }
        yield Ok(Event::Finished(Finished { reason: FinishReason::Stop, ..Finished::default() }));
    };
    let mut transcript = transcript_of(params, "tiny".into(), true);
    transcript.begin();
    let mut body = Box::pin(body(transcript, keeper, Box::pin(events), KEEP_ALIVE));
    let (mut spoken, mut n_signs) = (Instant::now(), 0);
    while let Some(Ok(frame)) = body.next().await {
        assert!(spoken.elapsed() <= KEEP_ALIVE, "silent for {:?}", spoken.elapsed());
        spoken = Instant::now();
        let text = std::str::from_utf8(&frame).unwrap();
        n_signs += text.matches("event: response.in_progress").count();
    }
    assert_eq!(n_signs, 1 + 14, "147 s have 14 signs of life behind the beginning");
}

#[tokio::test]
async fn what_is_at_hand_is_told_however_much_it_is() {
    let mut params = Params::read(br#"{"input":"x","store":false}"#).unwrap();
    let keeper = Keeper::new(nowhere(), "", &mut params).unwrap();
    let said = |n: usize| {
        let parts = [Part::Text(format!("{n} "))].into_iter().collect();
        Event::Delta(Delta { parts, n_tokens: 1, ..Delta::default() })
    };
    let begin = [Event::Accepted { model: "tiny".into(), prompt_tokens: 1 }];
    let end = [Event::Finished(Finished { reason: FinishReason::Stop, ..Finished::default() })];
    let events = begin.into_iter().chain((0..3 * EVENTS_AT_ONCE).map(said)).chain(end).map(Ok);
    let transcript = transcript_of(params, "tiny".into(), true);
    let body = body(transcript, keeper, Box::pin(futures::stream::iter(events)), KEEP_ALIVE);
    let text: String = body
        .map(|frame| String::from_utf8(frame.unwrap().to_vec()).unwrap())
        .collect::<Vec<_>>()
        .await
        .concat();
    let whole = (0..3 * EVENTS_AT_ONCE).map(|n| format!("{n} ")).collect::<Vec<_>>().concat();
    assert!(text.contains(&format!(r#""text":"{whole}""#)), "{text}");
    assert!(text.contains("event: response.completed\n"), "{text}");
}

fn nowhere() -> Store {
    let config = ResponsesConfig { store: false, ..Default::default() };
    Store::new(Path::new("/nowhere"), &config, Background::new(0))
}
