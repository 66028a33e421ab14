//! `/v1/responses` from request to answer, against scripted workers.

use axum::body::BodyDataStream;
use futures::StreamExt;
use impetus_proto::worker::{
    FinishReason, GenerateRequest, Message, ToolCallDelta, generate_request::Input, part::Part,
};
use serde_json::json;

use super::*;
use crate::fake::{finished, rest, saying_parts};

const PATH: &str = "/v1/responses";

async fn create(gateway: &Gateway, body: &Value) -> Answer {
    send_to(gateway.clone(), post(PATH, body.to_string())).await
}

async fn fetch(gateway: &Gateway, id: &str, rest: &str) -> Answer {
    send_to(gateway.clone(), get(&format!("{PATH}/{id}{rest}"))).await
}

async fn delete(gateway: &Gateway, id: &str) -> Answer {
    let request = Request::delete(format!("{PATH}/{id}")).header(HOST, "localhost");
    send_to(gateway.clone(), request.body(Body::empty()).unwrap()).await
}

async fn cancel(gateway: &Gateway, id: &str) -> Answer {
    send_to(gateway.clone(), post(&format!("{PATH}/{id}/cancel"), "")).await
}

fn id_of(answer: &Answer) -> String {
    let object = answer.json();
    object["id"].as_str().unwrap_or_else(|| panic!("{object}")).to_owned()
}

/// Each event's data, whose type is its name.
fn events(text: &str) -> Vec<Value> {
    text.split_terminator("\n\n")
        .map(|event| {
            let (name, data) = event.split_once("\ndata: ").unwrap_or_else(|| panic!("{event}"));
            let data: Value = serde_json::from_str(data).unwrap();
            assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
            data
        })
        .collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap().trim_start_matches("response.")).collect()
}

fn text_of(object: &Value) -> &str {
    let items = object["output"].as_array().unwrap();
    let message = items.iter().find(|item| item["type"] == "message").unwrap_or_else(|| panic!("{object}"));
    message["content"][0]["text"].as_str().unwrap()
}

fn messages(request: &GenerateRequest) -> Vec<Message> {
    let Some(Input::Chat(chat)) = &request.input else { panic!("{request:?} is no chat") };
    chat.messages.clone()
}

fn roles(request: &GenerateRequest) -> String {
    let messages = messages(request);
    let shown = messages.iter().flat_map(|message| [&message.role, ":", &message.content, " "]);
    shown.collect()
}

/// The events of a stream up to the first one of this kind.
async fn until(body: &mut BodyDataStream, kind: &str) -> Vec<Value> {
    let mut text = String::new();
    while !text.contains(&format!("event: {kind}\n")) {
        let frame = body.next().await.expect("it goes on").unwrap();
        text.push_str(std::str::from_utf8(&frame).unwrap());
    }
    events(&text)
}

#[tokio::test]
async fn streamed_and_whole_are_the_same_response() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    let whole = create(&gateway, &json!({"input": "hi"})).await;
    let streamed = create(&gateway, &json!({"input": "hi", "stream": true})).await;
    assert_eq!(streamed.headers["content-type"], "text/event-stream; charset=utf-8");
    let events = events(&streamed.text);
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds(&events), expected);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let id = events[0]["response"]["id"].clone();
    assert_eq!(events[1]["response"]["id"], id);
    let last = &events[8]["response"];
    assert_eq!((&last["id"], text_of(last)), (&id, "ok"));
    let mut whole = whole.json();
    assert_eq!(
        (text_of(&whole), &whole["status"], &whole["model"]),
        ("ok", &json!("completed"), &json!("tiny"))
    );
    let mut last = last.clone();
    for object in [&mut whole, &mut last] {
        for name in ["id", "created_at", "completed_at"] {
            object[name] = Value::Null;
        }
        object["output"][0]["id"] = Value::Null;
    }
    assert_eq!(whole, last);
}

#[tokio::test]
async fn a_call_goes_out_and_its_answer_comes_back() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    let piece = |name: &str, arguments: &str| {
        let (name, arguments) = (name.to_owned(), arguments.to_owned());
        [Part::ToolCall(ToolCallDelta { index: 0, name, arguments, id: "call12345".into() })]
    };
    fake.script([
        accepted(),
        saying_parts(0, &[1], [Part::Reasoning("hm".into())]),
        saying_parts(1, &[2], piece("crm__find", "{\"who\":")),
        saying_parts(2, &[3], piece("", "\"ada\"}")),
        finished(3, &[4], ""),
    ]);
    let tools = json!([{"type": "namespace", "name": "crm", "description": "d",
        "tools": [{"type": "function", "name": "find", "parameters": {"type": "object"}}]},
        {"type": "web_search"}]);
    let first = create(&gateway, &json!({"input": "find ada", "tools": tools})).await;
    assert_eq!(first.headers["x-impetus-ignored"], "tools.web_search");
    let object = first.json();
    let call = &object["output"][1];
    assert_eq!((&call["name"], &call["namespace"]), (&json!("find"), &json!("crm")));
    assert_eq!((&call["arguments"], &call["call_id"]), (&json!("{\"who\":\"ada\"}"), &json!("call12345")));

    let answer = json!([{"type": "function_call_output", "call_id": "call12345", "output": "found"}]);
    let body = json!({"input": answer, "tools": tools, "previous_response_id": object["id"]});
    create(&gateway, &body).await.json();
    let request = &fake.requests()[1];
    assert_eq!(roles(request), "user:find ada assistant: tool:found ");
    let assistant = &messages(request)[1];
    assert_eq!(assistant.reasoning, "hm");
    assert!(assistant.tool_calls_json.contains(r#""name":"crm__find""#), "{}", assistant.tool_calls_json);
}

#[tokio::test]
async fn a_conversation_goes_on_from_what_is_kept() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    let first = id_of(&create(&gateway, &json!({"input": "one", "instructions": "be brief"})).await);
    let second = create(&gateway, &json!({"input": "two", "previous_response_id": first})).await;
    assert_eq!(second.json()["previous_response_id"], json!(first));
    // Another gateway on the same state has the same responses.
    let other = fake.gateway();
    let body = json!({"input": "three", "previous_response_id": id_of(&second), "stream": true});
    create(&other, &body).await;
    let requests = fake.requests();
    assert_eq!(roles(&requests[0]), "system:be brief user:one ");
    assert_eq!(roles(&requests[1]), "user:one assistant:ok user:two ", "instructions are of one turn");
    assert_eq!(roles(&requests[2]), "user:one assistant:ok user:two assistant:ok user:three ");
}

#[tokio::test]
async fn what_is_not_kept_is_not_found() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    let kept = id_of(&create(&gateway, &json!({"input": "hi"})).await);
    let unkept = create(&gateway, &json!({"input": "hi", "store": false})).await;
    assert_eq!(unkept.json()["store"], false);
    let unkept = id_of(&unkept);
    assert_eq!(fetch(&gateway, &unkept, "").await.error(), (404, "not_found".to_owned()));
    for id in [&*unkept, "resp_unknown"] {
        let answer = create(&gateway, &json!({"input": "hi", "previous_response_id": id})).await;
        assert_eq!(answer.error(), (400, "previous_response_not_found".to_owned()));
        assert_eq!(answer.json()["error"]["param"], "previous_response_id");
    }
    let deleted = delete(&gateway, &kept).await.json();
    assert_eq!(deleted, json!({"id": kept, "object": "response", "deleted": true}));
    for answer in [
        fetch(&gateway, &kept, "").await,
        fetch(&gateway, &kept, "/input_items").await,
        delete(&gateway, &kept).await,
        cancel(&gateway, &kept).await,
    ] {
        assert_eq!(answer.error(), (404, "not_found".to_owned()));
    }
}

#[tokio::test]
async fn a_server_may_keep_nothing() {
    let fake = Fake::start();
    let gateway = fake.gateway_with(|config| config.responses.store = false);
    let answer = create(&gateway, &json!({"input": "hi"})).await;
    assert_eq!(answer.json()["store"], false);
    assert_eq!(fetch(&gateway, &id_of(&answer), "").await.error().0, 404);
    for (field, value) in [("background", json!(true)), ("previous_response_id", json!("resp_1"))] {
        let answer = create(&gateway, &json!({"input": "hi", field: value})).await;
        assert_eq!(answer.error(), (400, "unsupported_parameter".to_owned()));
        assert_eq!(answer.json()["error"]["param"], field);
    }
}

#[tokio::test]
async fn a_response_is_kept_as_it_was_answered() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    let body = json!({"metadata": {"k": "v"}, "input": [
        {"role": "developer", "content": "a"},
        {"role": "user", "id": "msg_own", "content": [{"type": "input_text", "text": "b"}]},
    ]});
    let answer = create(&gateway, &body).await.json();
    let id = answer["id"].as_str().unwrap();
    assert_eq!(fetch(&gateway, id, "").await.json(), answer);

    let list = fetch(&gateway, id, "/input_items").await.json();
    assert_eq!((&list["object"], &list["has_more"]), (&json!("list"), &json!(false)));
    assert_eq!((&list["first_id"], &list["data"][0]["id"]), (&json!("msg_own"), &json!("msg_own")));
    assert_eq!(list["data"][1]["content"], json!([{"type": "input_text", "text": "a"}]));
    let first = fetch(&gateway, id, "/input_items?order=asc&limit=1").await.json();
    assert_eq!((&first["data"][0]["role"], &first["has_more"]), (&json!("developer"), &json!(true)));
    let after = first["last_id"].as_str().unwrap();
    let second = fetch(&gateway, id, &format!("/input_items?order=asc&after={after}")).await.json();
    assert_eq!(second["data"], json!([list["data"][0]]));
    for (query, param) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("order=up", "order"),
        ("after=x", "after"),
        ("before=x", "before"),
    ] {
        let answer = fetch(&gateway, id, &format!("/input_items?{query}")).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]["param"]), (400, &json!(param)));
    }

    let reference =
        json!({"input": [{"type": "item_reference", "id": "msg_own"}, {"role": "user", "content": "c"}]});
    create(&gateway, &reference).await.json();
    assert_eq!(roles(&fake.requests()[1]), "user:b user:c ");
    let unknown = create(&gateway, &json!({"input": [{"type": "item_reference", "id": "msg_other"}]})).await;
    assert_eq!((unknown.status.as_u16(), &unknown.json()["error"]["param"]), (404, &json!("input[0].id")));
}

#[tokio::test]
async fn requests_that_say_nothing_are_refused() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    for (body, param) in [
        (json!({}), json!("input")),
        (json!({"input": []}), json!("input")),
        (json!({"input": "x", "conversation": "c"}), json!("conversation")),
    ] {
        let answer = create(&gateway, &body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]["param"]), (400, &param), "{body}");
    }
    assert_eq!(create(&gateway, &json!({"input": "x", "model": "absent"})).await.error().0, 404);
    assert_eq!(
        create(&gateway, &json!({"input": "x", "model": "absent", "background": true})).await.error().0,
        404
    );
    assert_eq!(fake.requests(), []);
}

#[tokio::test]
async fn a_failure_before_the_head_is_an_answer_of_its_own() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    for stream in [false, true] {
        fake.script([Step::Fail(Error::new(Code::ContextLengthExceeded, "too long").with_param("messages"))]);
        let answer = create(&gateway, &json!({"input": "x", "stream": stream})).await;
        assert_eq!(answer.error(), (400, "context_length_exceeded".to_owned()));
        assert_eq!(answer.json()["error"]["param"], "input");
    }
}

#[tokio::test]
async fn a_failure_behind_the_head_ends_the_same_response() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    fake.script([accepted(), delta(0, &[1], "Hel"), Step::Fail(Error::internal("broken"))]);
    let answer = create(&gateway, &json!({"input": "x", "stream": true})).await;
    let events = events(&answer.text);
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["response"]["status"]), (&json!("response.failed"), &json!("failed")));
    assert_eq!(last["response"]["id"], events[0]["response"]["id"]);
    assert_eq!(last["response"]["error"]["code"], "server_error");
    assert!(kinds(&events).contains(&"output_item.done") && !answer.text.contains("completed_at\":1"));
}

#[tokio::test]
async fn a_workers_death_is_not_heard_of() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    fake.answer_with(|request| rest(request, "one two three four"));
    fake.script([accepted(), delta(0, &[100], "one "), delta(1, &[101], "two "), Step::Die]);
    let answer = create(&gateway, &json!({"input": "x", "stream": true})).await;
    let events = events(&answer.text);
    assert_eq!(text_of(&events.last().unwrap()["response"]), "one two three four");
    assert_eq!(kinds(&events).iter().filter(|kind| **kind == "created").count(), 1);
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn a_conversation_that_is_too_long_may_be_cut() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    fake.answer_with(|request| {
        if messages(request).len() > 3 {
            vec![Step::Fail(Error::new(Code::ContextLengthExceeded, "too long"))]
        } else {
            completion("ok")
        }
    });
    let said = |role: &str, text: String| json!({"role": role, "content": text});
    let mut input: Vec<Value> = (0..8).map(|n| said("user", n.to_string())).collect();
    input.insert(0, said("system", "s".into()));
    let body = json!({"input": input});
    assert_eq!(create(&gateway, &body).await.error().1, "context_length_exceeded");
    let cut = json!({"input": input, "truncation": "auto"});
    let answer = create(&gateway, &cut).await.json();
    assert_eq!((text_of(&answer), &answer["truncation"]), ("ok", &json!("auto")));
    assert_eq!(roles(fake.requests().last().unwrap()), "system:s user:6 user:7 ");
}

#[tokio::test]
async fn the_background_goes_on_without_anybody() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    let begun = create(&gateway, &json!({"input": "x", "background": true})).await.json();
    assert_eq!((&begun["status"], &begun["background"]), (&json!("queued"), &json!(true)));
    let id = begun["id"].as_str().unwrap();
    gateway.responses.idle().await;
    let ended = fetch(&gateway, id, "").await.json();
    assert_eq!((text_of(&ended), &ended["status"], &ended["id"]), ("ok", &json!("completed"), &json!(id)));
    let again = fetch(&gateway, id, "?stream=true").await;
    let all = events(&again.text);
    assert_eq!(kinds(&all)[..4], ["created", "queued", "in_progress", "output_item.added"]);
    assert_eq!(all.last().unwrap()["response"], ended);
    for after in [0, 3, all.len() - 1, 1000] {
        let rest = fetch(&gateway, id, &format!("?stream=true&starting_after={after}")).await;
        assert_eq!(events(&rest.text), all[(after + 1).min(all.len())..]);
    }
    // Another gateway reads it from the disk.
    assert_eq!(events(&fetch(&fake.gateway(), id, "?stream=true").await.text), all);
}

#[tokio::test]
async fn a_stream_in_the_background_is_taken_up_again() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    fake.script([accepted(), delta(0, &[1], "one "), Step::Stall]);
    let body = json!({"input": "x", "background": true, "stream": true});
    let response = answer(app(gateway.clone()), post(PATH, body.to_string())).await.unwrap();
    let mut stream = response.into_body().into_data_stream();
    let seen = until(&mut stream, "response.output_text.delta").await;
    let id = seen[0]["response"]["id"].as_str().unwrap().to_owned();
    drop(stream);
    assert_eq!(fetch(&gateway, &id, "").await.json()["status"], "in_progress");
    let after = &seen[3]["sequence_number"];
    let again = get(&format!("{PATH}/{id}?stream=true&starting_after={after}"));
    let response = answer(app(gateway.clone()), again).await.unwrap();
    let mut stream = response.into_body().into_data_stream();
    let rest = until(&mut stream, "response.output_text.delta").await;
    assert_eq!(rest, seen[4..]);

    let cancelled = cancel(&gateway, &id).await.json();
    assert_eq!(cancelled["status"], "cancelled");
    let last = until(&mut stream, "response.cancelled").await;
    assert_eq!(last.last().unwrap()["response"], cancelled);
    assert!(stream.next().await.is_none());
    fake.until_idle().await;
    assert_eq!(cancel(&gateway, &id).await.json(), cancelled, "once is enough");
}

#[tokio::test]
async fn what_is_deleted_stops() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    fake.script([accepted(), Step::Stall]);
    let id = id_of(&create(&gateway, &json!({"input": "x", "background": true})).await);
    fake.until_busy().await;
    assert_eq!(delete(&gateway, &id).await.json()["deleted"], true);
    fake.until_idle().await;
    gateway.responses.idle().await;
    assert_eq!(fetch(&gateway, &id, "").await.error().0, 404);
}

#[tokio::test]
async fn another_gateway_cancels_as_well() {
    let fake = Fake::start();
    let (gateway, other) = (fake.gateway(), fake.gateway());
    fake.script([accepted(), Step::Stall]);
    let body = json!({"input": "x", "background": true, "stream": true});
    let response = answer(app(gateway), post(PATH, body.to_string())).await.unwrap();
    let seen = until(&mut response.into_body().into_data_stream(), "response.in_progress").await;
    let id = seen[0]["response"]["id"].as_str().unwrap();
    assert_eq!(fetch(&other, id, "").await.json()["status"], "in_progress");
    assert_eq!(cancel(&other, id).await.json()["status"], "cancelled");
    fake.until_idle().await;
}

#[tokio::test]
async fn only_so_many_run_at_once() {
    let fake = Fake::start();
    let gateway = fake.gateway_with(|config| config.responses.max_background = 1);
    fake.script([accepted(), Step::Stall]);
    let body = json!({"input": "x", "background": true});
    let id = id_of(&create(&gateway, &body).await);
    let refused = create(&gateway, &body).await;
    assert_eq!(refused.error(), (429, "queue_full".to_owned()));
    assert!(refused.headers.contains_key("retry-after"));
    cancel(&gateway, &id).await.json();
    gateway.responses.idle().await;
    create(&gateway, &body).await.json();
}

#[tokio::test]
async fn what_fails_in_the_background_says_so() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    fake.script([accepted(), Step::Fail(Error::internal("broken"))]);
    let id = id_of(&create(&gateway, &json!({"input": "x", "background": true})).await);
    gateway.responses.idle().await;
    let failed = fetch(&gateway, &id, "").await.json();
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("server_error")));
    let events = events(&fetch(&gateway, &id, "?stream=true").await.text);
    assert_eq!(kinds(&events).last(), Some(&"failed"));
}

#[tokio::test]
async fn only_the_background_is_read_again_or_cancelled() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    let id = id_of(&create(&gateway, &json!({"input": "x"})).await);
    for (answer, param) in [
        (fetch(&gateway, &id, "?stream=true").await, "stream"),
        (fetch(&gateway, &id, "?starting_after=1").await, "starting_after"),
        (fetch(&gateway, &id, "?stream=maybe").await, "stream"),
        (cancel(&gateway, &id).await, "response_id"),
    ] {
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]["param"]), (400, &json!(param)));
    }
}

#[tokio::test]
async fn a_goal_can_be_counted_before_it_is_asked_for() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    let body = json!({"input": "one two", "instructions": "be brief"});
    let answer = send_to(gateway, post("/v1/responses/input_tokens", body.to_string())).await.json();
    assert_eq!(answer["object"], "response.input_tokens");
    assert!(answer["input_tokens"].as_u64().is_some_and(|count| count > 0), "{answer}");
    assert_eq!(fake.requests(), []);
}

#[tokio::test]
async fn an_answer_that_is_cut_is_incomplete() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    let Step::Send(mut end) = finished(1, &[2], "") else { panic!("an end is sent") };
    if let Some(impetus_proto::worker::generate_event::Event::Finished(finished)) = &mut end.event {
        finished.reason = FinishReason::Length.into();
    }
    fake.script([accepted(), delta(0, &[1], "Hel"), Step::Send(end)]);
    let answer = create(&gateway, &json!({"input": "x", "max_output_tokens": 2})).await.json();
    assert_eq!((&answer["status"], text_of(&answer)), (&json!("incomplete"), "Hel"));
    assert_eq!(answer["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(fake.requests()[0].stopping.as_ref().unwrap().max_tokens, Some(2));
}

#[tokio::test]
async fn what_a_kept_response_cannot_tell_is_named() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    let id = id_of(&create(&gateway, &json!({"input": "x", "background": true})).await);
    gateway.responses.idle().await;
    let check = async |query: &str, expected: Option<&str>| {
        let answer = fetch(&gateway, &id, query).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        let named = answer.headers.get("x-impetus-ignored").map(|names| names.to_str().unwrap());
        assert_eq!(named, expected, "{query}");
    };
    check("?include[]=x&include[]=web_search_call.results&include=y", Some("include.x,include.y")).await;
    let logprobs = "message.output_text.logprobs";
    check(&format!("?include[]={logprobs}"), Some(&format!("include.{logprobs}"))).await;
    check(&format!("?stream=true&include[]={logprobs}"), Some(&format!("include.{logprobs}"))).await;
    // There is no thought, so nothing of it is left out.
    check("?include[]=reasoning.encrypted_content", None).await;
    check("?stream=true&include_obfuscation=true", Some("include_obfuscation")).await;
    check("?stream=true&include_obfuscation=false", None).await;
    check("?include_obfuscation=true", None).await;
    check("/input_items?include[]=x&include[]=message.input_image.image_url", Some("include.x")).await;
}

#[tokio::test]
async fn what_is_too_large_to_be_kept_is_refused_unless_it_need_not_be() {
    let fake = Fake::start();
    let gateway = fake.gateway_with(|config| config.responses.max_bytes = "1MiB".parse().unwrap());
    let kept = id_of(&create(&gateway, &json!({"input": "small"})).await);
    let large = "x".repeat(300 << 10);
    for field in ["store", "stream", "background"] {
        let answer = create(&gateway, &json!({"input": large, field: true})).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]["param"]),
            (400, &json!("store")),
            "{field}"
        );
    }
    assert_eq!(fake.requests().len(), 1);
    let unkept = create(&gateway, &json!({"input": large, "store": false})).await;
    assert_eq!(unkept.json()["status"], "completed");
    assert_eq!(fetch(&gateway, &kept, "").await.status, 200);
}
