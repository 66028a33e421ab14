//! `supervisorctl events`

use std::{process::ExitCode, time::Duration};

use impetus_proto::{
    MAX_MESSAGE_BYTES,
    event::{Event, EventBatch, ListRequest, events_client::EventsClient},
};
use serde_json::{Value, json};

use super::{Server, connect, failure::Failure, print, table::stamp};
use crate::events::now_ms;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Goes on with what happens from now on.
    #[arg(short, long)]
    follow: bool,
    /// Prints one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Nothing that happened longer ago, such as 90s, 10m, 2h or 1d.
    #[arg(long, value_name = "TIME", value_parser = ago)]
    since: Option<Duration>,
}

pub(super) async fn run(server: &Server, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let ago_ms = |ago: Duration| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
    let since_unix_ms = arguments.since.map_or(0, |ago| now_ms().saturating_sub(ago_ms(ago)));
    let request = ListRequest { since_unix_ms, follow: arguments.follow };
    let channel = connect::channel(server).await?;
    let mut client = EventsClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let mut answers = client.list(request).await?.into_inner();
    while let Some(answer) = answers.message().await? {
        print(&if arguments.json { lines(&answer) } else { text(&answer) })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A number and a unit.
fn ago(text: &str) -> Result<Duration, String> {
    let refused = || format!("{text:?} is no time; expected a number with s, m, h or d, such as 10m");
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => return Err(refused()),
    };
    let number =
        text.get(..text.len() - 1).and_then(|number| number.parse::<u64>().ok()).ok_or_else(refused)?;
    number.checked_mul(unit).map(Duration::from_secs).ok_or_else(refused)
}

fn text(answer: &EventBatch) -> String {
    let gap = (answer.missed > 0)
        .then(|| format!("{} events were forgotten before they were read\n", answer.missed));
    let line = |event: &Event| {
        let time = stamp(event.unix_ms);
        let mut fields: Vec<_> = event.fields.iter().filter(|(_, value)| !value.is_empty()).collect();
        fields.sort();
        let fields = fields.into_iter().map(|(name, value)| format!("{name}={value}"));
        let what = [format!("{:<16}", event.kind), event.subject.clone(), event.message.clone()];
        let words: Vec<String> = std::iter::once(time).chain(what).chain(fields).collect();
        words.join(" ") + "\n"
    };
    gap.into_iter().chain(answer.events.iter().map(line)).collect()
}

fn lines(answer: &EventBatch) -> String {
    let gap = (answer.missed > 0).then(|| json!({"kind": "events.missed", "count": answer.missed}));
    let event = |event: &Event| {
        let mut fields: Vec<_> = event.fields.iter().collect();
        fields.sort();
        json!({
            "number": event.number,
            "unix_ms": event.unix_ms,
            "kind": event.kind,
            "subject": event.subject,
            "message": event.message,
            "fields": fields.into_iter().map(|(name, value)| (name.clone(), json!(value))).collect::<serde_json::Map<_, _>>(),
        })
    };
    let line = |value: Value| format!("{value}\n");
    gap.into_iter().chain(answer.events.iter().map(event)).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> EventBatch {
        let fields = [("worker", "gguf-1"), ("crash", "")];
        let event = Event {
            number: 7,
            unix_ms: 1_700_000_000_123,
            kind: "model.ready".into(),
            subject: "tiny".into(),
            message: "serves after 44 ms".into(),
            fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        };
        EventBatch { missed: 2, events: vec![event] }
    }

    #[test]
    fn events_are_lines() {
        assert_eq!(
            text(&answer()),
            "2 events were forgotten before they were read\n\
             2023-11-14T22:13:20.123Z model.ready      tiny serves after 44 ms worker=gguf-1\n"
        );
        assert_eq!(
            lines(&answer()),
            "{\"kind\":\"events.missed\",\"count\":2}\n\
             {\"number\":7,\"unix_ms\":1700000000123,\"kind\":\"model.ready\",\"subject\":\"tiny\",\
             \"message\":\"serves after 44 ms\",\"fields\":{\"crash\":\"\",\"worker\":\"gguf-1\"}}\n"
        );
    }

    #[test]
    fn times_are_numbers_with_units() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(ago(text).ok().map(|time| time.as_secs()), expected, "{text}");
        };
        check("90s", Some(90));
        check("10m", Some(600));
        check("2h", Some(7_200));
        check("1d", Some(86_400));
        check("10", None);
        check("m", None);
        check("-1m", None);
        check("1ü", None);
        check("", None);
        check("99999999999999999999d", None);
        check("999999999999999999d", None);
    }
}
