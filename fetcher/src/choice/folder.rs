//! Repositories that are folders: settings, a tokenizer, and weights or a graph.

use impetus_models::{CANDLE_FORMAT, ModelName, ONNX_FORMAT};

use super::Candidate;
use crate::source::{Listing, RemoteFile};

/// What the workers of folders read besides weights.
const SETTINGS: [&str; 20] = [
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "config.json",
    "config_sentence_transformers.json",
    "genai_config.json",
    "generation_config.json",
    "merges.txt",
    "model.safetensors.index.json",
    "modules.json",
    "preprocessor_config.json",
    "pytorch_model.bin.index.json",
    "quantize_config.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
];

/// The folder of pooling settings that embedding models have.
const POOLING: &str = "1_Pooling";
/// Where exports to ONNX lie beside the weights that they were made from.
const ONNX_FOLDER: &str = "onnx";

/// The weights with what belongs to them: safetensors, or else what else there is.
pub(super) fn candle(listing: &Listing) -> Option<Candidate> {
    let has_settings = listing.files.iter().any(|file| file.path.as_str() == "config.json");
    let at_top = |extension: &str| -> Vec<RemoteFile> {
        let files = listing.files.iter().filter(|file| file.path.folder().is_empty());
        files.filter(|file| file.path.has_extension(extension)).cloned().collect()
    };
    // `consolidated` and `original` are the same weights in their makers' own layout.
    let weights =
        ["safetensors", "npz", "bin", "pth"].iter().map(|extension| at_top(extension)).map(|files| {
            let is_own = |file: &RemoteFile| {
                let name = file.path.name();
                name.starts_with("consolidated")
                    || name.starts_with("training_args")
                    || name.starts_with("optimizer")
            };
            files.into_iter().filter(|file| !is_own(file)).collect::<Vec<_>>()
        });
    let weights = weights.into_iter().find(|files| !files.is_empty())?;
    has_settings.then(|| Candidate {
        name: ModelName::from_stem(&listing.name).to_string(),
        format: CANDLE_FORMAT,
        quantization: None,
        files: weights.into_iter().chain(settings(listing)).collect(),
    })
}

/// The graph with what belongs to it: the plain one, or else the one with the shortest name.
pub(super) fn onnx(listing: &Listing) -> Vec<Candidate> {
    let is_graph = |file: &&RemoteFile| {
        file.path.has_extension("onnx") && ["", ONNX_FOLDER].contains(&file.path.folder())
    };
    let mut graphs: Vec<&RemoteFile> = listing.files.iter().filter(is_graph).collect();
    graphs
        .sort_by_key(|file| (file.path.name() != "model.onnx", file.path.as_str().len(), file.path.as_str()));
    let candidate = |graph: &&RemoteFile| {
        let beside = |file: &&RemoteFile| {
            // External data: model.onnx_data, model.onnx.data, model.onnx_data_1.
            let (path, own) = (file.path.as_str(), graph.path.as_str());
            path.strip_prefix(own).is_some_and(|rest| rest.starts_with("_data") || rest.starts_with(".data"))
        };
        let stem = graph.path.name().trim_end_matches(".onnx");
        let name = if stem == "model" { listing.name.clone() } else { format!("{}-{stem}", listing.name) };
        Candidate {
            name: ModelName::from_stem(&name).to_string(),
            format: ONNX_FORMAT,
            quantization: None,
            files: std::iter::once((*graph).clone())
                .chain(listing.files.iter().filter(beside).cloned())
                .chain(settings(listing))
                .collect(),
        }
    };
    graphs.iter().map(candidate).collect()
}

fn settings(listing: &Listing) -> impl Iterator<Item = RemoteFile> {
    let is_setting = |file: &&RemoteFile| match file.path.folder() {
        "" => SETTINGS.contains(&file.path.name()),
        POOLING => file.path.name() == "config.json",
        _ => false,
    };
    listing.files.iter().filter(is_setting).cloned()
}
