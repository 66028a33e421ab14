//! Configurations that change under a running server.

use impetus_proto::supervisor::{ReloadReply, RestartRequest};

use super::*;

async fn reload(server: &Server, config: &str) -> Result<ReloadReply, Error> {
    server.configure(config);
    server.control.answer_reload().await
}

#[tokio::test(start_paused = true)]
async fn only_what_changed_is_touched() {
    let server = Server::start(&["a", "b"], &(model("a", 20, "") + &model("b", 20, ""))).await;
    let (_a, _b) = (server.lease("a").await, server.lease("b").await);
    let before = server.control.fleet.snapshot().await.unwrap();
    let same = model("b", 20, "") + &model("a", 20, "");
    assert_eq!(reload(&server, &same).await.unwrap(), ReloadReply::default());
    let config = model("a", 20, "slots = 2") + &model("b", 20, "") + "[log]\nlevel = 'debug'";
    let reply = reload(&server, &config).await.unwrap();
    assert_eq!(
        (reply.changed, reply.needs_restart),
        (vec!["model[a].slots".into()], vec!["log.level".into()])
    );
    server.until_up(&["a:2", "b:4"]).await;
    let after = server.control.fleet.snapshot().await.unwrap();
    let worker_of_b = |snapshot: &fleet::Snapshot| {
        snapshot.workers.iter().find(|row| row.model.as_deref() == Some("b")).map(|row| row.id.clone())
    };
    assert_eq!(worker_of_b(&before), worker_of_b(&after));
    assert_eq!(server.control.configured.now().log.level, "info", "what needs a restart waits for it");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_changes_nothing() {
    let good = model("a", 20, "aliases = ['main']");
    let server = Server::start(&["a", "b"], &good).await;
    let _lease = server.lease("main").await;
    let before = server.control.configured.now();
    let check = async |config: &str, expected: &str| {
        let error = reload(&server, config).await.unwrap_err();
        assert!(error.message.contains("nothing has changed") && error.message.contains(expected), "{error}");
        assert_eq!(server.control.configured.now(), before);
        assert_eq!(server.control.library.canonical("main"), "a");
        server.until_up(&["a:4"]).await;
    };
    check("[budget]\nram = 12", "c.toml:8: budget.ram = 12: expected").await;
    check("[[model]", "not valid TOML").await;
    check("[workers.x]\ncommand = 'absent'", "workers.x.command: there is no program").await;
    check("[[model]]\nname = '-x'", "must not start with").await;
    // Only its worker can tell, which is tried beside the present one.
    check(&model("a", 20, "slots = 13"), "it is bad").await;
    // Or in its place.
    check(&model("a", 90, "slots = 13"), "it is bad").await;
}

#[tokio::test(start_paused = true)]
async fn the_store_that_is_in_force_is_not_searched() {
    let server = Server::start(&["a"], "[supervisor]\nstate_dir = 'first'").await;
    // Of the two settings only one would change now.
    let config = "[supervisor]\nstate_dir = 'first'\n[models]\ndirs = ['first']\nstore = 'other'";
    fs::write(server.dir.path().join("c.toml"), config).unwrap();
    let error = server.control.answer_reload().await.unwrap_err().to_string();
    let (dir, store) = (server.dir.path().join("first"), server.dir.path().join("first/store"));
    assert!(error.contains(&format!("models.dirs names {}, and", dir.display())), "{error}");
    assert!(error.contains(&format!("are in {} until", store.display())), "{error}");
    assert_eq!(server.control.configured.now().models.dirs, [server.dir.path().join("models")]);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_gone_leaves_when_it_is_idle() {
    let server = Server::start(&["a"], "").await;
    let lease = server.lease("a").await;
    fs::remove_file(server.dir.path().join("models/a.toy")).unwrap();
    reload(&server, "[budget]\nwait_s = 1").await.unwrap();
    tokio::time::sleep(Duration::from_mins(1)).await;
    server.until_up(&["a:4"]).await;
    drop(lease);
    server.until_up(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn the_configuration_has_the_last_word_on_an_alias() {
    let with = |main: &str| {
        ["a", "b", "c"]
            .map(|name| model(name, 20, if name == main { "aliases = ['main']" } else { "" }))
            .concat()
    };
    let server = Server::start(&["a", "b", "c"], &with("a")).await;
    let swap = impetus_proto::supervisor::SwapRequest { alias: "main".into(), model: "b".into() };
    server.control.answer_swap(swap).await.unwrap();
    reload(&server, &(with("a") + "[budget]\nwait_s = 9")).await.unwrap();
    assert_eq!(server.control.library.canonical("main"), "b", "nothing was said of it");
    reload(&server, &with("c")).await.unwrap();
    assert_eq!(server.control.library.canonical("main"), "c");
}

#[tokio::test(start_paused = true)]
async fn a_restart_replaces_the_worker_of_a_model_that_serves() {
    let server = Server::start(&["a"], "").await;
    let worker = async || {
        server
            .control
            .fleet
            .snapshot()
            .await
            .unwrap()
            .workers
            .into_iter()
            .find_map(|row| (row.state == State::Ready).then_some(row.id))
    };
    drop(server.lease("a").await);
    let first = worker().await;
    let restart =
        async |target: &str| server.control.answer_restart(RestartRequest { target: target.into() }).await;
    assert_eq!(restart("a").await.unwrap().target, "a");
    server.until_up(&["a:4"]).await;
    assert_ne!(worker().await, first);
    assert_eq!(restart("absent").await.unwrap_err().code(), Code::ModelNotFound);
}
