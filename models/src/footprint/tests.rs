//! What is counted, by figures that can be checked by hand; the whole is compared with what real workers hold by the
//! end-to-end tests.

use proptest::prelude::*;

use super::*;

/// Two layers of four heads, two of which have keys and values of 64 elements.
fn metadata() -> Metadata {
    Metadata {
        task: Task::Generate,
        architecture: "llama".into(),
        name: None,
        description: None,
        quantization: "F16".into(),
        parameters: 50 << 20,
        tensor_bytes: 100 << 20,
        repacked_bytes: 0,
        context_tokens: 32_768,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        all_kv_heads: 4,
        key_length: 64,
        value_length: 64,
        embedding_length: 256,
        feed_forward_length: 512,
        vocabulary: Some(1024),
        chat_template: None,
    }
}

struct Case {
    format: &'static str,
    metadata: Metadata,
    slots: u32,
    context_tokens: u32,
    options: Vec<(&'static str, &'static str)>,
    gpus: u32,
}

impl Case {
    fn new(format: &'static str) -> Self {
        Self { format, metadata: metadata(), slots: 4, context_tokens: 1024, options: Vec::new(), gpus: 0 }
    }

    fn option(mut self, name: &'static str, value: &'static str) -> Self {
        self.options.push((name, value));
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn footprint(&self) -> Footprint {
        let options = self.options.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let params = FootprintParams {
            format: self.format,
            slots: self.slots,
            context_tokens: self.context_tokens,
            threads: 1,
            options: &options,
            gpus: self.gpus,
        };
        footprint(&self.metadata, &params).expect("the format is known")
    }
}

#[test]
fn keys_and_values_are_counted_by_slot_token_and_type() {
    fn check(case: &Case, expected_mib: f64) {
        let kv = case.footprint().ram.kv as f64 / MIB as f64;
        assert!((kv - expected_mib).abs() < 0.3, "{} {:?}: {kv} MiB", case.format, case.options);
    }
    let with_type = |name| Case::new(GGUF_FORMAT).option("kv_type", name);
    let f32 = |case: &mut Case| case.metadata.quantization = "F32".into();
    // 4 slots of 1024 tokens, 4 heads in all layers, 128 elements.
    check(&Case::new(GGUF_FORMAT), 4.0);
    check(&with_type("auto").with(f32), 8.0);
    check(&with_type("f32"), 8.0);
    check(&with_type("bf16").with(f32), 4.0);
    check(&with_type("q8_0"), 2.125);
    check(&with_type("q4_0"), 1.125);
    check(&Case::new(GGUF_FORMAT).with(|case| case.slots = 0), 1.0);
    // The model's own context, as far as workers go by themselves.
    check(&Case::new(GGUF_FORMAT).with(|case| case.context_tokens = 0), 33.5);
    check(&Case::new(CANDLE_FORMAT), 8.0);
    check(&Case::new(CANDLE_FORMAT).option("dtype", "bf16"), 8.0);
    check(&Case::new(ONNX_FORMAT), 4.0 * 2.8);
    check(&Case::new(ONNX_FORMAT).with(f32), 8.0 * 3.3);
}

#[test]
fn weights_are_counted_as_they_are_held() {
    fn check(case: &Case, expected_mib: u64) {
        assert_eq!(case.footprint().ram.weights, expected_mib * MIB, "{} {:?}", case.format, case.options);
    }
    let repacked = |case: &mut Case| case.metadata.repacked_bytes = 90 * MIB;
    let stock = |case: &mut Case| case.metadata.architecture = "falcon".into();
    let mlx = |case: &mut Case| case.metadata.quantization = "MLX 4-bit".into();
    check(&Case::new(GGUF_FORMAT), 100);
    check(&Case::new(GGUF_FORMAT).with(repacked), 190);
    check(&Case::new(GGUF_FORMAT).with(repacked).option("mmap", "false"), 100);
    check(&Case::new(CANDLE_FORMAT), 100);
    check(&Case::new(CANDLE_FORMAT).option("dtype", "f32"), 200);
    check(&Case::new(CANDLE_FORMAT).option("dtype", "file"), 100);
    check(&Case::new(CANDLE_FORMAT).with(stock), 200);
    check(&Case::new(CANDLE_FORMAT).with(mlx), 200);
    check(&Case::new(ONNX_FORMAT), 200);
    let quantized = Case::new(CANDLE_FORMAT).option("quantize", "q8_0").footprint().ram.weights;
    assert!((53 * MIB..56 * MIB).contains(&quantized), "{quantized}");
}

#[test]
fn a_load_may_be_the_largest_moment() {
    let ram = Case::new(CANDLE_FORMAT).footprint().ram;
    assert_eq!(
        ram.loaded,
        ram.process + 201 * MIB,
        "what is read, what is held and what is laid out between"
    );
    assert_eq!((ram.full(), ram.growth()), (ram.loaded, 0));
    let ram = Case::new(GGUF_FORMAT).footprint().ram;
    assert_eq!(ram.loaded, ram.process + ram.weights + ram.kv);
    assert_eq!(ram.growth(), ram.compute);
}

#[test]
fn attention_without_the_flash_kernel_has_a_score_for_each_head_and_key() {
    let compute = |value| {
        let case = Case::new(GGUF_FORMAT).option("flash_attention", value);
        case.with(|case| case.metadata.feed_forward_length = 0).footprint().ram.compute
    };
    assert_eq!(compute("auto"), compute("on"));
    // 512 tokens × 1024 keys × 4 heads in F32, and a mask of twice the width.
    assert_eq!(compute("off") - compute("on"), 9 * MIB);
}

#[test]
fn what_is_offered_to_gpus_lies_there() {
    let gpus = |case: Case, gpus| case.with(|case| case.gpus = gpus).footprint();
    let all = gpus(Case::new(GGUF_FORMAT), 2);
    assert_eq!((all.ram.weights, all.ram.kv, all.gpus.len()), (0, 0, 2));
    assert!(all.gpus.iter().all(|gpu| gpu.weights == 50 * MIB && gpu.full() > 450 * MIB), "{all:?}");
    let third = gpus(Case::new(GGUF_FORMAT).option("gpu_layers", "1"), 1);
    assert_eq!(third.ram.weights + third.gpus[0].weights, 100 * MIB);
    assert_eq!(third.gpus[0].weights, 100 * MIB / 3);
    for none in [gpus(Case::new(GGUF_FORMAT).option("gpu_layers", "0"), 1), gpus(Case::new(CANDLE_FORMAT), 1)]
    {
        assert_eq!((none.ram.weights, none.gpus.len()), (100 * MIB, 0));
    }
    let onnx = gpus(Case::new(ONNX_FORMAT).option("provider", "cuda"), 1);
    assert_eq!((onnx.ram.weights, onnx.gpus[0].weights), (0, 100 * MIB));
    assert_eq!(gpus(Case::new(ONNX_FORMAT), 1).gpus, []);
}

#[test]
fn embedding_models_keep_nothing_by_slot() {
    for format in [GGUF_FORMAT, CANDLE_FORMAT, ONNX_FORMAT] {
        let embeds = |slots| {
            let case = Case::new(format).with(|case| case.metadata.task = Task::Embed);
            case.with(|case| case.slots = slots).footprint().ram.kv
        };
        assert_eq!(embeds(1), embeds(64), "{format}");
    }
}

#[test]
fn other_formats_are_unknown() {
    let options = HashMap::new();
    let params = FootprintParams {
        format: "toy",
        slots: 1,
        context_tokens: 0,
        threads: 1,
        options: &options,
        gpus: 0,
    };
    assert_eq!(footprint(&metadata(), &params), None);
}

/// Any number that a file can claim, the extreme ones often.
fn any_claim() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(1), Just(u32::MAX), any::<u32>()]
}

proptest! {
    #[test]
    fn no_claim_overflows(
        claims in prop::collection::vec(any_claim(), 9),
        bytes in prop_oneof![Just(0), Just(u64::MAX), any::<u64>()],
        slots in any_claim(),
        context_tokens in any_claim(),
        gpus in 0..3_u32,
        embeds in any::<bool>(),
    ) {
        for format in [GGUF_FORMAT, CANDLE_FORMAT, ONNX_FORMAT] {
            for option in [("quantize", "q4_k"), ("gpu_layers", "3"), ("provider", "cuda")] {
                let case = Case::new(format).option(option.0, option.1).with(|case| {
                    case.metadata = Metadata {
                        task: if embeds { Task::Embed } else { Task::Generate },
                        parameters: bytes,
                        tensor_bytes: bytes,
                        repacked_bytes: bytes,
                        context_tokens: claims[0],
                        layers: claims[1],
                        heads: claims[2],
                        kv_heads: claims[3],
                        all_kv_heads: u64::from(claims[1]).saturating_mul(claims[3].into()),
                        key_length: claims[4],
                        value_length: claims[5],
                        embedding_length: claims[6],
                        feed_forward_length: claims[7],
                        vocabulary: Some(claims[8]),
                        ..metadata()
                    };
                    (case.slots, case.context_tokens, case.gpus) = (slots, context_tokens, gpus);
                });
                let footprint = case.footprint();
                for share in footprint.gpus.iter().chain([&footprint.ram]) {
                    prop_assert!(share.full() >= share.loaded && share.full() >= share.process);
                }
            }
        }
    }

    #[test]
    fn more_of_anything_needs_no_less(slots in 1..64_u32, context_tokens in 1..100_000_u32) {
        for format in [GGUF_FORMAT, CANDLE_FORMAT, ONNX_FORMAT] {
            let full = |slots, context_tokens| {
                let case = Case::new(format);
                case.with(|case| (case.slots, case.context_tokens) = (slots, context_tokens)).footprint().ram.full()
            };
            prop_assert!(full(slots, context_tokens) <= full(slots + 1, context_tokens), "{format}");
            prop_assert!(full(slots, context_tokens) <= full(slots, context_tokens + 1), "{format}");
        }
    }
}
