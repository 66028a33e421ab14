//! Aliases that get another meaning while they are asked for.

use futures::StreamExt;
use impetus_proto::supervisor::{AcquireEvent, AcquireRequest, Retired, SwapRequest, acquire_event::Event};
use tokio::time::timeout;

use super::*;
use crate::control::Answers;

async fn swap(server: &Server, alias: &str, model: &str) -> Result<(String, bool), Error> {
    let reply = server.control.answer_swap(SwapRequest { alias: alias.into(), model: model.into() }).await?;
    assert_eq!((reply.alias.as_str(), reply.model.as_str()), (alias, model));
    Ok((reply.former, reply.beside))
}

/// Two models of this size, of which `main` is the first.
async fn two(memory: u64, second: &str) -> Server {
    let config = model("a", memory, "aliases = ['main']") + &model(second, memory, "");
    Server::start(&["a", second], &config).await
}

#[tokio::test(start_paused = true)]
async fn where_both_fit_the_former_one_goes_when_its_requests_are_done() {
    let server = two(40, "b").await;
    let lease = server.lease("main").await;
    assert_eq!(swap(&server, "main", "b").await.unwrap(), ("a".into(), true));
    assert_eq!(server.control.library.canonical("main"), "b");
    tokio::time::sleep(Duration::from_mins(10)).await;
    server.until_up(&["a:4", "b:4"]).await;
    drop(lease);
    server.until_up(&["b:4"]).await;
    // Another server with the same state folder.
    let kept = server.control.configured.aliases.read();
    let config = server.control.configured.now();
    let again = Library::new(&config, None, kept).unwrap();
    assert_eq!(again.canonical("main"), "b");
}

#[tokio::test(start_paused = true)]
async fn who_holds_a_worker_by_a_name_that_means_another_is_told_once() {
    let server = two(40, "b").await;
    let held = async |name: &str| {
        let request = AcquireRequest { model: name.into(), ..AcquireRequest::default() };
        let mut events = server.control.answer_acquire(request).await.unwrap();
        while !matches!(next(&mut events).await, Some(Event::Ready(_))) {}
        events
    };
    let (mut by_alias, mut by_name) = (held("main").await, held("a").await);
    // Nothing that concerns the name: nobody is told of it.
    server.control.library.rescan().await;
    swap(&server, "other", "b").await.unwrap();
    swap(&server, "main", "b").await.unwrap();
    assert_eq!(next(&mut by_alias).await, Some(Event::Retired(Retired {})));
    // The model is wanted no longer; its own name means it all the same, as long as it is up.
    drop(held("b").await);
    for events in [&mut by_alias, &mut by_name] {
        assert_eq!(timeout(Duration::from_mins(1), next(events)).await.ok(), None, "it goes on");
    }
    drop(by_alias);
    let fleet = server.control.fleet.clone();
    let unloading = tokio::spawn(async move { fleet.unload("a".into()).await });
    assert_eq!(next(&mut by_name).await, Some(Event::Retired(Retired {})));
    assert!(matches!(next(&mut by_name).await, Some(Event::Ended(_))));
    assert_eq!(next(&mut by_name).await, None);
    unloading.await.unwrap().unwrap();
}

/// What the holder is told next; nothing more after the last word.
async fn next(events: &mut Answers<AcquireEvent>) -> Option<Event> {
    events.next().await.map(|event| event.unwrap().event.unwrap())
}

#[tokio::test(start_paused = true)]
async fn where_only_one_fits_requests_wait_for_the_new_one() {
    let server = two(60, "b").await;
    let lease = server.lease("main").await;
    let control = server.control.clone();
    let request = SwapRequest { alias: "main".into(), model: "b".into() };
    let swapping = tokio::spawn(async move { control.answer_swap(request).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let library = server.control.library.clone();
    let waiting = tokio::spawn(async move { library.find("main").await.unwrap().spec.model.clone() });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!swapping.is_finished() && !waiting.is_finished(), "the former one has a request");
    assert_eq!(server.control.library.find("a").await.unwrap().spec.model, "a", "its own name is not held");
    drop(lease);
    let reply = swapping.await.unwrap().unwrap();
    assert_eq!((reply.former.as_str(), reply.beside), ("a", false));
    assert_eq!(waiting.await.unwrap(), "b");
    server.until_up(&["b:4"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_model_that_cannot_be_loaded_changes_nothing() {
    for memory in [40, 60] {
        let server = two(memory, "bad").await;
        drop(server.lease("main").await);
        let error = swap(&server, "main", "bad").await.unwrap_err();
        assert_eq!(error.code(), Code::ModelLoadFailed);
        assert!(
            error.message.starts_with("main still means a: ") && error.message.contains("it is bad"),
            "{error}"
        );
        server.until_up(&["a:4"]).await;
        assert_eq!(server.control.library.find("main").await.unwrap().spec.model, "a");
        assert_eq!(server.control.configured.aliases.read(), crate::aliases::Aliases::default());
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_alias_can_be_is_refused() {
    let server = two(40, "b").await;
    let check = async |alias: &str, model: &str, code: Code| {
        assert_eq!(swap(&server, alias, model).await.unwrap_err().code(), code, "{alias} {model}");
    };
    check("b", "a", Code::Conflict).await;
    check("main", "absent", Code::ModelNotFound).await;
    check("", "a", Code::InvalidRequest).await;
    check("two words", "a", Code::InvalidRequest).await;
    // An alias may be new, and means what another one means by then.
    assert_eq!(swap(&server, "new", "b").await.unwrap(), (String::new(), false));
    assert_eq!(server.control.library.aliases_of("b"), ["new"]);
    assert_eq!(server.control.library.aliases_of("a"), ["main"]);
    server.until_up(&["b:4"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_still_meant_stays() {
    let config = model("a", 20, "aliases = ['main', 'other']")
        + &model("b", 20, "aliases = ['third']\npin = true")
        + &model("c", 20, "");
    let server = Server::start(&["a", "b", "c"], &config).await;
    for (alias, model) in [("main", "b"), ("third", "c"), ("other", "c")] {
        drop(server.lease(alias).await);
        swap(&server, alias, model).await.unwrap();
    }
    // `other` was the last that meant a; b is pinned.
    server.until_up(&["b:4", "c:4"]).await;
}
