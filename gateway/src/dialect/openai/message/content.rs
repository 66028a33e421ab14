//! What a message says, as text.

use impetus_proto::Error;
use serde_json::value::RawValue;

use super::MAX_PARTS;
use crate::dialect::{
    field::{Fields, elements, kind, wrong_type},
    ignored::Ignored,
    openai::parameter::unsupported,
};

/// Between two text parts of one message.
const PART_SEPARATOR: &str = "\n";

const MEDIA: [&str; 8] = [
    "image_url",
    "input_audio",
    "file",
    "video_url",
    "audio_url",
    "input_image",
    "input_file",
    "computer_screenshot",
];

/// A message's content, flattened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::dialect::openai) struct Content {
    /// Absent when there is no content.
    pub(in crate::dialect::openai) text: Option<String>,
    /// Of parts that are thoughts.
    pub(in crate::dialect::openai) reasoning: String,
}

/// Takes `content`: a string, or an array of parts that are text.
pub(in crate::dialect::openai) fn content(
    fields: &mut Fields<'_>,
    ignored: &mut Ignored,
) -> Result<Content, Error> {
    let path = fields.path_of("content");
    match fields.raw("content") {
        Some(value) => flattened(value, path, ignored),
        None => Ok(Content::default()),
    }
}

/// The content at `path`: a string, or an array of parts that are text.
pub(in crate::dialect::openai) fn flattened(
    value: &RawValue,
    path: String,
    ignored: &mut Ignored,
) -> Result<Content, Error> {
    let expected = "a string or an array of parts";
    match kind(value) {
        "a string" => match serde_json::from_str(value.get()) {
            Ok(text) => Ok(Content { text: Some(text), ..Content::default() }),
            Err(_) => Err(wrong_type(path, "a string of Unicode text", value)),
        },
        "an array" => {
            let (mut texts, mut thoughts) = (Vec::new(), Vec::new());
            for (j, part) in elements(value, &path, expected, MAX_PARTS)?.into_iter().enumerate() {
                let (text, is_thought) = text_of(part, format!("{path}[{j}]"), ignored)?;
                if is_thought { &mut thoughts } else { &mut texts }.push(text);
            }
            let (text, reasoning) = (texts.join(PART_SEPARATOR), thoughts.join(PART_SEPARATOR));
            Ok(Content { text: Some(text), reasoning })
        }
        _ => Err(wrong_type(path, expected, value)),
    }
}

/// The text of a part, and whether it is a thought.
fn text_of(part: &RawValue, path: String, ignored: &mut Ignored) -> Result<(String, bool), Error> {
    let mut fields = Fields::of(part, path)?;
    let type_path = fields.path_of("type");
    let kind = fields.text("type")?;
    let field = match kind.as_deref() {
        Some("text" | "input_text" | "output_text" | "summary_text" | "reasoning_text") => "text",
        Some("refusal") => "refusal",
        Some("thinking") => "thinking",
        Some(media) if MEDIA.contains(&media) => {
            let message =
                format!("{type_path} {media:?} is not supported by this server; it reads text only");
            return Err(unsupported(type_path, message));
        }
        _ => {
            let message = format!("{type_path} must be \"text\" or \"refusal\"");
            return Err(Error::invalid(type_path, message));
        }
    };
    let text = fields.text(field)?.ok_or_else(|| {
        let path = fields.path_of(field);
        let message = format!("{path} is missing; it must be a string");
        Error::invalid(path, message)
    })?;
    // What an answer of ours had beside its text, replayed.
    for name in ["annotations", "logprobs"] {
        fields.raw(name);
    }
    ignored.add("messages.content.", &fields);
    Ok((text, field == "thinking"))
}
