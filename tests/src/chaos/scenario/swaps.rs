//! An alias that means now this model, now that one, settings that change, and a file that is replaced, under load.

use std::{fs, sync::atomic::AtomicBool};

use anyhow::{Context, ensure};

use super::under_load;
use crate::chaos::{
    Plan, aftermath,
    load::{Case, Load},
    mix::talks,
    pulse::Pulse,
    report::Report,
    setup::Setup,
    site::Site,
};

const CLIENTS: u64 = 12;
const MODELS: [&str; 2] = ["first", "second"];
const EACH: &str = "memory = \"40MiB\"";

pub(super) async fn run(plan: Plan, mut report: Report) -> anyhow::Result<Report> {
    // Both at once, and then one after the other.
    for (limit, swaps, reloads) in [("budget.ram=200MiB", 16, 16), ("budget.ram=70MiB", 4, 4)] {
        let times = plan.pick(1, 3);
        rounds(limit, swaps * times, reloads * times, plan.seed, &mut report).await?;
    }
    Ok(report)
}

async fn rounds(
    limit: &str,
    swaps: usize,
    reloads: usize,
    seed: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut setup = Setup::new()?.set(limit);
    for model in MODELS {
        setup = setup.fake(model, "load_ms = 30\nstep_ms = 2")?;
    }
    let first = format!("aliases = [\"current\"]\nslots = 20\n{EACH}");
    let site = setup.model(MODELS[0], &first).model(MODELS[1], EACH).start().await?;
    // What the models say is the same; only who says it changes.
    let cases: Vec<Case> = talks("current", 8, 60);
    let (pulse, enough) = (Pulse::of(["current"]), AtomicBool::new(false));
    let load = Load { client: &site.client, cases: &cases, pulse: &pulse, enough: &enough };
    let deed = async {
        for swap in 0..swaps {
            pulse.passes("current", pulse.count("current"), 60).await?;
            site.ctl(&["swap", "current", MODELS[(swap + 1) % 2]]).await?;
        }
        for reload in 0..reloads {
            pulse.passes("current", pulse.count("current"), 60).await?;
            self::reload(&site, reload).await?;
        }
        replace(&site, &pulse).await
    };
    let (tally, ()) = under_load(load, CLIENTS, seed, deed).await?;
    report.count(&tally);
    report.faults += swaps + reloads + 1;
    report.note(format!("{limit}: {swaps} swaps, {reloads} reloads, a file replaced"));
    aftermath::look(site, report, &[]).await
}

/// Another number of slots for the model, and every fifth time a file that says nothing sensible.
async fn reload(site: &Site, round: usize) -> anyhow::Result<()> {
    let path = site.path("impetus.toml");
    let good = fs::read_to_string(&path).context("reading the configuration")?;
    if round % 5 == 4 {
        fs::write(&path, good.replace("slots =", "slits ="))?;
        let refused = site.ctl(&["reload"]).await;
        fs::write(&path, good)?;
        ensure!(refused.is_err(), "a wrong configuration was taken");
        return Ok(());
    }
    let (from, to) =
        if good.contains("slots = 20") { ("slots = 20", "slots = 24") } else { ("slots = 24", "slots = 20") };
    fs::write(&path, good.replace(from, to))?;
    site.ctl(&["reload"]).await.map(drop)
}

/// The model's file in another version.
async fn replace(site: &Site, pulse: &Pulse) -> anyhow::Result<()> {
    pulse.passes("current", pulse.count("current"), 60).await?;
    let staged = site.path("staged");
    fs::write(&staged, "fake\nload_ms = 20\nstep_ms = 1\n")?;
    for model in MODELS {
        fs::copy(&staged, site.path("models").join(format!("{model}.new")))?;
        fs::rename(
            site.path("models").join(format!("{model}.new")),
            site.path("models").join(format!("{model}.fake")),
        )?;
    }
    site.ctl(&["restart", "current"]).await?;
    pulse.passes("current", pulse.count("current"), 60).await
}
