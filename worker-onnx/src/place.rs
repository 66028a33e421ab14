//! Where the graph, the tokenizer and the settings of an export lie.

use std::path::Path;

use impetus_runtime::huggingface::{Folder, FolderError};
use serde_json::Value;

use crate::error::ModelError;

/// The folder that exports put their graphs into, beside the other files.
const GRAPHS: &str = "onnx";
const GENAI: &str = "genai_config.json";
const FIRST: &str = "decoder_model.onnx";
const NEXT: &str = "decoder_with_past_model.onnx";
/// Names that say what is in them, the best first.
const NAMES: [&str; 4] = ["model.onnx", "decoder_model_merged.onnx", NEXT, FIRST];

/// The parts of an export.
#[derive(Debug)]
pub(crate) struct Place {
    /// The folder of the graphs and their weights.
    pub(crate) graphs: Folder,
    /// The folder of the tokenizer and the settings.
    pub(crate) files: Folder,
    /// The graph that is run, and, where there are two, for what follows a prompt.
    pub(crate) graph: String,
    /// The graph for prompts, where there are two.
    pub(crate) first: Option<String>,
    /// What `genai_config.json` says.
    pub(crate) genai: Option<Value>,
}

impl Place {
    /// Finds the parts of the export at `path`, which is its graph or its folder.
    pub(crate) fn find(path: &Path, root: &Path) -> Result<Self, ModelError> {
        let mut graphs = Folder::open(path, root)?;
        let asked = path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_file());
        let mut chosen = match asked {
            Some(name) => Some(name.to_owned()),
            None => choose(&graphs)?,
        };
        if chosen.is_none() && graphs.path().join(GRAPHS).is_dir() {
            graphs = Folder::open(&graphs.path().join(GRAPHS), root)?;
            chosen = choose(&graphs)?;
        }
        let chosen = chosen.ok_or_else(|| ModelError::NoGraph { looked_for: NAMES.join(", ") })?;
        graphs.require(&chosen)?;
        let has_pair = graphs.find(FIRST)?.is_some() && graphs.find(NEXT)?.is_some();
        let is_pair = has_pair && (chosen == FIRST || chosen == NEXT);
        let (graph, first) = if is_pair { (NEXT.to_owned(), Some(FIRST.to_owned())) } else { (chosen, None) };
        let genai = genai(&graphs)?;
        let files = match graphs.parent() {
            Some(parent) if is_apart(&graphs)? => parent,
            _ => Folder::open(graphs.path(), root)?,
        };
        Ok(Self { graphs, files, graph, first, genai })
    }
}

/// The graph of a folder: the one that genai_config.json names, one with a known name, or the only one.
fn choose(folder: &Folder) -> Result<Option<String>, ModelError> {
    let genai = genai(folder)?;
    let named = genai.as_ref().and_then(|genai| genai["model"]["decoder"]["filename"].as_str());
    if let Some(name) = named {
        // Weights lie beside their graph, and are looked for in this folder.
        let is_beside = Path::new(name).components().count() == 1;
        let elsewhere = || ModelError::damaged(GENAI, format!("the graph `{name}` is in another folder"));
        return if is_beside { Ok(Some(name.to_owned())) } else { Err(elsewhere()) };
    }
    for name in NAMES {
        if folder.find(name)?.is_some() {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(match folder.with_extension("onnx")?.as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    })
}

fn genai(folder: &Folder) -> Result<Option<Value>, FolderError> {
    folder.json(GENAI)
}

/// Whether the folder holds graphs alone, the other files lying in the one that it is in.
fn is_apart(folder: &Folder) -> Result<bool, FolderError> {
    let is_named = folder.path().file_name().is_some_and(|name| name == GRAPHS);
    Ok(is_named && folder.find("tokenizer.json")?.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(files: &[&str], asked: &str) -> Result<Place, ModelError> {
        let place = tempfile::tempdir().unwrap();
        for name in files {
            let path = place.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let genai = r#"{"model": {"decoder": {"filename": "llm.onnx"}}}"#;
            std::fs::write(path, if name.ends_with("genai_config.json") { genai } else { "" }).unwrap();
        }
        Place::find(&place.path().join(asked), place.path())
    }

    #[test]
    fn the_graph_is_found() {
        let check = |files: &[&str], asked: &str, expected: (Option<&str>, &str)| {
            let found = find(files, asked).unwrap();
            assert_eq!((found.first.as_deref(), found.graph.as_str()), expected, "{files:?}");
        };
        check(&["a.onnx", "b.onnx"], "b.onnx", (None, "b.onnx"));
        check(&["a.onnx"], "", (None, "a.onnx"));
        check(&["a.onnx", "model.onnx"], "", (None, "model.onnx"));
        check(&["model.onnx", "llm.onnx", "genai_config.json"], "", (None, "llm.onnx"));
        check(&["onnx/model.onnx"], "", (None, "model.onnx"));
        check(&[FIRST, NEXT], "", (Some(FIRST), NEXT));
        check(&[FIRST, NEXT], FIRST, (Some(FIRST), NEXT));
        check(&[FIRST, NEXT, "decoder_model_merged.onnx"], "", (None, "decoder_model_merged.onnx"));
        check(&[NEXT], "", (None, NEXT));
    }

    #[test]
    fn a_folder_without_a_graph_is_told_what_would_be_one() {
        let check = |files: &[&str], expected: &str| {
            let error = find(files, "").expect_err("there is no graph").to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&["tokenizer.json"], "model.onnx, decoder_model_merged.onnx");
        check(&["a.onnx", "b.onnx"], "has no graph");
        check(&["genai_config.json"], "llm.onnx");
    }

    #[test]
    fn the_tokenizer_lies_beside_the_graph_or_above_its_folder() {
        let check = |files: &[&str], asked: &str, above: bool| {
            let found = find(files, asked).unwrap();
            assert_eq!(found.files.path() != found.graphs.path(), above, "{files:?}");
        };
        check(&["onnx/model.onnx", "tokenizer.json"], "onnx/model.onnx", true);
        check(&["onnx/model.onnx", "onnx/tokenizer.json"], "onnx/model.onnx", false);
        check(&["other/model.onnx", "tokenizer.json"], "other/model.onnx", false);
        check(&["model.onnx", "tokenizer.json"], "", false);
    }
}
