//! `POST /api/show`: what is known of a model. Nothing is loaded for it.

use std::fmt::Write;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::Request,
    response::{IntoResponse, Response},
};
use impetus_proto::{Error, worker::Description};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    capability::capabilities,
    details::{Details, moment},
    named::Named,
    preset::Preset,
};
use crate::{
    dialect::{
        Refusal,
        field::Fields,
        ignored::Ignored,
        parameter::{Parameter, refuse},
    },
    record::Record,
    server::{self, Gateway},
    upstream::{self, Caller},
};

/// What would change the description of a model, and nothing else.
const UNOFFERED: &[Parameter] = &[("system", &[r#""""#]), ("template", &[r#""""#]), ("options", &["{}"])];

/// What is known of a model.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OllamaShown")]
pub(in crate::dialect) struct Shown {
    #[serde(skip_serializing_if = "String::is_empty")]
    license: String,
    modelfile: String,
    parameters: String,
    template: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    system: String,
    details: Details,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Message>,
    model_info: Map<String, Value>,
    capabilities: Vec<&'static str>,
    modified_at: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OllamaPresetMessage")]
struct Message {
    role: String,
    content: String,
}

/// A request's body, understood.
#[derive(Debug, PartialEq)]
struct Params {
    model: String,
    ignored: Ignored,
}

/// Describes a model.
pub(super) async fn create(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let body = server::read_body(request, gateway.limits).await?;
    let Params { model, ignored } = Params::read(&body)?;
    let named = Named::find(&gateway, &record.caller(), &model).await?;
    let worker = if named.is_loaded() {
        let caller = Caller { id: record.id().clone(), model: named.model.clone(), keep_alive: None };
        Some(upstream::describe(&gateway.upstream, caller).await.map_err(|error| named.worded(error))?)
    } else {
        None
    };
    let template = match &worker {
        Some(worker) => worker.chat_template_source.clone(),
        None => gateway.upstream.show(&named.model).await.unwrap_or_default().chat_template,
    };
    let mut response = Json(Shown::of(named, template, worker.as_ref())).into_response();
    ignored.write(response.headers_mut());
    Ok(response)
}

/// Reads a body and leaves it at that.
pub(in crate::dialect) fn check(body: &[u8]) -> Result<(), Error> {
    Params::read(body).map(drop)
}

impl Params {
    fn read(body: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let mut ignored = Ignored::default();
        // The second is its older name.
        let (model, name) = (fields.text("model")?, fields.text("name")?);
        // There is no more to tell.
        if fields.flag("verbose")? == Some(true) {
            ignored.name("", "verbose");
        }
        refuse(&mut fields, UNOFFERED)?;
        ignored.add("", &fields);
        Ok(Self { model: model.filter(|model| !model.is_empty()).or(name).unwrap_or_default(), ignored })
    }
}

impl Shown {
    fn of(named: Named, template: String, worker: Option<&Description>) -> Self {
        let Named { status, preset, .. } = named;
        let capabilities = capabilities(&status, &template, worker);
        let parameters = parameters(preset.as_ref(), status.context_tokens);
        let of_preset = |what: fn(&Preset) -> String| preset.as_ref().map(what).unwrap_or_default();
        Self {
            license: of_preset(|preset| preset.license.join("\n")),
            modelfile: match &preset {
                Some(preset) => preset.modelfile.clone(),
                None => modelfile(&status.name, &template),
            },
            parameters,
            system: of_preset(|preset| preset.system.clone().unwrap_or_default()),
            details: Details::of(&status, preset.as_ref().map(|preset| preset.from.as_str())),
            messages: preset.iter().flat_map(|preset| &preset.messages).map(Message::of).collect(),
            model_info: model_info(&status, worker),
            capabilities,
            modified_at: moment(
                preset.as_ref().map_or(status.modified_unix_s, |preset| preset.created_unix_s),
            ),
            template,
        }
    }
}

impl Message {
    fn of((role, content): &(String, String)) -> Self {
        Self { role: role.clone(), content: content.clone() }
    }
}

/// What a Modelfile of the model would be.
fn modelfile(name: &str, template: &str) -> String {
    let template =
        if template.is_empty() { String::new() } else { format!("TEMPLATE \"\"\"{template}\"\"\"\n") };
    format!("# Made by Impetus\nFROM {name}\n{template}")
}

/// Options as a Modelfile has them, a line for each value; the context is what a request has here, unless the preset says
/// less.
fn parameters(preset: Option<&Preset>, context_tokens: u32) -> String {
    let mut options = preset.map(|preset| preset.options.clone()).unwrap_or_default();
    options.entry("num_ctx").or_insert_with(|| json!(context_tokens));
    let mut lines = String::new();
    for (name, value) in &options {
        let values = value.as_array().map_or_else(|| vec![value], |values| values.iter().collect());
        for value in values {
            // Writing to a string does not fail.
            let _ = writeln!(lines, "{name:<30} {value}");
        }
    }
    lines.truncate(lines.trim_end().len());
    lines
}

/// What a GGUF file would say of the model, under its names.
fn model_info(
    status: &impetus_proto::supervisor::ModelStatus,
    worker: Option<&Description>,
) -> Map<String, Value> {
    let architecture = &status.architecture;
    let mut info = Map::new();
    let mut tell = |name: String, value: Value| drop(info.insert(name, value));
    tell("general.architecture".into(), json!(architecture));
    tell("general.parameter_count".into(), json!(status.parameters));
    tell("general.name".into(), json!(status.name));
    // What a client may fill: it is here that these look for it.
    tell(format!("{architecture}.context_length"), json!(status.context_tokens));
    if let Some(worker) = worker.filter(|worker| worker.dimensions > 0) {
        tell(format!("{architecture}.embedding_length"), json!(worker.dimensions));
    }
    tell("impetus.trained_context_length".into(), json!(status.trained_context_tokens));
    tell("impetus.format".into(), json!(status.format));
    info
}

#[cfg(test)]
mod tests {
    use impetus_proto::Code;

    use super::*;

    #[test]
    fn a_model_goes_by_either_name() {
        let check = |body: &str, model: &str, ignored: &str| {
            let params = Params::read(body.as_bytes()).unwrap();
            assert_eq!(
                (params.model.as_str(), format!("{:?}", params.ignored)),
                (model, format!("Ignored([{ignored}])"))
            );
        };
        check("{}", "", "");
        check(r#"{"model":"a"}"#, "a", "");
        check(r#"{"name":"a"}"#, "a", "");
        check(r#"{"model":"a","name":"b","verbose":false,"options":{},"system":""}"#, "a", "");
        check(r#"{"model":"","name":"b","verbose":true,"beta":1}"#, "b", r#""verbose", "beta""#);
        for field in ["system", "template"] {
            let error = Params::read(format!(r#"{{"{field}":"x"}}"#).as_bytes()).unwrap_err();
            assert_eq!((error.code(), error.param.as_str()), (Code::UnsupportedParameter, field));
        }
    }

    #[test]
    fn parameters_are_lines() {
        let preset = |options: Value| Preset {
            name: "p".into(),
            from: "m".into(),
            system: None,
            messages: Vec::new(),
            options: options.as_object().unwrap().clone(),
            license: Vec::new(),
            modelfile: String::new(),
            created_unix_s: 0,
        };
        let check = |preset: Option<Preset>, expected: &[(&str, &str)]| {
            let lines: Vec<String> =
                expected.iter().map(|(name, value)| format!("{name:<30} {value}")).collect();
            assert_eq!(parameters(preset.as_ref(), 2048), lines.join("\n"));
        };
        check(None, &[("num_ctx", "2048")]);
        let options = json!({"temperature": 0.5, "stop": ["a", "b c"], "num_ctx": 512});
        check(
            Some(preset(options)),
            &[("temperature", "0.5"), ("stop", "\"a\""), ("stop", "\"b c\""), ("num_ctx", "512")],
        );
    }
}
