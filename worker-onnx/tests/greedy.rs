//! Greedy decoding says what llama.cpp says with the same weights as GGUF.

use impetus_runtime::engine::{Batch, Model, Rows, SlotId, TextEngine, TokenId, Vocabulary, Want};

use crate::bundled;

const MAX_TOKENS: usize = 120;

/// What a user asked, what worker-gguf answered at temperature zero, and in how many tokens, the last included.
const ANSWERS: &[(&str, &str, usize)] = &[
    ("count from 1 to 20", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20", 70),
    ("hello", "Hello! How can I help you?", 14),
    ("what is the capital of France?", "The capital of Germany is Berlin.", 17),
    (
        "say hello to the world",
        "<tool_call>\n{\"name\": \"tototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototototo",
        120,
    ),
    ("write a python function that adds two numbers", "No, I can only read text.", 16),
    (
        "what is 2 + 3?",
        "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 2, \"a\": 3}}\n</tool_call>",
        38,
    ),
    (
        "tell me a story",
        "Once upon a time there was a small model that lived inside a server. Every morning it woke up, read the first token and waited for a question. One day a user asked for a story. The model thought about it for a moment, counted it",
        120,
    ),
    ("list three colors", "1. red\n2. green\n3. blue", 15),
    ("who are you?", "I was trained from scratch on generated text.", 27),
    ("repeat after me: red blue green", "red blue green", 6),
    ("what day is it today?", "I do not know the date.", 13),
    (
        "ünïcödé and 日本語",
        "<tool_call>\n{\"name\": \"tact_abranslatordé\", \"arguments\": {\"to\": \"and 日本語\"}}\n</tool_call>",
        43,
    ),
];

#[test]
fn answers_are_those_of_llama_cpp() {
    let Model { task, vocabulary, .. } = bundled::load(&bundled::folder().join("model.onnx"), (1, 512), &[]);
    let mut engine = task.into_generate().expect("it generates");
    for &(question, expected, n_tokens) in ANSWERS {
        let prompt = format!("<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n");
        let answer = generate(&mut *engine, &*vocabulary, &prompt);
        let text: Vec<u8> = answer.iter().flat_map(|&token| vocabulary.piece(token).to_vec()).collect();
        assert_eq!(String::from_utf8(text).unwrap(), expected, "{question}");
        assert_eq!(answer.len(), n_tokens, "{question}");
    }
}

fn generate(engine: &mut dyn TextEngine, vocabulary: &dyn Vocabulary, prompt: &str) -> Vec<TokenId> {
    engine.kv_clear(SlotId(0));
    let mut chunk = vocabulary.encode(prompt, true).expect("the prompt is tokenized");
    let (mut position, mut answer) = (0, Vec::new());
    while answer.len() < MAX_TOKENS && !answer.last().is_some_and(|&token| vocabulary.is_end(token)) {
        let mut batch = Batch::default();
        batch.push(SlotId(0), position, &chunk, Want::Last);
        let mut rows = Rows::new(engine.limits().vocabulary);
        engine.step(&batch, &mut rows).expect("the step succeeds");
        position += chunk.len() as u32;
        let best = (0..).zip(rows.row(0)).max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(id, _)| id);
        chunk = vec![TokenId(best.expect("a row is not empty"))];
        answer.push(chunk[0]);
    }
    answer
}
