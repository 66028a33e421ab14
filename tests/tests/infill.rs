//! Holes in texts, filled by the tokens that the model has for it.

use std::{fs, path::Path};

use impetus_proto::worker::{
    FinishReason, GenerateRequest, Infill, InfillFile, Stopping, TokenizeRequest, generate_request::Input,
    tokenize_request,
};
use serde_json::Value;

use crate::harness::{BUNDLED, MODEL, Server};

/// The holes that the bundled model promises to fill: prefix, suffix and filling.
fn holes() -> Vec<(String, String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundled/tiny/examples.json");
    let file: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let examples = file["examples"].as_array().unwrap().iter();
    let holes = examples.filter(|example| example.get("suffix").is_some());
    holes.map(|hole| (text(&hole["prompt"]), text(&hole["suffix"]), text(&hole["expected"]))).collect()
}

fn hole(prefix: &str, suffix: &str) -> Infill {
    Infill { prefix: prefix.to_owned(), suffix: suffix.to_owned(), ..Infill::default() }
}

#[tokio::test]
async fn holes_are_filled_in_every_format() {
    let server = Server::of_all_formats().await;
    let holes = holes();
    assert!(holes.len() >= 2, "{holes:?}");
    for model in BUNDLED {
        for (prefix, suffix, expected) in &holes {
            let (said, asked) = expected.split_at(1);
            let request = |continuation: &str| GenerateRequest {
                input: Some(Input::Infill(Infill {
                    continuation: continuation.to_owned(),
                    ..hole(prefix, suffix)
                })),
                stopping: Some(Stopping { max_tokens: Some(32), ..Stopping::default() }),
                ..GenerateRequest::default()
            };
            let filled = server.generate(model, request("")).await.unwrap();
            assert_eq!((&filled.text, filled.reason), (expected, FinishReason::Stop), "{model}: {prefix:?}");
            // Only what follows the continuation is generated.
            let continued = server.generate(model, request(said)).await.unwrap();
            assert_eq!(continued.text, asked, "{model}: {prefix:?}");
        }
    }
}

#[tokio::test]
async fn the_prompt_of_a_hole_can_be_seen() {
    let server = Server::plain().await;
    assert_eq!(server.ctl(&["load", MODEL]).await.code, 0);
    let mut worker = server.control.worker(MODEL).await;
    let mut prompt = async |infill: Infill| {
        let input = Some(tokenize_request::Input::Infill(infill));
        let request = TokenizeRequest { model: MODEL.to_owned(), input, ..TokenizeRequest::default() };
        worker.tokenize(request).await.unwrap().into_inner()
    };
    let simple = prompt(hole("before <|fim_suffix|>", "behind")).await;
    assert_eq!(simple.prompt, "<|fim_prefix|>before <|fim_suffix|><|fim_suffix|>behind<|fim_middle|>");
    // The name of a control token in a text is text: one such token, and one that only looks like it.
    let suffix_tokens = simple.tokens.iter().filter(|&&token| token == 4).count();
    assert_eq!(suffix_tokens, 1, "{simple:?}");

    let files = vec![InfillFile { name: "other.py".to_owned(), text: "x = 1".to_owned() }];
    let with_file = prompt(Infill { files, ..hole("a", "b") }).await;
    let expected = "\n\n--- other.py ---\n\nx = 1\n\n<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>";
    assert_eq!(with_file.prompt, expected);

    // What is far from the hole goes: the model has 2,048 tokens of context, a quarter of it for the filling.
    let long = prompt(hole(&"far ".repeat(4000), &" away".repeat(4000))).await;
    assert_eq!(long.tokens.len(), 2048 - 2048 / 4);
    assert!(long.prompt.contains("far <|fim_suffix|> away"), "{}", long.prompt);
}
