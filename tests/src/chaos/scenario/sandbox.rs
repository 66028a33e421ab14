//! What hostile code in a worker can reach.

use std::{fs, net::TcpListener};

use anyhow::{Context, bail};

use crate::{
    chaos::{Plan, aftermath, answer::Outcome, mix::scripted, report::Report, setup::Setup},
    fake::SECRET,
};

pub(super) async fn run(_plan: Plan, mut report: Report) -> anyhow::Result<Report> {
    let outside = TcpListener::bind("127.0.0.1:0").context("listening as somebody else")?;
    let script = format!("port = {}", outside.local_addr()?.port());
    let setup = Setup::new()?.fake("hostile", &script)?;
    fs::write(setup.path(SECRET), "nobody's business")?;
    let site = setup.start().await?;
    let outcome = site.client.send(&scripted("hostile", "!sandbox", 500).ask, || {}).await;
    let Outcome::Answered(answer, _) = outcome else { bail!("it was answered with {outcome}") };
    let told = answer.choices.first().map(|choice| choice.text.clone()).unwrap_or_default();
    let attempts: Vec<(&str, &str)> = told.split(' ').filter_map(|word| word.split_once('=')).collect();
    report.requests = 1;
    report.faults = attempts.len();
    report.check(attempts.len() == 9, || format!("these attempts were made: {told:?}"));
    for (what, outcome) in &attempts {
        let is_refused = matches!(*outcome, "EPERM" | "EACCES");
        report.check(is_refused, || format!("from inside a worker, {what} ended with {outcome}"));
    }
    let worker = site.worker("hostile").await.context("the worker is gone")?;
    report.check(worker.restarts == 0 && worker.state == "ready", || format!("the worker: {worker:?}"));
    report.note(format!("{}; {told}", worker.sandbox));
    aftermath::look(site, &mut report, &[]).await?;
    Ok(report)
}
