use futures::stream;
use impetus_config::ResponsesConfig;
use impetus_proto::worker::FinishReason;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::{
    dialect::openai::responses::store::{End, Row, Store},
    fake::Fake,
    upstream::{Delta, Event, Finished, Part},
};

/// What is kept below this state folder, opened by somebody else.
fn database(state: &TempDir) -> Connection {
    Connection::open(state.path().join("responses/responses.db")).unwrap()
}

fn count(database: &Connection, status: &str) -> u32 {
    let count = "SELECT count(*) FROM response WHERE status = ?1";
    database.query_row(count, [status], |row| row.get(0)).unwrap()
}

async fn gateway(fake: &Fake, state: &TempDir) -> Gateway {
    let gateway = fake.gateway_with(|config| config.supervisor.state_dir = state.path().to_owned());
    // That there is a database.
    gateway.responses.store.get("resp_0", "").await.unwrap();
    gateway
}

fn asked(gateway: &Gateway) -> (Params, Keeper) {
    let mut params = Params::read(br#"{"input":"x","background":true}"#).unwrap();
    let keeper = Keeper::new(gateway.responses.store.clone(), "", &mut params).unwrap();
    (params, keeper)
}

/// A whole answer.
fn said() -> Events {
    let said = Delta { parts: vec![Part::Text("ok".into())], n_tokens: 1, ..Delta::default() };
    let events = [
        Event::Accepted { model: "tiny".into(), prompt_tokens: 1 },
        Event::Delta(said),
        Event::Finished(Finished { reason: FinishReason::Stop, ..Finished::default() }),
    ];
    Box::pin(stream::iter(events.map(Ok)))
}

#[tokio::test]
async fn a_client_that_leaves_at_the_beginning_leaves_nothing_undone() {
    let (fake, state) = (Fake::start(), TempDir::new().unwrap());
    let gateway = gateway(&fake, &state).await;
    let (params, keeper) = asked(&gateway);
    let other = database(&state);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut count_of = gateway.responses.background.count.subscribe();
    let is_admitted = async { drop(count_of.wait_for(|count| *count == 1).await) };
    tokio::select! {
        biased;
        _ = answer(&gateway, params, keeper, said()) => panic!("it waits for the database"),
        () = is_admitted => {}
    }
    other.execute_batch("ROLLBACK").unwrap();
    gateway.responses.idle().await;
    gateway.responses.store.get("resp_0", "").await.unwrap();
    assert_eq!((count(&other, "queued"), count(&other, "completed")), (0, 1));
}

#[tokio::test]
async fn an_end_that_has_no_room_is_kept_without_its_events() {
    let (fake, state) = (Fake::start(), TempDir::new().unwrap());
    let gateway = gateway(&fake, &state).await;
    let full = "CREATE TRIGGER full BEFORE UPDATE ON response WHEN NEW.events IS NOT NULL
        BEGIN SELECT RAISE(FAIL, 'full'); END";
    let other = database(&state);
    other.execute_batch(full).unwrap();
    let (params, keeper) = asked(&gateway);
    answer(&gateway, params, keeper, said()).await.unwrap();
    gateway.responses.idle().await;
    assert_eq!((count(&other, "in_progress"), count(&other, "completed")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_end_that_cannot_be_kept_at_all_is_a_failure() {
    let state = TempDir::new().unwrap();
    let background = Background::new(1);
    let store = Store::new(state.path(), &ResponsesConfig::default(), background.clone());
    store.get("resp_0", "").await.unwrap();
    let full = "CREATE TRIGGER full BEFORE UPDATE ON response WHEN NEW.status = 'completed'
        BEGIN SELECT RAISE(FAIL, 'full'); END";
    database(&state).execute_batch(full).unwrap();
    let mut params = Params::read(br#"{"input":"x","background":true}"#).unwrap();
    let keeper = Keeper::new(store.clone(), "", &mut params).unwrap();
    let transcript = transcript_of(params, "tiny".into(), true);
    let id = transcript.response.id.clone();
    let running = background.admit(&id).unwrap();
    let (begun, beginning) = oneshot::channel();
    let maker = Maker { transcript, keeper, log: running.log.clone() };
    let began = Instant::now();
    maker.run(said(), begun).await;
    assert_eq!(beginning.await.unwrap().unwrap().id, id);
    assert!(began.elapsed() >= Duration::from_secs(20), "it is tried again");
    assert!(background.has(&id), "until then it runs");
    let stored = store.get(&id, "").await.unwrap().unwrap();
    assert_eq!((stored.is_running, &stored.object["status"]), (false, &"failed".into()));
}

#[tokio::test]
async fn an_end_that_was_kept_without_its_events_is_told_as_it_was() {
    let (fake, state) = (Fake::start(), TempDir::new().unwrap());
    let store = gateway(&fake, &state).await.responses.store;
    let response = |status: &'static str| {
        let object = format!(r#"{{"id":"{status}","status":"{status}","background":true}}"#);
        let end = End { status, object, outputs: Vec::new(), events: None };
        Row { id: status.into(), caller: String::new(), previous: None, end }
    };
    for status in ["completed", "incomplete", "failed", "cancelled"] {
        store.insert(response(status), Vec::new()).await.unwrap();
        let object = store.get(status, "").await.unwrap().unwrap().object;
        let frame = Frame::end_of(7, &object);
        let start = format!(
            "event: response.{status}\ndata: {{\"type\":\"response.{status}\",\"sequence_number\":7,"
        );
        assert!(frame.starts_with(start.as_bytes()), "{frame:?}");
    }
}
