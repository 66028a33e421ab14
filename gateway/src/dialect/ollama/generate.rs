//! `POST /api/generate`

use impetus_proto::{
    Error,
    worker::{self, Infill, Reasoning, generate_request::Input},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    line::{Piece, ToolCall},
    message,
    params::{Asked, Endpoint},
    preset::Preset,
};
use crate::dialect::{
    field::Fields,
    ignored::Ignored,
    parameter::{Parameter, unsupported},
};

/// Answers a prompt, continues a text, or fills a hole in one.
#[derive(Debug)]
pub(in crate::dialect) struct Generate;

/// What the model says.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GenerateAnswer")]
pub(in crate::dialect) struct Said {
    response: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    thinking: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall>,
}

/// The texts of a request.
struct Texts {
    prompt: String,
    suffix: String,
    system: String,
    template: Option<String>,
    is_raw: bool,
}

impl Endpoint for Generate {
    const UNOFFERED: &'static [Parameter] =
        &[("context", &["[]"]), ("width", &["0"]), ("height", &["0"]), ("steps", &["0"])];

    type Said = Said;

    fn read(
        fields: &mut Fields<'_>,
        preset: Option<&Preset>,
        reasoning: Option<Reasoning>,
        _: &mut Ignored,
    ) -> Result<Asked, Error> {
        let texts = Texts::take(fields)?;
        message::refuse_images(fields)?;
        let thinks = reasoning.as_ref().is_some_and(|reasoning| reasoning.enabled == Some(true));
        texts.check(thinks)?;
        let Texts { prompt, suffix, system, template, is_raw } = texts;
        let input = if !suffix.is_empty() {
            Some(Input::Infill(Infill { prefix: prompt, suffix, ..Infill::default() }))
        } else if prompt.is_empty() {
            None
        } else if is_raw {
            Some(Input::Text(prompt))
        } else {
            let system = (!system.is_empty()).then(|| message::of("system", &system));
            let messages = system.into_iter().chain([message::of("user", &prompt)]).collect();
            let messages = message::after_preset(preset, messages);
            Some(Input::Chat(worker::Chat { messages, reasoning, ..worker::Chat::default() }))
        };
        Ok(Asked { input, template })
    }

    fn said(Piece { text, thinking, calls }: Piece) -> Said {
        Said { response: text, thinking, tool_calls: calls }
    }
}

impl Texts {
    fn take(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let mut text = |name| Ok::<_, Error>(fields.text(name)?.unwrap_or_default());
        let (prompt, suffix, system, template) =
            (text("prompt")?, text("suffix")?, text("system")?, text("template")?);
        let template = (!template.is_empty()).then_some(template);
        Ok(Self { prompt, suffix, system, template, is_raw: fields.flag("raw")?.unwrap_or(false) })
    }

    /// Refuses what cannot be had together.
    fn check(&self, thinks: bool) -> Result<(), Error> {
        let has_suffix = !self.suffix.is_empty();
        if self.is_raw && (self.template.is_some() || !self.system.is_empty()) {
            let param = if self.template.is_some() { "template" } else { "system" };
            return Err(Error::invalid(param, "raw mode does not support template, system, or context"));
        }
        let (param, with) = match (self.is_raw, has_suffix) {
            (true, true) => ("suffix", "raw"),
            (true, false) if thinks => ("think", "raw"),
            (false, true) if thinks => ("think", "suffix"),
            (false, true) if !self.system.is_empty() => ("system", "suffix"),
            _ => return Ok(()),
        };
        Err(unsupported(param, format!("{param} is not supported by this server together with {with}")))
    }
}

#[cfg(test)]
mod tests {
    use impetus_proto::Code;

    use super::*;

    fn read(body: &str) -> Result<Asked, Error> {
        Generate::read(
            &mut Fields::of_body(body.as_bytes()).unwrap(),
            None,
            body.contains(r#""think":true"#)
                .then(|| Reasoning { enabled: Some(true), ..Reasoning::default() }),
            &mut Ignored::default(),
        )
    }

    fn chat(messages: &[(&str, &str)]) -> Input {
        let messages = messages.iter().map(|(role, content)| message::of(role, content)).collect();
        Input::Chat(worker::Chat { messages, ..worker::Chat::default() })
    }

    #[test]
    fn a_prompt_is_a_message_a_text_or_a_hole() {
        let check = |body: &str, expected: Option<Input>| {
            assert_eq!(read(body).unwrap(), Asked { input: expected, template: None }, "{body}");
        };
        check(r#"{"prompt":"hi"}"#, Some(chat(&[("user", "hi")])));
        check(r#"{"prompt":"hi","system":"s"}"#, Some(chat(&[("system", "s"), ("user", "hi")])));
        check(r#"{"prompt":"hi","raw":true,"images":[]}"#, Some(Input::Text("hi".into())));
        let infill = Infill { prefix: "a".into(), suffix: "b".into(), ..Infill::default() };
        check(r#"{"prompt":"a","suffix":"b"}"#, Some(Input::Infill(infill)));
        check("{}", None);
        check(r#"{"prompt":"","system":"s"}"#, None);
        check(r#"{"prompt":"","raw":true}"#, None);
    }

    #[test]
    fn what_cannot_be_had_is_named() {
        let check = |body: &str, code: Code, param: &str| {
            let error = read(body).expect_err(body);
            assert_eq!((error.code(), error.param.as_str()), (code, param), "{body}: {error}");
        };
        let unsupported = Code::UnsupportedParameter;
        check(r#"{"prompt":7}"#, Code::InvalidRequest, "prompt");
        check(r#"{"prompt":"a","raw":true,"system":"s"}"#, Code::InvalidRequest, "system");
        check(r#"{"prompt":"a","raw":true,"template":"t"}"#, Code::InvalidRequest, "template");
        check(r#"{"prompt":"a","raw":true,"suffix":"b"}"#, unsupported, "suffix");
        check(r#"{"prompt":"a","raw":true,"think":true}"#, unsupported, "think");
        check(r#"{"prompt":"a","suffix":"b","think":true}"#, unsupported, "think");
        check(r#"{"prompt":"a","suffix":"b","system":"s"}"#, unsupported, "system");
        check(r#"{"prompt":"a","images":["aGk="]}"#, unsupported, "images");
    }
}
