//! Any bytes as a safetensors file, once of its own length and once of one that lies.

#![no_main]

use impetus_models::safetensors::Header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    for length in [file.len() as u64, u64::MAX] {
        if let Ok(header) = Header::read(file, length) {
            assert_eq!(header.data_offset.checked_add(header.tensors.bytes()), Some(length));
            assert!(header.tensors.count <= file.len() as u64);
        }
    }
});
