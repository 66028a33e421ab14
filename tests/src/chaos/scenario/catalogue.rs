//! A supervisor that is killed at any moment while models come and go: what the store says is there is there, whole, and
//! nothing else is.

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::{Context, ensure};
use impetus_proto::{
    endpoint,
    store::{ListRequest, PullRequest, RemoveRequest, Stored, VerifyRequest, store_client::StoreClient},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::time::sleep;
use tonic::transport::Channel;

use crate::{
    chaos::{Plan, aftermath, report::Report, setup::Setup, site::Site},
    hub::{Hub, Repository},
    process::program,
};

/// Names that models come and go by.
const NAMES: [&str; 3] = ["a", "b", "c"];

/// The longest time between a start and the kill that follows it.
const LIFE: Duration = Duration::from_millis(400);

/// How long the control socket may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn run(plan: Plan, mut report: Report) -> anyhow::Result<Report> {
    let hub = Hub::start().await;
    let model = fs::read(bundled()).context("reading the bundled model")?;
    hub.put("owner/tiny", Repository::default().with("tiny-Q8_0.gguf", model));
    let setup = hub.settings().iter().fold(Setup::new()?, |setup, setting| setup.set(setting));
    // Larger chunks than where it is about chunks; room on the disk is not what this is about.
    let setup = setup.set("pull.chunk='1MiB'").set("pull.reserve='0B'").set("workers.gguf.standby=0");
    let mut site = setup.start().await?;
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let rounds = plan.pick(8, 200);
    let mut changes = 0;
    for round in 0..rounds {
        let life = LIFE.mul_f64(rng.random());
        let store = client(&site).await?;
        let first = rng.random_range(0..NAMES.len());
        tokio::select! {
            done = churn(store, first, &mut changes) => ensure!(done.is_err(), "it goes on for ever"),
            () = sleep(life) => {}
        }
        site.kill_supervisor()?;
        site.restart_supervisor().await?;
        if let Err(error) = check(&site).await {
            report.check(false, || format!("round {round}, killed after {life:?}: {error:#}"));
        }
    }
    report.faults = rounds;
    report.requests = changes;
    verify(&site, &mut report).await?;
    report.note(format!("{changes} models came or went between {rounds} kills; the catalogue and the folders agreed after each"));
    aftermath::look(site, &mut report, &[]).await?;
    Ok(report)
}

/// Has models come and go until nobody answers any more.
async fn churn(mut store: StoreClient<Channel>, first: usize, changes: &mut usize) -> anyhow::Result<()> {
    for name in NAMES.iter().cycle().skip(first) {
        let request =
            PullRequest { reference: "owner/tiny".into(), name: (*name).into(), ..PullRequest::default() };
        let mut events = store.pull(request).await?.into_inner();
        while events.message().await?.is_some() {}
        *changes += 1;
        // Every second one goes again.
        if (*changes).is_multiple_of(2) {
            store.remove(RemoveRequest { model: (*name).into() }).await?;
            *changes += 1;
        }
    }
    Ok(())
}

/// Whether the catalogue and the folders say the same.
async fn check(site: &Site) -> anyhow::Result<()> {
    ensure!(!site.path("state/catalogue.db.damaged").exists(), "the catalogue was damaged");
    let listed = client(site).await?.list(ListRequest {}).await?.into_inner().models;
    let names: BTreeSet<String> = listed.iter().map(|model| model.name.clone()).collect();
    let entries = fs::read_dir(site.path("state/store"))?.flatten();
    let folders: BTreeSet<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    ensure!(names == folders, "the catalogue has {names:?}, and there are {folders:?}");
    listed.iter().try_for_each(is_whole)
}

fn is_whole(model: &Stored) -> anyhow::Result<()> {
    ensure!(model.broken.is_empty(), "{} is broken: {}", model.name, model.broken);
    ensure!(!model.files.is_empty(), "{} has no files", model.name);
    for file in &model.files {
        let path = std::path::Path::new(&model.path).join(&file.path);
        let bytes = fs::metadata(&path).with_context(|| format!("looking for {}", path.display()))?.len();
        ensure!(bytes == file.bytes, "{} has {bytes} bytes, not {}", path.display(), file.bytes);
    }
    Ok(())
}

/// Reads everything that is there at the end.
async fn verify(site: &Site, report: &mut Report) -> anyhow::Result<()> {
    let mut events = client(site).await?.verify(VerifyRequest { model: String::new() }).await?.into_inner();
    while let Some(event) = events.message().await? {
        report.check(event.problem.is_empty(), || format!("{}: {}", event.model, event.problem));
    }
    Ok(())
}

async fn client(site: &Site) -> anyhow::Result<StoreClient<Channel>> {
    let uri = format!("unix://{}", site.path("run/supervisor.sock").display());
    let channel = endpoint::connect(&uri, PATIENCE).await.context("asking for the store")?;
    Ok(StoreClient::new(channel))
}

fn bundled() -> std::path::PathBuf {
    // Fails early where programs are missing.
    let _ = program("fetcher");
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundled/tiny/impetus-tiny.gguf")
}
