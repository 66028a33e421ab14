//! The chat template of a Hugging Face folder, which may lie in any of three places.

use serde_json::Value;

use super::{Folder, FolderError};

/// The chat template's source, where there is one: from its own file, or from the tokenizer's settings.
pub fn chat_template(folder: &Folder) -> Result<Option<String>, FolderError> {
    if let Some(text) = folder.text("chat_template.jinja")? {
        return Ok(Some(text));
    }
    for file in ["chat_template.json", "tokenizer_config.json"] {
        if let Some(template) =
            folder.json(file)?.as_ref().and_then(|config| choose(&config["chat_template"]))
        {
            return Ok(Some(template.to_owned()));
        }
    }
    Ok(None)
}

/// One template, or the default one, or the first, of a list of named ones.
fn choose(value: &Value) -> Option<&str> {
    let Some(list) = value.as_array() else { return value.as_str() };
    let default = list.iter().find(|named| named["name"] == "default");
    default.or(list.first())?["template"].as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_found_wherever_it_is() {
        let check = |files: &[(&str, &str)], expected: Option<&str>| {
            let place = tempfile::tempdir().unwrap();
            for (name, text) in files {
                std::fs::write(place.path().join(name), text).unwrap();
            }
            let found = chat_template(&Folder::open(place.path(), place.path()).unwrap()).unwrap();
            assert_eq!(found.as_deref(), expected, "{files:?}");
        };
        let config = ("tokenizer_config.json", r#"{"chat_template": "c"}"#);
        check(&[], None);
        check(&[config], Some("c"));
        check(&[config, ("chat_template.jinja", "j")], Some("j"));
        check(&[config, ("chat_template.json", r#"{"chat_template": "o"}"#)], Some("o"));
        let named = r#"{"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]}"#;
        check(&[("tokenizer_config.json", named)], Some("d"));
        check(&[("tokenizer_config.json", r#"{"chat_template": null}"#)], None);
    }
}
