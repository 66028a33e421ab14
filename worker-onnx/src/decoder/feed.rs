//! What goes into a run, input by input.

use impetus_runtime::engine::TokenId;
use ort::{Result, session::SessionInputValue, value::Tensor};

use super::{
    cache::{Group, Side},
    role::Role,
    wiring::Wiring,
};
use crate::graph::Port;

/// One run: the rows of a group and the same number of tokens for each.
pub(super) struct Feed<'a> {
    pub(super) group: &'a Group,
    pub(super) tokens: &'a [&'a [TokenId]],
    pub(super) side: Side,
    /// Whether logits behind every token are wanted, not behind the last alone.
    pub(super) wants_all: bool,
}

impl<'a> Feed<'a> {
    /// The values of all inputs, in the graph's order.
    pub(super) fn values(&self, wiring: &Wiring) -> Result<Vec<SessionInputValue<'a>>> {
        wiring.inputs().map(|(port, role)| self.value(wiring, port, role)).collect()
    }

    /// Columns after the run.
    pub(super) fn total_columns(&self) -> usize {
        let longest = self.group.rows().map(|row| row.tokens).max().unwrap_or(0);
        match self.side {
            Side::Start => longest + self.n_tokens(),
            Side::End => self.group.columns + self.n_tokens(),
        }
    }

    fn n_tokens(&self) -> usize {
        self.tokens.first().map_or(0, |tokens| tokens.len())
    }

    fn value(&self, wiring: &Wiring, port: &Port, role: Role) -> Result<SessionInputValue<'a>> {
        let (n_rows, n_tokens, total) = (self.tokens.len(), self.n_tokens(), self.total_columns());
        let by_token = vec![n_rows, n_tokens];
        let value = match role {
            Role::Past(part) => {
                let place = wiring.parts.iter().position(|known| *known == part).unwrap_or(0);
                return Ok(SessionInputValue::from(&self.group.tensors[place]));
            }
            Role::Tokens => {
                let ids = self.tokens.iter().flat_map(|tokens| tokens.iter().map(|token| i64::from(token.0)));
                port.integers(by_token, ids.collect())
            }
            Role::Positions => {
                let positions = self.group.rows().flat_map(|row| row.tokens..row.tokens + n_tokens);
                port.integers(by_token, positions.map(|n| n as i64).collect())
            }
            Role::TokenTypes => port.integers(by_token, vec![0; n_rows * n_tokens]),
            Role::Mask => port.integers(vec![n_rows, total], self.mask(total)),
            Role::LastTokens => {
                let last = self.group.rows().map(|row| (row.tokens + n_tokens) as i64 - 1);
                let shape = if port.dimensions.len() == 2 { vec![n_rows, 1] } else { vec![n_rows] };
                port.integers(shape, last.collect())
            }
            Role::HasCache => {
                let shape = vec![1_usize; port.dimensions.len()];
                Ok(Tensor::from_array((shape, vec![self.group.columns > 0]))?.into_dyn())
            }
            Role::KeptLogits => port.number(i64::from(!self.wants_all)),
            Role::PastColumns => port.number(self.group.columns as i64),
            Role::TotalColumns => port.number(total as i64),
        };
        value.map(SessionInputValue::from)
    }

    /// By row, 1 for the columns that hold tokens after the run.
    fn mask(&self, total: usize) -> Vec<i64> {
        let by_row = self.group.rows().flat_map(|row| {
            let n_real = row.tokens + self.n_tokens();
            let is_real = move |column| match self.side {
                Side::Start => column < n_real,
                Side::End => column >= total - n_real,
            };
            (0..total).map(move |column| i64::from(is_real(column)))
        });
        by_row.collect()
    }
}
