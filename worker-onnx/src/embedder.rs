//! Embedding models: a batch padded on the right goes in, hidden states or finished vectors come out.

use half::{bf16, f16};
use impetus_runtime::{
    engine::{EmbeddingEngine, EmbeddingLimits, SlotId, StepError, TokenId, Vectors},
    huggingface::{Pooling, PoolingMode},
};
use ort::{
    session::SessionInputValue,
    value::{DynValue, TensorElementType},
};

use crate::{
    error::{ModelError, words},
    graph::{FLOATS, Graph, INTEGERS},
};

/// Tokens of one call, padding included.
const TOKENS_PER_STEP: u32 = 8192;
/// Inputs of one call.
const INPUTS_PER_STEP: u32 = 64;

/// Outputs with one vector for each input.
const FINISHED: &str = "sentence_embedding";
/// Outputs with one vector for each token.
const HIDDEN: [&str; 2] = ["last_hidden_state", "token_embeddings"];

/// A graph that embeds.
pub(crate) struct Embedder {
    graph: Graph,
    /// For each input what it is for.
    roles: Vec<Role>,
    output: String,
    is_finished: bool,
    pooling: Pooling,
    limits: EmbeddingLimits,
}

/// What an input is for; all are `[inputs, tokens]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Tokens,
    Mask,
    TokenTypes,
    /// From the given place on.
    Positions(u32),
}

/// How an embedder is set up.
pub(crate) struct Setup {
    /// What the files say of pooling, if anything.
    pub(crate) pooling: Option<Pooling>,
    /// What the user says of it.
    pub(crate) mode: Option<PoolingMode>,
    /// Tokens of one input.
    pub(crate) context_tokens: u32,
    /// Positions that no token can have.
    pub(crate) skipped_positions: u32,
    pub(crate) vocabulary: u32,
}

impl Embedder {
    /// Whether `graph` gives vectors and not logits.
    pub(crate) fn is_for(graph: &Graph) -> bool {
        let gives = |name: &str| graph.outputs.iter().any(|port| port.name == name);
        !gives("logits") && (gives(FINISHED) || HIDDEN.iter().any(|name| gives(name)))
    }

    /// Wires the graph and tries it out.
    pub(crate) fn new(graph: Graph, setup: &Setup) -> Result<Self, ModelError> {
        let roles = roles(&graph, setup.skipped_positions)?;
        let gives = |name: &str| graph.outputs.iter().find(|port| port.name == name);
        // Whoever says how to pool wants that done.
        let hidden = HIDDEN.iter().find_map(|name| gives(name));
        let finished = gives(FINISHED).filter(|_| setup.mode.is_none() || hidden.is_none());
        let output = finished.or(hidden).ok_or_else(|| no_output(&graph))?;
        output.expect(&graph.file, &FLOATS, if finished.is_some() { 2 } else { 3 })?;
        let pooling = match (finished, setup.pooling) {
            // A vector is its own pool; it is scaled where the files say so.
            (Some(_), said) => {
                let normalise = said.is_some_and(|pooling| pooling.normalise);
                Pooling { mode: PoolingMode::Cls, normalise, max_tokens: None }
            }
            (None, said) => {
                let said = said.unwrap_or_default();
                Pooling { mode: setup.mode.unwrap_or(said.mode), ..said }
            }
        };
        let limits = EmbeddingLimits {
            context_tokens: setup.context_tokens,
            tokens_per_step: TOKENS_PER_STEP.max(setup.context_tokens),
            inputs_per_step: INPUTS_PER_STEP,
            padded: true,
            dimensions: 0,
            vocabulary: setup.vocabulary,
        };
        let is_finished = finished.is_some();
        let output = output.name.clone();
        let mut embedder = Self { graph, roles, output, is_finished, pooling, limits };
        embedder.measure()?;
        Ok(embedder)
    }

    /// Bytes of all weights.
    pub(crate) fn bytes(&self) -> u64 {
        self.graph.scan.bytes
    }

    /// Finds out how long vectors are.
    fn measure(&mut self) -> Result<(), ModelError> {
        let result = self.run(&[&[TokenId(0), TokenId(0)], &[TokenId(0)]]);
        let refused = |words| ModelError::Library {
            file: self.graph.file.clone(),
            what: "could not be computed",
            words,
        };
        let (_, dimensions) = result.map_err(refused)?;
        self.limits.dimensions = dimensions as u32;
        Ok(())
    }

    /// The output for `inputs`: vectors, or hidden states of as many tokens as the longest has; and their width.
    fn run(&mut self, inputs: &[&[TokenId]]) -> Result<(Vec<f32>, usize), String> {
        let longest = inputs.iter().map(|input| input.len()).max().unwrap_or(0);
        let values = self.values(inputs, longest).map_err(|error| words(&error))?;
        let names = self.graph.inputs.iter().map(|port| port.name.as_str());
        let inputs_by_name: Vec<(&str, SessionInputValue)> = names.zip(values).collect();
        let mut outputs = self.graph.session.run(inputs_by_name).map_err(|error| words(&error))?;
        let output = outputs.remove(&self.output).ok_or_else(|| format!("it gave no `{}`", self.output))?;
        let shape: Vec<i64> = output.dtype().tensor_shape().map(|shape| shape.to_vec()).unwrap_or_default();
        let (n_inputs, n_tokens) = (inputs.len() as i64, longest as i64);
        let width = match shape[..] {
            [rows, width] if self.is_finished && rows == n_inputs => width,
            [rows, tokens, width] if !self.is_finished && rows == n_inputs && tokens == n_tokens => width,
            _ => 0,
        };
        if width <= 0 {
            return Err(format!("`{}` of {n_inputs} inputs has the shape {shape:?}", self.output));
        }
        Ok((floats(&output).map_err(|error| words(&error))?, width as usize))
    }

    /// The graph's inputs, each padded to `longest` tokens.
    fn values(&self, inputs: &[&[TokenId]], longest: usize) -> ort::Result<Vec<SessionInputValue<'static>>> {
        let padded = |number: &dyn Fn(&[TokenId], usize) -> i64| -> Vec<i64> {
            let row = |input: &&[TokenId]| (0..longest).map(|at| number(input, at)).collect::<Vec<_>>();
            inputs.iter().flat_map(row).collect()
        };
        let value = |(port, role): (&crate::graph::Port, &Role)| {
            let numbers = match *role {
                Role::Tokens => padded(&|input, at| input.get(at).map_or(0, |token| i64::from(token.0))),
                Role::Mask => padded(&|input, at| i64::from(at < input.len())),
                Role::TokenTypes => padded(&|_, _| 0),
                Role::Positions(first) => {
                    padded(&|input, at| i64::from(first) + at.min(input.len().saturating_sub(1)) as i64)
                }
            };
            port.integers(vec![inputs.len(), longest], numbers).map(SessionInputValue::from)
        };
        self.graph.inputs.iter().zip(&self.roles).map(value).collect()
    }
}

impl EmbeddingEngine for Embedder {
    fn limits(&self) -> EmbeddingLimits {
        self.limits
    }

    fn embed(&mut self, inputs: &[&[TokenId]], vectors: &mut Vectors) -> Result<(), StepError> {
        let rejected = |reason| StepError::Rejected { slots: Vec::<SlotId>::new(), reason };
        let unknown = inputs.iter().copied().flatten().find(|token| token.0 >= self.limits.vocabulary);
        if let Some(token) = unknown {
            return Err(rejected(format!("token {} is not of the vocabulary", token.0)));
        }
        let longest = inputs.iter().map(|input| input.len()).max().unwrap_or(0);
        let (values, width) = self.run(inputs).map_err(rejected)?;
        let dimensions = self.limits.dimensions as usize;
        if width != dimensions {
            return Err(rejected(format!("vectors of {width} numbers instead of {dimensions}")));
        }
        let n_rows = if self.is_finished { 1 } else { longest };
        let mut vector = vec![0.0; width];
        for (input, rows) in inputs.iter().zip(values.chunks_exact(n_rows * width)) {
            let n_real = if self.is_finished { 1 } else { input.len() };
            self.pooling.pool(&rows[..n_real * width], &mut vector);
            vectors.push(&vector);
        }
        Ok(())
    }
}

fn roles(graph: &Graph, skipped_positions: u32) -> Result<Vec<Role>, ModelError> {
    let role = |name: &str| match name {
        "input_ids" => Some(Role::Tokens),
        "attention_mask" => Some(Role::Mask),
        "token_type_ids" => Some(Role::TokenTypes),
        "position_ids" => Some(Role::Positions(skipped_positions)),
        _ => None,
    };
    let roles: Vec<Option<Role>> = graph.inputs.iter().map(|port| role(&port.name)).collect();
    let lacks: Vec<String> = [("input_ids", Role::Tokens), ("attention_mask", Role::Mask)]
        .iter()
        .filter(|(_, role)| !roles.contains(&Some(*role)))
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let unknown: Vec<String> = graph
        .inputs
        .iter()
        .zip(&roles)
        .filter(|(_, role)| role.is_none())
        .map(|(port, _)| port.name.clone())
        .collect();
    if !lacks.is_empty() || !unknown.is_empty() {
        return Err(ModelError::ports(&graph.file, &lacks, &unknown));
    }
    for port in &graph.inputs {
        port.expect(&graph.file, &INTEGERS, 2)?;
    }
    Ok(roles.into_iter().flatten().collect())
}

fn no_output(graph: &Graph) -> ModelError {
    let unknown: Vec<String> = graph.outputs.iter().map(|port| port.name.clone()).collect();
    ModelError::ports(&graph.file, &[FINISHED.to_owned()], &unknown)
}

/// All numbers of a tensor of one of [`FLOATS`].
fn floats(value: &DynValue) -> ort::Result<Vec<f32>> {
    Ok(match value.dtype().tensor_type() {
        Some(TensorElementType::Float16) => {
            value.try_extract_tensor::<f16>()?.1.iter().map(|x| x.to_f32()).collect()
        }
        Some(TensorElementType::Bfloat16) => {
            value.try_extract_tensor::<bf16>()?.1.iter().map(|x| x.to_f32()).collect()
        }
        _ => value.try_extract_tensor::<f32>()?.1.to_vec(),
    })
}
