//! Models that are here: listed, checked, removed, and found where other programs keep them.

use std::fs;

use super::*;
use crate::harness::{chat, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_requests_use_is_not_removed() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let server = setup(&hub).start().await;
    server.pull(&["owner/tiny"]).await;
    let mut body = chat("repeat hello 200 times");
    body["model"] = "tiny-Q8_0".into();
    body["ignore_eos"] = true.into();
    body["max_tokens"] = 900.into();
    let mut stream = server.http.stream(&body).await;
    stream.next().await;
    let refused = server.ctl(&["rm", "tiny-Q8_0"]).await;
    assert!(refused.err.contains("tiny-Q8_0 is in use by requests"), "{refused:?}");
    assert!(server.path("state/models/tiny-Q8_0/tiny-Q8_0.gguf").exists());
    drop(stream);
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
    assert_eq!(fs::read(server.path("state/models/tiny-Q8_0/tiny-Q8_0.gguf")).unwrap(), later);

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

    let file = server.path("state/models/tiny-Q8_0/tiny-Q8_0.gguf");
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
        assert!(server.counts(name).await.contains("1 2 3"), "{name}");
    }
    assert_eq!(fs::read(blob).unwrap(), model);
    assert!(server.stored().await.is_empty());
}
