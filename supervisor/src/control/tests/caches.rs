//! What is kept of models, by their names.

use std::path::PathBuf;

use impetus_proto::{
    cache::{ListRequest, RemoveRequest, caches_server::Caches},
    launch::PrefixSpec,
};

use super::{super::caches::CacheService, *};
use crate::prefixes::Owner;

/// Has a file made for the model, which is in use as long as what this answers is open.
fn keep(server: &Server, model: &str) -> std::os::fd::OwnedFd {
    let prefixes = PrefixSpec { ram_bytes: 1, file_bytes: MIB, fingerprint: Vec::new() };
    let spec = WorkerSpec {
        model: model.into(),
        path: model.into(),
        prefixes: Some(prefixes),
        ..WorkerSpec::default()
    };
    let program = PathBuf::from("/worker");
    let owner = Owner { spec: &spec, format: "toy", program: &program, files: &[] };
    server.control.configured.prefixes.prepare(owner).1.unwrap().file
}

#[tokio::test]
async fn files_go_by_model_or_alias_once_nobody_uses_them() {
    let server = Server::start(&["a", "b"], &model("a", 1, "aliases = ['main']")).await;
    let (configured, library) = (server.control.configured.clone(), server.control.library.clone());
    let service = CacheService { configured, library };
    let list = async || {
        let files = service.list(Request::new(ListRequest {})).await.unwrap().into_inner().files;
        let mut files: Vec<_> = files.into_iter().map(|file| (file.model, file.in_use)).collect();
        files.sort();
        files
    };
    let remove = async |model: &str| {
        let request = Request::new(RemoveRequest { model: model.into() });
        let reply = service.remove(request).await.map_err(Error::from)?.into_inner();
        Ok::<_, Error>((reply.removed.len(), reply.in_use.len()))
    };
    assert_eq!(list().await, []);
    assert_eq!(remove("").await, Ok((0, 0)));
    let used = keep(&server, "a");
    drop(keep(&server, "b"));
    assert_eq!(list().await, [("a".to_owned(), true), ("b".to_owned(), false)]);
    assert_eq!(remove("main").await, Ok((0, 1)));
    assert_eq!(remove("").await, Ok((1, 1)));
    assert_eq!(remove("b").await.unwrap_err().code(), Code::NotFound);
    drop(used);
    assert_eq!(remove("main").await, Ok((1, 0)));
    assert_eq!(list().await, []);
}
