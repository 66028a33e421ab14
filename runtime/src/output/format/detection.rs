//! Which format each template of the collection gets.

use std::{collections::BTreeMap, fs, path::Path};

use super::{Template, choose};

const EXPECTED: &[(&str, &str)] = &[
    ("Apertus-8B-Instruct", "apertus"),
    ("ByteDance-Seed-OSS", "seed_oss"),
    ("CohereForAI-c4ai-command-r-plus-tool_use", "command_r"),
    ("CohereForAI-c4ai-command-r7b-12-2024-tool_use", "command_r7b"),
    ("GLM-4.6", "glm"),
    ("HuggingFaceTB-SmolLM3-3B", "generic"),
    ("Kimi-K2-Instruct", "kimi"),
    ("LFM2.5-Instruct", "pythonic"),
    ("MiniMax-M2", "minimax"),
    ("Mistral-Small-3.2-24B-Instruct-2506", "mistral"),
    ("NVIDIA-Nemotron-Nano-v2", "nemotron"),
    ("NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", "hermes"),
    ("NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "hermes"),
    ("Qwen-QwQ-32B", "hermes"),
    ("Qwen-Qwen2.5-7B-Instruct", "hermes"),
    ("Qwen-Qwen3-0.6B", "hermes"),
    ("Qwen3-Coder", "qwen3_coder"),
    ("Qwen3.5-4B", "qwen3_coder"),
    ("deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "deepseek"),
    ("deepseek-ai-DeepSeek-V3.1", "deepseek"),
    ("deepseek-ai-DeepSeek-V4", "deepseek_v4"),
    ("fireworks-ai-llama-3-firefunction-v2", "firefunction"),
    ("google-gemma-2-2b-it", "generic"),
    ("google-gemma-4-31B-it", "gemma"),
    ("ibm-granite-granite-3.3-2B-Instruct", "granite"),
    ("ibm-granite-granite-4.0", "hermes"),
    ("meetkai-functionary-medium-v3.1", "functionary_v3_1"),
    ("meetkai-functionary-medium-v3.2", "functionary_v3_2"),
    ("meta-llama-Llama-3.1-8B-Instruct", "llama3"),
    ("meta-llama-Llama-3.2-3B-Instruct", "llama3"),
    ("meta-llama-Llama-3.3-70B-Instruct", "llama3"),
    ("microsoft-Phi-3.5-mini-instruct", "generic"),
    ("mistralai-Ministral-3-14B-Reasoning-2512", "mistral"),
    ("mistralai-Mistral-Nemo-Instruct-2407", "mistral"),
    ("openai-gpt-oss-120b", "harmony"),
    ("unsloth-mistral-Devstral-Small-2507", "mistral"),
];

#[test]
fn each_template_gets_its_format() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/chat-templates");
    if !folder.is_dir() {
        return;
    }
    let mut chosen = BTreeMap::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jinja") {
            let source = fs::read_to_string(&path).unwrap();
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            chosen.insert(stem, choose(&Template::new(&source)).name());
        }
    }
    let expected: BTreeMap<String, &str> =
        EXPECTED.iter().map(|(stem, name)| ((*stem).to_owned(), *name)).collect();
    assert_eq!(chosen, expected);
}
