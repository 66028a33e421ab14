//! Texts to tokens and back, by the worker that serves the model.

use impetus_proto::worker::{
    Chat, DescribeRequest, DetokenizeRequest, Message, TokenizeReply, TokenizeRequest,
    tokenize_request::Input,
};

use crate::harness::{BUNDLED, Server};

async fn tokens(server: &Server, model: &str, request: TokenizeRequest) -> TokenizeReply {
    let request = TokenizeRequest { model: model.to_owned(), ..request };
    server.control.worker(model).await.tokenize(request).await.unwrap().into_inner()
}

fn text(text: &str) -> TokenizeRequest {
    TokenizeRequest { input: Some(Input::Text(text.to_owned())), ..TokenizeRequest::default() }
}

#[tokio::test]
async fn texts_come_back_from_their_tokens() {
    let server = Server::of_all_formats().await;
    for model in BUNDLED {
        let mut worker = server.control.worker(model).await;
        for original in
            ["def add(a, b):\n    return a + b\n", "für 3 € 🙂", "<|im_start|>user\nhi<|im_end|>", ""]
        {
            for plain in [false, true] {
                let reply = tokens(&server, model, TokenizeRequest { plain, ..text(original) }).await;
                assert_eq!(reply.pieces.concat(), original.as_bytes(), "{model}: {original:?}");
                assert_eq!(reply.pieces.len(), reply.tokens.len());
                let request = DetokenizeRequest { model: model.to_owned(), tokens: reply.tokens };
                let back = worker.detokenize(request).await.unwrap().into_inner();
                assert_eq!(back.text, original, "{model}");
            }
        }
        let refused = DetokenizeRequest { model: model.to_owned(), tokens: vec![1, 1024] };
        let refused = worker.detokenize(refused).await.unwrap_err();
        assert!(refused.message().contains("1024"), "{refused}");
    }
}

#[tokio::test]
async fn names_of_control_tokens_are_tokens_unless_they_are_text() {
    let server = Server::of_all_formats().await;
    for model in BUNDLED {
        let named = tokens(&server, model, text("<|im_end|>")).await;
        assert_eq!(named.tokens, [2], "{model}");
        let plain = tokens(&server, model, TokenizeRequest { plain: true, ..text("<|im_end|>") }).await;
        assert!(plain.tokens.len() > 1 && !plain.tokens.contains(&2), "{model}: {plain:?}");
        // This model begins a text with nothing.
        let bare = tokens(&server, model, TokenizeRequest { bare: true, ..text("a b") }).await;
        assert_eq!(bare, tokens(&server, model, text("a b")).await, "{model}");
        let message = Message { role: "user".into(), content: "hi".into(), ..Message::default() };
        let chat = Chat { messages: vec![message], ..Chat::default() };
        let input = Some(Input::Chat(chat));
        let chat = tokens(&server, model, TokenizeRequest { input, ..TokenizeRequest::default() }).await;
        assert!(chat.prompt.ends_with("<|im_start|>assistant\n"), "{model}: {}", chat.prompt);
        assert_eq!(chat.pieces.concat(), chat.prompt.as_bytes(), "{model}");
    }
}

#[tokio::test]
async fn a_worker_says_what_its_model_can_do() {
    let server = Server::of_all_formats().await;
    for model in BUNDLED {
        let mut worker = server.control.worker(model).await;
        let description = worker.describe(DescribeRequest {}).await.unwrap().into_inner();
        assert!(description.infill, "{model}");
        assert!(description.chat_template_source.contains("<|im_start|>"), "{model}");
        assert_eq!(description.end_text, "<|im_end|>", "{model}");
    }
}
