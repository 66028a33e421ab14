//! A GGUF file with the weights of another one in another type.

use std::{ffi::CString, fs::File, path::Path};

use impetus_runtime::engine::{Conversion, ConvertError};
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_sys_2 as llama;

use crate::log;

/// Rows that are in memory at once, in bytes; the largest tensor is there besides, once as it is and once in F32.
const BUFFER_BYTES: usize = 256 << 20;

/// Types by name, as llama.cpp numbers them.
const KINDS: [(&str, llama::llama_ftype); 17] = [
    ("f32", llama::LLAMA_FTYPE_ALL_F32),
    ("f16", llama::LLAMA_FTYPE_MOSTLY_F16),
    ("bf16", llama::LLAMA_FTYPE_MOSTLY_BF16),
    ("q8_0", llama::LLAMA_FTYPE_MOSTLY_Q8_0),
    ("q6_k", llama::LLAMA_FTYPE_MOSTLY_Q6_K),
    ("q5_k_m", llama::LLAMA_FTYPE_MOSTLY_Q5_K_M),
    ("q5_k_s", llama::LLAMA_FTYPE_MOSTLY_Q5_K_S),
    ("q5_1", llama::LLAMA_FTYPE_MOSTLY_Q5_1),
    ("q5_0", llama::LLAMA_FTYPE_MOSTLY_Q5_0),
    ("q4_k_m", llama::LLAMA_FTYPE_MOSTLY_Q4_K_M),
    ("q4_k_s", llama::LLAMA_FTYPE_MOSTLY_Q4_K_S),
    ("q4_1", llama::LLAMA_FTYPE_MOSTLY_Q4_1),
    ("q4_0", llama::LLAMA_FTYPE_MOSTLY_Q4_0),
    ("q3_k_l", llama::LLAMA_FTYPE_MOSTLY_Q3_K_L),
    ("q3_k_m", llama::LLAMA_FTYPE_MOSTLY_Q3_K_M),
    ("q3_k_s", llama::LLAMA_FTYPE_MOSTLY_Q3_K_S),
    ("q2_k", llama::LLAMA_FTYPE_MOSTLY_Q2_K),
];

/// Has llama.cpp write the file.
pub(crate) fn convert(conversion: &Conversion) -> Result<(), ConvertError> {
    log::install();
    let unfit = |reason: String| ConvertError::Unfit { path: conversion.path.clone(), reason };
    let asked = conversion.kind.as_deref().unwrap_or_default();
    let (_, kind) = KINDS.iter().find(|(name, _)| *name == asked).ok_or_else(|| {
        unfit(format!("there is no type {asked:?}; there are {}", KINDS.map(|(name, _)| name).join(", ")))
    })?;
    // What the library says of files that cannot be opened is less clear.
    File::open(&conversion.path).map_err(|error| unfit(error.to_string()))?;
    let written = |source| ConvertError::Write { path: conversion.target.clone(), source };
    drop(File::create_new(&conversion.target).map_err(written)?);
    let _library = LlamaBackend::init().map_err(|error| unfit(error.to_string()))?;
    let [from, to] = [&conversion.path, &conversion.target].map(|path| text(path));
    let (from, to) = (from.map_err(unfit)?, to.map_err(unfit)?);
    // SAFETY: it has no preconditions.
    let mut params = unsafe { llama::llama_model_quantize_default_params() };
    params.nthread = conversion.threads as i32;
    params.ftype = *kind;
    // Whoever asks for it has been told that it costs accuracy.
    params.allow_requantize = true;
    params.max_buf_size = BUFFER_BYTES;
    // SAFETY: both names are NUL-terminated and outlive the call, as do the parameters, whose other pointers are null.
    let failed = unsafe { llama::llama_model_quantize(from.as_ptr(), to.as_ptr(), &raw const params) };
    if failed == 0 {
        return Ok(());
    }
    Err(unfit(log::last_errors().unwrap_or_else(|| "llama.cpp does not say why; see the log".into())))
}

fn text(path: &Path) -> Result<CString, String> {
    let text = path.to_str().ok_or("its path is not UTF-8")?;
    CString::new(text).map_err(|error| error.to_string())
}
