//! A folder as one GGUF file, for the families whose every part such a file can express. What it cannot is refused by
//! name: a file that is nearly the model would be worse than none.

mod family;
mod rope;
mod tensor;
#[cfg(test)]
mod tests;
mod tokenizer;
mod writer;

use std::{
    fs::File,
    io::{self, BufWriter, Write},
};

use candle_core::DType;
use impetus_runtime::{
    engine::{Conversion, ConvertError},
    huggingface::{Folder, FolderError, Pooling, chat_template},
};
use serde_json::Value as Json;

use self::{
    family::Family,
    tensor::Part,
    writer::{Element, Entry, Value},
};
use crate::{
    config::{DecoderConfig, ModelConfig},
    error::ModelError,
    option::Options,
    weights::Weights,
};

/// The version of the quantized blocks' layout that every file names.
const QUANTIZATION_VERSION: u32 = 2;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// Writes the file.
pub(crate) fn convert(conversion: &Conversion) -> Result<(), ConvertError> {
    write(conversion).map_err(|error| match error {
        ExportError::Model(error) => {
            ConvertError::Unfit { path: conversion.path.clone(), reason: error.to_string() }
        }
        ExportError::Write(source) => ConvertError::Write { path: conversion.target.clone(), source },
    })
}

fn write(conversion: &Conversion) -> Result<(), ExportError> {
    let folder = Folder::open(&conversion.path, &conversion.root).map_err(ModelError::from)?;
    let json = folder.json("config.json").map_err(ModelError::from)?;
    let json = json.ok_or(FolderError::Absent { what: "config.json" }).map_err(ModelError::from)?;
    let config = decoder(&folder, &json)?;
    let (family, width) = Family::of(&config)?;
    let weights = Weights::open(&folder, &json, Options::default())?;
    let element = element(conversion.kind.as_deref(), &config, &weights)?;
    let parts = tensor::parts(&config, family, &weights, width, element)?;
    if let Some(name) = parts.iter().filter_map(Part::needs).find(|name| !weights.has(name)) {
        return Err(ModelError::MissingTensor {
            name: name.to_owned(),
            files: "the folder's weights".into(),
        }
        .into());
    }
    let mut values = general(family, &conversion.name, element);
    values.extend(family.values(&config, width));
    values.extend(tokenizer::values(&folder, &json, config.vocabulary)?);
    let template = chat_template(&folder).map_err(ModelError::from)?;
    values.extend(template.map(|text| ("tokenizer.chat_template".to_owned(), Value::Text(text))));
    let mut out = BufWriter::with_capacity(1 << 20, File::create_new(&conversion.target)?);
    let entries: Vec<Entry> = parts.iter().map(|part| part.entry.clone()).collect();
    writer::header(&mut out, &values, &entries)?;
    for part in &parts {
        part.write(&weights, &mut out)?;
        writer::pad(&mut out, &part.entry)?;
    }
    Ok(out.flush()?)
}

fn decoder(folder: &Folder, json: &Json) -> Result<DecoderConfig, ModelError> {
    if Pooling::read(folder)?.is_some() {
        return Err(ModelError::config(
            "1_Pooling",
            "makes it a model that embeds; none of those is written",
        ));
    }
    match ModelConfig::parse(json)? {
        ModelConfig::Decoder(decoder) => Ok(decoder),
        ModelConfig::Encoder(encoder) => Err(family::refuse_family(&encoder.architecture)),
        ModelConfig::Other { architecture } => Err(family::refuse_family(&architecture)),
    }
}

/// How matrices are stored: as asked for, or else as the folder has its embeddings.
fn element(asked: Option<&str>, config: &DecoderConfig, weights: &Weights) -> Result<Element, ModelError> {
    match asked {
        Some("f32") => Ok(Element::F32),
        Some("f16") => Ok(Element::F16),
        Some("bf16") => Ok(Element::BF16),
        Some(other) => Err(ModelError::Quantization {
            method: other.to_owned(),
            instead: "the types are f32, f16, bf16",
        }),
        None => {
            let prefix = weights.prefix_of("embed_tokens.weight", &crate::decoder::PREFIXES)?;
            let name = format!("{prefix}embed_tokens.weight");
            Ok(match weights.tensor(&name, &[config.vocabulary, config.width])?.dtype() {
                DType::F16 => Element::F16,
                DType::BF16 => Element::BF16,
                _ => Element::F32,
            })
        }
    }
}

fn general(family: &Family, name: &str, element: Element) -> Vec<(String, Value)> {
    // `llama_ftype` in llama.h.
    let file_type = match element {
        Element::F32 => 0,
        Element::F16 => 1,
        Element::BF16 => 32,
    };
    [
        ("architecture", Value::Text(family.architecture.into())),
        ("type", Value::Text("model".into())),
        ("name", Value::Text(name.into())),
        ("file_type", Value::U32(file_type)),
        ("quantization_version", Value::U32(QUANTIZATION_VERSION)),
    ]
    .into_iter()
    .map(|(key, value)| (format!("general.{key}"), value))
    .collect()
}
