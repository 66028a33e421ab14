//! A graph whose inputs and outputs are all known.

use super::{
    cache::TensorShape,
    role::{Names, Part, Role},
};
use crate::{
    error::ModelError,
    graph::{FLOATS, Graph, INTEGERS, Port},
    settings::Settings,
};

/// A decoder's graph, and what is what in it.
pub(crate) struct Wiring {
    pub(crate) graph: Graph,
    /// For each input what it is for.
    pub(crate) roles: Vec<Role>,
    /// The parts of the cache, in the order of the layers.
    pub(crate) parts: Vec<Part>,
    /// The outputs with the new cache, in that order.
    pub(crate) presents: Vec<String>,
    pub(crate) logits: String,
}

/// Names that are missing and names that are unknown, for one message that lists both.
#[derive(Default)]
struct Complaint {
    lacks: Vec<String>,
    unknown: Vec<String>,
}

impl Wiring {
    /// Finds out what each input and output of `graph` is for. One that begins a pair has no cache to take.
    pub(crate) fn new(graph: Graph, names: &Names, begins: bool) -> Result<Self, ModelError> {
        let mut complaint = Complaint::default();
        let roles: Vec<Option<Role>> = graph.inputs.iter().map(|port| names.role(&port.name)).collect();
        for (port, role) in graph.inputs.iter().zip(&roles) {
            if role.is_none() {
                complaint.unknown.push(port.name.clone());
            }
        }
        let roles: Vec<Role> = roles.into_iter().flatten().collect();
        let parts = complaint.parts(&graph, &roles, names, begins);
        complaint.settle(&graph.file)?;

        let wiring = Self {
            presents: parts.iter().map(|&part| names.present(part)).collect(),
            logits: names.logits.clone(),
            graph,
            roles,
            parts,
        };
        wiring.check_types()?;
        Ok(wiring)
    }

    /// The first graph of a pair: what it gives has to be what `next` takes.
    pub(crate) fn giving(self, next: &Self) -> Result<Self, ModelError> {
        let lacks = next.presents.iter().filter(|name| !self.presents.contains(name)).cloned();
        let lacks: Vec<String> = lacks.collect();
        if !lacks.is_empty() {
            return Err(ModelError::ports(&self.graph.file, &lacks, &[]));
        }
        Ok(Self { parts: next.parts.clone(), presents: next.presents.clone(), ..self })
    }

    /// The input that is for `role`.
    pub(crate) fn input(&self, role: Role) -> Option<&Port> {
        self.inputs().find(|(_, known)| *known == role).map(|(port, _)| port)
    }

    /// All inputs with what they are for.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = (&Port, Role)> {
        self.graph.inputs.iter().zip(self.roles.iter().copied())
    }

    /// Whether a run may have several rows.
    pub(crate) fn takes_rows(&self) -> bool {
        let is_free = |(port, role): (&Port, Role)| match role {
            Role::Tokens | Role::Mask | Role::Positions | Role::LastTokens | Role::Past(_) => {
                port.dimensions.first() == Some(&None)
            }
            _ => true,
        };
        self.inputs().all(is_free)
    }

    /// Whether a run takes one token of a row and no more.
    pub(crate) fn takes_one_token(&self) -> bool {
        self.input(Role::Tokens).is_some_and(|port| port.dimensions.get(1) == Some(&Some(1)))
    }

    /// The shapes of the cache's parts; what the graph leaves open the settings say.
    pub(crate) fn shapes(&self, settings: &Settings) -> Result<Vec<TensorShape>, ModelError> {
        let shape = |&part: &Part| {
            let Some(port) = self.input(Role::Past(part)) else { return Ok(None) };
            port.expect(&self.graph.file, &FLOATS, 4)?;
            let [_, heads, columns, size] = port.dimensions[..] else { return Ok(None) };
            if columns.is_some() {
                return Err(port.refuse(&self.graph.file, "a cache that grows"));
            }
            Ok(Some(TensorShape {
                heads: heads.map_or_else(|| settings.kv_heads(), Ok)?,
                size: size.map_or_else(|| settings.head_size(), Ok)?,
                element: port.element,
            }))
        };
        self.parts.iter().filter_map(|part| shape(part).transpose()).collect()
    }

    fn check_types(&self) -> Result<(), ModelError> {
        let file = &self.graph.file;
        for (port, role) in self.inputs() {
            match role {
                Role::Tokens | Role::Mask | Role::Positions | Role::TokenTypes => {
                    port.expect(file, &INTEGERS, 2)?;
                }
                Role::LastTokens => {
                    port.expect(file, &INTEGERS, port.dimensions.len().clamp(1, 2))?;
                }
                Role::KeptLogits | Role::PastColumns | Role::TotalColumns => {
                    port.expect(file, &INTEGERS, port.dimensions.len().min(1))?;
                }
                Role::HasCache => {
                    port.expect(file, &[ort::value::TensorElementType::Bool], port.dimensions.len().min(1))?;
                }
                Role::Past(_) => port.expect(file, &FLOATS, 4)?,
            }
        }
        let logits = self.graph.outputs.iter().find(|port| port.name == self.logits);
        logits.map_or(Ok(()), |port| port.expect(file, &FLOATS, port.dimensions.len().clamp(2, 3)))
    }
}

impl Complaint {
    /// The parts of the cache, and what of inputs and outputs is missing.
    fn parts(&mut self, graph: &Graph, roles: &[Role], names: &Names, begins: bool) -> Vec<Part> {
        let gives = |name: &str| graph.outputs.iter().any(|port| port.name == name);
        let presents = graph.outputs.iter().filter_map(|port| names.part(&port.name));
        let pasts = roles.iter().filter_map(|role| match role {
            Role::Past(part) => Some(*part),
            _ => None,
        });
        let mut parts: Vec<Part> = pasts.chain(presents).collect();
        if parts.is_empty() {
            // Of a cache that is missing altogether the first layer is named.
            parts.push(Part { layer: 0, is_value: false });
        }
        let others: Vec<Part> = parts.iter().map(|part| Part { is_value: !part.is_value, ..*part }).collect();
        parts.extend(others);
        parts.sort_unstable();
        parts.dedup();

        if !roles.contains(&Role::Tokens) {
            self.lacks.push(names.input(Role::Tokens));
        }
        for &part in &parts {
            if !begins && !roles.contains(&Role::Past(part)) {
                self.lacks.push(names.input(Role::Past(part)));
            }
            if !gives(&names.present(part)) {
                self.lacks.push(names.present(part));
            }
        }
        if !gives(&names.logits) {
            self.lacks.push(names.logits.clone());
        }
        if !self.lacks.is_empty() {
            let known = |name: &str| *name == names.logits || names.part(name).is_some();
            let unknown = graph.outputs.iter().filter(|port| !known(&port.name));
            self.unknown.extend(unknown.map(|port| port.name.clone()));
        }
        parts
    }

    fn settle(self, file: &str) -> Result<(), ModelError> {
        if self.lacks.is_empty() && self.unknown.is_empty() {
            return Ok(());
        }
        Err(ModelError::ports(file, &self.lacks, &self.unknown))
    }
}
