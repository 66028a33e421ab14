use base64::{Engine, prelude::BASE64_STANDARD};
use http_body_util::BodyExt;
use impetus_proto::{Code, worker::Embedding};
use serde_json::Value;

use super::*;
use crate::{
    fake::embedding::{text, tokens},
    upstream::Embedded,
};

fn of_input(input: &str) -> Result<Params, Error> {
    params(format!(r#"{{"input":{input}}}"#).as_bytes())
}

#[test]
fn an_input_is_a_text_or_tokens_or_many_of_either() {
    let check = |input: &str, expected: &[EmbedInput]| {
        assert_eq!(of_input(input).unwrap().inputs, expected, "{input}");
    };
    check(r#""a b""#, &[text("a b")]);
    check(r#"["a"]"#, &[text("a")]);
    check(r#"["a", "b", " "]"#, &[text("a"), text("b"), text(" ")]);
    check("[1, 2, 2147483647]", &[tokens(&[1, 2, 2_147_483_647])]);
    check("[[1, 2], [3]]", &[tokens(&[1, 2]), tokens(&[3])]);
    let many = vec!["\"x\""; 2048].join(",");
    assert_eq!(of_input(&format!("[{many}]")).unwrap().inputs.len(), 2048);
    assert!(matches!(
        of_input(&format!("[{}]", vec!["7"; 5000].join(","))).unwrap().inputs.as_slice(),
        [EmbedInput { input: Some(impetus_proto::worker::embed_input::Input::Tokens(tokens)) }]
            if tokens.ids.len() == 5000
    ));
}

#[test]
fn what_is_wrong_with_an_input_is_said_by_its_name() {
    let check = |input: &str, param: &str, words: &str| {
        let error = of_input(input).expect_err(input);
        assert_eq!((error.code(), error.param.as_str()), (Code::InvalidRequest, param), "{input}: {error}");
        assert!(error.message.contains(words), "{input}: {error}");
    };
    check("null", "input", "missing");
    check("7", "input", "not a number");
    check("{}", "input", "not an object");
    check("[]", "input", "empty");
    check(r#""""#, "input", "empty string");
    check(r#"["a","b","c",""]"#, "input[3]", "empty string");
    check("[[]]", "input[0]", "empty array");
    check("[[1],[]]", "input[1]", "empty array");
    check("[true]", "input[0]", "not true or false");
    check("[{}]", "input[0]", "not an object");
    check(r#"["a",1]"#, "input[1]", "must be a string, as the first element is, not a number");
    check(r#"["a",[1]]"#, "input[1]", "must be a string, as the first element is, not an array");
    check(r#"[[1],"a"]"#, "input[1]", "must be an array, as the first element is, not a string");
    check(r#"[1,"a"]"#, "input[1]", "must be an integer, not a string");
    check("[1,2.5]", "input[1]", "not 2.5");
    check("[-1]", "input[0]", "not -1");
    check("[1,2147483648]", "input[1]", "not 2147483648");
    check("[[1],[2,-3]]", "input[1][1]", "not -3");
    check(r#"[[1],[2,"a"]]"#, "input[1][1]", "not a string");
    check("[[1,[2]]]", "input[0][1]", "not an array");
    check(&format!("[{}]", vec!["\"x\""; 2049].join(",")), "input", "at most 2048");
    check(r#""\ud800""#, "input", "Unicode");
}

#[test]
fn parameters_are_honoured_or_refused_by_name() {
    let with = |fields: &str| params(format!(r#"{{"input":"x",{fields}}}"#).as_bytes());
    let refused = |fields: &str, code: Code, param: &str| {
        let error = with(fields).expect_err(fields);
        assert_eq!((error.code(), error.param.as_str()), (code, param), "{fields}: {error}");
    };
    let honoured =
        with(r#""model":"m","dimensions":256,"encoding_format":"base64","user":"u","keep_alive":"5m""#)
            .unwrap();
    let expected = Params {
        model: "m".into(),
        inputs: vec![text("x")],
        dimensions: 256,
        encoding: Encoding::Base64,
        keep_alive: Some(300),
        ignored: Ignored::default(),
    };
    assert_eq!(honoured, expected);
    let neutral =
        with(r#""dimensions":null,"encoding_format":"float","stream":false,"truncate":false"#).unwrap();
    assert_eq!((neutral.dimensions, neutral.encoding), (0, Encoding::Float));
    assert_eq!(neutral.ignored, Ignored::default());

    refused(r#""dimensions":0"#, Code::InvalidRequest, "dimensions");
    refused(r#""dimensions":1.5"#, Code::InvalidRequest, "dimensions");
    refused(r#""dimensions":4294967297"#, Code::InvalidRequest, "dimensions");
    refused(r#""encoding_format":"int8""#, Code::InvalidRequest, "encoding_format");
    refused(r#""encoding_format":7"#, Code::InvalidRequest, "encoding_format");
    refused(r#""keep_alive":"soon""#, Code::InvalidRequest, "keep_alive");
    refused(r#""user":7"#, Code::InvalidRequest, "user");
    refused(r#""truncate_prompt_tokens":7"#, Code::UnsupportedParameter, "truncate_prompt_tokens");
    refused(r#""input_type":"query""#, Code::UnsupportedParameter, "input_type");
    refused(r#""stream":true"#, Code::UnsupportedParameter, "stream");
    assert_ne!(with(r#""beta":1"#).unwrap().ignored, Ignored::default());
}

fn embedding(values: &[f32], truncated: bool) -> Embedding {
    Embedding { values: values.to_vec(), tokens: 7, truncated }
}

async fn answer(values: &[&[f32]], encoding: Encoding) -> String {
    let embeddings = values.iter().map(|values| embedding(values, false)).collect();
    let response = body::response(Embedded { model: "a \"model\"".into(), embeddings }, encoding);
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Numbers whose shortest and exact forms are not obvious.
const NUMBERS: [f32; 8] =
    [0.1, -0.0, 1.0, 1.0 / 3.0, f32::MIN_POSITIVE, f32::from_bits(1), f32::MAX, -16_777_217.0];

#[tokio::test]
async fn the_answer_is_that_of_the_api() {
    let text = answer(&[&[0.1, -1.0], &[1.0 / 3.0, 0.0]], Encoding::Float).await;
    assert_eq!(
        text,
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-1.0]},"#.to_owned()
            + r#"{"object":"embedding","index":1,"embedding":[0.33333334,0.0]}],"#
            + r#""model":"a \"model\"","usage":{"prompt_tokens":14,"total_tokens":14}}"#
    );
    let many = vec![&NUMBERS[..]; 300];
    let list: Value = serde_json::from_str(&answer(&many, Encoding::Float).await).unwrap();
    assert_eq!(list["data"].as_array().unwrap().len(), 300);
    assert_eq!(list["data"][299]["index"], 299);
}

#[tokio::test]
async fn numbers_arrive_to_the_bit() {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let floats: Value = serde_json::from_str(&answer(&[&NUMBERS], Encoding::Float).await).unwrap();
    let values: Vec<f32> = serde_json::from_value(floats["data"][0]["embedding"].clone()).unwrap();
    assert_eq!(bits(&values), bits(&NUMBERS));

    let base64: Value = serde_json::from_str(&answer(&[&NUMBERS], Encoding::Base64).await).unwrap();
    let bytes = BASE64_STANDARD.decode(base64["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let values: Vec<f32> =
        bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    assert_eq!(bits(&values), bits(&NUMBERS));
    assert_eq!(answer(&[&[1.0]], Encoding::Base64).await.matches("\"AACAPw==\"").count(), 1);
}

#[test]
fn inputs_that_were_cut_are_named() {
    let check = |cut: &[usize], expected: Option<&str>| {
        let embeddings: Vec<_> = (0..200).map(|idx| embedding(&[1.0], cut.contains(&idx))).collect();
        let mut headers = HeaderMap::new();
        headers.extend(truncated(embeddings.iter().map(|embedding| embedding.truncated)));
        assert_eq!(headers.get(TRUNCATED).map(|value| value.to_str().unwrap()), expected, "{cut:?}");
    };
    check(&[], None);
    check(&[0, 3], Some("0,3"));
    let names: Vec<String> = (100..164).map(|idx: usize| idx.to_string()).collect();
    check(&(100..164).collect::<Vec<_>>(), Some(&names.join(",")));
    check(&(100..180).collect::<Vec<_>>(), Some(&format!("{},+16", names.join(","))));
}
