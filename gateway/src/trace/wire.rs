//! Spans as OTLP has them.

use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span as WireSpan, Status, span, status},
};
use tokio::time::Instant;

use super::{
    running::{Context, Finished},
    span::{Event, Kind, Process, Span, Value},
};

/// The flag of a trace that is recorded.
const SAMPLED: u32 = 1;

/// The message for all spans of `traces`, those of each process under its own name.
pub(super) fn message(traces: &[std::sync::Arc<Finished>]) -> ExportTraceServiceRequest {
    let of = |process: Process| {
        let spans: Vec<_> = traces
            .iter()
            .flat_map(|trace| trace.spans.iter().map(move |span| (trace, span)))
            .filter(|(_, span)| span.process == process)
            .map(|(trace, span)| wire(&trace.context, span))
            .collect();
        (!spans.is_empty()).then(|| of_process(process, spans))
    };
    ExportTraceServiceRequest { resource_spans: Process::ALL.into_iter().filter_map(of).collect() }
}

fn of_process(process: Process, spans: Vec<WireSpan>) -> ResourceSpans {
    let version = env!("CARGO_PKG_VERSION");
    let attributes = vec![
        pair("service.name", &process.name().into()),
        pair("service.version", &version.into()),
        pair("service.namespace", &"impetus".into()),
    ];
    let scope = InstrumentationScope {
        name: "impetus".into(),
        version: version.into(),
        ..InstrumentationScope::default()
    };
    ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

fn wire(context: &Context, span: &Span) -> WireSpan {
    let has_parent = span.parent != [0; 8];
    WireSpan {
        trace_id: context.trace_id.to_vec(),
        span_id: span.id.to_vec(),
        trace_state: context.state.clone(),
        parent_span_id: if has_parent { span.parent.to_vec() } else { Vec::new() },
        flags: SAMPLED,
        name: span.name.clone(),
        kind: match span.kind {
            Kind::Internal => span::SpanKind::Internal,
            Kind::Server => span::SpanKind::Server,
            Kind::Client => span::SpanKind::Client,
        }
        .into(),
        start_time_unix_nano: nanos(context, span.start),
        end_time_unix_nano: nanos(context, span.end.max(span.start)),
        attributes: pairs(&span.attributes),
        events: span.events.iter().map(|event| wire_event(context, event)).collect(),
        status: span
            .failure
            .clone()
            .map(|message| Status { message, code: status::StatusCode::Error.into() }),
        ..WireSpan::default()
    }
}

fn wire_event(context: &Context, event: &Event) -> span::Event {
    span::Event {
        time_unix_nano: nanos(context, event.at),
        name: event.name.to_owned(),
        attributes: pairs(&event.attributes),
        ..span::Event::default()
    }
}

fn pairs(attributes: &[(&'static str, Value)]) -> Vec<KeyValue> {
    attributes.iter().map(|(key, value)| pair(key, value)).collect()
}

fn pair(key: &str, value: &Value) -> KeyValue {
    let text = |text: &String| any_value::Value::StringValue(text.clone());
    let value = match value {
        Value::Text(one) => text(one),
        Value::Number(number) => any_value::Value::IntValue(*number),
        Value::Flag(flag) => any_value::Value::BoolValue(*flag),
        Value::Texts(texts) => {
            let values = texts.iter().map(|one| AnyValue { value: Some(text(one)) }).collect();
            any_value::Value::ArrayValue(ArrayValue { values })
        }
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Nanoseconds since 1970.
fn nanos(context: &Context, at: Instant) -> u64 {
    let (clock, began) = context.began;
    let since_1970 = clock.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let moment = match at.checked_duration_since(began) {
        Some(after) => since_1970 + after,
        None => since_1970.saturating_sub(began.checked_duration_since(at).unwrap_or(Duration::ZERO)),
    };
    u64::try_from(moment.as_nanos()).unwrap_or(u64::MAX)
}
