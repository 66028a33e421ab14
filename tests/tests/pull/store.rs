//! Models that are here: listed, checked, removed, and found where other programs keep them.

use std::{fs, time::Duration};

use impetus_proto::{
    endpoint,
    supervisor::{AcquireRequest, acquire_event, supervisor_client::SupervisorClient},
};

use super::*;
use crate::harness::{chat, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_requests_use_is_not_removed() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let server = setup(&hub).start().await;
    server.pull(&["owner/tiny"]).await;
    let mut body = chat("count from 1 to 5");
    body["model"] = "tiny-Q8_0".into();
    // A gateway holds a model in this way for as long as its request lasts.
    let uri = format!("unix://{}", server.path("run/supervisor.sock").display());
    let channel = endpoint::connect(&uri, Duration::from_secs(5)).await.unwrap();
    let request = AcquireRequest { model: "tiny-Q8_0".into(), ..AcquireRequest::default() };
    let mut lease = SupervisorClient::new(channel).acquire(request).await.unwrap().into_inner();
    while !matches!(lease.message().await.unwrap().unwrap().event, Some(acquire_event::Event::Ready(_))) {}
    let refused = server.ctl(&["rm", "tiny-Q8_0"]).await;
    assert!(refused.err.contains("tiny-Q8_0 is in use by requests"), "{refused:?}");
    assert!(server.path("state/store/tiny-Q8_0/tiny-Q8_0.gguf").exists());
    drop(lease);
    eventually("it is let go", || async { (server.ctl(&["rm", "tiny-Q8_0"]).await.code == 0).then_some(()) })
        .await;
    assert!(server.stored().await.is_empty());
    assert!(server.find_worker("tiny-Q8_0").await.is_none());
    assert_eq!(server.http.refused(&body).await.status, 404);
    let absent = server.ctl(&["rm", "impetus-tiny"]).await;
    assert!(absent.err.contains("impetus-tiny is not a model of the store"), "{absent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_revision_takes_the_place_of_the_one_before() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let server = setup(&hub).start().await;
    server.pull(&["owner/tiny"]).await;
    let mut later = fs::read(bundled_model()).unwrap();
    let last = later.len() - 1;
    later[last] ^= 1;
    hub.put("owner/tiny", tiny().with("tiny-Q8_0.gguf", later.clone()).revised());
    server.pull(&["owner/tiny"]).await;
    assert_eq!(fs::read(server.path("state/store/tiny-Q8_0/tiny-Q8_0.gguf")).unwrap(), later);

    // What others made does not, whatever it is called.
    hub.put("other/tiny", tiny());
    let refused = server.pull_in_vain(&["other/tiny"]).await;
    assert!(
        refused.contains("is the name of a model of the store") && refused.contains("--name"),
        "{refused}"
    );
    server.pull(&["other/tiny", "--name", "theirs"]).await;
    hub.put("owner/clash", Repository::default().with("impetus-tiny.gguf", later));
    let refused = server.pull_in_vain(&["owner/clash"]).await;
    assert!(refused.contains("impetus-tiny is the name of the model at"), "{refused}");
    assert_eq!(server.stored().await, ["theirs", "tiny-Q8_0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_file_that_changed_is_noticed_and_one_that_is_not_the_models_is_not() {
    let hub = Hub::start().await;
    let folder = || Repository::default().with_folder(&bundled("impetus-tiny-safetensors"));
    hub.put("owner/folder", folder());
    let server = setup(&hub).start().await;
    server.pull(&["owner/folder"]).await;
    let file = server.path("state/store/folder/config.json");
    let later = fs::read_to_string(&file).unwrap().replacen('\n', " ", 1);
    hub.put("owner/folder", folder().with("config.json", later.clone()).revised());
    server.pull(&["owner/folder"]).await;
    assert_eq!(fs::read_to_string(&file).unwrap(), later);
    let before = hub.served();
    let described = folder().with("config.json", later).with("README.md", "what is new").revised().revised();
    hub.put("owner/folder", described);
    server.pull(&["owner/folder"]).await;
    // What the plan is made of, and no weights.
    assert!(hub.served() - before < 10_000, "{}", hub.served() - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_found_and_room_is_shared() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let mut server = setup(&hub).start().await;
    server.pull(&["owner/tiny"]).await;
    server.pull(&["owner/tiny", "--name", "twin"]).await;
    let shared = server.ctl(&["dedupe"]).await;
    assert!(shared.out.contains("10.0 MiB freed"), "{shared:?}");
    assert!(server.ctl(&["list"]).await.out.contains("10.0 MiB in "));
    server.ctl(&["rm", "twin"]).await;
    assert!(server.ctl(&["verify"]).await.out.contains("1 files, 10.0 MiB, 0 damaged"));

    let file = server.path("state/store/tiny-Q8_0/tiny-Q8_0.gguf");
    let mut content = fs::read(&file).unwrap();
    content[9_000_000] ^= 1;
    fs::write(&file, content).unwrap();
    // A start finds what has changed meanwhile.
    server.kill_supervisor().await;
    server.start_again(&[]).await;
    eventually("it is found", || async {
        server.ctl(&["list"]).await.out.contains("its content is sha256:").then_some(())
    })
    .await;
    eventually("it is not served", || async {
        let models = server.http.get_json("/v1/models").await.to_string();
        (!models.contains("tiny-Q8_0")).then_some(())
    })
    .await;
    let mut body = chat("count from 1 to 5");
    body["model"] = "tiny-Q8_0".into();
    assert_eq!(server.http.refused(&body).await.status, 404);
    server.pull(&["owner/tiny"]).await;
    server.counts("tiny-Q8_0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_of_other_programs_are_served_from_where_they_are() {
    let setup = Setup::new().set("models.import=['ollama','huggingface','lm-studio','llama-cpp']");
    let place = |path: &str| {
        let path = setup.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    let model = fs::read(bundled_model()).unwrap();
    let digest = impetus_tests::hub::sha256(&model);
    let blob = place(&format!(".ollama/models/blobs/sha256-{digest}"));
    fs::write(&blob, &model).unwrap();
    let manifest = serde_json::json!({ "layers": [
        { "mediaType": "application/vnd.ollama.image.model", "digest": format!("sha256:{digest}"), "size": model.len() },
    ] });
    let manifests = place(".ollama/models/manifests/registry.ollama.ai/library/tiny/1b");
    fs::write(manifests, manifest.to_string()).unwrap();
    let hub = ".cache/huggingface/hub/models--owner--cached";
    fs::write(place(&format!("{hub}/blobs/{digest}")), &model).unwrap();
    let snapshot = place(&format!("{hub}/snapshots/abc/cached-Q8_0.gguf"));
    std::os::unix::fs::symlink(format!("../../blobs/{digest}"), snapshot).unwrap();
    fs::write(place(".lmstudio/models/owner/name/studio-Q8_0.gguf"), &model).unwrap();
    fs::write(place(".cache/llama.cpp/owner_name_own-Q8_0.gguf"), &model).unwrap();
    let server = setup.start().await;
    for name in ["tiny:1b", "cached-Q8_0", "studio-Q8_0", "owner_name_own-Q8_0"] {
        assert!(server.counts(name).await.contains("1, 2, 3"), "{name}");
    }
    assert_eq!(fs::read(blob).unwrap(), model);
    assert!(server.stored().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_sent_over_http() {
    let server = Setup::new().set("pull.reserve='0B'").start().await;
    let model = fs::read(bundled_model()).unwrap();
    let digest = impetus_tests::hub::sha256(&model);
    let send = async |query: &str, body: Vec<u8>| {
        let path = format!("/admin/models?{query}");
        let sent = server.http.request(reqwest::Method::POST, &path).body(body).send().await.unwrap();
        (sent.status().as_u16(), sent.json::<serde_json::Value>().await.unwrap())
    };
    let (status, sent) = send(&format!("name=sent&sha256={digest}"), model.clone()).await;
    assert_eq!((status, &sent["origin"]), (200, &"uploaded".into()), "{sent}");
    assert!(server.counts("sent").await.contains("1, 2, 3"));

    let refused = |(status, body): (u16, serde_json::Value)| (status, body["error"]["param"].clone());
    assert_eq!(refused(send("name=sent", model.clone()).await), (409, "name".into()));
    assert_eq!(refused(send("name=../x", model.clone()).await), (400, "name".into()));
    assert_eq!(refused(send("name=x&file=../../x.gguf", model.clone()).await), (400, "file".into()));
    assert_eq!(
        refused(send(&format!("name=x&sha256={}", "0".repeat(64)), model).await),
        (400, "sha256".into())
    );
    let (status, body) = send("name=x", b"GGUF and nothing more".to_vec()).await;
    assert!(
        status == 422 && body["error"]["message"].as_str().unwrap().contains("x cannot be served"),
        "{body}"
    );
    assert_eq!(server.stored().await, ["sent"]);
    assert!(!server.has_staged());

    let listed = server.http.get_json("/admin/models").await;
    assert_eq!(listed["models"][0]["files"][0]["sha256"], digest);
    let path = "/admin/models/sent";
    let removed = server.http.request(reqwest::Method::DELETE, path).send().await.unwrap();
    assert_eq!(removed.status(), 200);
    assert!(server.stored().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_sent_as_a_form() {
    let server = Setup::new().set("pull.reserve='0B'").start().await;
    let mut form = Vec::new();
    for entry in fs::read_dir(bundled("impetus-tiny-safetensors")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let head =
            format!("--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        form.extend([head.into_bytes(), fs::read(entry.path()).unwrap(), b"\r\n".to_vec()].concat());
    }
    form.extend(b"--edge--\r\n");
    let request = server.http.request(reqwest::Method::POST, "/admin/models?name=folder");
    let request = request.header("content-type", "multipart/form-data; boundary=edge").body(form);
    let sent: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(sent["format"], "candle", "{sent}");
    assert!(server.counts("folder").await.contains("1, 2, 3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_over_http_tells_how_it_goes() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let server = setup(&hub).start().await;
    let post =
        |body: serde_json::Value| server.http.request(reqwest::Method::POST, "/admin/pulls").json(&body);
    let plan = post(serde_json::json!({ "model": "owner/tiny", "dry_run": true })).send().await.unwrap();
    let plan: serde_json::Value = plan.json().await.unwrap();
    assert_eq!((&plan["event"], &plan["name"]), (&"plan".into(), &"tiny-Q8_0".into()));
    let pulled =
        post(serde_json::json!({ "model": "owner/tiny" })).send().await.unwrap().text().await.unwrap();
    let events: Vec<&str> = pulled.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert!(events[0].contains("\"event\":\"plan\""), "{pulled}");
    assert!(events.last().unwrap().contains("\"event\":\"done\""), "{pulled}");
    assert!(server.counts("tiny-Q8_0").await.contains("1, 2, 3"));

    let address = format!("{}/cdn/owner/tiny/tiny-Q8_0.gguf", hub.url());
    let refused = post(serde_json::json!({ "model": address, "stream": false })).send().await.unwrap();
    assert_eq!(refused.status(), 403, "an address is for the owner alone");
    let odd = post(serde_json::json!({ "model": "owner/tiny", "where": "/tmp" })).send().await.unwrap();
    assert_eq!(odd.status(), 400);
    let none = post(serde_json::json!({ "model": "owner/none" })).send().await.unwrap().text().await.unwrap();
    assert!(none.contains("\"event\":\"error\"") && none.contains("owner/none is not there"), "{none}");

    hub.allow(Some(hub.served() + 3_000_000));
    hub.put("owner/other", Repository::default().with("other-Q8_0.gguf", fs::read(bundled_model()).unwrap()));
    let begun = post(serde_json::json!({ "model": "owner/other", "stream": false })).send().await.unwrap();
    assert_eq!(begun.status(), 200);
    let pulls = server.http.get_json("/admin/pulls").await;
    let id = pulls["pulls"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/admin/pulls/{id}?discard=true");
    let stopped = server.http.request(reqwest::Method::DELETE, &path).send().await.unwrap();
    assert_eq!(stopped.status(), 200);
    assert_eq!(server.http.get_json("/admin/pulls").await["pulls"], serde_json::json!([]));
}
