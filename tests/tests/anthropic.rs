//! Anthropic's Messages by the bundled model: streamed and whole, across a worker's death, with tools, and turn after turn
//! on what the turns before have computed.

use std::{fs, pin::pin};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    chat::{counted, with},
    crash::kill_worker,
    harness::{BUNDLED, Event, EventStream, Server, Setup, chat},
};

const MESSAGES: &str = "/v1/messages";

/// A greedy message.
fn message(content: &str) -> Value {
    json!({"model": "impetus-tiny", "max_tokens": 400, "temperature": 0,
        "messages": [{"role": "user", "content": content}]})
}

async fn post(server: &Server, path: &str, body: &Value) -> reqwest::Response {
    server
        .http
        .request(Method::POST, path)
        .header("anthropic-version", "2023-06-01")
        .json(body)
        .send()
        .await
        .unwrap()
}

async fn ask(server: &Server, body: &Value) -> Value {
    let response = post(server, MESSAGES, body).await;
    let status = response.status();
    let value: Value = response.json().await.unwrap();
    assert_eq!(status, 200, "{body}: {value}");
    assert_eq!((&value["type"], &value["role"]), (&json!("message"), &json!("assistant")));
    value
}

async fn stream(server: &Server, body: &Value) -> EventStream {
    EventStream::of(post(server, MESSAGES, &with(body.clone(), &json!({"stream": true}))).await)
}

/// What a client makes of a stream, event by event.
#[derive(Debug, Default)]
struct Heard {
    message: Value,
    input: String,
    is_over: bool,
}

impl Heard {
    fn hear(&mut self, event: &Event) {
        let Event::Chunk(event) = event else { panic!("{event:?} within a stream") };
        let index = event["index"].as_u64().unwrap_or_default() as usize;
        assert!(!self.is_over, "nothing comes behind the end: {event}");
        match event["type"].as_str().unwrap() {
            "message_start" => self.message = event["message"].clone(),
            "ping" => assert!(!self.message.is_null(), "the message comes first"),
            "content_block_start" => {
                let content = self.message["content"].as_array_mut().unwrap();
                assert_eq!(content.len(), index);
                content.push(event["content_block"].clone());
                self.input.clear();
            }
            "content_block_delta" => self.piece(index, &event["delta"]),
            "content_block_stop" if !self.input.is_empty() => {
                self.message["content"][index]["input"] = serde_json::from_str(&self.input).unwrap();
            }
            "content_block_stop" => {}
            "message_delta" => {
                for (name, value) in event["delta"].as_object().unwrap() {
                    self.message[name] = value.clone();
                }
                self.message["usage"] = event["usage"].clone();
            }
            "message_stop" => self.is_over = true,
            other => panic!("{other} is no event of the API"),
        }
    }

    fn piece(&mut self, index: usize, delta: &Value) {
        if let Some(piece) = delta["partial_json"].as_str() {
            self.input += piece;
            return;
        }
        for (name, piece) in delta.as_object().unwrap() {
            if name != "type" {
                let block = &mut self.message["content"][index];
                block[name] = json!(block[name].as_str().unwrap().to_owned() + piece.as_str().unwrap());
            }
        }
    }

    fn text(&self) -> String {
        text_of(&self.message)
    }

    async fn rest(mut self, stream: &mut EventStream) -> Value {
        while let Some(event) = stream.next().await {
            self.hear(&event);
        }
        assert!(self.is_over, "it ends with its end: {:?}", self.message);
        self.message
    }
}

fn text_of(message: &Value) -> String {
    message["content"].as_array().into_iter().flatten().filter_map(|block| block["text"].as_str()).collect()
}

/// The message without what is new each time and without what tells how much was there already.
fn timeless(mut message: Value) -> Value {
    message["id"] = json!("");
    for block in message["content"].as_array_mut().unwrap() {
        if block["type"] == "tool_use" {
            block["id"] = json!("");
        }
    }
    let usage = &message["usage"];
    message["usage"] = json!([prompt_tokens(usage), usage["output_tokens"].as_u64().unwrap()]);
    message
}

fn prompt_tokens(usage: &Value) -> u64 {
    usage["input_tokens"].as_u64().unwrap() + usage["cache_read_input_tokens"].as_u64().unwrap()
}

#[tokio::test]
async fn every_format_says_the_same_streamed_whole_and_to_others() {
    let server = Setup::in_all_formats().start().await;
    for model in BUNDLED {
        let named = json!({"model": model});
        let body = with(message("count from 1 to 20"), &named);
        let whole = ask(&server, &body).await;
        assert_eq!((text_of(&whole), &whole["model"]), (counted(20), &json!(model)));
        assert_eq!((&whole["stop_reason"], &whole["stop_sequence"]), (&json!("end_turn"), &Value::Null));
        let streamed = Heard::default().rest(&mut stream(&server, &body).await).await;
        assert_eq!(timeless(streamed), timeless(whole.clone()), "{model}");
        let other = server.http.ask(&with(chat("count from 1 to 20"), &named)).await;
        assert_eq!(other.usage["prompt_tokens"], prompt_tokens(&whole["usage"]));
        assert_eq!(other.usage["completion_tokens"], whole["usage"]["output_tokens"]);

        let counted = post(&server, "/v1/messages/count_tokens", &body).await.json::<Value>().await.unwrap();
        assert_eq!(counted, json!({"input_tokens": prompt_tokens(&whole["usage"])}), "{model}");
    }
}

#[tokio::test]
async fn an_answer_ends_as_the_request_says_and_goes_on_from_a_beginning() {
    let server = Server::plain().await;
    let body = with(message("count from 1 to 20"), &json!({"stop_sequences": ["nothing", ", 7"]}));
    let stopped = ask(&server, &body).await;
    assert_eq!((text_of(&stopped), &stopped["stop_reason"]), (counted(6), &json!("stop_sequence")));
    assert_eq!(stopped["stop_sequence"], ", 7");
    let cut = ask(&server, &with(message("count from 1 to 20"), &json!({"max_tokens": 3}))).await;
    assert_eq!((&cut["stop_reason"], &cut["usage"]["output_tokens"]), (&json!("max_tokens"), &json!(3)));

    let mut begun = message("count from 1 to 20");
    let beginning = json!({"role": "assistant", "content": text_of(&stopped)});
    begun["messages"].as_array_mut().unwrap().push(beginning);
    let rest = ask(&server, &begun).await;
    assert_eq!(text_of(&stopped) + &text_of(&rest), counted(20));

    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
        "additionalProperties": false});
    let format = json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}});
    let structured = text_of(&ask(&server, &with(message("What is your name?"), &format)).await);
    let value: Value =
        serde_json::from_str(&structured).unwrap_or_else(|error| panic!("{error}: {structured}"));
    assert!(jsonschema::is_valid(&schema, &value), "{structured}");
}

#[tokio::test]
async fn a_message_goes_on_where_it_was_when_its_worker_was_killed() {
    let server = Setup::in_all_formats().start().await;
    for model in BUNDLED {
        let body = with(message("count from 1 to 100"), &json!({"model": model}));
        let alone = ask(&server, &body).await;
        let mut events = stream(&server, &body).await;
        let mut heard = Heard::default();
        while heard.text().len() < 20 {
            heard.hear(&events.next().await.expect("it goes on"));
        }
        kill_worker(&server, model).await;
        // Fast engines may have said it all by now, and nobody asks for another worker.
        let rest = {
            let mut rest = pin!(heard.rest(&mut events));
            tokio::select! {
                rest = &mut rest => rest,
                _ = kill_worker(&server, model) => rest.await,
            }
        };
        assert_eq!(timeless(rest), timeless(alone), "{model}");
    }
    let metrics = server.http.get("/metrics").await.text().await.unwrap();
    for model in BUNDLED {
        let replays = format!("impetus_replays_total{{model=\"{model}\"");
        assert!(metrics.lines().any(|line| line.starts_with(&replays)), "{model}: {metrics}");
    }
}

fn tools() -> Value {
    let tool = |name: &str, description: &str, properties: Value| {
        let required: Vec<&String> = properties.as_object().unwrap().keys().collect();
        json!({"name": name, "description": description,
            "input_schema": {"type": "object", "properties": properties, "required": required}})
    };
    let city = json!({"city": {"type": "string"}});
    json!([
        tool("get_weather", "Get the weather for a city", city.clone()),
        tool("get_time", "Get the current time in a city", city),
        tool("add", "Add two numbers", json!({"a": {"type": "integer"}, "b": {"type": "integer"}})),
    ])
}

#[tokio::test]
async fn tools_are_called_streamed_and_answered() {
    let server = Setup::in_all_formats().start().await;
    for model in BUNDLED {
        let mut body =
            with(message("What is the weather in Paris?"), &json!({"model": model, "tools": tools()}));
        let called = ask(&server, &body).await;
        let [call] = called["content"].as_array().unwrap().as_slice() else { panic!("{model}: {called}") };
        let expected =
            json!({"type": "tool_use", "id": call["id"], "name": "get_weather", "input": {"city": "Paris"}});
        assert_eq!((call, &called["stop_reason"]), (&expected, &json!("tool_use")), "{model}");
        assert!(call["id"].as_str().unwrap().starts_with("toolu_"), "{call}");
        let streamed = Heard::default().rest(&mut stream(&server, &body).await).await;
        assert_eq!(timeless(streamed), timeless(called.clone()), "{model}");

        let result = json!({"type": "tool_result", "tool_use_id": call["id"],
            "content": [{"type": "text", "text": "{\"temperature\": 18, \"condition\": \"sunny\"}"}]});
        body["messages"].as_array_mut().unwrap().extend([
            json!({"role": "assistant", "content": called["content"]}),
            json!({"role": "user", "content": [result]}),
        ]);
        let answer = ask(&server, &body).await;
        assert_eq!(text_of(&answer), "It is sunny and 18 degrees in Paris.", "{model}");
        assert_eq!(answer["stop_reason"], "end_turn");
        // All that was said before is there, our own call included.
        let (first, cached) =
            (&called["usage"], answer["usage"]["cache_read_input_tokens"].as_u64().unwrap());
        assert!(cached >= prompt_tokens(first), "{model}: {cached} of {first}");
    }
}

#[tokio::test]
async fn choices_of_tools_are_kept_to() {
    let server = Server::plain().await;
    let check = async |choice: Value, is_called: bool| {
        let more = json!({"tools": tools(), "tool_choice": choice});
        let answer = ask(&server, &with(message("What is your name?"), &more)).await;
        let calls: Vec<&Value> = answer["content"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|block| block["type"] == "tool_use")
            .collect();
        assert_eq!(!calls.is_empty(), is_called, "{choice}: {answer}");
        if let Some(name) = choice.get("name") {
            assert!(calls.iter().all(|call| call["name"] == *name), "{answer}");
        }
    };
    check(json!({"type": "none"}), false).await;
    check(json!({"type": "any", "disable_parallel_tool_use": true}), true).await;
    check(json!({"type": "tool", "name": "get_time", "disable_parallel_tool_use": true}), true).await;
}

/// What Claude Code sends before everything else, which is another with each run.
fn system(version: &str) -> Value {
    json!([
        {"type": "text", "text": format!("x-anthropic-billing-header: cc_version=2.1.329.{version}; cc_entrypoint=cli;")},
        {"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "\nYou are working with the user toward their goals, using your own judgment along the \
         way. Be brief and do what you are asked to do.", "cache_control": {"type": "ephemeral"}}])
}

#[tokio::test]
async fn turns_find_what_was_computed_whatever_the_client_bills() {
    let server = Setup::in_all_formats().start().await;
    for model in BUNDLED {
        let environment = "# Environment\nThe platform is linux and the shell is bash.";
        let block =
            |text: &str| json!([{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]);
        let mut body = with(message("count from 1 to 10"), &json!({"model": model, "system": system("cb6")}));
        body["messages"]
            .as_array_mut()
            .unwrap()
            .push(json!({"role": "system", "content": block(environment)}));
        let first = ask(&server, &body).await;

        // Of the next turn what was an array is a string.
        body["system"] = system("f6c");
        body["messages"][1]["content"] = json!(environment);
        body["messages"].as_array_mut().unwrap().extend([
            json!({"role": "assistant", "content": first["content"]}),
            json!({"role": "user", "content": block("What is your name?")}),
        ]);
        let second = ask(&server, &body).await;
        let cached = second["usage"]["cache_read_input_tokens"].as_u64().unwrap();
        let known = prompt_tokens(&first["usage"]) + first["usage"]["output_tokens"].as_u64().unwrap();
        assert!(cached + 2 >= known, "{model}: {cached} of {known} tokens were found");
        assert!(second["usage"]["input_tokens"].as_u64().unwrap() > 0);

        // Another session begins the same way.
        let mut third =
            with(message("What is your name?"), &json!({"model": model, "system": system("bc8")}));
        third["messages"]
            .as_array_mut()
            .unwrap()
            .push(json!({"role": "system", "content": block(environment)}));
        let third = ask(&server, &third).await;
        assert!(third["usage"]["cache_read_input_tokens"].as_u64().unwrap() > 30, "{model}: {third}");
    }
}

#[tokio::test]
async fn a_name_means_the_model_that_the_owner_chose_from_the_reload_on() {
    let server = Server::plain().await;
    let body = with(message("What is your name?"), &json!({"model": "claude-opus-9"}));
    let refused = post(&server, MESSAGES, &body).await;
    let status = refused.status();
    let error: Value = refused.json().await.unwrap();
    assert_eq!((status.as_u16(), &error["error"]["type"]), (404, &json!("not_found_error")), "{error}");

    let path = server.path("impetus.toml");
    let config = fs::read_to_string(&path).unwrap();
    let names = "[gateway]\n            names = { 'claude-*' = 'impetus-tiny', 'gpt-*' = 'impetus-tiny' }";
    fs::write(&path, config.replacen("[gateway]", names, 1)).unwrap();
    let reload = server.ctl(&["reload"]).await;
    assert_eq!(reload.code, 0, "{reload:?}");
    assert!(reload.out.contains("gateway.names.claude-*"), "{reload:?}");

    // The connection is the former gateway's, which answers on it once more.
    server.http.get("/health").await;
    assert_eq!(ask(&server, &body).await["model"], "claude-opus-9");
    let answer = server.http.post(&with(chat("What is your name?"), &json!({"model": "gpt-9"}))).await;
    assert_eq!(answer.json::<Value>().await.unwrap()["model"], "impetus-tiny");
    let metrics = server.http.get("/metrics").await.text().await.unwrap();
    let counted =
        |name: &str| metrics.contains(&format!("endpoint=\"/v1/messages\",model=\"{name}\",status=\"200\""));
    assert!(counted("impetus-tiny") && !counted("claude-opus-9"), "{metrics}");
}
