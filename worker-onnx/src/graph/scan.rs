//! What the library does not tell of a graph file before it opens the files that the graph names: which those are.
//! It also tells whether the graph keeps its cache as `GroupQueryAttention` does.
//!
//! Format: <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>. Tensors may be anywhere, in subgraphs and in
//! attributes too, and each may lie in a file of its own.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fs::File};

use impetus_runtime::huggingface::{Folder, FolderError};

use super::wire::{Field, Wire, WireError};
use crate::error::ModelError;

/// Graphs within graphs.
const MAX_DEPTH: u32 = 16;
/// The operator whose caches begin at the first column, each row at its own length.
const ROW_WISE: &str = "GroupQueryAttention";

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// The files with weights, and how many bytes each has to have at least.
    pub(crate) external: BTreeMap<String, u64>,
    /// Whether the cache's rows are filled from their first column on.
    pub(crate) is_row_wise: bool,
    /// Bytes of the graph file and of what it needs of the others.
    pub(crate) bytes: u64,
}

struct Walk {
    wire: Wire,
    scan: Scan,
}

impl Scan {
    /// Walks the graph `name`, and sees to it that the files it refers to are there and are the folder's own.
    pub(crate) fn check(folder: &Folder, name: &str) -> Result<Self, ModelError> {
        let unreadable = |source| FolderError::Read { file: name.to_owned(), source };
        let file = File::open(folder.require(name)?).map_err(unreadable)?;
        let scan = walk(file).map_err(|error| ModelError::damaged(name, error.to_string()))?;
        for (external, &needed) in &scan.external {
            let unreadable = |source| FolderError::Read { file: external.clone(), source };
            let bytes = std::fs::metadata(folder.require(external)?).map_err(unreadable)?.len();
            if bytes < needed {
                return Err(ModelError::Cut {
                    file: external.clone(),
                    graph: name.to_owned(),
                    bytes,
                    needed,
                });
            }
        }
        Ok(scan)
    }
}

fn walk(file: File) -> Result<Scan, WireError> {
    let wire = Wire::new(file)?;
    let length = wire.length();
    let mut walk = Walk { wire, scan: Scan::default() };
    walk.model(length)?;
    let mut scan = walk.scan;
    scan.bytes = scan.external.values().fold(length, |sum, &bytes| sum.saturating_add(bytes));
    Ok(scan)
}

impl Walk {
    fn model(&mut self, end: u64) -> Result<(), WireError> {
        while let Some(field) = self.wire.field(end)? {
            match field.number {
                7 => self.graph(field, 1)?,
                // `TrainingInfoProto`: two graphs.
                20 => {
                    let end = field.bytes(&self.wire)?;
                    while let Some(field) = self.wire.field(end)? {
                        match field.number {
                            1 | 2 => self.graph(field, 1)?,
                            _ => self.wire.skip(field)?,
                        }
                    }
                }
                25 => self.function(field)?,
                _ => self.wire.skip(field)?,
            }
        }
        Ok(())
    }

    fn graph(&mut self, field: Field, depth: u32) -> Result<(), WireError> {
        if depth > MAX_DEPTH {
            return Err(WireError::Depth(MAX_DEPTH));
        }
        let end = field.bytes(&self.wire)?;
        while let Some(field) = self.wire.field(end)? {
            match field.number {
                1 => self.node(field, depth)?,
                5 => self.tensor(field)?,
                15 => self.sparse_tensor(field)?,
                _ => self.wire.skip(field)?,
            }
        }
        Ok(())
    }

    fn function(&mut self, field: Field) -> Result<(), WireError> {
        let end = field.bytes(&self.wire)?;
        while let Some(field) = self.wire.field(end)? {
            match field.number {
                7 => self.node(field, 1)?,
                11 => self.attribute(field, 1)?,
                _ => self.wire.skip(field)?,
            }
        }
        Ok(())
    }

    fn node(&mut self, field: Field, depth: u32) -> Result<(), WireError> {
        let end = field.bytes(&self.wire)?;
        while let Some(field) = self.wire.field(end)? {
            match field.number {
                4 => self.scan.is_row_wise |= self.wire.text(field)? == ROW_WISE,
                5 => self.attribute(field, depth)?,
                _ => self.wire.skip(field)?,
            }
        }
        Ok(())
    }

    fn attribute(&mut self, field: Field, depth: u32) -> Result<(), WireError> {
        let end = field.bytes(&self.wire)?;
        while let Some(field) = self.wire.field(end)? {
            match field.number {
                5 | 10 => self.tensor(field)?,
                6 | 11 => self.graph(field, depth + 1)?,
                22 | 23 => self.sparse_tensor(field)?,
                _ => self.wire.skip(field)?,
            }
        }
        Ok(())
    }

    /// Values and indices, each a tensor.
    fn sparse_tensor(&mut self, field: Field) -> Result<(), WireError> {
        let end = field.bytes(&self.wire)?;
        while let Some(field) = self.wire.field(end)? {
            match field.number {
                1 | 2 => self.tensor(field)?,
                _ => self.wire.skip(field)?,
            }
        }
        Ok(())
    }

    fn tensor(&mut self, field: Field) -> Result<(), WireError> {
        let end = field.bytes(&self.wire)?;
        let (mut places, mut offset, mut length) = (Vec::new(), 0_u64, 0_u64);
        while let Some(field) = self.wire.field(end)? {
            if field.number != 13 {
                self.wire.skip(field)?;
                continue;
            }
            let (name, value) = self.entry(field)?;
            // What is not a number the library refuses.
            match name.as_str() {
                "location" => places.push(value),
                "offset" => offset = value.parse().unwrap_or(0),
                "length" => length = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        for place in places {
            let needed = self.scan.external.entry(place).or_default();
            *needed = (*needed).max(offset.saturating_add(length));
        }
        Ok(())
    }

    /// A `StringStringEntryProto`.
    fn entry(&mut self, field: Field) -> Result<(String, String), WireError> {
        let end = field.bytes(&self.wire)?;
        let (mut name, mut value) = (String::new(), String::new());
        while let Some(field) = self.wire.field(end)? {
            match field.number {
                1 => name = self.wire.text(field)?,
                2 => value = self.wire.text(field)?,
                _ => self.wire.skip(field)?,
            }
        }
        Ok((name, value))
    }
}
