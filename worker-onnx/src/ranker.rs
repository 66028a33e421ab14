//! Cross-encoders: a logit for each pair of texts comes out of the graph.

use impetus_runtime::engine::{EmbeddingLimits, Pair, RankingEngine, SlotId, StepError, TokenId, Vectors};

use crate::{
    error::ModelError,
    graph::{FLOATS, Graph},
    padded::Padded,
};

/// The output with one number for each pair.
const LOGITS: &str = "logits";

/// A graph that ranks.
pub(crate) struct Ranker {
    graph: Padded,
    limits: EmbeddingLimits,
}

impl Ranker {
    /// Whether `graph` gives logits of whole inputs, and not of each token.
    pub(crate) fn is_for(graph: &Graph) -> bool {
        graph.outputs.iter().any(|port| port.name == LOGITS && port.dimensions.len() == 2)
    }

    /// Wires the graph and tries it out. `skipped_positions` are those that no token can have.
    pub(crate) fn new(
        graph: Graph,
        context_tokens: u32,
        skipped_positions: u32,
        vocabulary: u32,
    ) -> Result<Self, ModelError> {
        if let Some(port) = graph.outputs.iter().find(|port| port.name == LOGITS) {
            port.expect(&graph.file, &FLOATS, 2)?;
            if port.dimensions[1].is_some_and(|n| n != 1) {
                return Err(port.refuse(&graph.file, "one number for each pair of texts"));
            }
        }
        let limits = Padded::limits(context_tokens, 1, vocabulary);
        let mut ranker = Self { graph: Padded::new(graph, skipped_positions, LOGITS.to_owned())?, limits };
        let pair = |tokens| Pair { tokens, first_tokens: 1 };
        let tried = ranker.run(&[pair(&[TokenId(0), TokenId(0)]), pair(&[TokenId(0)])]);
        tried.map_err(|words| ranker.graph.refused(words))?;
        Ok(ranker)
    }

    /// Bytes of all weights.
    pub(crate) fn bytes(&self) -> u64 {
        self.graph.bytes()
    }

    fn run(&mut self, pairs: &[Pair<'_>]) -> Result<Vec<f32>, String> {
        let (logits, shape) = self.graph.run(pairs)?;
        if shape[..] != [pairs.len() as i64, 1] {
            return Err(format!("`{LOGITS}` of {} pairs has the shape {shape:?}", pairs.len()));
        }
        Ok(logits)
    }
}

impl RankingEngine for Ranker {
    fn limits(&self) -> EmbeddingLimits {
        self.limits
    }

    fn rank(&mut self, pairs: &[Pair<'_>], logits: &mut Vectors) -> Result<(), StepError> {
        let rejected = |reason| StepError::Rejected { slots: Vec::<SlotId>::new(), reason };
        let unknown =
            pairs.iter().flat_map(|pair| pair.tokens).find(|token| token.0 >= self.limits.vocabulary);
        if let Some(token) = unknown {
            return Err(rejected(format!("token {} is not of the vocabulary", token.0)));
        }
        for logit in self.run(pairs).map_err(rejected)? {
            logits.push(&[logit]);
        }
        Ok(())
    }
}
