//! Any bytes as a GGUF file, once of its own length and once of one that lies.

#![no_main]

use impetus_models::{Metadata, gguf::Header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    for length in [file.len() as u64, u64::MAX] {
        if let Ok(header) = Header::read(file, length) {
            assert!(header.tensors.bytes <= length);
            if let Ok(metadata) = Metadata::from_header(&header, &header.tensors) {
                assert!(u64::from(metadata.layers) <= header.tensors.count);
                assert!(metadata.kv_heads <= metadata.heads);
            }
        }
    }
});
