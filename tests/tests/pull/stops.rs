//! Pulls that are stopped in the middle, by whatever.

use std::{collections::BTreeSet, fs};

use impetus_tests::process::{processes_in, signal};
use nix::sys::signal::Signal;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

use super::*;
use crate::harness::eventually;

/// Where fetchers are killed in one pull.
const N_KILLS: usize = 50;

/// What is read of a header before anything else comes.
const HEADER: u64 = 1 << 20;

impl Server {
    /// The process that fetches.
    async fn fetcher(&self) -> u32 {
        eventually("a fetcher runs", || async {
            let all = processes_in(&self.path("."));
            all.into_iter().find(|(_, name)| name == "fetcher").map(|(pid, _)| pid)
        })
        .await
    }

    async fn no_fetcher(&self) {
        eventually("no fetcher runs", || async {
            let all = processes_in(&self.path("."));
            (!all.iter().any(|(_, name)| name == "fetcher")).then_some(())
        })
        .await;
    }

    async fn pulls(&self) -> Vec<Value> {
        let listed = self.ctl(&["pull", "--list", "--json"]).await.json();
        listed["pulls"].as_array().expect("it is a list").clone()
    }

    async fn until_pulled(&self, model: &str) {
        eventually("the model is here", || async {
            self.stored().await.iter().any(|name| name == model).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetcher_that_is_killed_at_any_byte_is_gone_on_with() {
    let seed = 20_261_122;
    println!("seed {seed}");
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let total = fs::metadata(bundled_model()).unwrap().len();
    let mut rng = StdRng::seed_from_u64(seed);
    let at: BTreeSet<u64> = (0..N_KILLS).map(|_| rng.random_range(1..total)).collect();
    // One after the other, so that little is lost of what is on its way.
    let server = setup(&hub).set("pull.connections=1").start().await;
    hub.allow(Some(HEADER));
    server.pull(&["owner/tiny", "--detach"]).await;
    for byte in at {
        let byte = HEADER + byte;
        hub.allow(Some(byte));
        hub.until_served(byte).await;
        let fetcher = server.fetcher().await;
        signal(fetcher, Signal::SIGKILL);
        eventually("it is gone", || async { (!impetus_tests::process::is_alive(fetcher)).then_some(()) })
            .await;
    }
    hub.allow(None);
    server.until_pulled("tiny-Q8_0").await;
    assert_eq!(server.counts("tiny-Q8_0").await, server.counts("impetus-tiny").await);
    assert!(!server.has_staged());
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_fetcher_is_confined() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let server = setup(&hub).start().await;
    hub.allow(Some(3_000_000));
    server.pull(&["owner/tiny", "--detach"]).await;
    hub.until_served(3_000_000).await;
    let threads = fs::read_dir(format!("/proc/{}/task", server.fetcher().await)).unwrap().flatten();
    let filtered: Vec<bool> = threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok())
        .map(|status| status.contains("Seccomp:\t2"))
        .collect();
    // The first one, the one that listens to the supervisor, and those that fetch.
    assert!(filtered.len() > 3 && filtered.iter().all(|is_filtered| *is_filtered), "{filtered:?}");
    let log = server.ctl(&["logs", "fetcher"]).await.out;
    assert!(!log.contains("not confined"), "{log}");
    server.ctl(&["pull", "--cancel", "owner/tiny", "--discard"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_pull_outlives_its_server() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let mut server = setup(&hub).start().await;
    hub.allow(Some(5_000_000));
    server.pull(&["owner/tiny", "--detach"]).await;
    hub.until_served(5_000_000).await;
    server.kill_supervisor().await;
    server.no_fetcher().await;
    server.start_again(&[]).await;
    let before = hub.served();
    hub.allow(None);
    server.until_pulled("tiny-Q8_0").await;
    let again = hub.served() - before;
    let total = fs::metadata(bundled_model()).unwrap().len();
    // Besides what had not come by then, no more than the chunks that were on their way.
    assert!(again < total - 5_000_000 + HEADER + (1 << 20), "{again} of {total} bytes came again");
    assert!(server.pulls().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_stops_a_pull_and_the_same_command_goes_on() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let server = setup(&hub).start().await;
    hub.allow(Some(4_000_000));
    let mut command = crate::harness::command(&crate::harness::program("supervisorctl"), &server.path("."));
    command.arg("--config").arg(server.path("impetus.toml")).args(["pull", "owner/tiny"]);
    let mut child = command.spawn().unwrap();
    hub.until_served(4_000_000).await;
    eventually("it tells how far it is", || async {
        server.pulls().await.iter().any(|pull| pull["bytes"].as_u64() > Some(0)).then_some(())
    })
    .await;
    signal(child.id(), Signal::SIGINT);
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(130));
    server.no_fetcher().await;
    let pulls = eventually("it has stopped", || async {
        let pulls = server.pulls().await;
        (pulls.len() == 1 && pulls[0]["state"] == "stopped").then_some(pulls)
    })
    .await;
    assert!(pulls[0]["bytes"].as_u64().unwrap() > 0, "{pulls:?}");
    let before = hub.served();
    hub.allow(None);
    let pulled = server.pull(&["owner/tiny"]).await;
    assert!(pulled.out.contains("of it are here already"), "{pulled:?}");
    assert!(hub.served() - before < 9_500_000, "{}", hub.served() - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_is_given_up_by_a_word() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let server = setup(&hub).start().await;
    hub.allow(Some(3_000_000));
    server.pull(&["owner/tiny", "--detach"]).await;
    hub.until_served(3_000_000).await;
    assert_eq!(server.pulls().await[0]["state"], "running");
    let cancelled = server.ctl(&["pull", "--cancel", "owner/tiny", "--discard"]).await;
    assert!(cancelled.out.contains("hf:owner/tiny is given up"), "{cancelled:?}");
    server.no_fetcher().await;
    assert!(server.pulls().await.is_empty() && !server.has_staged());
    let unknown = server.ctl(&["pull", "--cancel", "owner/tiny"]).await;
    assert_eq!(unknown.code, 4, "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_pull_the_same_follow_one_pull() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let server = setup(&hub).start().await;
    let (a, b) = tokio::join!(server.pull(&["owner/tiny"]), server.pull(&["hf:owner/tiny"]));
    assert!(a.out.contains("is here") && b.out.contains("is here"), "{a:?} {b:?}");
    let total = fs::metadata(bundled_model()).unwrap().len();
    assert!(hub.served() < 2 * total, "{} of {total}", hub.served());
}
