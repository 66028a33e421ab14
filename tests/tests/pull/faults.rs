//! What networks and servers do wrong.

use std::{io::ErrorKind, path::Path, time::Duration};

use impetus_tests::hub::Faults;

use super::*;

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
    let parts = std::fs::read_dir(server.path("state/store/.staging")).unwrap().flatten();
    let left: Vec<_> = parts.flat_map(|pull| std::fs::read_dir(pull.path().join("parts")).unwrap()).collect();
    assert!(left.is_empty(), "{left:?}");
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

    // What had come was given up, and nothing is in the way of the next one.
    fs::remove_file(disk.join("filler")).unwrap();
    assert!(left > 5 << 20, "{left}");
    server.pull(&["owner/folder"]).await;
    server.counts("folder").await;
    assert!(!server.has_staged());
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
    check("owner/none", "owner/none is not there").await;
    check("owner/docs", "owner/docs holds nothing that can be served").await;
    check("none:7b", "none:7b is not there").await;
    check("../../etc/passwd", "names no model").await;
    check("owner/..", "cannot be part of a model's name").await;
}
