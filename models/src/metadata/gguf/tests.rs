//! Plausible headers are described; implausible ones are named.

use super::*;
use crate::metadata::Task;
use crate::testing::gguf::{Gguf, kind};

fn describe(file: &Gguf) -> Result<Metadata, Broken> {
    let file = file.bytes();
    let header = Header::read(&file[..], file.len() as u64).unwrap();
    Metadata::from_header(&header, &header.tensors)
}

#[test]
fn a_model_is_described() {
    let metadata = describe(&Gguf::llama().text("general.description", " two\nlines ")).unwrap();
    let expected = Metadata {
        task: Task::Generate,
        architecture: "llama".to_owned(),
        name: Some("Small".to_owned()),
        description: Some("two lines".to_owned()),
        quantization: "F32".to_owned(),
        parameters: 1_120,
        tensor_bytes: 4_480,
        repacked_bytes: 0,
        context_tokens: 2048,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        all_kv_heads: 4,
        key_length: 8,
        value_length: 8,
        embedding_length: 32,
        feed_forward_length: 0,
        vocabulary: Some(3),
        chat_template: Some("{{ messages }}".to_owned()),
    };
    assert_eq!(metadata, expected);
}

#[test]
fn what_is_absent_is_derived() {
    let file = Gguf::llama()
        .without("general.name")
        .without("tokenizer.chat_template")
        .without("tokenizer.ggml.tokens")
        .without("llama.attention.head_count_kv")
        .without("llama.attention.layer_norm_rms_epsilon");
    let metadata = describe(&file).unwrap();
    assert_eq!(metadata.name, None);
    assert_eq!(metadata.chat_template, None);
    assert_eq!(metadata.vocabulary, None);
    assert_eq!(metadata.kv_heads, 4);
    let metadata = describe(&file.u32("llama.vocab_size", 1024)).unwrap();
    assert_eq!(metadata.vocabulary, Some(1024));
}

#[test]
fn quantizations_are_named() {
    fn check(file: &Gguf, expected: &str) {
        assert_eq!(describe(file).unwrap().quantization, expected);
    }
    let no_type = || Gguf::llama().without("general.file_type");
    check(&Gguf::llama().u32("general.file_type", 15), "Q4_K_M");
    check(&Gguf::llama().u32("general.file_type", 7), "Q8_0");
    check(&Gguf::llama().u32("general.file_type", 999), "F32");
    check(&no_type(), "F32");
    check(&no_type().tensor("output.weight", &[256, 256], 12), "Q4_K");
    check(&no_type().tensor("output.weight", &[1024, 256], 35), "TQ2_0");
}

#[test]
fn layers_may_differ() {
    let file = Gguf::llama()
        .u32s("llama.attention.head_count", &[0, 8])
        .u32s("llama.attention.head_count_kv", &[0, 4])
        .u32("llama.attention.key_length", 64)
        .raw("llama.attention.value_length", kind::I32, &48i32.to_le_bytes());
    let metadata = describe(&file).unwrap();
    assert_eq!((metadata.heads, metadata.kv_heads, metadata.all_kv_heads), (8, 4, 4));
    assert_eq!((metadata.key_length, metadata.value_length), (64, 48));

    // Recurrent models have no attention at all.
    let file = Gguf::llama().u32("llama.attention.head_count", 0).without("llama.attention.head_count_kv");
    let metadata = describe(&file).unwrap();
    assert_eq!((metadata.heads, metadata.kv_heads, metadata.key_length), (0, 0, 0));
}

#[test]
fn what_a_token_goes_through_is_summed_up() {
    fn check(keys: &[(&str, u32)], expected: u32) {
        let with = |file: Gguf, (key, value): &(&str, u32)| file.u32(&format!("llama.{key}"), *value);
        let file = keys.iter().fold(Gguf::llama(), with);
        assert_eq!(describe(&file).unwrap().feed_forward_length, expected, "{keys:?}");
    }
    let (dense, count, used) = (("feed_forward_length", 100), ("expert_count", 8), ("expert_used_count", 2));
    check(&[], 0);
    check(&[dense], 100);
    check(&[dense, count, used], 200);
    check(&[dense, count, used, ("expert_feed_forward_length", 30)], 100);
    let (expert, shared) = (("expert_feed_forward_length", 60), ("expert_shared_feed_forward_length", 50));
    check(&[dense, count, used, expert, shared], 170);
}

#[test]
fn matrices_that_are_kept_twice_are_told() {
    fn check(name: &str, shape: &[u64], type_id: u32, expected: u64) {
        let file = Gguf::llama().tensor(name, shape, type_id);
        assert_eq!(describe(&file).unwrap().repacked_bytes, expected, "{name} {type_id}");
    }
    check("blk.0.ffn_up.weight", &[256, 8], 12, 8 * 144);
    check("blk.0.ffn_up_exps.weight", &[32, 8, 2], 2, 16 * 18);
    check("blk.0.ffn_up.weight", &[256, 8], 14, 0);
    check("blk.0.bias", &[256], 12, 0);
    check("token_embd.weight", &[256, 8], 12, 0);
}

#[test]
fn embedding_models_are_told() {
    fn check(file: &Gguf, expected: Task) {
        assert_eq!(describe(file).unwrap().task, expected);
    }
    let bert = Gguf::llama()
        .text("general.architecture", "bert")
        .u32("bert.block_count", 2)
        .u32("bert.context_length", 512)
        .u32("bert.embedding_length", 32);
    check(&bert, Task::Embed);
    check(&bert.u32("bert.pooling_type", 0), Task::Embed);
    check(&Gguf::llama(), Task::Generate);
    check(&Gguf::llama().u32("llama.pooling_type", 0), Task::Generate);
    check(&Gguf::llama().u32("llama.pooling_type", 3), Task::Embed);
}

#[test]
fn a_long_context_is_a_claim() {
    for claim in [1 << 31, u32::MAX] {
        let metadata = describe(&Gguf::llama().u32("llama.context_length", claim)).unwrap();
        assert_eq!(metadata.context_tokens, claim);
    }
}

#[test]
fn what_no_model_has_is_broken() {
    fn check(file: &Gguf, expected: &str) {
        let message = describe(file).unwrap_err().to_string();
        assert!(message.contains(expected), "{message:?} lacks {expected:?}");
    }
    let with = |key: &str, value: u32| Gguf::llama().u32(&format!("llama.{key}"), value);
    let float = |key: &str, value: f32| Gguf::llama().f32(&format!("llama.{key}"), value);
    let epsilon = "attention.layer_norm_rms_epsilon";

    check(&Gguf::llama().without("general.architecture"), "\"general.architecture\" is missing");
    check(&Gguf::llama().text("general.architecture", ""), "is not a short name");
    check(&Gguf::llama().text("general.architecture", "a b"), "is not a short name");
    check(&Gguf::llama().text("general.architecture", &"a".repeat(65)), "is not a short name");
    check(&Gguf::llama().u32("general.architecture", 1), "is not a short name");
    check(&Gguf::llama().text("general.architecture", "clip"), "extends another model");
    check(&Gguf::llama().text("general.type", "adapter"), "extends another model");
    check(&Gguf::llama().text("general.type", "mmproj"), "extends another model");
    check(&Gguf::llama().text("general.architecture", "other"), "\"other.block_count\" is missing");
    check(&Gguf::empty().text("general.architecture", "llama"), "no tensors");

    check(&with("block_count", 0), "\"llama.block_count\" is 0; 1 to 10000");
    check(&with("block_count", 10_001), "\"llama.block_count\" is 10001");
    check(&with("block_count", 1 << 31), "\"llama.block_count\" is 2147483648");
    check(&with("block_count", 4), "4 layers are declared, but there are only 3 tensors");
    check(&float("block_count", 2.0), "not an integer");
    check(&Gguf::llama().text("llama.block_count", "2"), "not an integer");
    check(&Gguf::llama().without("llama.context_length"), "\"llama.context_length\" is missing");
    check(&with("context_length", 0), "\"llama.context_length\" is 0");
    let context = (1u64 << 32).to_le_bytes();
    check(&Gguf::llama().raw("llama.context_length", kind::U64, &context), "is 4294967296");
    check(&Gguf::llama().raw("llama.context_length", kind::I32, &[0xff; 4]), "is -1");
    check(&Gguf::llama().without("llama.embedding_length"), "\"llama.embedding_length\" is missing");
    check(&with("embedding_length", 0), "\"llama.embedding_length\" is 0");
    check(&with("embedding_length", u32::MAX), "\"llama.embedding_length\" is 4294967295");
    check(&with("attention.head_count", 65_537), "head_count\" is 65537");
    check(&with("attention.head_count_kv", 5), "head_count_kv\" is 5");
    check(&with("attention.key_length", 1 << 31), "key_length\" is 2147483648");
    check(&Gguf::llama().u32s("llama.attention.head_count_kv", &[2, 99]), "head_count_kv\" is 99");
    check(&Gguf::llama().u32s("llama.attention.head_count", &[]), "not an integer or a list");

    check(&with("expert_count", u32::MAX), "expert_count\" is 4294967295");
    check(&with("expert_count", 4).u32("llama.expert_used_count", 5), "expert_used_count\" is 5");
    check(&with("expert_count", 4).u32("llama.expert_used_count", 0), "expert_used_count\" is 0");
    check(&with("expert_count", 0).u32("llama.expert_used_count", 1), "expert_used_count\" is 1");

    check(&float(epsilon, -1.0), "epsilon\" is -1");
    check(&float(epsilon, f32::NAN), "epsilon\" is NaN");
    check(&float(epsilon, f32::INFINITY), "epsilon\" is inf");
    check(&with(epsilon, 1), "is not a float");
    check(&float("attention.layer_norm_epsilon", -1.0), "layer_norm_epsilon\" is -1");
    check(&float("rope.freq_base", f32::NAN), "freq_base\" is NaN");

    check(&Gguf::llama().texts("tokenizer.ggml.tokens", &[]), "tokens\" is 0");
    check(&Gguf::llama().u32("tokenizer.chat_template", 1), "is not a text of at most 1 MiB");
    let template = "x".repeat((1 << 20) + 1);
    check(&Gguf::llama().text("tokenizer.chat_template", &template), "is not a text of at most 1 MiB");
}
