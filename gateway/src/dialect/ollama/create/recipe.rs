//! What a request to make a model says, by fields or by a Modelfile.

use impetus_proto::{Code, Error};
use serde_json::{Map, Value, value::RawValue};

use crate::dialect::{
    field::{Fields, elements, kind, wrong_type},
    ollama::{
        blob::Digest,
        modelfile::{Modelfile, ROLES},
        parameter,
    },
};

/// The most files of one model.
const MAX_FILES: usize = 1000;

/// The most texts in one field.
const MAX_TEXTS: usize = 1000;

/// What is not done, and why; a request that asks for it is refused.
const REFUSED: [(&str, &str); 7] = [
    ("adapters", "this server applies no adapters; merge them into the model first"),
    ("path", "it is a path of the client's machine; send the text as modelfile, and files as blobs"),
    ("renderer", "prompts are made by the template in the model's own file"),
    ("parser", "answers are taken apart as the model's own template tells"),
    ("requires", "it names a version of another server"),
    ("remote_host", "this server passes requests on to no other one"),
    ("info", "what a model is, its own file says"),
];

/// What is to be made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recipe {
    pub(super) name: String,
    pub(super) source: Source,
    /// Without its FROM.
    pub(super) modelfile: Modelfile,
    /// The type that the weights are to have.
    pub(super) quantize: Option<String>,
    pub(super) is_streamed: bool,
}

/// Of what.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    Model(String),
    /// Names of files within the model's folder, and the blobs that they are.
    Files(Vec<(String, Digest)>),
}

impl Recipe {
    /// Takes everything that this request may say.
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let name = match fields.text("model")? {
            Some(name) => Some(name),
            None => fields.text("name")?,
        };
        let name = name.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| {
            Error::invalid("model", "model is missing; it is the name that the new one is to have")
        })?;
        for (field, why) in REFUSED {
            refuse(fields, field, why)?;
        }
        let is_streamed = fields.flag("stream")?.unwrap_or(true);
        let quantize = match said(fields, "quantize")? {
            Some(quantize) => Some(quantize),
            None => said(fields, "quantization")?,
        };
        let files = files(fields)?;
        let mut modelfile = of_fields(fields)?;
        if let Some(text) = said(fields, "modelfile")? {
            if modelfile != Modelfile::default() {
                let message = "a modelfile says everything; leave out from, template, license, system, parameters and \
                               messages, or the modelfile";
                return Err(Error::invalid("modelfile", message));
            }
            modelfile =
                Modelfile::read(&text).map_err(|error| Error::invalid("modelfile", error.to_string()))?;
            if !files.is_empty() && modelfile.from.as_deref().is_some_and(is_path) {
                // It says where the client had the files that came.
                modelfile.from = None;
            }
        }
        let source = source(&name, modelfile.from.take(), files)?;
        Ok(Self { name, source, modelfile, quantize, is_streamed })
    }
}

/// A text that is not empty.
fn said(fields: &mut Fields<'_>, name: &str) -> Result<Option<String>, Error> {
    Ok(fields.text(name)?.filter(|text| !text.is_empty()))
}

/// Refuses a field that says anything.
fn refuse(fields: &mut Fields<'_>, name: &str, why: &str) -> Result<(), Error> {
    match fields.raw(name).map(RawValue::get) {
        None | Some("\"\"" | "[]" | "{}") => Ok(()),
        Some(_) => {
            let message = format!("{name} is not supported: {why}; leave it out");
            Err(Error::new(Code::UnsupportedParameter, message).with_param(name))
        }
    }
}

fn of_fields(fields: &mut Fields<'_>) -> Result<Modelfile, Error> {
    let options: Map<String, Value> = fields.take("parameters", "an object")?.unwrap_or_default();
    parameter::check(&options)?;
    Ok(Modelfile {
        from: said(fields, "from")?,
        system: said(fields, "system")?,
        template: said(fields, "template")?,
        messages: messages(fields)?,
        license: licenses(fields)?,
        options,
    })
}

fn licenses(fields: &mut Fields<'_>) -> Result<Vec<String>, Error> {
    const EXPECTED: &str = "a string or an array of strings";
    let Some(value) = fields.raw("license") else { return Ok(Vec::new()) };
    let texts = match kind(value) {
        "a string" => vec![value],
        _ => elements(value, "license", EXPECTED, MAX_TEXTS)?,
    };
    let read =
        |text: &RawValue| serde_json::from_str(text.get()).map_err(|_| wrong_type("license", EXPECTED, text));
    let texts: Vec<String> = texts.into_iter().map(read).collect::<Result<_, _>>()?;
    Ok(texts.into_iter().filter(|text| !text.is_empty()).collect())
}

fn messages(fields: &mut Fields<'_>) -> Result<Vec<(String, String)>, Error> {
    let messages = fields.array("messages", "an array of messages", MAX_TEXTS)?.unwrap_or_default();
    let read = |(index, message): (usize, &RawValue)| {
        let mut fields = Fields::of(message, format!("messages[{index}]"))?;
        let role = fields.word("role", &ROLES)?;
        let content = fields.text("content")?;
        let (Some(role), Some(content)) = (role, content) else {
            let message = format!("messages[{index}] needs a role and a content");
            return Err(Error::invalid(format!("messages[{index}]"), message));
        };
        for field in ["images", "tool_calls", "thinking", "tool_name"] {
            refuse(&mut fields, field, "what comes before a request is text")?;
        }
        Ok((role.to_owned(), content))
    };
    messages.into_iter().enumerate().map(read).collect()
}

fn files(fields: &mut Fields<'_>) -> Result<Vec<(String, Digest)>, Error> {
    let files: Map<String, Value> =
        fields.take("files", "an object of file names and digests")?.unwrap_or_default();
    if files.len() > MAX_FILES {
        return Err(Error::invalid("files", format!("a model has at most {MAX_FILES} files")));
    }
    let read = |(name, digest): (String, Value)| {
        let digest = digest.as_str().and_then(Digest::read);
        let digest = digest.ok_or_else(|| {
            Error::invalid(
                "files",
                format!("files[{name:?}] must be the digest of a blob: sha256: and 64 hexadecimal digits"),
            )
        })?;
        Ok((name, digest))
    };
    files.into_iter().map(read).collect()
}

fn source(name: &str, from: Option<String>, files: Vec<(String, Digest)>) -> Result<Source, Error> {
    let Some(from) = from else {
        if files.is_empty() {
            let message =
                "from is missing: the model that the new one is made of, or files that were sent as blobs";
            return Err(Error::invalid("from", message));
        }
        return Ok(Source::Files(files));
    };
    if !files.is_empty() {
        return Err(Error::invalid(
            "files",
            "a model is made from another one or of files; leave out from or files",
        ));
    }
    if let Some(digest) = Digest::read(from.strip_prefix('@').unwrap_or(&from)) {
        let file = name.rsplit('/').next().unwrap_or(name).replace(':', "-");
        return Ok(Source::Files(vec![(format!("{file}.gguf"), digest)]));
    }
    if is_path(&from) {
        let message = format!(
            "{from:?} is a path of the client's machine, which this server does not read; send the file as a blob and name \
             that (`impetus create` does both)"
        );
        return Err(Error::invalid("from", message));
    }
    Ok(Source::Model(from))
}

/// Whether it is a file or folder of the client's, and no model.
fn is_path(from: &str) -> bool {
    from.starts_with(['/', '.', '~']) || from.contains('\\') || from.to_ascii_lowercase().ends_with(".gguf")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn read(body: &Value) -> Result<Recipe, Error> {
        Recipe::read(&mut Fields::of_body(body.to_string().as_bytes())?)
    }

    #[test]
    fn fields_and_a_modelfile_say_the_same() {
        let by_fields = read(&json!({
            "model": "mario", "from": "tiny", "system": "You are Mario.", "license": "MIT", "stream": false,
            "parameters": {"temperature": 0.5, "stop": ["a"]}, "messages": [{"role": "user", "content": "hi"}],
        }));
        let modelfile = "FROM tiny\nSYSTEM You are Mario.\nLICENSE MIT\nPARAMETER temperature 0.5\nPARAMETER stop a\n\
                         MESSAGE user hi";
        let by_text = read(&json!({"name": "mario", "modelfile": modelfile, "stream": false}));
        assert_eq!(by_fields.unwrap(), by_text.unwrap());
    }

    #[test]
    fn a_model_is_made_of_another_one_or_of_files() {
        let check =
            |body: Value, expected: Source| assert_eq!(read(&body).unwrap().source, expected, "{body}");
        let digest = Digest::read(DIGEST).unwrap();
        let model = || Source::Model("tiny:latest".into());
        check(json!({"model": "m", "from": "tiny:latest"}), model());
        check(
            json!({"model": "m", "from": "tiny:latest", "files": {}, "adapters": {}, "template": ""}),
            model(),
        );
        check(
            json!({"model": "m", "files": {"a.gguf": DIGEST}}),
            Source::Files(vec![("a.gguf".into(), digest)]),
        );
        let sent = json!({"model": "m", "modelfile": "FROM ./w/a.gguf", "files": {"a.gguf": DIGEST}});
        check(sent, Source::Files(vec![("a.gguf".into(), digest)]));
        for from in [format!("FROM @{DIGEST}"), format!("FROM {}", DIGEST.replace(':', "-"))] {
            let expected = Source::Files(vec![("m-1b.gguf".into(), digest)]);
            check(json!({"model": "me/m:1b", "modelfile": from}), expected);
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_name() {
        let check = |body: Value, param: &str, expected: &str| {
            let error = read(&body).expect_err(&body.to_string());
            assert_eq!(error.param, param, "{body}: {error}");
            assert!(error.message.contains(expected), "{body}: {error}");
        };
        check(json!({"from": "a"}), "model", "missing");
        check(json!({"model": "", "from": "a"}), "model", "missing");
        check(json!({"model": "m"}), "from", "missing");
        check(json!({"model": "m", "from": "./a.gguf"}), "from", "a path of the client's machine");
        check(json!({"model": "m", "from": "a.gguf"}), "from", "a path of the client's machine");
        check(json!({"model": "m", "from": "a", "files": {"b": DIGEST}}), "files", "leave out from or files");
        check(json!({"model": "m", "files": {"b": "sha256:12"}}), "files", "the digest of a blob");
        check(json!({"model": "m", "files": {"b": 7}}), "files", "the digest of a blob");
        check(
            json!({"model": "m", "from": "a", "adapters": {"l": DIGEST}}),
            "adapters",
            "applies no adapters",
        );
        check(json!({"model": "m", "path": "/x/Modelfile"}), "path", "is not supported");
        check(json!({"model": "m", "from": "a", "remote_host": "h"}), "remote_host", "is not supported");
        check(
            json!({"model": "m", "from": "a", "parameters": {"warmth": 1}}),
            "parameters",
            "no parameter \"warmth\"",
        );
        check(json!({"model": "m", "from": "a", "license": 7}), "license", "a string or an array");
        check(json!({"model": "m", "from": "a", "license": [7]}), "license", "a string or an array");
        check(
            json!({"model": "m", "from": "a", "messages": [{"role": "tool", "content": ""}]}),
            "messages[0].role",
            "one of",
        );
        check(
            json!({"model": "m", "from": "a", "messages": [{"role": "user"}]}),
            "messages[0]",
            "needs a role",
        );
        let images = json!([{"role": "user", "content": "x", "images": ["AA"]}]);
        check(json!({"model": "m", "from": "a", "messages": images}), "images", "not supported");
        check(json!({"model": "m", "modelfile": "FROM a", "system": "x"}), "modelfile", "says everything");
        check(
            json!({"model": "m", "modelfile": "FROM a", "files": {"b": DIGEST}}),
            "files",
            "leave out from or files",
        );
        check(json!({"model": "m", "modelfile": "FORM a"}), "modelfile", "line 1");
        check(
            json!({"model": "m", "modelfile": "FROM a\nPARAMETER top_p 2"}),
            "modelfile",
            "line 2 of the Modelfile: top_p must be a number between 0 and 1",
        );
        check(
            json!({"model": "m", "from": "a", "parameters": {"top_p": 2}}),
            "parameters.top_p",
            "top_p must be a number between 0 and 1",
        );
        check(json!({"model": "m", "from": "a", "parameters": {"tfs_z": 0.5}}), "parameters.tfs_z", "tfs_z");
    }
}
