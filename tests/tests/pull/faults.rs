//! What networks and servers do wrong.

use std::{
    io::ErrorKind,
    path::Path,
    time::{Duration, Instant},
};

use impetus_tests::hub::Faults;
use nix::sys::statvfs::statvfs;

use super::*;
use crate::harness::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn errors_and_cuts_cost_nothing() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    hub.fail(Faults { errors: 2, cut: Some((4, 10_000)), ..Faults::default() });
    let server = setup(&hub).start().await;
    server.pull(&["owner/tiny"]).await;
    server.counts("tiny-Q8_0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_expires_is_asked_for_again() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    hub.fail(Faults { link_uses: Some(20), ..Faults::default() });
    let server = setup(&hub).start().await;
    server.pull(&["owner/tiny"]).await;
    server.counts("tiny-Q8_0").await;
    let links = hub.asked().iter().filter(|asked| asked.path.contains("/resolve/")).count();
    // 161 chunks, 20 a link.
    assert!(links >= 8, "links were asked for again: {links}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_gives_no_parts_gives_the_whole() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    hub.fail(Faults { without_ranges: true, cut: Some((2, 3_000_000)), ..Faults::default() });
    let server = setup(&hub).start().await;
    server.pull(&["owner/tiny"]).await;
    server.counts("tiny-Q8_0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_server_is_faster_than_it_may_be() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    hub.fail(Faults { without_ranges: true, ..Faults::default() });
    let server = setup(&hub).set("pull.max_rate='4MiB'").start().await;
    let begun = Instant::now();
    server.pull(&["owner/tiny"]).await;
    // 10 MiB, of which the last piece need not be waited for.
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
}

/// The bundled model with other weights, which is as long.
fn other_weights() -> Vec<u8> {
    let mut model = fs::read(bundled_model()).unwrap();
    let last = model.len() - 1;
    model[3_000_000] ^= 1;
    model[last] ^= 1;
    model
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_on_its_way_comes_as_it_is_then() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let server = setup(&hub).start().await;
    let address = format!("{}/cdn/owner/tiny/tiny-Q8_0.gguf", hub.url());
    let later = || tiny().with("tiny-Q8_0.gguf", other_weights()).revised();
    hub.allow(Some(6_000_000));
    let changed = async {
        hub.until_served(6_000_000).await;
        hub.put("owner/tiny", later());
        hub.allow(None);
    };
    let arguments = [address.as_str(), "--name", "parts"];
    tokio::join!(server.pull(&arguments), changed);

    // The same of a server that gives the whole file alone, to which the connection is cut.
    hub.put("owner/tiny", tiny());
    hub.fail(Faults { without_ranges: true, cut: Some((4, 6_000_000)), ..Faults::default() });
    hub.allow(Some(hub.served() + 3_000_000));
    let before = hub.asked().len();
    let changed = async {
        // How long it is, its header, whether parts are given, and then the file.
        eventually("it comes", || async { (hub.asked().len() >= before + 4).then_some(()) }).await;
        hub.put("owner/tiny", later());
        hub.allow(None);
    };
    let arguments = [address.as_str(), "--name", "whole"];
    tokio::join!(server.pull(&arguments), changed);

    for name in ["parts", "whole"] {
        let file = server.path(&format!("state/store/{name}/tiny-Q8_0.gguf"));
        assert!(fs::read(file).unwrap() == other_weights(), "{name} is of one state");
    }
    let log = server.ctl(&["logs", "fetcher"]).await.out;
    let anew = log.matches("changed while it was fetched; fetching what it is now").count();
    assert_eq!(anew, 2, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_tells_from_another_state_begins_anew_after_a_stop() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    hub.fail(Faults { without_tags: true, ..Faults::default() });
    let server = setup(&hub).start().await;
    let address = format!("{}/cdn/owner/tiny/tiny-Q8_0.gguf", hub.url());
    hub.allow(Some(6_000_000));
    server.pull(&[&address, "--detach"]).await;
    hub.until_served(6_000_000).await;
    server.ctl(&["pull", "--cancel", &address]).await;
    hub.put("owner/tiny", tiny().with("tiny-Q8_0.gguf", other_weights()));
    hub.allow(None);
    let pulled = server.pull(&[&address]).await;
    assert!(pulled.out.contains("after a stop it comes from its beginning"), "{pulled:?}");
    assert!(fs::read(server.path("state/store/tiny-Q8_0/tiny-Q8_0.gguf")).unwrap() == other_weights());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_to_wait_is_left_alone() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    hub.fail(Faults { put_off: Some((1, 2)), ..Faults::default() });
    let server = setup(&hub).start().await;
    server.pull(&["owner/tiny"]).await;
    let asked: Vec<_> = hub.asked().into_iter().filter(|asked| !asked.path.starts_with("/api")).collect();
    let wait = asked[1].at - asked[0].at;
    assert!(wait >= Duration::from_secs(2), "{wait:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_comes_wrong_is_fetched_again() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    // Beyond what is read of the header.
    hub.fail(Faults { flip: Some((1, 5_000_000)), ..Faults::default() });
    let server = setup(&hub).start().await;
    server.pull(&["owner/tiny"]).await;
    server.counts("tiny-Q8_0").await;
    let log = server.ctl(&["logs", "fetcher"]).await.out;
    // 5,000,000 / 65,536
    assert!(log.contains("these chunks came otherwise") && log.contains("[76]"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_that_is_not_what_was_promised_is_refused() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny().lying_about("tiny-Q8_0.gguf"));
    let server = setup(&hub).start().await;
    let refused = server.pull_in_vain(&["owner/tiny"]).await;
    assert!(refused.contains("came with the wrong content twice"), "{refused}");
    assert!(server.stored().await.is_empty());
    let pulls = std::fs::read_dir(server.path("state/store/.staging")).unwrap().flatten();
    let left: Vec<_> = pulls.flat_map(|pull| std::fs::read_dir(pull.path().join("model")).unwrap()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_understood_is_not_believed() {
    let hub = Hub::start().await;
    hub.put("owner/mumbled", tiny().mumbling_about("tiny-Q8_0.gguf"));
    let part = |idx| (format!("{}-{idx:05}.safetensors", "x".repeat(120)), "x");
    let many = (0..19_000)
        .map(part)
        .fold(Repository::default().with("config.json", "{}"), |all, (path, x)| all.with(&path, x));
    hub.put("owner/many", many);
    let server = setup(&hub).start().await;
    let refused = server.pull_in_vain(&["owner/mumbled"]).await;
    assert!(refused.contains("what it says of tiny-Q8_0.gguf cannot be read: a SHA-256 has 64"), "{refused}");
    let refused = server.pull_in_vain(&["owner/many"]).await;
    assert!(refused.contains("owner/many would have 19001 files, more than any model has"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_model_is_not_kept() {
    let hub = Hub::start().await;
    hub.put("owner/text", Repository::default().with("text-Q4_0.gguf", vec![b'x'; 300_000]));
    let server = setup(&hub).start().await;
    let refused = server.pull_in_vain(&["owner/text"]).await;
    assert!(refused.contains("cannot be served"), "{refused}");
    assert!(server.stored().await.is_empty() && !server.has_staged());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_is_said_before_anything_comes() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let server = setup(&hub).set("pull.reserve='1000TiB'").start().await;
    let refused = server.pull_in_vain(&["owner/tiny"]).await;
    assert!(refused.contains("there is no room for it: 10.0 MiB have to come"), "{refused}");
    assert!(server.stored().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_meanwhile_is_left_as_it_was() {
    let hub = Hub::start().await;
    hub.put("owner/folder", Repository::default().with_folder(&bundled("impetus-tiny-safetensors")));
    // So that the tokenizer is a large file too, for which there is room taken once the weights are here.
    let setup = setup(&hub).set("pull.chunk='16KiB'");
    let Some(server) = setup.start_on_disk(16 << 20).await else { return };
    let disk = format!("/proc/{}/root{}", server.pid(), server.path("state/store").display());
    let disk = Path::new(&disk);

    hub.allow(Some(5 << 20));
    let pull = server.pull_in_vain(&["owner/folder"]);
    let somebody_else = async {
        hub.until_served(5 << 20).await;
        let full = fs::write(disk.join("filler"), vec![1; 16 << 20]);
        assert_eq!(full.unwrap_err().kind(), ErrorKind::StorageFull);
        hub.allow(None);
    };
    let (refused, ()) = tokio::join!(pull, somebody_else);
    assert!(refused.contains("No space left on device"), "{refused}");
    assert!(server.stored().await.is_empty());
    let left = fs::metadata(disk.join("filler")).unwrap().len();
    assert!(left > 5 << 20, "{left}");
    // What had come is given up, the weights that were whole with it, so that others have room.
    let weights = fs::metadata(bundled("impetus-tiny-safetensors").join("model.safetensors")).unwrap().len();
    eventually("there is room", || async { (free(disk) >= weights).then_some(()) }).await;

    // Nothing is in the way of the next one.
    fs::remove_file(disk.join("filler")).unwrap();
    server.pull(&["owner/folder"]).await;
    server.counts("folder").await;
    assert!(!server.has_staged());
}

/// Bytes that are free on the disk of this folder.
#[allow(clippy::useless_conversion, clippy::unnecessary_cast)] // the width differs between systems
fn free(folder: &Path) -> u64 {
    let disk = statvfs(folder).unwrap();
    (disk.blocks_available() as u64) * (disk.fragment_size() as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn room_that_a_pull_has_taken_is_not_asked_for_again() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let Some(server) = setup(&hub).start_on_disk(16 << 20).await else { return };
    hub.allow(Some(4_000_000));
    server.pull(&["owner/tiny", "--detach"]).await;
    hub.until_served(4_000_000).await;
    server.ctl(&["pull", "--cancel", "owner/tiny"]).await;
    // The rest would not fit a second time.
    let disk = format!("/proc/{}/root{}", server.pid(), server.path("state/store").display());
    assert!(free(Path::new(&disk)) < 6_500_000);
    hub.allow(None);
    server.pull(&["owner/tiny"]).await;
    server.counts("tiny-Q8_0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said() {
    let hub = Hub::start().await;
    hub.put("owner/docs", Repository::default().with("README.md", "no model"));
    let server = setup(&hub).start().await;
    let check = async |reference: &str, expected: &str| {
        let refused = server.pull_in_vain(&[reference]).await;
        assert!(refused.contains(expected), "{reference}: {refused}");
    };
    check("owner/none", "owner/none is not there, or is private or gated").await;
    check("owner/docs", "owner/docs holds nothing that can be served").await;
    check("none:7b", "none:7b is not there").await;
    check("../../etc/passwd", "names no model").await;
    check("owner/..", "cannot be part of a model's name").await;
}
