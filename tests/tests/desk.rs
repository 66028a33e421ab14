//! The admin API as the dashboard uses it: one stream of everything live, steering, logs, keys, settings, and the page.

use std::fs;

use impetus_tests::hub::{Hub, Repository};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    chat::with,
    harness::{MODEL, Server, Setup, Signal, bundled_model, chat, eventually, signal},
};

/// A named event of a stream.
#[derive(Debug)]
struct Told {
    id: Option<String>,
    name: String,
    data: Value,
}

/// The events of an admin stream as they come.
struct Stream {
    response: Response,
    buffer: String,
}

impl Stream {
    async fn open(server: &Server, path: &str, last: Option<&str>) -> Self {
        let mut request = server.http.request(Method::GET, path);
        if let Some(id) = last {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        Self { response, buffer: String::new() }
    }

    /// The next event; none when the stream has ended.
    async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(end) = self.buffer.find("\n\n") {
                let frame: String = self.buffer.drain(..end + 2).collect();
                let field = |name: &str| {
                    let lines = frame.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    lines.map(str::to_owned)
                };
                let Some(name) = field("event") else { continue };
                let data = serde_json::from_str(&field("data").unwrap()).unwrap();
                return Some(Told { id: field("id"), name, data });
            }
            let bytes = self.response.chunk().await.unwrap()?;
            self.buffer.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// Reads on to an event of this name that is as it should be.
    async fn until(&mut self, name: &str, is_it: impl Fn(&Value) -> bool) -> Told {
        loop {
            let told = self.next().await.unwrap_or_else(|| panic!("it ended before {name}"));
            if told.name == name && is_it(&told.data) {
                return told;
            }
        }
    }
}

/// The answer to a request that is to be done.
async fn done(server: &Server, method: Method, path: &str, body: &Value) -> Value {
    let response = server.http.request(method, path).json(body).send().await.unwrap();
    let status = response.status();
    let value: Value = response.json().await.unwrap();
    assert_eq!(status, 200, "{path}: {value}");
    value
}

async fn post(server: &Server, path: &str, body: Value) -> Value {
    done(server, Method::POST, path, &body).await
}

async fn refused(server: &Server, path: &str, body: &Value) -> (StatusCode, Value) {
    let response = server.http.request(Method::POST, path).json(body).send().await.unwrap();
    (response.status(), response.json::<Value>().await.unwrap()["error"].take())
}

fn worker_of<'s>(status: &'s Value, model: &str) -> &'s Value {
    let workers = status["workers"].as_array().unwrap();
    workers.iter().find(|worker| worker["model"] == model).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn one_stream_tells_of_loads_crashes_and_tokens_and_goes_on_where_it_was_left() {
    let server = Setup::new().start().await;
    let mut stream = Stream::open(&server, "/admin/events", None).await;
    let first = stream.next().await.unwrap();
    assert_eq!(first.name, "status", "{first:?}");
    assert_eq!(first.data["gateway"]["state"], "ready");
    assert_eq!(first.data["pools"][0]["name"], "ram");
    stream.until("event", |event| event["kind"] == "server.started").await;

    let loaded = post(&server, &format!("/admin/models/{MODEL}/load"), json!({})).await;
    assert_eq!(loaded["model"], MODEL);
    let ready = stream.until("event", |event| event["kind"] == "model.ready").await;
    let told = stream.until("status", |status| worker_of(status, MODEL)["state"] == "ready").await;
    assert_eq!(worker_of(&told.data, MODEL)["id"], loaded["worker_id"]);
    server.http.ask(&chat("count from 1 to 3")).await;
    stream.until("history", |sample| sample["completion_tokens_per_s"].as_f64().unwrap() > 0.0).await;
    drop(stream);

    let pid = worker_of(&told.data, MODEL)["pid"].as_u64().unwrap();
    signal(u32::try_from(pid).unwrap(), Signal::SIGKILL);
    let mut again = Stream::open(&server, "/admin/events", ready.id.as_deref()).await;
    let exited = again.until("event", |event| event["kind"] == "worker.exited").await;
    assert!(exited.data["number"].as_u64() > ready.data["number"].as_u64());
    assert!(exited.data["message"].as_str().unwrap().contains("SIGKILL"), "{exited:?}");
    let back = |status: &Value| {
        let worker = worker_of(status, MODEL);
        worker["state"] == "ready" && worker["pid"] != pid
    };
    let status = again.until("status", back).await.data;
    assert!(worker_of(&status, MODEL)["last_exit"].as_str().unwrap().contains("SIGKILL"), "{status}");

    let crashes = server.http.get_json("/admin/crashes").await;
    let id = crashes["crashes"][0]["id"].as_str().unwrap();
    let report = server.http.get_json(&format!("/admin/crashes/{id}")).await;
    assert_eq!((&report["id"], &report["exit"]["signal"]), (&json!(id), &json!(9)));
    assert_eq!(report["worker"]["model"]["name"], MODEL);
    assert_eq!(server.http.get("/admin/crashes/none").await.status(), 404);
}

#[tokio::test]
async fn history_outlives_the_gateway_and_streams_end_with_it() {
    let server = Setup::new().start().await;
    let mut stream = Stream::open(&server, "/admin/events?since_s=0", None).await;
    let sample = stream.until("history", |_| true).await;
    assert_eq!(sample.data["step_s"], 1);
    post(&server, "/admin/restart", json!({"target": "gateway"})).await;
    while stream.next().await.is_some() {}
    let history = eventually("the next gateway has the sample", || async {
        let history = server.http.get_json("/admin/history?since_s=600&step_s=1").await;
        let samples = history["samples"].as_array().unwrap().clone();
        samples.contains(&sample.data).then_some(samples)
    })
    .await;
    let ends: Vec<u64> = history.iter().map(|sample| sample["unix_s"].as_u64().unwrap()).collect();
    assert!(ends.is_sorted());
    assert_eq!(server.http.get_json("/admin/history?since_s=7200").await["step_s"], 60);
    assert_eq!(server.http.get("/admin/history?step_s=7").await.status(), 400);
    assert_eq!(server.http.get("/admin/history?steps=1").await.status(), 400);
}

#[tokio::test]
async fn models_are_steered() {
    let server = Setup::new().with_copy("other.gguf").start().await;
    let swapped = post(&server, "/admin/aliases/current", json!({"model": MODEL})).await;
    let expected = json!({"alias": "current", "model": MODEL, "former": null, "beside": false});
    assert_eq!(swapped, expected);
    let swapped = post(&server, "/admin/aliases/current", json!({"model": "other"})).await;
    assert_eq!(swapped["former"], MODEL);
    let (status, error) = refused(&server, "/admin/aliases/other", &json!({"model": MODEL})).await;
    assert_eq!((status.as_u16(), &error["param"]), (409, &json!("alias")));

    let kept = post(&server, "/admin/models/current/keep_alive", json!({"keep_alive_s": 300})).await;
    assert_eq!((&kept["model"], &kept["stay_s"]), (&json!("other"), &json!(300)));
    let info = server.http.get_json("/admin/models/current").await;
    assert_eq!((&info["name"], &info["state"]), (&json!("other"), &json!("ready")));
    assert_eq!((&info["fits"]["verdict"], &info["stored"]), (&json!("now"), &Value::Null));
    assert!(info["footprint"]["ram"]["weights_bytes"].as_u64().unwrap() > 1_000_000, "{info}");
    assert!(info["chat_template"].as_str().is_some_and(|template| template.contains("messages")));
    assert_eq!(post(&server, "/admin/models/other/unload", json!({})).await, json!({"model": "other"}));
    let status = server.http.get_json("/admin/status").await;
    assert_eq!(worker_of(&status, "other"), &Value::Null);
    let (status, error) = refused(&server, "/admin/models/absent/load", &json!({})).await;
    assert_eq!((status.as_u16(), &error["code"]), (404, &json!("model_not_found")));
    let (status, _) = refused(&server, "/admin/models/other/load", &json!({"pin": true})).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_request_is_followed_through_processes_and_logs() {
    let server = Setup::new().set("log.level=debug").start().await;
    let mut logs = Stream::open(&server, "/admin/logs/follow?request_id=desk-1&lines=0", None).await;
    let asked = server.http.request(Method::POST, "/v1/chat/completions").header("x-request-id", "desk-1");
    assert_eq!(asked.json(&chat("count from 1 to 3")).send().await.unwrap().status(), 200);
    let told = logs.until("lines", |data| data["lines"][0]["source"] == "gateway").await;
    assert_eq!(told.data["lines"][0]["request_id"], "desk-1");

    let request = eventually("the request is remembered", || async {
        let response = server.http.get("/admin/requests/desk-1").await;
        if response.status() == 200 { response.json::<Value>().await.ok() } else { None }
    })
    .await;
    assert_eq!((&request["status"], &request["model"]), (&json!(200), &json!(MODEL)));
    assert!(request["completion_tokens"].as_u64().unwrap() > 0, "{request}");
    let spans = request["spans"].as_array().unwrap();
    assert_eq!((&spans[0]["parent"], &spans[0]["took_ms"]), (&Value::Null, &request["took_ms"]));
    for (process, name) in [("gateway", "lease"), ("worker", "prefill"), ("worker", "decode")] {
        let is_it = |span: &&Value| span["process"] == process && span["name"] == name;
        let span = spans.iter().find(is_it).unwrap_or_else(|| panic!("{name} in {request}"));
        let parent = span["parent"].as_u64().unwrap();
        assert!((parent as usize) < spans.len());
    }
    let listed = server.http.get_json("/admin/requests?limit=5").await;
    assert_eq!(listed["requests"][0]["id"], "desk-1");

    let lines = eventually("both processes have said something", || async {
        let lines = server.http.get_json("/admin/logs?request_id=desk-1").await;
        let lines = lines["lines"].as_array().unwrap().clone();
        let says = |source| lines.iter().any(|line| line["source"] == source);
        (says("gateway") && says("supervisor")).then_some(lines)
    })
    .await;
    assert!(lines.iter().all(|line| line["text"].as_str().unwrap().contains("desk-1")));
    let warned = server.http.get_json("/admin/logs?source=gateway&level=warn").await;
    assert!(warned["lines"].as_array().unwrap().iter().all(|line| line["level"] != "info"), "{warned}");
    assert_eq!(server.http.get("/admin/logs?level=loud").await.status(), 400);
    assert_eq!(server.http.get("/admin/logs?source=nobody").await.status(), 404);
}

#[tokio::test]
async fn a_key_is_made_used_and_revoked() {
    let server = Setup::new().start().await;
    assert_eq!(server.http.get_json("/admin/keys").await, json!({"keys": [], "in_use": false}));
    let wish = json!({"name": "desk", "scopes": ["admin", "inference"], "requests_per_minute": 100});
    let made = post(&server, "/admin/keys", wish).await;
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("sk-impetus-"));
    assert_eq!(server.http.get("/admin/keys").await.status(), 401, "from now on one is asked for");
    let ask = |method: Method, path: &str| server.http.request(method, path).bearer_auth(&secret);
    let listed = ask(Method::GET, "/admin/keys").send().await.unwrap().text().await.unwrap();
    assert!(!listed.contains(&secret) && listed.contains("\"requests_per_minute\":100"), "{listed}");
    let wrong = ask(Method::POST, "/admin/keys").json(&json!({"name": "x", "scopes": ["root"]}));
    let wrong: Value = wrong.send().await.unwrap().json().await.unwrap();
    assert_eq!(wrong["error"]["param"], "scopes");
    let plain = ask(Method::POST, "/admin/keys").json(&json!({"name": "plain"}));
    let plain: Value = plain.send().await.unwrap().json().await.unwrap();
    let status =
        server.http.request(Method::GET, "/admin/status").bearer_auth(plain["secret"].as_str().unwrap());
    assert_eq!(status.send().await.unwrap().status(), 403);
    let revoked = ask(Method::DELETE, "/admin/keys/plain").send().await.unwrap();
    assert_eq!(revoked.json::<Value>().await.unwrap(), json!({"name": "plain", "revoked": true, "left": 1}));
    let status =
        server.http.request(Method::GET, "/admin/status").bearer_auth(plain["secret"].as_str().unwrap());
    assert_eq!(status.send().await.unwrap().status(), 401, "it opens nothing any more");
    assert_eq!(server.http.get("/").await.status(), 200, "the page itself needs none");
}

#[tokio::test]
async fn the_configuration_is_shown_and_edited() {
    let server = Setup::new().set("gateway.max_depth=64").start().await;
    let before = fs::read_to_string(server.path("impetus.toml")).unwrap();
    let setting = async |key: &str| {
        let config = server.http.get_json("/admin/config").await;
        let settings = config["settings"].as_array().unwrap();
        settings.iter().find(|setting| setting["key"] == key).unwrap_or_else(|| panic!("{key}")).clone()
    };
    assert_eq!(setting("gateway.max_depth").await["origin"]["kind"], "argument");
    let threads = setting("workers.gguf.threads").await;
    assert_eq!((&threads["value"], &threads["is_default"]), (&json!(1), &json!(false)));
    assert_eq!((&threads["origin"]["kind"], &threads["editable"]), (&json!("file"), &json!(true)));

    let changes = json!({"supervisor.max_starts": 7, "model[impetus-tiny].ttl": 60, "log.keep": 3});
    let tried = post(&server, "/admin/config", json!({"changes": changes, "dry_run": true})).await;
    assert!(tried["diff"].as_str().unwrap().contains("+max_starts = 7"), "{tried}");
    assert_eq!(fs::read_to_string(server.path("impetus.toml")).unwrap(), before);
    let edited = post(&server, "/admin/config", json!({"changes": changes})).await;
    assert_eq!(edited["needs_restart"], json!(["log.keep"]));
    assert!(edited["changed"].as_array().unwrap().contains(&json!("supervisor.max_starts")), "{edited}");
    assert_eq!(setting("supervisor.max_starts").await["value"], 7);
    assert_eq!(setting("model[impetus-tiny].ttl").await["value"], 60);
    let after = fs::read_to_string(server.path("impetus.toml")).unwrap();
    assert!(after.contains("dirs = [\"models\"]") && after.contains("backoff_initial_ms = 20"), "{after}");

    for (changes, status, param) in [
        (json!({"gateway.max_queue": "many"}), 400, "gateway.max_queue"),
        (json!({"gateway.max_depth": 32}), 409, "gateway.max_depth"),
        (json!({"gateway.command": "nothing"}), 400, ""),
    ] {
        let (told, error) = refused(&server, "/admin/config", &json!({"changes": changes})).await;
        assert_eq!(told.as_u16(), status, "{error}");
        assert_eq!(error["param"].as_str().unwrap_or_default(), param, "{error}");
    }
    assert_eq!(fs::read_to_string(server.path("impetus.toml")).unwrap(), after, "nothing has changed");

    let profiles = server.http.get_json("/admin/profiles").await;
    let quiet = profiles["profiles"].as_array().unwrap().iter().find(|it| it["name"] == "quiet").unwrap();
    assert_eq!(quiet["active"], false);
    post(&server, "/admin/config", json!({"changes": quiet["changes"]})).await;
    let profiles = server.http.get_json("/admin/profiles").await;
    let active: Vec<&Value> =
        profiles["profiles"].as_array().unwrap().iter().filter(|it| it["active"] == true).collect();
    assert_eq!(active.len(), 1);
    assert_eq!(active[0]["name"], "quiet");
    let answer = server.http.ask(&with(chat("Say PONG"), &json!({"max_tokens": 4}))).await;
    assert!(answer.usage["completion_tokens"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn the_page_is_served_to_those_who_ask_for_this_server() {
    let server = Setup::new().start().await;
    let page = server.http.get("/").await;
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-eval"), "{policy}");
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    assert!(page.text().await.unwrap().contains("Impetus"));
    assert_eq!(server.http.get("/assets/none.js").await.status(), 404);
    let elsewhere = server.http.request(Method::GET, "/").header("host", "evil.example");
    assert!(elsewhere.send().await.unwrap().status().is_client_error());
}

#[tokio::test]
async fn a_model_is_found_on_the_hub_planned_and_pulled_with_progress() {
    let hub = Hub::start().await;
    let repository = || Repository::default().with("tiny-Q8_0.gguf", fs::read(bundled_model()).unwrap());
    hub.put("somebody/Counter", repository());
    hub.put("somebody/Closed", repository().gated());
    let setup = hub.settings().iter().fold(Setup::new(), |setup, setting| setup.set(setting));
    let server = setup.set("pull.reserve='0B'").start().await;
    let found = server.http.get_json("/admin/hub/search?q=somebody&limit=5").await;
    let told: Vec<_> =
        found["models"].as_array().unwrap().iter().map(|it| (&it["model"], &it["gated"])).collect();
    assert_eq!(
        told,
        [(&json!("somebody/Closed"), &json!(true)), (&json!("somebody/Counter"), &json!(false))]
    );
    assert_eq!(server.http.get("/admin/hub/search?q=").await.status(), 400);

    let plan = post(&server, "/admin/pulls", json!({"model": "somebody/Counter", "dry_run": true})).await;
    assert_eq!((&plan["event"], &plan["fits"]["verdict"]), (&json!("plan"), &json!("now")), "{plan}");
    // Half of it, until the progress was seen.
    hub.allow(Some(plan["total_bytes"].as_u64().unwrap() / 2));
    let mut stream = Stream::open(&server, "/admin/events", None).await;
    let begun = post(&server, "/admin/pulls", json!({"model": "somebody/Counter", "stream": false})).await;
    assert_eq!(begun["event"], "plan");
    stream.until("pulls", |told| told["pulls"][0]["bytes"].as_u64().is_some_and(|bytes| bytes > 0)).await;
    hub.allow(None);
    stream.until("event", |event| event["kind"] == "model.pulled").await;
    let stored = server.http.get_json("/admin/models").await;
    assert_eq!(stored["models"][0]["origin"], "pulled");
}
