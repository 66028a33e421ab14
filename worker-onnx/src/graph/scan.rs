//! What the library does not tell of a graph file before it opens the files that the graph names: which those are.
//! It also tells whether the graph keeps its cache as `GroupQueryAttention` does.
//!
//! Format: <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>. Tensors may be anywhere, in subgraphs and in
//! attributes too, and each may lie in a file of its own.

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

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).expect("tests are short");
        assert!(length < 128, "one byte of length");
        [&[number << 3 | 2, length], bytes].concat()
    }

    fn external(place: &str, offset: &str, length: &str) -> Vec<u8> {
        let entry = |name: &str, value: &str| {
            // Field 13.
            let entry = [field(1, name.as_bytes()), field(2, value.as_bytes())].concat();
            field(13, &entry)
        };
        [entry("location", place), entry("offset", offset), entry("length", length)].concat()
    }

    fn check(model: &[u8], files: &[(&str, usize)]) -> Result<Scan, String> {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("model.onnx"), model).unwrap();
        for (name, bytes) in files {
            std::fs::write(place.path().join(name), vec![0; *bytes]).unwrap();
        }
        let folder = Folder::open(place.path(), place.path()).unwrap();
        Scan::check(&folder, "model.onnx").map_err(|error| error.to_string())
    }

    #[test]
    fn weights_outside_of_the_file_are_found_wherever_they_are() {
        let tensor = external("w", "8", "4");
        let in_graph = |part: Vec<u8>| field(7, &part);
        let attribute = |part: Vec<u8>| in_graph(field(1, &field(5, &part)));
        for model in [
            in_graph(field(5, &tensor)),
            in_graph(field(15, &field(1, &tensor))),
            attribute(field(5, &tensor)),
            attribute(field(10, &tensor)),
            attribute(field(6, &field(5, &tensor))),
            attribute(field(11, &field(1, &field(5, &field(5, &tensor))))),
        ] {
            let scan = check(&model, &[("w", 12)]).unwrap();
            assert_eq!(scan.external, BTreeMap::from([("w".to_owned(), 12)]));
            assert_eq!(scan.bytes, model.len() as u64 + 12);
            assert!(!scan.is_row_wise);
        }
        let node = field(1, &field(4, ROW_WISE.as_bytes()));
        assert!(check(&in_graph(node), &[]).unwrap().is_row_wise);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |model: &[u8], files: &[(&str, usize)], expected: &[&str]| {
            let error = check(model, files).expect_err("it is wrong");
            assert!(expected.iter().all(|word| error.contains(word)), "{error}");
        };
        let model = |place: &str| field(7, &field(5, &external(place, "8", "4")));
        check(&model("w"), &[], &["`w`"]);
        check(&model("w"), &[("w", 11)], &["`w`", "11 bytes", "12", "model.onnx"]);
        for outside in ["../w", "/etc/passwd", "*/_ORT_MEM_ADDR_/*"] {
            check(&model(outside), &[("w", 12)], &[outside]);
        }
        let whole = model("w");
        check(&whole[..whole.len() - 1], &[("w", 12)], &["model.onnx", "not written or copied whole"]);
        check(b"<html>", &[], &["model.onnx", "no ONNX file"]);
        let deep = (0..MAX_DEPTH).fold(Vec::new(), |inner, _| {
            [
                &[1 << 3 | 2],
                long(&[&[5 << 3 | 2][..], &long(&[&[6 << 3 | 2][..], &long(&inner)].concat())].concat())
                    .as_slice(),
            ]
            .concat()
        });
        check(&[&[7 << 3 | 2][..], &long(&deep)].concat(), &[], &["16 deep"]);
    }

    /// Bytes with their length in two bytes before them.
    fn long(bytes: &[u8]) -> Vec<u8> {
        let length = bytes.len();
        [&[(length & 0x7f) as u8 | 0x80, (length >> 7) as u8], bytes].concat()
    }
}
