//! Models that are made of others, through the whole server.

use std::fmt::Write;

use serde_json::json;

use super::*;
use crate::fake::MODEL;

const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// What the server answered, for a snapshot.
struct Told(String);

impl Told {
    async fn ask(&mut self, fake: &Fake, method: &str, path: &str, body: &Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        let answer = send(fake, request.body(body.clone().into()).unwrap()).await;
        let ignored = answer.headers.get("x-impetus-ignored").map(|names| names.to_str().unwrap());
        writeln!(self.0, "{method} {path} {body}").unwrap();
        writeln!(
            self.0,
            "{}{}",
            answer.status.as_u16(),
            ignored.map(|it| format!(", ignored: {it}")).unwrap_or_default()
        )
        .unwrap();
        for line in answer.text.lines() {
            writeln!(self.0, "  {line}").unwrap();
        }
    }
}

#[tokio::test]
async fn a_model_is_made_copied_and_deleted() {
    let fake = Fake::start();
    let mut told = Told(String::new());
    let mario = json!({"model": "mario", "from": MODEL, "system": "You are Mario.", "parameters": {"temperature": 0.5}, "beta": 1});
    told.ask(&fake, "POST", "/api/create", &mario).await;
    let modelfile = "FROM mario:latest\nMESSAGE user hi\nMESSAGE assistant It's me!\nPARAMETER top_k 7";
    told.ask(
        &fake,
        "POST",
        "/api/create",
        &json!({"name": "super/mario:64", "modelfile": modelfile, "stream": false}),
    )
    .await;
    told.ask(&fake, "POST", "/api/copy", &json!({"source": "Mario", "destination": "luigi:latest"})).await;
    told.ask(&fake, "POST", "/api/copy", &json!({"source": "small", "destination": "plain"})).await;
    told.ask(&fake, "DELETE", "/api/delete", &json!({"model": "mario"})).await;
    told.ask(&fake, "DELETE", "/api/delete", &json!({"name": "mario"})).await;
    insta::assert_snapshot!(told.0, @r#"
    POST /api/create {"model":"mario","from":"tiny","system":"You are Mario.","parameters":{"temperature":0.5},"beta":1}
    200, ignored: beta
      {"status":"writing manifest"}
      {"status":"success"}
    POST /api/create {"name":"super/mario:64","modelfile":"FROM mario:latest\nMESSAGE user hi\nMESSAGE assistant It's me!\nPARAMETER top_k 7","stream":false}
    200
      {"status":"success"}
    POST /api/copy {"source":"Mario","destination":"luigi:latest"}
    200
    POST /api/copy {"source":"small","destination":"plain"}
    200
    DELETE /api/delete {"model":"mario"}
    200
    DELETE /api/delete {"name":"mario"}
    404
      {"error":"model \"mario\" not found, try pulling it first"}
    "#);
    let made = async |name: &str| {
        let shown = send(&fake, post("/api/show", json!({"model": name}).to_string())).await.json();
        shown["modelfile"].as_str().unwrap().to_owned()
    };
    insta::assert_snapshot!(made("super/mario:64").await, @r"
    FROM tiny
    SYSTEM You are Mario.
    PARAMETER temperature 0.5
    PARAMETER top_k 7
    MESSAGE user hi
    MESSAGE assistant It's me!
    ");
    insta::assert_snapshot!(made("luigi").await, @r"
    FROM tiny
    SYSTEM You are Mario.
    PARAMETER temperature 0.5
    ");
    assert_eq!(made("plain").await, "FROM tiny\n");
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_before_anything_is_done() {
    let fake = Fake::start();
    let model =
        |name: &str| ModelStatus { name: name.into(), state: "ready".into(), ..ModelStatus::default() };
    fake.set_models(vec![model(MODEL), ModelStatus { aliases: vec!["small".into()], ..model("other") }]);
    let mut told = Told(String::new());
    let (from, digest) = (json!(MODEL), json!(DIGEST));
    for body in [
        json!({"model": "a b", "from": from}),
        json!({"model": MODEL, "from": "nobody"}),
        json!({"model": "other", "from": from}),
        json!({"model": "mario", "files": {"m.gguf": digest}}),
        json!({"model": "mario", "from": from, "adapters": {"a": digest}}),
        json!({"model": "mario", "modelfile": "FROM tiny\nADAPTER x"}),
    ] {
        told.ask(&fake, "POST", "/api/create", &body).await;
    }
    told.ask(&fake, "POST", "/api/copy", &json!({"source": "nobody", "destination": "x"})).await;
    told.ask(&fake, "POST", "/api/copy", &json!({"source": MODEL, "destination": "other"})).await;
    told.ask(&fake, "POST", "/api/copy", &json!({"source": MODEL})).await;
    told.ask(&fake, "DELETE", "/api/delete", &json!({"model": "small"})).await;
    told.ask(&fake, "POST", "/api/push", &json!({"model": MODEL})).await;
    told.ask(&fake, "POST", "/api/pull", &json!({"model": "x", "insecure": true})).await;
    told.ask(&fake, "POST", "/api/pull", &json!({"model": "x", "password": "y"})).await;
    told.ask(&fake, "POST", "/api/pull", &json!({})).await;
    insta::assert_snapshot!(told.0, @r#"
    POST /api/create {"model":"a b","from":"tiny"}
    400
      {"error":"\"a b\" cannot be the name of a model: letters, digits, '.', '_' and '-', with '/' between parts and one tag behind ':', at most 200 bytes"}
    POST /api/create {"model":"tiny","from":"nobody"}
    404
      {"error":"model \"nobody\" not found, try pulling it first"}
    POST /api/create {"model":"other","from":"tiny"}
    409
      {"error":"\"other\" is the name of a model of this server; choose another one, or delete that model first"}
    POST /api/create {"model":"mario","files":{"m.gguf":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}}
    404
      {"error":"there is no blob sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad; send it to /api/blobs/sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad first"}
    POST /api/create {"model":"mario","from":"tiny","adapters":{"a":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}}
    400
      {"error":"adapters is not supported: this server applies no adapters; merge them into the model first; leave it out"}
    POST /api/create {"model":"mario","modelfile":"FROM tiny\nADAPTER x"}
    400
      {"error":"line 2 of the Modelfile: ADAPTER is not supported: this server applies no adapters; merge it into the model first"}
    POST /api/copy {"source":"nobody","destination":"x"}
    404
      {"error":"model \"nobody\" not found, try pulling it first"}
    POST /api/copy {"source":"tiny","destination":"other"}
    409
      {"error":"\"other\" is the name of a model of this server; choose another one, or delete that model first"}
    POST /api/copy {"source":"tiny"}
    400
      {"error":"destination is missing; it is the name that the copy is to have"}
    DELETE /api/delete {"model":"small"}
    409
      {"error":"\"small\" is another name of \"other\", which is to be deleted by its own"}
    POST /api/push {"model":"tiny"}
    400
      {"error":"this server sends models to no registry; copy the model's files, which `supervisorctl show` names"}
    POST /api/pull {"model":"x","insecure":true}
    400
      {"error":"insecure is not supported: models are fetched over encrypted connections; leave it out"}
    POST /api/pull {"model":"x","password":"y"}
    400
      {"error":"password is not supported; the server's owner keeps a token for gated models with `supervisorctl login`"}
    POST /api/pull {}
    400
      {"error":"model is missing; it is the name of a model"}
    "#);
    let shown = send(&fake, post("/api/show", r#"{"model":"mario"}"#)).await;
    assert_eq!(shown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_blob_is_kept_when_it_is_what_it_should_be() {
    let fake = Fake::start();
    let path = format!("/api/blobs/{DIGEST}");
    let check = async |method: &str, path: &str, body: &'static str, expected: u16| {
        let request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        let answer = send(&fake, request.body(body.into()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), expected, "{method} {path} {body}: {}", answer.text);
    };
    check("HEAD", &path, "", 404).await;
    check("POST", &path, "abd", 400).await;
    check("HEAD", &path, "", 404).await;
    check("POST", &path, "abc", 201).await;
    check("HEAD", &path, "", 200).await;
    check("POST", &path, "abc", 201).await;
    for digest in ["sha256:1", "..%2f..%2fetc%2fpasswd", "md5:900150983cd24fb0d6963f7d28e17f72"] {
        check("HEAD", &format!("/api/blobs/{digest}"), "", 400).await;
        check("POST", &format!("/api/blobs/{digest}"), "abc", 400).await;
    }
    check("GET", &path, "", 405).await;
}
