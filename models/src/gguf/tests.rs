//! Correct headers are read; hostile ones are refused quickly and by name.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use proptest::prelude::*;

use super::*;
use crate::testing::gguf::{Gguf, array, kind};

fn read(file: &[u8]) -> Result<Header, GgufError> {
    Header::read(file, file.len() as u64)
}

fn read_path(path: &Path) -> Header {
    let file = File::open(path).unwrap();
    let length = file.metadata().unwrap().len();
    Header::read(file, length).unwrap()
}

#[test]
fn a_header_is_read() {
    let file = Gguf::llama()
        .raw("some.signed", kind::I32, &(-7i32).to_le_bytes())
        .raw("some.double", kind::F64, &0.5f64.to_le_bytes())
        .raw("some.bool", kind::BOOL, &[1])
        .raw("some.large", kind::U64, &u64::MAX.to_le_bytes())
        .raw("some.small", kind::U8, &[200])
        .u32s("some.list", &[1, 2, 3])
        .array("some.bools", kind::BOOL, 2, &[0, 1])
        .array("some.nested", kind::ARRAY, 1, &array(kind::U8, 2, &[1, 2]))
        .raw("some.bytes", kind::TEXT, b"\x02\0\0\0\0\0\0\0a\xff");
    for version in [2, 3] {
        let header = read(&file.clone().version(version).bytes()).unwrap();
        assert_eq!(header.version, version);
        assert_eq!(header.alignment, 32);
        assert_eq!(header.data_offset, (file.header().len() as u64).next_multiple_of(32));
        assert_eq!(header.text("general.name"), Some("Small"));
        assert_eq!(header.values["some.signed"], Value::Signed(-7));
        assert_eq!(header.values["some.double"], Value::Float(0.5));
        assert_eq!(header.values["some.bool"], Value::Bool(true));
        assert_eq!(header.values["some.large"], Value::Unsigned(u64::MAX));
        assert_eq!(header.values["some.small"], Value::Unsigned(200));
        assert_eq!(header.values["some.list"], Value::Integers(vec![1, 2, 3]));
        assert_eq!(header.values["some.bools"], Value::Array { count: 2 });
        assert_eq!(header.values["some.nested"], Value::Array { count: 1 });
        assert_eq!(header.values["some.bytes"], Value::Text("a\u{fffd}".to_owned()));
        assert_eq!(header.values["tokenizer.ggml.tokens"], Value::Array { count: 3 });
        assert_eq!(header.tensors.count, 3);
        assert_eq!(header.tensors.elements, 1_120);
        assert_eq!(header.tensors.bytes, 4_480);
        assert_eq!(header.tensors.dominant_type().unwrap().name(), "F32");
    }
}

#[test]
fn what_is_long_is_not_kept() {
    let long = "x".repeat(limits::KEPT_TEXT_BYTES as usize + 1);
    let many = vec![0; limits::KEPT_ARRAY as usize + 1];
    let header = read(&Gguf::empty().text("a.long", &long).u32s("a.many", &many).bytes()).unwrap();
    assert_eq!(header.values["a.long"], Value::LongText { length: limits::KEPT_TEXT_BYTES + 1 });
    assert_eq!(header.values["a.many"], Value::Array { count: limits::KEPT_ARRAY + 1 });
}

#[test]
fn alignment_moves_the_data() {
    let mut file = Gguf::empty().u32("general.alignment", 4096).tensor("t", &[8], 0).bytes();
    file.resize(4096 + 32, 0);
    let header = read(&file).unwrap();
    assert_eq!((header.alignment, header.data_offset), (4096, 4096));
    file.pop();
    assert!(read(&file).unwrap_err().to_string().contains("ends at byte 4128, but the file has 4127"));
}

#[test]
fn sizes_follow_types() {
    fn check(type_id: u32, shape: &[u64], expected_bytes: u64) {
        let header = read(&Gguf::empty().tensor("t", shape, type_id).bytes()).unwrap();
        assert_eq!(header.tensors.bytes, expected_bytes, "type {type_id}, shape {shape:?}");
    }
    check(0, &[], 4);
    check(0, &[3, 5, 7, 2], 840);
    check(0, &[0, 5], 0);
    check(2, &[64, 3], 108);
    check(14, &[256, 4], 840);
    check(30, &[7], 14);
    check(34, &[512], 108);
    check(39, &[32, 32], 544);
}

#[test]
fn the_bundled_model_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundled/tiny/impetus-tiny.gguf");
    let header = read_path(&path);
    assert_eq!(header.text("general.architecture"), Some("llama"));
    assert_eq!(header.tensors.bytes, header.tensors.elements * 4);
    assert!(header.text("tokenizer.chat_template").is_some_and(|template| template.contains("messages")));
}

#[test]
fn vocabularies_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vocab");
    // They are beside the repository on some machines only.
    let files: Vec<PathBuf> = match folder.read_dir() {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => return,
    };
    for path in files.iter().filter(|path| path.extension().is_some_and(|e| e == "gguf")) {
        let header = read_path(path);
        assert_eq!(header.tensors.count, 0, "{path:?}");
        assert!(header.values["tokenizer.ggml.tokens"].count() > Some(30_000), "{path:?}");
    }
}

#[test]
fn hostile_headers_are_refused() {
    fn check(file: &Gguf, expected: &str) {
        let message = read(&file.bytes()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message:?} lacks {expected:?}");
    }
    let huge = u64::MAX;
    let value = |kind: u32, bytes: &[u8]| Gguf::empty().raw("k", kind, bytes);
    let tensor = |shape: &[u64], type_id| Gguf::empty().tensor_at("t", shape, type_id, 0);

    check(&Gguf::empty().version(0), "version 0 is not supported");
    check(&Gguf::empty().version(1), "version 1 is not supported");
    check(&Gguf::empty().version(4), "version 4 is not supported");
    check(&Gguf::empty().version(3 << 24), "big-endian");
    check(&Gguf::empty().version(2 << 24), "big-endian");

    check(&Gguf::empty().n_keys(huge), "18446744073709551615 keys");
    check(&Gguf::empty().n_keys(limits::KEYS + 1), "keys; at most 16384");
    check(&Gguf::empty().n_keys(1), "key at byte 24 needs 8 bytes");
    check(&Gguf::empty().n_tensors(huge), "18446744073709551615 tensors");
    check(&Gguf::empty().n_tensors(1 << 31), "2147483648 tensors");
    check(&Gguf::empty().n_tensors(1), "tensor name at byte 24");

    check(&Gguf::empty().u32("", 1), "the key at byte 24 is empty");
    check(&Gguf::empty().u32("k", 1).again("k", kind::U32, &[0; 4]), "\"k\" occurs again at byte 41");
    check(&value(13, &[0; 8]), "unknown type 13 at byte 33");
    check(&value(u32::MAX, &[0; 8]), "unknown type 4294967295");
    check(&value(kind::BOOL, &[2]), "is 2, which is no truth value");
    check(&value(kind::U64, &[0; 2]), "value at byte 37 needs 8 bytes");
    check(&value(kind::TEXT, &huge.to_le_bytes()), "text at byte 45 needs 18446744073709551615 bytes");
    check(&value(kind::TEXT, &(1u64 << 40).to_le_bytes()), "text at byte 45");
    check(&value(kind::TEXT, &1000u64.to_le_bytes()), "needs 1000 bytes");

    check(&value(kind::ARRAY, &array(kind::U8, huge, &[])), "18446744073709551615 elements");
    check(&value(kind::ARRAY, &array(kind::U64, 1 << 61, &[])), "2305843009213693952 elements");
    check(&value(kind::ARRAY, &array(kind::TEXT, 1 << 30, &[0; 64])), "1073741824 elements");
    check(&value(kind::ARRAY, &array(kind::TEXT, 1, &huge.to_le_bytes())), "text in an array");
    check(&value(kind::ARRAY, &array(99, 1, &[0; 64])), "unknown type 99");
    check(&value(kind::ARRAY, &array(kind::ARRAY, huge, &[])), "18446744073709551615 elements");
    let nested = (0..8).fold(array(kind::U8, 1, &[0]), |inner, _| array(kind::ARRAY, 1, &inner));
    check(&value(kind::ARRAY, &nested), "nested too deeply");

    check(&Gguf::empty().u32("general.alignment", 0), "\"general.alignment\" is 0");
    check(&Gguf::empty().u32("general.alignment", 24), "\"general.alignment\" is 24");
    check(&Gguf::empty().text("general.alignment", "32"), "no unsigned integer");
    let alignment = (1u64 << 63).to_le_bytes();
    check(&Gguf::empty().raw("general.alignment", kind::U64, &alignment), "is 9223372036854775808");

    check(&tensor(&[1; 5], 0), "has 5 dimensions");
    check(&tensor(&[huge], 0), "which no file can hold");
    check(&tensor(&[1 << 32, 1 << 32], 0), "which no file can hold");
    check(&tensor(&[1 << 31, 1 << 31, 2, 0], 0), "which no file can hold");
    check(&tensor(&[(1 << 63) - 1], 0), "which no file can hold");
    check(&tensor(&[32], 4), "has the type 4");
    check(&tensor(&[32], 43), "has the type 43");
    check(&tensor(&[33], 2), "has rows of 33 elements, no multiple of 32 as Q4_0 needs");
    check(&tensor(&[128], 12), "no multiple of 256 as Q4_K needs");
    check(&tensor(&[1 << 40], 0), "but the file has");
    check(&Gguf::empty().tensor_at("t", &[1], 0, 8), "starts at offset 8, no multiple of 32");
    check(&Gguf::empty().tensor_at("t", &[1], 0, huge - 31), "but the file has");
    check(&Gguf::empty().tensor_at("t", &[0], 0, 1 << 40), "but the file has");
    check(&Gguf::empty().tensor_at(&"n".repeat(257), &[1], 0, 0), "at most 256 are allowed");
    let overlapping = Gguf::empty().tensor("a", &[8], 0).tensor_at("b", &[8], 0, 0);
    check(&overlapping, "the tensors need 64 bytes, but only 32 follow");
}

#[test]
fn files_that_are_no_gguf_are_told() {
    for file in [&b""[..], b"G", b"GGU", b"GGML\x03\0\0\0", b"<!DOCTYPE html>", &[0; 64]] {
        assert!(matches!(read(file), Err(GgufError::NotGguf)), "{file:?}");
    }
    assert!(matches!(read(b"GGUF"), Err(GgufError::Truncated { what: "version", .. })));
}

#[test]
fn keys_must_be_text_of_a_sane_length() {
    let mut file = Gguf::empty().u32("kk", 1).bytes();
    file[32] = 0xff;
    assert!(matches!(read(&file), Err(GgufError::KeyNotUtf8 { offset: 24 })));
    let file = Gguf::empty().u32(&"k".repeat(65_536), 1).bytes();
    assert!(matches!(read(&file), Err(GgufError::TooLong { what: "key", length: 65_536, .. })));
}

#[test]
fn kept_values_are_bounded_together() {
    let megabyte = "x".repeat(limits::KEPT_TEXT_BYTES as usize);
    let file = (0..5).fold(Gguf::empty(), |file, n| file.text(&format!("k{n}"), &megabyte));
    assert!(matches!(read(&file.bytes()), Err(GgufError::TooMuchMetadata { .. })));
}

#[test]
fn a_length_that_lies_costs_nothing() {
    // The declared length is believed up to the limits; the bytes themselves must be there.
    let file = Gguf::empty().raw("k", kind::TEXT, &(1u64 << 20).to_le_bytes()).header();
    let error = Header::read(&file[..], u64::MAX).unwrap_err();
    assert!(matches!(error, GgufError::Truncated { needed: 1_048_576, .. }), "{error}");

    let file = Gguf::empty().raw("k", kind::TEXT, &(1u64 << 40).to_le_bytes()).header();
    let error = Header::read(&file[..], u64::MAX).unwrap_err();
    assert!(matches!(error, GgufError::HeaderTooLarge { what: "text", .. }), "{error}");

    let file = Gguf::empty().raw("k", kind::ARRAY, &array(kind::U8, 1 << 20, &[])).header();
    let error = Header::read(&file[..], u64::MAX).unwrap_err();
    assert!(matches!(error, GgufError::Truncated { needed: 1_048_576, .. }), "{error}");

    let file = Gguf::empty().n_tensors(limits::TENSORS).header();
    let error = Header::read(&file[..], u64::MAX).unwrap_err();
    assert!(matches!(error, GgufError::Truncated { .. }), "{error}");
}

#[test]
fn read_errors_keep_their_cause() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
    let error = Header::read(Failing, 1 << 20).unwrap_err();
    assert!(
        matches!(&error, GgufError::Io { offset: 0, source } if source.kind() == io::ErrorKind::PermissionDenied)
    );
}

proptest! {
    /// A panic or an overflow fails the test; a hang or a huge allocation does too, by its cost.
    #[test]
    fn damage_gives_an_answer(
        cut in 0usize..=2_000,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        words in prop::collection::vec((any::<prop::sample::Index>(), edge()), 0..3),
        lie in prop::option::of(any::<u64>()),
    ) {
        let file = Gguf::llama().u32s("a.list", &[1, 2]).tensor("q", &[256, 2], 12);
        let mut file = file.bytes();
        file.truncate(file.len().saturating_sub(cut));
        for (place, byte) in edits {
            let place = place.index(file.len());
            file[place] = byte;
        }
        for (place, word) in words {
            let place = place.index(file.len() - 8);
            file[place..place + 8].copy_from_slice(&word.to_le_bytes());
        }
        let length = lie.unwrap_or(file.len() as u64);
        if let Ok(header) = Header::read(&file[..], length) {
            prop_assert!(header.tensors.bytes <= length);
            prop_assert!(header.values.len() <= file.len());
        }
    }

    #[test]
    fn a_cut_header_is_refused(cut in any::<prop::sample::Index>()) {
        let header = Gguf::llama().header();
        let cut = &header[..cut.index(header.len())];
        prop_assert!(read(cut).is_err());
    }

    #[test]
    fn texts_come_back(key in "[a-z]{1,20}", value in any::<String>()) {
        let header = read(&Gguf::empty().text(&key, &value).bytes()).unwrap();
        prop_assert_eq!(header.text(&key), Some(value.as_str()));
    }
}

/// Numbers at which lengths and counts go wrong.
fn edge() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(u64::from(u32::MAX)),
        Just(1 << 31),
        Just(1 << 32),
        Just(i64::MAX as u64),
        Just(1 << 63),
        Just(u64::MAX),
        any::<u64>(),
    ]
}
