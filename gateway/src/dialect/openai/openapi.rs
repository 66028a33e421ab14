//! `GET /openapi.json`: this dialect as an OpenAPI 3.1 document. What a request may have is noted while each endpoint's
//! own parser reads a body (`field::note`); what an answer has, the types that are written say themselves.

mod operation;
mod sample;

use std::sync::OnceLock;

use axum::{
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use impetus_proto::Error;
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use self::operation::OPERATIONS;
pub(in crate::dialect) use self::operation::{GET, Operation, POST, of};
use super::error::Refusal;
use crate::dialect::{admin, field::note::schema_of};

/// The document.
pub(super) async fn read() -> Result<Response, Refusal> {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let bytes = if let Some(bytes) = DOCUMENT.get() {
        bytes.clone()
    } else {
        let text = serde_json::to_vec(&document()?).map_err(|error| Error::internal(error.to_string()))?;
        DOCUMENT.get_or_init(|| text.into()).clone()
    };
    Ok(([(CONTENT_TYPE, "application/json")], bytes).into_response())
}

/// All operations by their paths, and the types that they refer to.
pub(super) fn document() -> Result<Value, Error> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    // A field that may be null is always written, and need not be sent.
    let mut bodies = settings.clone().into_generator();
    let mut generator = settings.for_serialize().into_generator();
    let mut paths = Map::new();
    for operation in OPERATIONS.iter().chain(admin::OPERATIONS) {
        let described = operation.describe(&mut generator, &mut bodies)?;
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = described;
    }
    let mut schemas = generator.take_definitions(true);
    schemas.extend(bodies.take_definitions(true));
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Impetus",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A local inference server. Fields that are not listed are accepted and named in the header \
                            `x-impetus-ignored`.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        // Where keys are on.
        "security": [{}, {"key": []}],
    }))
}

impl Operation {
    fn describe(
        &self,
        generator: &mut SchemaGenerator,
        bodies: &mut SchemaGenerator,
    ) -> Result<Value, Error> {
        let answer = (self.answer)(generator);
        let mut content = json!({"application/json": {"schema": answer}});
        if self.is_text {
            content = json!({"text/plain": {"schema": {"type": "string"}}});
        }
        let is_ollama = self.path.starts_with("/api/");
        if self.streams {
            let kind = if is_ollama { "application/x-ndjson" } else { "text/event-stream" };
            content[kind] = json!({"schema": {"type": "string"}});
        }
        if !self.events.is_empty() {
            let events =
                self.events.iter().map(|(name, data)| ((*name).to_owned(), data(generator).to_value()));
            let events: Map<String, Value> = events.collect();
            // OpenAPI has no words for events: each one's data by its name.
            content = json!({"text/event-stream": {"schema": {"type": "string"}, "x-events": events}});
        }
        let error = (self.error)(generator);
        let mut described = json!({
            "operationId": self.id,
            "summary": self.summary,
            "responses": {
                "200": {"description": "the answer", "content": content},
                "default": {"description": "an error", "content": {"application/json": {"schema": error}}},
            },
        });
        if let Some(request) = self.request {
            let schema = schema_of(request)?;
            described["requestBody"] =
                json!({"required": true, "content": {"application/json": {"schema": schema}}});
        }
        if let Some(body) = self.body {
            let schema = body(bodies);
            described["requestBody"] =
                json!({"required": true, "content": {"application/json": {"schema": schema}}});
        }
        let in_path = self.path.split('/').filter_map(|step| step.strip_prefix('{')?.strip_suffix('}'));
        let in_path = in_path
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
        let in_query = self.query.iter().map(
            |(name, kind)| json!({"name": name, "in": "query", "required": false, "schema": {"type": kind}}),
        );
        let parameters: Vec<Value> = in_path.chain(in_query).collect();
        if !parameters.is_empty() {
            described["parameters"] = Value::Array(parameters);
        }
        Ok(described)
    }
}

#[cfg(test)]
mod tests;
