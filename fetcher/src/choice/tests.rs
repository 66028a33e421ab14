use impetus_models::RelativePath;
use reqwest::Url;

use super::*;
use crate::web::Ask;

fn listing(files: &[(&str, u64)], variant: Option<&str>) -> Listing {
    let url: Url = "https://hub.example/".parse().unwrap();
    let file = |&(path, bytes): &(&str, u64)| RemoteFile {
        path: RelativePath::new(path).unwrap(),
        bytes,
        digest: None,
        identity: path.to_owned(),
        version: None,
        ask: Ask::new(url.clone(), path),
    };
    Listing {
        name: "name".into(),
        what: "owner/name".into(),
        revision: "c".into(),
        variant: variant.map(str::to_owned),
        files: files.iter().map(file).collect(),
        notes: Vec::new(),
    }
}

/// Candidates as `name format: files`.
fn chosen(files: &[(&str, u64)], variant: Option<&str>, format: &str) -> Vec<String> {
    match candidates(&listing(files, variant), format) {
        Ok(candidates) => candidates
            .all
            .iter()
            .map(|candidate| {
                let files: Vec<&str> = candidate.files.iter().map(|file| file.path.as_str()).collect();
                format!("{} {}: {}", candidate.name, candidate.format, files.join(" "))
            })
            .collect(),
        Err(error) => vec![error.to_string()],
    }
}

const QUANTIZED: [(&str, u64); 7] = [
    ("m-F16.gguf", 16),
    ("m-Q2_K.gguf", 3),
    ("m-Q4_K_M.gguf", 5),
    ("m-Q8_0-00001-of-00002.gguf", 4),
    ("m-Q8_0-00002-of-00002.gguf", 4),
    ("mmproj-F16.gguf", 1),
    ("m.imatrix.gguf", 1),
];

const FOLDER: [(&str, u64); 8] = [
    ("config.json", 1),
    ("tokenizer.json", 1),
    ("model-00001-of-00002.safetensors", 9),
    ("model-00002-of-00002.safetensors", 9),
    ("pytorch_model.bin", 18),
    ("onnx/model.onnx", 9),
    ("onnx/model_q4.onnx", 3),
    ("onnx/model.onnx_data", 90),
];

#[test]
fn the_usual_quantization_comes_first() {
    let all = chosen(&QUANTIZED, None, "");
    assert_eq!(
        all,
        [
            "m-Q4_K_M gguf: m-Q4_K_M.gguf",
            "m-Q2_K gguf: m-Q2_K.gguf",
            "m-Q8_0 gguf: m-Q8_0-00001-of-00002.gguf m-Q8_0-00002-of-00002.gguf",
            "m-F16 gguf: m-F16.gguf",
        ]
    );
}

#[test]
fn what_nobody_knows_comes_last_and_all_that_is_made_is_known() {
    let check = |names: [&str; 3]| {
        let mut files: Vec<(String, u64)> = names.map(|name| (format!("m-{name}.gguf"), 1)).into();
        files.sort();
        let files: Vec<(&str, u64)> = files.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
        let expected = names.map(|name| format!("m-{name} gguf: m-{name}.gguf"));
        assert_eq!(chosen(&files, None, ""), expected);
    };
    check(["Q4_K_M", "Q4_K_L", "Q3_K_XL"]);
    check(["Q4_K_M", "UD-Q4_K_XL", "Q5_K_L"]);
    check(["Q4_K_S", "IQ1_S", "Another"]);
}

#[test]
fn a_format_and_latest_leave_the_choice() {
    let usual = chosen(&QUANTIZED, None, "");
    for variant in ["gguf", "GGUF", "latest", "Latest"] {
        assert_eq!(chosen(&QUANTIZED, Some(variant), ""), usual, "{variant}");
        assert!(!candidates(&listing(&QUANTIZED, Some(variant)), "").unwrap().is_told, "{variant}");
    }
    assert!(candidates(&listing(&QUANTIZED, Some("Q2_K")), "").unwrap().is_told);
    let both = [&QUANTIZED[..], &FOLDER].concat();
    assert_eq!(chosen(&both, Some("latest"), ""), usual);
    assert_eq!(chosen(&both, Some("safetensors"), ""), chosen(&FOLDER, None, ""));
    assert_eq!(chosen(&both, Some("onnx"), "").len(), 2);
    assert_eq!(
        chosen(&both, Some("onnx"), "gguf"),
        ["owner/name holds nothing that can be served: nothing is in the format gguf and onnx"]
    );
}

#[test]
fn a_variant_is_what_was_asked_for() {
    let check = |variant: &str, expected: &str| {
        assert_eq!(chosen(&QUANTIZED, Some(variant), ""), [expected], "{variant}");
    };
    check("q8_0", "m-Q8_0 gguf: m-Q8_0-00001-of-00002.gguf m-Q8_0-00002-of-00002.gguf");
    check("m-Q2_K.gguf", "m-Q2_K gguf: m-Q2_K.gguf");
    check("Q5_K_M", "owner/name has no \"Q5_K_M\"; it has F16, Q2_K, Q4_K_M, Q8_0");
    check("m-f16", "m-F16 gguf: m-F16.gguf");
    let dynamic = [("m-UD-Q4_K_XL.gguf", 1), ("m-Q4_K_XL.gguf", 1), ("m-UD-IQ1_S.gguf", 1)];
    assert_eq!(chosen(&dynamic, Some("ud-q4_k_xl"), ""), ["m-UD-Q4_K_XL gguf: m-UD-Q4_K_XL.gguf"]);
    assert_eq!(chosen(&dynamic, Some("q4_k_xl"), ""), ["m-Q4_K_XL gguf: m-Q4_K_XL.gguf"]);
    assert_eq!(chosen(&dynamic, Some("IQ1_S"), ""), ["m-UD-IQ1_S gguf: m-UD-IQ1_S.gguf"]);
    let many: Vec<(String, u64)> = (0..60).map(|idx| (format!("m{idx:02}.gguf"), 1)).collect();
    let many: Vec<(&str, u64)> = many.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    assert!(chosen(&many, Some("q4_0"), "")[0].ends_with("m48, m49 and 10 more"));
}

#[test]
fn folders_come_with_all_they_need_and_nothing_twice() {
    let candle = "name candle: model-00001-of-00002.safetensors model-00002-of-00002.safetensors config.json \
                  tokenizer.json";
    assert_eq!(chosen(&FOLDER, None, ""), [candle]);
    assert_eq!(
        chosen(&FOLDER, None, "onnx"),
        [
            "name onnx: onnx/model.onnx onnx/model.onnx_data config.json tokenizer.json",
            "name-model_q4 onnx: onnx/model_q4.onnx config.json tokenizer.json",
        ]
    );
    let only_bin = [("config.json", 1), ("pytorch_model.bin", 2), ("training_args.bin", 1)];
    assert_eq!(chosen(&only_bin, None, ""), ["name candle: pytorch_model.bin config.json"]);
}

#[test]
fn what_is_no_model_is_said() {
    let check = |files: &[(&str, u64)], format: &str, expected: &str| {
        let got = chosen(files, None, format);
        assert!(got.len() == 1 && got[0].contains(expected), "{files:?}: {got:?}");
    };
    check(&[("README.md", 1)], "", "owner/name holds nothing that can be served");
    check(&[("model.safetensors", 1)], "", "holds nothing");
    check(&QUANTIZED, "onnx", "nothing is in the format onnx");
}
