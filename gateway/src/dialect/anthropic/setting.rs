//! The fields that are about neither what was said nor who says it: the form of the output, the bookkeeping, and what the
//! API offers beside its models.

use impetus_proto::{
    Error,
    worker::{Structure, structure},
};
use serde_json::value::RawValue;

use crate::dialect::{
    field::{Fields, kind, wrong_type},
    ignored::Ignored,
    parameter::{self, Parameter},
};

/// What is defined, but not offered.
const UNOFFERED: &[Parameter] = &[
    ("container", &[]),
    ("mcp_servers", &["[]"]),
    ("inference_geo", &[r#""global""#]),
    ("speed", &[r#""standard""#]),
];

/// The efforts that the API defines.
const EFFORTS: &[&str] = &["low", "medium", "high", "xhigh", "max"];

/// The longest id of a user, in characters.
const MAX_USER_ID: usize = 1024;

/// The most edits of a context.
const MAX_EDITS: usize = 64;

/// What a request says of its output.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Output {
    pub(super) structure: Option<Structure>,
    /// The field that asks for the structure.
    pub(super) param: Option<String>,
    /// How much the model is to think, or empty.
    pub(super) effort: String,
}

/// Takes `output_config`, and the `output_format` that its `format` has replaced.
pub(super) fn output(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Output, Error> {
    let mut output = Output::default();
    if let Some(mut config) = fields.object("output_config")? {
        config.word("effort", EFFORTS)?.unwrap_or_default().clone_into(&mut output.effort);
        if let Some(nested) = config.object("format")? {
            format(nested, &mut output, ignored)?;
        }
        if config.raw("task_budget").is_some() {
            let path = config.path_of("task_budget");
            let message = format!("{path} is not supported by this server; leave it out");
            return Err(parameter::unsupported(path, message));
        }
        ignored.add("output_config.", &config);
    }
    if let Some(former) = fields.object("output_format")? {
        if output.param.is_some() {
            let message = "output_format and output_config.format exclude each other; send the latter alone";
            return Err(Error::invalid("output_format", message));
        }
        format(former, &mut output, ignored)?;
    }
    Ok(output)
}

fn format(mut format: Fields<'_>, output: &mut Output, ignored: &mut Ignored) -> Result<(), Error> {
    let path = format.path_of("type");
    if format.word("type", &["json_schema"])?.is_none() {
        return Err(Error::invalid(path.as_str(), format!("{path} is missing; it must be json_schema")));
    }
    let path = format.path_of("schema");
    match format.raw("schema") {
        Some(schema) if kind(schema) == "an object" => {
            let structure = structure::Structure::JsonSchema(schema.get().to_owned());
            output.structure = Some(Structure { structure: Some(structure) });
            output.param = Some(path);
        }
        Some(other) => return Err(wrong_type(path, "a JSON schema, which is an object", other)),
        None => {
            return Err(Error::invalid(
                path.as_str(),
                format!("{path} is missing; it must be a JSON schema"),
            ));
        }
    }
    ignored.add("output_format.", &format);
    Ok(())
}

/// Takes `context_management`; answers whether the client wants to know which edits were made. None is: the context is as
/// long as it is, and what would not fit is refused.
pub(super) fn edits(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<bool, Error> {
    let Some(mut management) = fields.object("context_management")? else { return Ok(false) };
    let path = management.path_of("edits");
    let edits = management.array("edits", "an array of edits", MAX_EDITS)?.unwrap_or_default();
    for (i, edit) in edits.into_iter().enumerate() {
        let mut edit = Fields::of(edit, format!("{path}[{i}]"))?;
        let kind = edit.text("type")?.unwrap_or_default();
        let keep = edit.raw("keep").map(RawValue::get);
        // Nothing is cleared, as it asks.
        if !(kind.starts_with("clear_thinking_") && keep == Some(r#""all""#)) {
            ignored.name("context_management.", &kind);
        }
    }
    ignored.add("context_management.", &management);
    Ok(true)
}

/// Takes what has nothing to change here, and refuses what is not offered.
pub(super) fn accept(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<(), Error> {
    parameter::refuse(fields, UNOFFERED)?;
    // Both are the one tier that there is.
    fields.word("service_tier", &["auto", "standard_only"])?;
    cache_control(fields)?;
    if let Some(mut metadata) = fields.object("metadata")? {
        let path = metadata.path_of("user_id");
        if metadata.text("user_id")?.is_some_and(|id| id.chars().count() > MAX_USER_ID) {
            let message = format!("{path} must have at most {MAX_USER_ID} characters");
            return Err(Error::invalid(path, message));
        }
        ignored.add("metadata.", &metadata);
    }
    Ok(())
}

/// Takes a `cache_control`. All that is computed may be kept and found again, whether it is marked or not.
pub(super) fn cache_control(fields: &mut Fields<'_>) -> Result<(), Error> {
    let Some(mut control) = fields.object("cache_control")? else { return Ok(()) };
    control.word("type", &["ephemeral"])?;
    control.word("ttl", &["5m", "1h"])?;
    Ok(())
}
