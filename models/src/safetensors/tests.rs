//! Correct headers are read; hostile ones are refused quickly and by name.

use std::io;

use proptest::prelude::*;

use super::*;
use crate::testing::safetensors::{Safetensors, with_length};

fn read(file: &[u8]) -> Result<Header, SafetensorsError> {
    Header::read(file, file.len() as u64)
}

#[test]
fn a_header_is_read() {
    let file = Safetensors::llama("BF16").tensor("model.norm.weight", "F32", &[32]);
    let header = read(&file.bytes()).unwrap();
    assert_eq!(header.data_offset, file.header().len() as u64);
    assert_eq!(header.tensors.count, 4);
    assert_eq!(header.tensors.elements(), 1_120 + 32);
    assert_eq!(header.tensors.bytes(), 2 * 1_120 + 4 * 32);
    assert_eq!(header.tensors.dominant_dtype().unwrap().name(), "BF16");
    assert_eq!(header.tensors.parameters(None), 1_152);
    assert!(header.tensors.companions.is_empty());
}

#[test]
fn packed_weights_are_counted_unpacked() {
    let packed = Safetensors::default()
        .tensor("q.weight", "U32", &[16, 4])
        .tensor("q.scales", "F16", &[16, 1])
        .tensor("q.biases", "F16", &[16, 1])
        .tensor("q.bias", "F16", &[16]);
    let tensors = read(&packed.bytes()).unwrap().tensors;
    assert_eq!(tensors.elements(), 16 * 4 + 32 + 16);
    assert_eq!(tensors.parameters(Some(4)), 16 * 32 + 16);
    assert_eq!(tensors.parameters(Some(8)), 16 * 16 + 16);
    assert_eq!(tensors.parameters(Some(0)), tensors.elements());
}

#[test]
fn layouts_of_the_reference_are_read() {
    fn check(file: &[u8], tensors: u64, bytes: u64) {
        let header = read(file).unwrap();
        assert_eq!((header.tensors.count, header.tensors.bytes()), (tensors, bytes));
    }
    check(&with_length(b"{}"), 0, 0);
    check(&with_length(b"{}      "), 0, 0);
    check(&Safetensors::default().tensor("scalar", "F32", &[]).bytes(), 1, 4);
    check(&Safetensors::default().tensor("empty", "F32", &[0, 7]).tensor("b", "U8", &[3]).bytes(), 2, 3);
    check(&Safetensors::default().tensor("nibbles", "F4", &[3, 2]).bytes(), 1, 3);
    check(&Safetensors::default().tensor("sixes", "F6_E3M2", &[4]).bytes(), 1, 3);
    // The order of the entries need not be that of the data.
    let mut file = Safetensors::default()
        .tensor_at("b", "F32", &[1], 4, 8)
        .tensor_at("a", "F32", &[1], 0, 4)
        .raw(r#""__metadata__":{"a":"b","deep":[[{}]]}"#)
        .header();
    file.extend([0; 8]);
    check(&file, 2, 8);
}

#[test]
fn hostile_headers_are_refused() {
    fn check(file: &[u8], expected: &str) {
        let message = read(file).unwrap_err().to_string();
        assert!(message.contains(expected), "{message:?} lacks {expected:?}");
    }
    fn check_tensor(shape: &[u64], dtype: &str, offsets: (u64, u64), expected: &str) {
        check(&Safetensors::default().tensor_at("t", dtype, shape, offsets.0, offsets.1).header(), expected);
    }
    check(b"", "ends at byte 0");
    check(b"1234567", "ends at byte 7");
    check(b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull");
    check(b"<!DOCTYPE html>", "no safetensors file");
    check(&u64::MAX.to_le_bytes(), "header of 18446744073709551615 bytes");
    check(&100_000_001u64.to_le_bytes(), "at most 100000000");
    check(&10u64.to_le_bytes(), "ends at byte 8, within its header of 18");
    for json in ["", "[]", "null", "{", "{\"a\":1}", "{\"a\":{}}", "{}{}", "{\"a\":[[", "\u{feff}{}"] {
        check(&with_length(json.as_bytes()), "its header is damaged");
    }
    check(&with_length(b"{\"\xff\":1}"), "its header is damaged");
    let nested = format!(r#"{{"a":{}"#, "[".repeat(100_000));
    check(&with_length(nested.as_bytes()), "its header is damaged");
    let nested = format!(r#"{{"__metadata__":{}"#, "[".repeat(100_000));
    check(&with_length(nested.as_bytes()), "its header is damaged");
    for offsets in ["[0]", "[0,4,8]", "[-1,3]", "[0,1e400]", "[0.5,4.5]", "[0,18446744073709551616]", "\"0\""]
    {
        let entry = format!(r#""t":{{"dtype":"F32","shape":[1],"data_offsets":{offsets}}}"#);
        check(&Safetensors::default().raw(&entry).header(), "its header is damaged");
    }
    let entry = r#""t":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}"#;
    check(&Safetensors::default().raw(entry).header(), "its header is damaged");
    let entry = r#""t":{"dtype":"Q4_0","shape":[1],"data_offsets":[0,4]}"#;
    check(&Safetensors::default().raw(entry).header(), "\"t\" has the unknown type \"Q4_0\"");

    check_tensor(&[1; 33], "F32", (0, 4), "at most 32 dimensions");
    check_tensor(&[u64::MAX], "U8", (0, u64::MAX), "which no file can hold");
    check_tensor(&[1 << 32, 1 << 32], "U8", (0, 0), "which no file can hold");
    check_tensor(&[1 << 32, 1 << 32, 0], "U8", (0, 0), "which no file can hold");
    check_tensor(&[1 << 61], "F32", (0, 0), "which no file can hold");
    check_tensor(&[3], "F4", (0, 2), "which no file can hold");
    check_tensor(&[2], "F32", (0, 4), "needs 8 bytes by its shape and type, but lies from 0 to 4");
    check_tensor(&[2], "F32", (8, 0), "needs 8 bytes");
    check_tensor(&[2], "F32", (0, 8), "ends at 8, but the file has 0 bytes of data");
    check_tensor(&[2], "F32", (u64::MAX - 8, u64::MAX), "starts at 18446744073709551607");
}

#[test]
fn data_has_no_gap_no_overlap_and_no_remainder() {
    fn check(places: &[(u64, u64)], data: usize, expected: &str) {
        let file = places.iter().enumerate().fold(Safetensors::default(), |file, (n, (start, end))| {
            file.tensor_at(&format!("t{n}"), "U8", &[end - start], *start, *end)
        });
        let mut file = file.header();
        file.resize(file.len() + data, 0);
        match read(&file) {
            Ok(_) => assert_eq!(expected, "", "{places:?}"),
            Err(error) => assert!(error.to_string().contains(expected) && !expected.is_empty(), "{error}"),
        }
    }
    check(&[(0, 4), (4, 8)], 8, "");
    check(&[(0, 4), (3, 7)], 7, "\"t1\" starts at 3, but the tensor before it ends at 4");
    check(&[(0, 4), (0, 4)], 4, "\"t1\" starts at 0");
    check(&[(0, 4), (5, 8)], 8, "\"t1\" starts at 5");
    check(&[(1, 4)], 4, "starts at 1");
    check(&[(0, 4)], 5, "end at byte 4 of the data, but the file has 5");
    check(&[(0, 4)], 3, "ends at 4, but the file has 3 bytes of data");
    check(&[], 1, "end at byte 0");
}

#[test]
fn a_cut_file_is_refused_at_every_byte() {
    let file = Safetensors::llama("F32").bytes();
    for cut in 0..file.len() {
        assert!(read(&file[..cut]).is_err(), "{cut}");
        // The same when the file shrinks while it is read.
        let header = Header::read(&file[..cut], file.len() as u64);
        assert_eq!(header.is_ok(), cut >= Safetensors::llama("F32").header().len(), "{cut}");
    }
    assert!(read(&file).is_ok());
}

#[test]
fn tensors_are_counted() {
    let mut json = r#"{"":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#.to_owned();
    json += &format!(",{}", &json[1..]).repeat(limits::TENSORS);
    let error = read(&with_length(json.as_bytes())).unwrap_err();
    assert!(matches!(error, SafetensorsError::TooMany { .. }), "{error}");
}

#[test]
fn read_errors_keep_their_cause() {
    struct Failing(usize);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(left) = self.0.checked_sub(1) else {
                return Err(io::ErrorKind::PermissionDenied.into());
            };
            self.0 = left;
            let bytes = 1_000u64.to_le_bytes();
            buffer[..8].copy_from_slice(&bytes);
            Ok(8)
        }
    }
    for calls in [0, 1] {
        let error = Header::read(Failing(calls), 1 << 20).unwrap_err();
        assert!(
            matches!(&error, SafetensorsError::Io { source } if source.kind() == io::ErrorKind::PermissionDenied),
            "{error}"
        );
    }
}

proptest! {
    /// A panic or an overflow fails the test; a hang or a huge allocation does too, by its cost.
    #[test]
    fn damage_gives_an_answer(
        cut in 0usize..=2_000,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        lie in prop::option::of(any::<u64>()),
    ) {
        let mut file = Safetensors::llama("F16").tensor("q", "F4", &[256, 2]).bytes();
        file.truncate(file.len().saturating_sub(cut));
        for (place, byte) in edits {
            let place = place.index(file.len());
            file[place] = byte;
        }
        let length = lie.unwrap_or(file.len() as u64);
        if let Ok(header) = Header::read(&file[..], length) {
            prop_assert_eq!(header.data_offset.checked_add(header.tensors.bytes()), Some(length));
        }
    }

    #[test]
    fn numbers_in_a_description_are_checked(
        shape in prop::collection::vec(edge(), 0..5),
        start in edge(),
        end in edge(),
        data in 0usize..64,
    ) {
        let mut file = Safetensors::default().tensor_at("t", "I8", &shape, start, end).header();
        file.resize(file.len() + data, 0);
        if let Ok(header) = read(&file) {
            prop_assert_eq!((start, end), (0, data as u64));
            prop_assert_eq!(header.tensors.elements(), data as u64);
        }
    }
}

/// Numbers at which lengths and counts go wrong.
fn edge() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(1 << 31),
        Just(1 << 32),
        Just(i64::MAX as u64),
        Just(1 << 63),
        Just(u64::MAX),
        0u64..64,
        any::<u64>(),
    ]
}
