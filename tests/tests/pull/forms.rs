//! What can be pulled, and by what names.

use std::fs;

use impetus_tests::hub::sha256;

use super::*;

/// What the bundled model counts, whatever it is called.
const COUNTED: &str = "1, 2, 3, 4, 5";

#[tokio::test(flavor = "multi_thread")]
async fn a_quantization_is_pulled_and_served() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let server = setup(&hub).start().await;
    let pulled = server.pull(&["owner/tiny:q8_0"]).await;
    assert!(pulled.out.contains("tiny-Q8_0 is here"), "{pulled:?}");
    assert_eq!(server.counts("tiny-Q8_0").await, server.counts("impetus-tiny").await);
    assert!(server.counts("tiny-Q8_0").await.contains(COUNTED));
    let file = server.path("state/store/tiny-Q8_0/tiny-Q8_0.gguf");
    assert_eq!(sha256(&fs::read(file).unwrap()), sha256(&fs::read(bundled_model()).unwrap()));
    assert!(!server.has_staged());

    // It is there already: nothing but the list of files is asked for again.
    let before = hub.served();
    server.pull(&["hf.co/owner/tiny:Q8_0"]).await;
    assert!(hub.served() - before < 2 << 20, "only its header was read: {}", hub.served() - before);

    let shown = server.ctl(&["show", "tiny-Q8_0", "--json"]).await.json();
    assert_eq!(shown["stored"]["source"], "hf:owner/tiny:q8_0");
    assert_eq!(shown["stored"]["origin"], "pulled");
    assert!(shown["ram"]["weights_bytes"].as_u64().unwrap() > 5 << 20, "{shown}");
    assert!(shown["chat_template"].as_str().unwrap().contains("messages"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_would_be_fetched_and_why_and_fetches_nothing() {
    let hub = Hub::start().await;
    let model = fs::read(bundled_model()).unwrap();
    let large = vec![0; 3 * model.len()];
    let quantized = Repository::default()
        .with("tiny-Q4_K_M.gguf", large)
        .with("tiny-Q3_K_M.gguf", model.clone())
        .with("tiny-F16.gguf", model);
    hub.put("owner/tiny", quantized);
    let server = setup(&hub).set("budget.ram='1GiB'").start().await;
    let planned = server.pull(&["owner/tiny", "--dry-run"]).await.out;
    assert!(planned.contains("of 3 the nearest to the usual one, Q4_K_M: Q4_K_M takes about"), "{planned}");
    assert!(planned.contains("tiny-Q4_K_M.gguf"), "{planned}");
    for variant in ["gguf", "latest"] {
        let told = server.pull(&[&format!("owner/tiny:{variant}"), "--dry-run"]).await.out;
        assert!(told.contains("of 3 the nearest to the usual one, Q4_K_M"), "{variant}: {told}");
    }
    let json = server.pull(&["owner/tiny:f16", "--dry-run", "--json"]).await.json();
    assert_eq!((&json["event"], &json["quantization"]), (&"plan".into(), &"F16".into()));
    assert!(server.stored().await.is_empty() && !server.has_staged());
    let refused = server.pull_in_vain(&["owner/tiny:Q9_0"]).await;
    assert!(refused.contains("has no \"Q9_0\"; it has"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quantization_that_fits_is_taken_and_why_is_said() {
    let hub = Hub::start().await;
    let model = fs::read(bundled_model()).unwrap();
    let mut large = model.clone();
    large.resize(200 << 20, 0);
    hub.put("owner/tiny", Repository::default().with("t-Q4_K_M.gguf", large).with("t-Q2_K.gguf", model));
    let server = setup(&hub).set("budget.ram='200MiB'").start().await;
    let pulled = server.pull(&["owner/tiny"]).await.out;
    assert!(pulled.contains("Q2_K takes about"), "{pulled}");
    assert!(
        pulled.contains("of the 200.0 MiB of memory that models may take on this machine; Q4_K_M would take"),
        "{pulled}"
    );
    assert!(server.counts("t-Q2_K").await.contains(COUNTED));
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_are_pulled_whole() {
    let hub = Hub::start().await;
    hub.put("owner/folder", Repository::default().with_folder(&bundled("impetus-tiny-safetensors")));
    hub.put("owner/export", Repository::default().with_folder(&bundled("impetus-tiny-onnx")));
    let server = setup(&hub).start().await;
    server.pull(&["owner/folder"]).await;
    server.pull(&["owner/export:onnx", "--name", "exported"]).await;
    assert_eq!(server.stored().await, ["exported", "folder"]);
    assert!(server.counts("folder").await.contains(COUNTED));
    assert!(server.counts("exported").await.contains(COUNTED));
    let verified = server.ctl(&["verify"]).await;
    assert!(verified.code == 0 && verified.out.contains(" 0 damaged"), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ollamas_names_and_addresses_are_pulled_too() {
    let hub = Hub::start().await;
    let model = fs::read(bundled_model()).unwrap();
    let layers = Repository::default().with("model", model.clone()).with("template", "{{ .Prompt }}");
    hub.put("library/tiny:1b", layers);
    hub.put("owner/tiny", tiny());
    let server = setup(&hub).start().await;
    let pulled = server.pull(&["tiny:1b"]).await;
    assert!(pulled.out.contains("Ollama's template and parameters of it are not used"), "{pulled:?}");
    assert!(server.counts("tiny:1b").await.contains(COUNTED));

    let address = format!("{}/cdn/owner/tiny/tiny-Q8_0.gguf", hub.url());
    let digest = sha256(&model);
    server.pull(&[&format!("{address}#sha256={digest}"), "--name", "by-address"]).await;
    assert!(server.counts("by-address").await.contains(COUNTED));
    let wrong =
        server.pull_in_vain(&[&format!("{address}#sha256={}", "0".repeat(64)), "--name", "wrong"]).await;
    assert!(wrong.contains("came with the wrong content twice"), "{wrong}");
    assert_eq!(server.stored().await, ["by-address", "tiny:1b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn gated_models_need_the_token_that_was_kept() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny().gated());
    let server = setup(&hub).start().await;
    let refused = server.pull_in_vain(&["owner/tiny"]).await;
    let said = "tiny is gated or private";
    assert!(refused.contains(said) && refused.contains("supervisorctl login"), "{refused}");
    let url = hub.url();
    for token in ["hf_a_wrong_token", impetus_tests::hub::STRANGERS_TOKEN] {
        server.login(&url, token).await;
        let refused = server.pull_in_vain(&["owner/tiny"]).await;
        assert!(refused.contains(said), "{token}: {refused}");
    }
    assert!(server.pull_in_vain(&["owner/none"]).await.contains("owner/none is not there, or is private"));
    server.login(&url, impetus_tests::hub::TOKEN).await;
    server.pull(&["owner/tiny"]).await;
    // The hub's token is the hub's alone.
    let strangers: Vec<_> = hub.asked().into_iter().filter(|asked| asked.path.starts_with("/v2")).collect();
    assert!(strangers.iter().all(|asked| !asked.has_token), "{strangers:?}");
    let log = server.output();
    assert!(!log.contains(impetus_tests::hub::TOKEN), "{log}");
    assert!(server.ctl(&["logout", "--hub", &url]).await.out.contains("is gone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_found_by_its_name() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let named = format!("pull.hub='http://localhost:{}'", hub.address.port());
    let server = setup(&hub).set(&named).start().await;
    server.pull(&["owner/tiny"]).await;
    assert!(server.counts("tiny-Q8_0").await.contains(COUNTED));
}

impl Server {
    /// Keeps a token for a hub, as a person does through a pipe.
    async fn login(&self, hub: &str, token: &str) {
        let mut command = crate::harness::command(&crate::harness::program("supervisorctl"), &self.path("."));
        command.arg("--config").arg(self.path("impetus.toml")).args(["login", "--hub", hub]);
        let file = self.path("token");
        fs::write(&file, format!("{token}\n")).unwrap();
        command.stdin(fs::File::open(file).unwrap());
        let run = move || command.output().unwrap();
        let output: Output = tokio::task::spawn_blocking(run).await.unwrap().into();
        assert_eq!(output.code, 0, "{output:?}");
        assert!(!output.out.contains(token), "{output:?}");
    }
}
