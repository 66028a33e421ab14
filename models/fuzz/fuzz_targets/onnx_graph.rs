//! Any bytes as an ONNX file, once of its own length and once of one that lies.

#![no_main]

use std::io::Cursor;

use impetus_models::onnx::{Graph, limits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    for length in [file.len() as u64, limits::FILE_BYTES] {
        if let Ok(graph) = Graph::read(Cursor::new(file), length) {
            assert!(graph.inputs.len() <= limits::PORTS && graph.outputs.len() <= limits::PORTS);
            assert!(graph.nodes <= length && graph.weights.count <= length);
            assert!(graph.data_files.keys().all(|path| path.len() as u64 <= limits::NAME_BYTES));
        }
    }
});
