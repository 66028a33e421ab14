//! Reading a folder's files of settings, each up to a limit.

use std::{
    io::{BufReader, Read},
    sync::Arc,
};

use super::{CONFIG, Folder, FoundFile, GENAI_CONFIG, ONNX_FOLDER};
use crate::{broken::FolderProblem, metadata::Config, settings::Settings};

/// Bytes of a JSON file of settings.
const JSON_BYTES: u64 = 16 << 20;
/// Bytes of a chat template.
const TEMPLATE_BYTES: u64 = 1 << 20;
/// What only folders of sentence-transformers have.
const POOLING: [&str; 2] = ["modules.json", "1_Pooling/config.json"];

/// All settings of a folder.
pub(super) fn read(folder: &Folder) -> Result<Config, FolderProblem> {
    let genai = match folder.file(GENAI_CONFIG) {
        Some(_) => GENAI_CONFIG.to_owned(),
        None => format!("{ONNX_FOLDER}/{GENAI_CONFIG}"),
    };
    Ok(Config {
        model: object(folder, CONFIG, &Config::KEYS)?,
        genai: object(folder, &genai, &Config::KEYS)?,
        tokenizer: object(folder, "tokenizer_config.json", &Config::TOKENIZER_KEYS)?,
        sentence: object(folder, "sentence_bert_config.json", &Config::SENTENCE_KEYS)?,
        template: template(folder, "chat_template.jinja")?,
        templates: object(folder, "chat_template.json", &Config::TOKENIZER_KEYS)?,
        pools: POOLING.iter().any(|name| folder.file(name).is_some()),
    })
}

/// A reader of one file that has at most `limit` bytes.
pub(super) fn bounded(
    folder: &Folder,
    file: &FoundFile,
    limit: u64,
) -> Result<impl Read + use<>, FolderProblem> {
    let bytes = file.metadata.len();
    if bytes > limit {
        return Err(FolderProblem::TooLarge { file: folder.name_of(&file.path), bytes, limit });
    }
    Ok(folder.open(file)?.take(limit))
}

/// What JSON says that cannot be read or is none.
pub(super) fn damaged(folder: &Folder, file: &FoundFile, source: serde_json::Error) -> FolderProblem {
    if source.is_io() {
        return folder.unread(file, source.into());
    }
    FolderProblem::Json { file: folder.name_of(&file.path), source: Arc::new(source) }
}

fn object(folder: &Folder, name: &str, keys: &[&str]) -> Result<Settings, FolderProblem> {
    let Some(file) = folder.file(name) else {
        return if folder.leads_out(&folder.path.join(name)) {
            Err(FolderProblem::OutsideLink { file: name.to_owned() })
        } else {
            Ok(Settings::default())
        };
    };
    let reader = BufReader::new(bounded(folder, file, JSON_BYTES)?);
    Settings::read(reader, keys).map_err(|source| damaged(folder, file, source))
}

fn template(folder: &Folder, name: &str) -> Result<Option<String>, FolderProblem> {
    let Some(file) = folder.file(name) else { return Ok(None) };
    let mut bytes = Vec::new();
    let read = bounded(folder, file, TEMPLATE_BYTES)?.read_to_end(&mut bytes);
    read.map_err(|source| folder.unread(file, source))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}
