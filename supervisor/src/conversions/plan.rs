//! What a conversion consists of, decided from what is known of the model before any of its files is opened.

use std::path::PathBuf;

use impetus_models::{CANDLE_FORMAT, GGUF_FORMAT, Model, ModelName};
use impetus_proto::{Code, Error};

/// Types with about how many bits an element of a matrix takes in each, the exact ones first. Embeddings and some others
/// may take more.
const KINDS: [(&str, f64); 17] = [
    ("f32", 32.0),
    ("f16", 16.0),
    ("bf16", 16.0),
    ("q8_0", 8.5),
    ("q6_k", 6.6),
    ("q5_k_m", 5.7),
    ("q5_k_s", 5.5),
    ("q5_1", 6.0),
    ("q5_0", 5.5),
    ("q4_k_m", 4.9),
    ("q4_k_s", 4.6),
    ("q4_1", 5.0),
    ("q4_0", 4.6),
    ("q3_k_l", 4.3),
    ("q3_k_m", 4.0),
    ("q3_k_s", 3.5),
    ("q2_k", 3.3),
];

/// Those that a folder is written in without a second step.
const PLAIN: [&str; 3] = ["f32", "f16", "bf16"];

/// How much more than computed a file may take.
const SLACK: f64 = 1.1;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// A name or alias.
    pub model: String,
    /// The type of the weights.
    pub kind: String,
    /// The name that the result is to have; absent: the model's with the type.
    pub name: Option<ModelName>,
}

/// What will be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The model that is converted, by name.
    pub model: String,
    /// What the result will be called.
    pub name: ModelName,
    /// Its type.
    pub kind: &'static str,
    /// The format of the model.
    pub format: String,
    /// The type that the model has; empty: its files do not tell.
    pub source_kind: String,
    /// What it is read from.
    pub path: PathBuf,
    /// What no file of it lies outside of.
    pub root: PathBuf,
    /// The processes, in order.
    pub steps: Vec<Step>,
    /// What has to be free on the disk meanwhile, about; 0: not known.
    pub disk_bytes: u64,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Whose worker it is.
    pub format: &'static str,
    /// The type that it writes; absent: as the model has its weights.
    pub kind: Option<&'static str>,
    /// What it writes, about; 0: not known.
    pub bytes: u64,
}

impl Plan {
    /// The steps from `model` to what is wanted.
    pub(super) fn new(model: &Model, wanted: &Wanted) -> Result<Self, Error> {
        let Some((kind, bits)) = KINDS.iter().find(|(kind, _)| *kind == wanted.kind) else {
            let known = KINDS.map(|(kind, _)| kind).join(", ");
            return Err(Error::invalid(
                "type",
                format!("there is no type {:?}; there are {known}", wanted.kind),
            ));
        };
        let name = match &wanted.name {
            Some(name) => name.clone(),
            None => ModelName::new(&format!("{}-{}", model.name, kind.to_uppercase()))
                .map_err(|error| Error::invalid("name", error.to_string()))?,
        };
        let metadata = model.metadata();
        let parameters = metadata.map_or(0, |metadata| metadata.parameters);
        let source_kind = metadata.map(|metadata| metadata.quantization.clone()).unwrap_or_default();
        let bytes = (parameters as f64 * bits / 8.0 * SLACK) as u64;
        let last = |format| Step { format, kind: Some(kind), bytes };
        let steps = match model.format.as_str() {
            GGUF_FORMAT => vec![last(GGUF_FORMAT)],
            CANDLE_FORMAT if PLAIN.contains(kind) => vec![last(CANDLE_FORMAT)],
            CANDLE_FORMAT => {
                let own = if source_kind == "F32" { 4 } else { 2 };
                let first = Step { format: CANDLE_FORMAT, kind: None, bytes: parameters.saturating_mul(own) };
                vec![first, last(GGUF_FORMAT)]
            }
            other => {
                let message = format!(
                    "models of the format {other} cannot be converted; convert the safetensors, PyTorch, MLX or GGUF \
                     form of {}",
                    model.name
                );
                return Err(Error::new(Code::Unprocessable, message).with_param("model"));
            }
        };
        let exact = ["F32", "F16", "BF16", ""];
        let mut notes = Vec::new();
        if !exact.contains(&source_kind.as_str()) {
            notes.push(format!(
                "its weights are rounded already ({source_kind}); made of an unquantized one it would be better"
            ));
        }
        Ok(Self {
            model: model.name.to_string(),
            name,
            kind,
            format: model.format.clone(),
            source_kind,
            path: model.path.clone(),
            root: model.root.clone(),
            disk_bytes: steps.iter().map(|step| step.bytes).fold(0, u64::saturating_add),
            steps,
            notes,
        })
    }
}
