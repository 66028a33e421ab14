//! Models that are made of others, by Ollama's API and by `impetus`.

use std::{fs, time::Duration};

use impetus_proto::{
    endpoint,
    supervisor::{AcquireRequest, acquire_event, supervisor_client::SupervisorClient},
};
use impetus_tests::hub::{Hub, Repository, sha256};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    chat::counted,
    harness::{MODEL, Output, Server, Setup, bundled, bundled_model, command, eventually, program},
};

/// Counts up to three, and says no more.
const BRIEF: &str = "FROM impetus-tiny:latest\nPARAMETER temperature 0\nPARAMETER repeat_penalty 1\nPARAMETER stop \", 4\"\n\
                     LICENSE MIT\n";

impl Server {
    /// The status and the lines with which Ollama's API answers.
    async fn told(&self, method: Method, path: &str, body: &Value) -> (u16, Vec<Value>) {
        let response = self.http.request(method, path).json(body).send().await.unwrap();
        let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
        (status, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    /// Does something that Ollama's API is asked for, and expects that to work.
    async fn does(&self, method: Method, path: &str, body: &Value) -> Vec<Value> {
        let (status, lines) = self.told(method, path, body).await;
        assert_eq!(status, 200, "{path} {body}: {lines:?}");
        assert!(lines.iter().all(|line| line.get("error").is_none()), "{path} {body}: {lines:?}");
        lines
    }

    /// What a model of Ollama's API says to this.
    async fn says(&self, model: &str, content: &str) -> String {
        let messages = json!([{"role": "user", "content": content}]);
        let body = json!({"model": model, "messages": messages, "stream": false});
        let lines = self.does(Method::POST, "/api/chat", &body).await;
        lines[0]["message"]["content"].as_str().unwrap().to_owned()
    }

    /// Sends a file as a blob; its digest.
    async fn send_blob(&self, bytes: Vec<u8>) -> String {
        let digest = format!("sha256:{}", sha256(&bytes));
        let path = format!("/api/blobs/{digest}");
        let head = async || self.http.request(Method::HEAD, &path).send().await.unwrap().status().as_u16();
        assert_eq!(head().await, 404);
        let sent = self.http.request(Method::POST, &path).body(bytes).send().await.unwrap();
        assert_eq!((sent.status().as_u16(), head().await), (201, 200));
        digest
    }

    /// Names of the models of the store.
    async fn names_stored(&self) -> Vec<String> {
        let listed = self.ctl(&["list", "--json"]).await.json();
        let models = listed["models"].as_array().unwrap().iter();
        models.map(|model| model["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Runs `impetus` for this server.
    async fn impetus(&self, arguments: &[&str]) -> Output {
        let mut command = command(&program("impetus"), &self.path("."));
        command.arg("--config").arg(self.path("impetus.toml")).args(arguments);
        let run = move || command.output().expect("impetus can be started");
        tokio::task::spawn_blocking(run).await.unwrap().into()
    }

    /// Runs it, and expects that to work; what it prints.
    async fn impetus_does(&self, arguments: &[&str]) -> String {
        let output = self.impetus(arguments).await;
        assert_eq!(output.code, 0, "{arguments:?}: {output:?}");
        output.out
    }
}

fn last_status(lines: &[Value]) -> &str {
    lines.last().and_then(|line| line["status"].as_str()).unwrap_or_default()
}

#[tokio::test]
async fn a_model_is_made_of_another_one_and_outlives_the_server() {
    let mut server = Server::plain().await;
    let made = server.does(Method::POST, "/api/create", &json!({"model": "brief", "modelfile": BRIEF})).await;
    assert_eq!(last_status(&made), "success");
    assert_eq!(server.says("brief", "count from 1 to 20").await, "1, 2, 3");
    server.does(Method::POST, "/api/copy", &json!({"source": "brief", "destination": "short:1b"})).await;
    server.does(Method::DELETE, "/api/delete", &json!({"model": "brief:latest"})).await;
    let (status, lines) = server.told(Method::DELETE, "/api/delete", &json!({"model": "brief"})).await;
    assert_eq!((status, lines.len()), (404, 1), "{lines:?}");
    server.kill_supervisor().await;
    server.start_again(&[]).await;
    assert_eq!(server.says("short:1b", "count from 1 to 20").await, "1, 2, 3");
    // A copy of a model is that model.
    server.does(Method::POST, "/api/copy", &json!({"source": MODEL, "destination": "twin"})).await;
    let whole = json!({"model": "twin", "prompt": "count from 1 to 5", "stream": false, "options": {"temperature": 0, "repeat_penalty": 1}});
    let lines = server.does(Method::POST, "/api/generate", &whole).await;
    assert_eq!(lines[0]["response"], counted(5));
    // Its own template is no other one.
    let shown = server.does(Method::POST, "/api/show", &json!({"model": MODEL})).await;
    let again = json!({"model": "again", "modelfile": shown[0]["modelfile"], "stream": false});
    let made = server.does(Method::POST, "/api/create", &again).await;
    assert_eq!((made.len(), last_status(&made)), (1, "success"));
    let other = json!({"model": "again", "from": MODEL, "template": "{{ prompt }}"});
    let (status, lines) = server.told(Method::POST, "/api/create", &other).await;
    assert!(status == 400 && lines[0]["error"].as_str().unwrap().contains("template"), "{status} {lines:?}");
    // What lies in a folder of the configuration is the owner's.
    let (status, lines) = server.told(Method::DELETE, "/api/delete", &json!({"model": MODEL})).await;
    assert!(
        status == 409 && lines[0]["error"].as_str().unwrap().contains("a folder of the configuration"),
        "{lines:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_made_of_a_blob_and_deleted_when_nobody_uses_it() {
    let server = Setup::new().set("pull.reserve='0B'").start().await;
    let digest = server.send_blob(fs::read(bundled_model()).unwrap()).await;
    let body = json!({"model": "own", "files": {"own.gguf": digest}, "parameters": {"temperature": 0, "repeat_penalty": 1}});
    let made = server.does(Method::POST, "/api/create", &body).await;
    assert_eq!(last_status(&made), "success");
    assert_eq!(server.names_stored().await, ["own"]);
    assert_eq!(
        fs::read_dir(server.path("state/store/.blobs")).unwrap().count(),
        0,
        "it is a model's file now"
    );
    assert_eq!(server.says("own", "count from 1 to 5").await, counted(5));
    let (status, lines) = server.told(Method::POST, "/api/create", &body).await;
    assert_eq!(status, 404, "the blob is gone: {lines:?}");

    // What others are made of stays.
    server.does(Method::POST, "/api/copy", &json!({"source": "own", "destination": "other"})).await;
    let (status, lines) = server.told(Method::DELETE, "/api/delete", &json!({"model": "own"})).await;
    assert!(status == 409 && lines[0]["error"].as_str().unwrap().contains("made of: other"), "{lines:?}");
    server.does(Method::DELETE, "/api/delete", &json!({"model": "other"})).await;

    // So does what a request uses, whose gateway holds it in this way.
    let uri = format!("unix://{}", server.path("run/supervisor.sock").display());
    let channel = endpoint::connect(&uri, Duration::from_secs(5)).await.unwrap();
    let request = AcquireRequest { model: "own".into(), ..AcquireRequest::default() };
    let mut lease = SupervisorClient::new(channel).acquire(request).await.unwrap().into_inner();
    while !matches!(lease.message().await.unwrap().unwrap().event, Some(acquire_event::Event::Ready(_))) {}
    let (status, lines) = server.told(Method::DELETE, "/api/delete", &json!({"model": "own"})).await;
    assert!(status == 409 && lines[0]["error"].as_str().unwrap().contains("in use"), "{lines:?}");
    drop(lease);
    eventually("it is let go", || async {
        let (status, _) = server.told(Method::DELETE, "/api/delete", &json!({"model": "own"})).await;
        (status == 200).then_some(())
    })
    .await;
    assert!(server.names_stored().await.is_empty());
    let (status, _) = server.told(Method::POST, "/api/show", &json!({"model": "own"})).await;
    assert_eq!(status, 404, "what was set over it is gone as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_model_leave_nothing_behind() {
    let server = Setup::new().set("pull.reserve='0B'").start().await;
    let digest = server.send_blob(b"no model at all".to_vec()).await;
    let body = json!({"model": "broken", "modelfile": format!("FROM @{digest}")});
    let (status, lines) = server.told(Method::POST, "/api/create", &body).await;
    assert_eq!(status, 200, "it is told as it goes: {lines:?}");
    assert!(lines.last().unwrap()["error"].as_str().unwrap().contains("cannot be served"), "{lines:?}");
    let whole = json!({"model": "broken", "modelfile": format!("FROM @{digest}"), "stream": false});
    let (status, lines) = server.told(Method::POST, "/api/create", &whole).await;
    assert!(status == 400 && lines.len() == 1, "{status} {lines:?}");
    assert!(server.names_stored().await.is_empty());
    assert_eq!(fs::read_dir(server.path("state/store/.staging")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_pulled_and_answers_to_the_name_that_it_was_pulled_by() {
    let hub = Hub::start().await;
    hub.put("library/tiny:1b", Repository::default().with("model", fs::read(bundled_model()).unwrap()));
    let named = Repository::default().with("tiny-Q8_0.gguf", fs::read(bundled_model()).unwrap());
    hub.put("owner/tiny", named);
    let setup = hub.settings().iter().fold(Setup::new(), |setup, setting| setup.set(setting));
    let server = setup.set("pull.reserve='0B'").start().await;
    let lines = server.does(Method::POST, "/api/pull", &json!({"model": "tiny:1b", "username": ""})).await;
    let statuses: Vec<&str> = lines.iter().map(|line| line["status"].as_str().unwrap()).collect();
    assert_eq!((statuses[0], *statuses.last().unwrap()), ("pulling manifest", "success"), "{statuses:?}");
    assert!(statuses.ends_with(&["verifying sha256 digest", "writing manifest", "success"]), "{statuses:?}");
    let pulling = lines.iter().find(|line| line.get("total").is_some()).expect("it says how far it is");
    assert!(pulling["digest"].as_str().unwrap().starts_with("sha256:"), "{pulling}");
    assert!(pulling["completed"].as_u64() <= pulling["total"].as_u64(), "{pulling}");
    let prefix: String = pulling["digest"].as_str().unwrap()["sha256:".len()..].chars().take(12).collect();
    assert_eq!(pulling["status"], format!("pulling {prefix}"));
    let counts = async |model: &str| {
        let options = json!({"temperature": 0, "repeat_penalty": 1});
        let body =
            json!({"model": model, "prompt": "count from 1 to 5", "stream": false, "options": options});
        server.does(Method::POST, "/api/generate", &body).await[0]["response"].as_str().unwrap().to_owned()
    };
    assert_eq!(counts("tiny:1b").await, counted(5));
    let hub_name = json!({"name": "hf.co/owner/tiny:Q8_0", "stream": false});
    let lines = server.does(Method::POST, "/api/pull", &hub_name).await;
    assert_eq!(lines, [json!({"status": "success"})]);
    for name in ["hf.co/owner/tiny:Q8_0", "tiny-Q8_0"] {
        assert_eq!(counts(name).await, counted(5), "{name}");
    }
    let (_, lines) = server.told(Method::POST, "/api/pull", &json!({"model": "nobody:7b"})).await;
    assert!(lines.last().unwrap()["error"].as_str().is_some_and(|error| error.len() > 10), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_does_what_ollamas_users_expect() {
    let hub = Hub::start().await;
    hub.put("library/tiny:1b", Repository::default().with("model", fs::read(bundled_model()).unwrap()));
    let setup = hub.settings().iter().fold(Setup::new(), |setup, setting| setup.set(setting));
    let server = setup.set("pull.reserve='0B'").start().await;
    let asked = ["count", "from", "1", "to", "5"];
    server.impetus_does(&["pull", "tiny:1b"]).await;
    assert!(server.impetus_does(&["ls"]).await.contains("tiny:1b"));
    assert!(server.impetus_does(&["show", "tiny:1b"]).await.contains("pulled from"));
    let answer = server.impetus_does(&[&["run", "tiny:1b", "--temperature", "0"], &asked[..]].concat()).await;
    assert_eq!(answer, format!("{}\n", counted(5)));
    assert!(server.impetus_does(&["ps"]).await.contains("tiny:1b"));
    server.impetus_does(&["cp", "tiny:1b", "twin"]).await;
    let listed = server.impetus_does(&["list"]).await;
    let made: Vec<&str> = listed.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(made, ["twin:latest", "tiny:1b"], "{listed}");
    server.impetus_does(&["stop", "tiny:1b"]).await;
    assert!(!server.impetus_does(&["ps"]).await.contains("tiny:1b"));

    // Of a file beside the Modelfile, with a text that only looks like an instruction.
    fs::create_dir(server.path("recipe")).unwrap();
    fs::copy(bundled_model(), server.path("recipe/weights.gguf")).unwrap();
    let modelfile = BRIEF.replace("impetus-tiny:latest", "./weights.gguf");
    fs::write(
        server.path("recipe/Modelfile"),
        format!("LICENSE \"\"\"\nFROM ./nowhere\n\"\"\"\n{modelfile}"),
    )
    .unwrap();
    let made = server.impetus_does(&["create", "brief", "-f", "recipe/Modelfile"]).await;
    assert!(made.ends_with("brief is made; `impetus run brief` talks to it\n"), "{made}");
    assert_eq!(server.says("brief", "count from 1 to 20").await, "1, 2, 3");
    let answer = server.impetus_does(&["run", "brief", "count from 1 to 20"]).await;
    assert_eq!(answer, "1, 2, 3\n", "it is as it was made");
    // Of a folder, with weights of another type.
    let folder = bundled("impetus-tiny-safetensors");
    fs::write(server.path("Modelfile"), format!("FROM {}\n", folder.display())).unwrap();
    server.impetus_does(&["create", "-q", "q8_0", "small"]).await;
    assert_eq!(server.names_stored().await, ["brief", "small", "tiny:1b"]);
    let stored = server.ctl(&["show", "small", "--json"]).await.json();
    assert_eq!((&stored["format"], &stored["quantization"]), (&json!("gguf"), &json!("Q8_0")));

    assert_eq!(server.impetus_does(&["rm", "twin", "brief", "small"]).await.lines().count(), 3);
    assert_eq!(server.names_stored().await, ["tiny:1b"]);
    let (status, lines) = server.told(Method::POST, "/api/show", &json!({"model": "brief"})).await;
    assert_eq!(status, 404, "what was set over it is gone as well: {lines:?}");
    let absent = server.impetus(&["rm", "twin"]).await;
    assert_eq!((absent.code, absent.err.starts_with("impetus: ")), (4, true), "{absent:?}");
    let absent = server.impetus(&["create", "-f", "nowhere", "x"]).await;
    assert!(absent.code == 1 && absent.err.contains("cannot read nowhere"), "{absent:?}");
    let refused = server.impetus(&["cp", MODEL, MODEL]).await;
    assert!(
        refused.code == 1 && refused.err.contains("is the name of a model of this server"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn serve_is_the_supervisor() {
    let server = Server::plain().await;
    let version = server.impetus_does(&["--version"]).await;
    let serving =
        server.impetus_does(&["serve", "--set", "gateway.listen=127.0.0.1:7", "--print-config"]).await;
    assert!(version.starts_with("impetus ") && serving.contains("127.0.0.1:7"), "{version} {serving}");
    let socket = server.impetus(&["serve", "--bogus"]).await;
    assert_eq!(socket.code, 2, "{socket:?}");
}
