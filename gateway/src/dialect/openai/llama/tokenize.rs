//! `POST /tokenize`. Its fields tell whose it is: llama.cpp's has a `content`, vLLM's a `prompt` or `messages`.

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::Request,
    response::{IntoResponse, Response},
};
use impetus_proto::{
    Error,
    worker::{TokenizeReply, TokenizeRequest, tokenize_request::Input},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::apply_template::Chat;
use crate::{
    dialect::{field::Fields, ignored::Ignored, keep_alive, openai::error::Refusal},
    record::Record,
    server::{self, Gateway},
    upstream::{self, Caller},
};

/// A request's body, understood.
#[derive(Debug)]
enum Params {
    Text(Text),
    /// Of vLLM, with whether the tokens' texts are wanted.
    Chat(Chat, bool),
}

#[derive(Debug, PartialEq)]
struct Text {
    model: String,
    keep_alive: Option<i64>,
    request: TokenizeRequest,
    form: Form,
    ignored: Ignored,
}

/// How the answer is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// llama.cpp's.
    Tokens { with_pieces: bool },
    /// vLLM's.
    Count { with_texts: bool },
}

/// llama.cpp's answer.
#[derive(Debug, Serialize, JsonSchema)]
struct Tokens {
    tokens: Vec<Token>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Token {
    Id(u32),
    Piece { id: u32, piece: Piece },
}

/// A token's text, or its bytes where these are no whole characters.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Piece {
    Text(String),
    Bytes(Vec<u8>),
}

/// vLLM's answer.
#[derive(Debug, Serialize, JsonSchema)]
struct Count {
    count: usize,
    /// Tokens of context.
    max_model_len: u32,
    tokens: Vec<u32>,
    token_strs: Option<Vec<String>>,
}

/// Either answer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Tokenized")]
#[serde(untagged)]
pub(in crate::dialect::openai) enum Answer {
    #[expect(private_interfaces, reason = "only its schema is wanted elsewhere")]
    Tokens(Tokens),
    #[expect(private_interfaces, reason = "only its schema is wanted elsewhere")]
    Count(Count),
}

/// Says what tokens a text or a chat becomes.
pub(super) async fn create(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let body = server::read_body(request, gateway.limits).await?;
    let (model, ignored, reply, form) = match params(&body)? {
        Params::Text(Text { mut model, keep_alive, request, form, ignored }) => {
            gateway.permit(&record.caller(), &mut model).await?;
            let caller = Caller { id: record.id().clone(), model: model.clone(), keep_alive };
            let reply = upstream::tokenize(&gateway.upstream, caller, request).await;
            (model, ignored, reply.map_err(|error| renamed(error, form))?, form)
        }
        Params::Chat(mut chat, with_texts) => {
            gateway.permit(&record.caller(), &mut chat.model).await?;
            let (model, ignored) = (chat.model.clone(), std::mem::take(&mut chat.ignored));
            (model, ignored, chat.tokenize(&gateway, &record).await?, Form::Count { with_texts })
        }
    };
    let mut response = match form {
        Form::Tokens { with_pieces } => Json(Answer::Tokens(tokens(reply, with_pieces))).into_response(),
        Form::Count { with_texts } => {
            let max_model_len = gateway.upstream.model(&model).await?.context_tokens;
            Json(Answer::Count(count(reply, with_texts, max_model_len))).into_response()
        }
    };
    ignored.write(response.headers_mut());
    Ok(response)
}

/// Reads a body and leaves it at that.
pub(in crate::dialect::openai) fn check(body: &[u8]) -> Result<(), Error> {
    params(body).map(drop)
}

fn params(body: &[u8]) -> Result<Params, Error> {
    let mut fields = Fields::of_body(body)?;
    if fields.has("messages") {
        let with_texts = fields.flag("return_token_strs")?.unwrap_or(false);
        let mut chat = Chat::read(body)?;
        chat.ignored.forget("return_token_strs");
        return Ok(Params::Chat(chat, with_texts));
    }
    let mut ignored = Ignored::default();
    let model = fields.text("model")?.unwrap_or_default();
    let keep_alive = keep_alive::take(&mut fields)?;
    let (text, bare, plain, form) = if let Some(content) = fields.text("content")? {
        let bare = !fields.flag("add_special")?.unwrap_or(false);
        let plain = !fields.flag("parse_special")?.unwrap_or(true);
        let with_pieces = fields.flag("with_pieces")?.unwrap_or(false);
        (content, bare, plain, Form::Tokens { with_pieces })
    } else if let Some(prompt) = fields.text("prompt")? {
        let bare = !fields.flag("add_special_tokens")?.unwrap_or(true);
        let with_texts = fields.flag("return_token_strs")?.unwrap_or(false);
        (prompt, bare, false, Form::Count { with_texts })
    } else {
        let message = "content is missing; send content, or prompt or messages as vLLM has them";
        return Err(Error::invalid("content", message));
    };
    ignored.add("", &fields);
    let request =
        TokenizeRequest { input: Some(Input::Text(text)), bare, plain, ..TokenizeRequest::default() };
    Ok(Params::Text(Text { model, keep_alive, request, form, ignored }))
}

/// The error with the field's own name.
fn renamed(mut error: Error, form: Form) -> Error {
    if matches!(error.param.as_str(), "messages" | "prompt") {
        let name = if matches!(form, Form::Tokens { .. }) { "content" } else { "prompt" };
        name.clone_into(&mut error.param);
    }
    error
}

fn tokens(reply: TokenizeReply, with_pieces: bool) -> Tokens {
    if !with_pieces {
        return Tokens { tokens: reply.tokens.into_iter().map(Token::Id).collect() };
    }
    let mut pieces = reply.pieces.into_iter();
    let token = |id| {
        let piece = match String::from_utf8(pieces.next().unwrap_or_default()) {
            Ok(text) => Piece::Text(text),
            Err(error) => Piece::Bytes(error.into_bytes()),
        };
        Token::Piece { id, piece }
    };
    Tokens { tokens: reply.tokens.into_iter().map(token).collect() }
}

fn count(reply: TokenizeReply, with_texts: bool, max_model_len: u32) -> Count {
    let texts = || reply.pieces.iter().map(|piece| String::from_utf8_lossy(piece).into_owned()).collect();
    let token_strs = with_texts.then(texts);
    Count { count: reply.tokens.len(), max_model_len, tokens: reply.tokens, token_strs }
}

#[cfg(test)]
mod tests {
    use impetus_proto::Code;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_fields_tell_whose_request_it_is() {
        let check = |body: &str, text: &str, bare: bool, plain: bool, form: Form| {
            let Ok(Params::Text(found)) = params(body.as_bytes()) else { panic!("{body}") };
            let request = TokenizeRequest {
                input: Some(Input::Text(text.into())),
                bare,
                plain,
                ..TokenizeRequest::default()
            };
            assert_eq!(
                (found.request, found.form, found.ignored),
                (request, form, Ignored::default()),
                "{body}"
            );
        };
        let ids = Form::Tokens { with_pieces: false };
        check(r#"{"content":"a"}"#, "a", true, false, ids);
        check(r#"{"content":""}"#, "", true, false, ids);
        check(r#"{"content":"a","add_special":true,"parse_special":false}"#, "a", false, true, ids);
        check(r#"{"content":"a","with_pieces":true}"#, "a", true, false, Form::Tokens { with_pieces: true });
        let count = Form::Count { with_texts: false };
        check(r#"{"model":"m","prompt":"a"}"#, "a", false, false, count);
        check(r#"{"prompt":"a","add_special_tokens":false}"#, "a", true, false, count);
        check(
            r#"{"prompt":"a","return_token_strs":true}"#,
            "a",
            false,
            false,
            Form::Count { with_texts: true },
        );
        let chat = br#"{"messages":[{"role":"user","content":"a"}],"return_token_strs":true}"#;
        let Ok(Params::Chat(chat, true)) = params(chat) else { panic!("it is a chat") };
        assert_eq!(chat.ignored, Ignored::default());
    }

    #[test]
    fn what_is_wrong_is_said_by_its_name() {
        let check = |body: &str, param: &str| {
            let error = params(body.as_bytes()).expect_err(body);
            assert_eq!(
                (error.code(), error.param.as_str()),
                (Code::InvalidRequest, param),
                "{body}: {error}"
            );
        };
        check("{}", "content");
        check(r#"{"content":7}"#, "content");
        check(r#"{"content":["a"]}"#, "content");
        check(r#"{"prompt":[1]}"#, "prompt");
        check(r#"{"content":"a","with_pieces":1}"#, "with_pieces");
        check(r#"{"messages":[]}"#, "messages");
    }

    #[test]
    fn pieces_are_text_where_they_are_whole_characters() {
        let pieces = vec![b"a".to_vec(), vec![0xe6, 0x97], vec![0xa5]];
        let reply = TokenizeReply { tokens: vec![5, 6, 7], pieces, ..TokenizeReply::default() };
        let say = |answer: Answer| serde_json::to_value(answer).unwrap();
        assert_eq!(say(Answer::Tokens(tokens(reply.clone(), false))), json!({"tokens": [5, 6, 7]}));
        let with_pieces = json!({"tokens": [
            {"id": 5, "piece": "a"}, {"id": 6, "piece": [0xe6, 0x97]}, {"id": 7, "piece": [0xa5]}]});
        assert_eq!(say(Answer::Tokens(tokens(reply.clone(), true))), with_pieces);
        let counted = json!({"count": 3, "max_model_len": 9, "tokens": [5, 6, 7], "token_strs": null});
        assert_eq!(say(Answer::Count(count(reply, false, 9))), counted);
    }
}
