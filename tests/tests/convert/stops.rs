//! Conversions that are stopped in the middle.

use std::{fs::File, io::Write};

use impetus_tests::process::{processes_in, signal};
use nix::sys::signal::Signal;

use super::*;
use crate::harness::{command, eventually, program};

/// Layers of a model that takes a while: 100 MB of zeroes each, of which nothing is on the disk.
const N_LAYERS: usize = 40;
const WIDTH: usize = 1024;
const INNER: usize = 7168;

/// A server with a folder whose weights are a hole in a file.
fn with_large() -> Setup {
    let small = variant(
        &json!({"hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": N_LAYERS,
            "num_attention_heads": 16, "num_key_value_heads": 16}),
        &[],
    );
    let setup = setup().with_folder("large", small.path()).set("workers.candle.standby=0");
    let place = setup.path("models/large");
    let (mut head, mut end) = (serde_json::Map::new(), 0);
    let mut add = |name: String, shape: &[usize]| {
        let begin = end;
        end += 4 * shape.iter().product::<usize>();
        head.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}));
    };
    add("model.embed_tokens.weight".into(), &[1024, WIDTH]);
    add("model.norm.weight".into(), &[WIDTH]);
    for layer in 0..N_LAYERS {
        for part in ["q", "k", "v", "o"] {
            add(format!("model.layers.{layer}.self_attn.{part}_proj.weight"), &[WIDTH, WIDTH]);
        }
        for (part, shape) in [("gate", [INNER, WIDTH]), ("up", [INNER, WIDTH]), ("down", [WIDTH, INNER])] {
            add(format!("model.layers.{layer}.mlp.{part}_proj.weight"), &shape);
        }
        for part in ["input_layernorm", "post_attention_layernorm"] {
            add(format!("model.layers.{layer}.{part}.weight"), &[WIDTH]);
        }
    }
    let head = Value::from(head).to_string();
    let mut file = File::create(place.join("model.safetensors")).unwrap();
    file.write_all(&(head.len() as u64).to_le_bytes()).unwrap();
    file.write_all(head.as_bytes()).unwrap();
    file.set_len((8 + head.len() + end) as u64).unwrap();
    assert!(is_servable(&place), "it is a model like any other");
    setup
}

impl Server {
    /// The bytes that conversions have staged, once there are some.
    async fn until_staged(&self) {
        let staging = self.path("state/store/.staging");
        eventually("something is staged", || async {
            let folders = fs::read_dir(&staging).ok()?.flatten();
            let files =
                folders.flat_map(|folder| fs::read_dir(folder.path().join("model")).into_iter().flatten());
            let is_long = |path: &Path| fs::metadata(path).is_ok_and(|file| file.len() > 1 << 20);
            files.flatten().any(|file| is_long(&file.path())).then_some(())
        })
        .await;
    }

    async fn until_nothing_is_staged(&self) {
        eventually("nothing is staged", || async { (!self.keeps_staged()).then_some(()) }).await;
    }

    /// Processes of the candle worker, oldest first.
    fn workers(&self) -> Vec<u32> {
        let all = processes_in(&self.path("."));
        all.into_iter().filter(|(_, name)| name == "worker-candle").map(|(pid, _)| pid).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_killed_leaves_nothing() {
    let server = with_large().start().await;
    let converting = server.ctl(&["convert", "large", "--type", "f16"]);
    let killing = async {
        server.until_staged().await;
        let workers = server.workers();
        assert_eq!(workers.len(), 1, "{workers:?}");
        signal(workers[0], Signal::SIGKILL);
    };
    let (converted, ()) = tokio::join!(converting, killing);
    assert_eq!(converted.code, 1, "{converted:?}");
    assert!(converted.err.contains("nothing was kept"), "{converted:?}");
    assert!(!server.keeps_staged());
    assert!(server.made().await.is_empty());
    // The next one is none the worse for it.
    server.convert(&[FOLDER, "--type", "f16"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_stops_it_and_nothing_is_left() {
    let server = with_large().start().await;
    let mut command = command(&program("supervisorctl"), &server.path("."));
    command.arg("--config").arg(server.path("impetus.toml")).args(["convert", "large", "--type", "f16"]);
    let mut child = command.spawn().unwrap();
    server.until_staged().await;
    signal(child.id(), Signal::SIGINT);
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(130));
    server.until_nothing_is_staged().await;
    assert!(server.workers().is_empty());
    assert!(server.made().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_leaves_nothing_to_its_successor() {
    let mut server = with_large().start().await;
    let mut command = command(&program("supervisorctl"), &server.path("."));
    command.arg("--config").arg(server.path("impetus.toml")).args(["convert", "large", "--type", "f16"]);
    let mut child = command.spawn().unwrap();
    server.until_staged().await;
    server.kill_supervisor().await;
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert_ne!(status.code(), Some(0));
    eventually("the job is gone", || async { server.workers().is_empty().then_some(()) }).await;
    server.start_again(&[]).await;
    assert!(!server.keeps_staged());
    assert!(server.made().await.is_empty());
}
