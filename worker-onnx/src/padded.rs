//! Graphs that take whole inputs: a batch padded on the right goes in, an output comes out.

use half::{bf16, f16};
use impetus_runtime::engine::{EmbeddingLimits, Pair};
use ort::{
    session::SessionInputValue,
    value::{DynValue, TensorElementType},
};

use crate::{
    error::{ModelError, words},
    graph::{Graph, INTEGERS, Port},
};

/// Tokens of one call, padding included.
const TOKENS_PER_STEP: u32 = 8192;
/// Inputs of one call.
const INPUTS_PER_STEP: u32 = 64;

/// A graph whose inputs are all `[inputs, tokens]`, and one of its outputs.
pub(crate) struct Padded {
    graph: Graph,
    /// For each input what it is for.
    roles: Vec<Role>,
    output: String,
}

/// What an input is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Tokens,
    Mask,
    TokenTypes,
    /// From the given place on.
    Positions(u32),
}

/// What a graph gave: numbers and their shape.
pub(crate) type Given = (Vec<f32>, Vec<i64>);

impl Padded {
    /// Wires the graph. `skipped_positions` are those that no token can have.
    pub(crate) fn new(graph: Graph, skipped_positions: u32, output: String) -> Result<Self, ModelError> {
        Ok(Self { roles: roles(&graph, skipped_positions)?, graph, output })
    }

    /// The limits of a model of so many tokens, whose answers have `dimensions` numbers.
    pub(crate) fn limits(context_tokens: u32, dimensions: u32, vocabulary: u32) -> EmbeddingLimits {
        EmbeddingLimits {
            context_tokens,
            tokens_per_step: TOKENS_PER_STEP.max(context_tokens),
            inputs_per_step: INPUTS_PER_STEP,
            padded: true,
            dimensions,
            vocabulary,
        }
    }

    /// Bytes of all weights.
    pub(crate) fn bytes(&self) -> u64 {
        self.graph.scan.bytes
    }

    /// The output's name.
    pub(crate) fn output(&self) -> &str {
        &self.output
    }

    /// The error for a graph that cannot be computed, in these words.
    pub(crate) fn refused(&self, words: String) -> ModelError {
        ModelError::Library { file: self.graph.file.clone(), what: "could not be computed", words }
    }

    /// The output for `inputs`.
    pub(crate) fn run(&mut self, inputs: &[Pair<'_>]) -> Result<Given, String> {
        let values = self.values(inputs, longest(inputs)).map_err(|error| words(&error))?;
        let names = self.graph.inputs.iter().map(|port| port.name.as_str());
        let inputs_by_name: Vec<(&str, SessionInputValue)> = names.zip(values).collect();
        let mut outputs = self.graph.session.run(inputs_by_name).map_err(|error| words(&error))?;
        let output = outputs.remove(&self.output).ok_or_else(|| format!("it gave no `{}`", self.output))?;
        let shape = output.dtype().tensor_shape().map(|shape| shape.to_vec()).unwrap_or_default();
        Ok((floats(&output).map_err(|error| words(&error))?, shape))
    }

    /// The graph's inputs, each padded to `longest` tokens.
    fn values(&self, inputs: &[Pair<'_>], longest: usize) -> ort::Result<Vec<SessionInputValue<'static>>> {
        let padded = |number: &dyn Fn(&Pair, usize) -> i64| -> Vec<i64> {
            let row = |input: &Pair| (0..longest).map(|at| number(input, at)).collect::<Vec<_>>();
            inputs.iter().flat_map(row).collect()
        };
        let value = |(port, role): (&Port, &Role)| {
            let numbers = match *role {
                Role::Tokens => {
                    padded(&|input, at| input.tokens.get(at).map_or(0, |token| i64::from(token.0)))
                }
                Role::Mask => padded(&|input, at| i64::from(at < input.tokens.len())),
                Role::TokenTypes => {
                    padded(&|input, at| i64::from((input.first_tokens..input.tokens.len()).contains(&at)))
                }
                Role::Positions(first) => padded(&|input, at| {
                    i64::from(first) + at.min(input.tokens.len().saturating_sub(1)) as i64
                }),
            };
            port.integers(vec![inputs.len(), longest], numbers).map(SessionInputValue::from)
        };
        self.graph.inputs.iter().zip(&self.roles).map(value).collect()
    }
}

/// Tokens of the longest of `inputs`.
pub(crate) fn longest(inputs: &[Pair<'_>]) -> usize {
    inputs.iter().map(|input| input.tokens.len()).max().unwrap_or(0)
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
