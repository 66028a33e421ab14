//! Other programs for a server that serves, now from one folder and now from another, and settings that change, while
//! somebody looks whether it can be reached.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, ensure};
use tokio::{
    net::{TcpStream, UnixStream},
    time::sleep,
};

use super::under_load;
use crate::{
    chaos::{
        Plan, aftermath,
        load::{Load, cases},
        mix::{BUNDLED, mixed},
        pulse::Pulse,
        report::Report,
        setup::Setup,
        site::Site,
    },
    process::{INSTALLATION, install},
};

const CLIENTS: u64 = 32;

/// The other folder with programs.
const OTHER: &str = "other/bin";

/// How often it is looked whether the server lets in.
const KNOCK: Duration = Duration::from_millis(2);

pub(super) async fn run(plan: Plan, mut report: Report) -> anyhow::Result<Report> {
    let site = Setup::new()?.bundled()?.installed()?.model(BUNDLED[0], "slots = 16").start().await?;
    install(&site.path(OTHER))?;
    let bodies = BUNDLED.iter().flat_map(|model| mixed(model)).collect();
    let cases = cases(&site.client, bodies).await?;
    let (pulse, enough) = (Pulse::of(BUNDLED), AtomicBool::new(false));
    let (is_over, refused) = (AtomicBool::new(false), AtomicUsize::new(0));
    let load = Load { client: &site.client, cases: &cases, pulse: &pulse, enough: &enough };
    let rounds = plan.pick(2, 20);
    let deed = async {
        for round in 0..rounds {
            for model in BUNDLED {
                pulse.passes(model, pulse.count(model), 20).await?;
            }
            upgrade(&site, round).await?;
            reload(&site).await?;
        }
        is_over.store(true, Ordering::Relaxed);
        anyhow::Ok(())
    };
    let knocking = async {
        while !is_over.load(Ordering::Relaxed) && !enough.load(Ordering::Relaxed) {
            let control = UnixStream::connect(site.path("run/supervisor.sock")).await.is_err();
            let http = TcpStream::connect(site.client.listen()).await.is_err();
            refused.fetch_add(usize::from(control) + usize::from(http), Ordering::Relaxed);
            sleep(KNOCK).await;
        }
    };
    let (done, ()) = tokio::join!(under_load(load, CLIENTS, plan.seed, deed), knocking);
    let (tally, ()) = done?;
    report.count(&tally);
    report.faults = 2 * rounds;
    let refused = refused.load(Ordering::Relaxed);
    report.check(refused == 0, || format!("{refused} connections were refused"));
    report.note(format!("{rounds} upgrades, {rounds} reloads, {refused} connections refused"));
    aftermath::look(site, &mut report, &[]).await?;
    Ok(report)
}

/// To the programs of the folder that is not in use, in the same process.
async fn upgrade(site: &Site, round: usize) -> anyhow::Result<()> {
    let folder = site.path(if round.is_multiple_of(2) { OTHER } else { INSTALLATION });
    let said = site.ctl(&["upgrade", "--binaries", &folder.to_string_lossy()]).await?;
    for process in ["gateway", BUNDLED[0], BUNDLED[1], BUNDLED[2]] {
        ensure!(said.contains(&format!("{process} is replaced")), "{process} was not: {said}");
    }
    let exe = fs::read_link(Path::new("/proc").join(site.pid().to_string()).join("exe"));
    let exe = exe.context("looking for the supervisor's program")?;
    ensure!(exe.starts_with(&folder), "the process {} runs {}", site.pid(), exe.display());
    Ok(())
}

/// Another number of slots for a model.
async fn reload(site: &Site) -> anyhow::Result<()> {
    let path = site.path("impetus.toml");
    let text = fs::read_to_string(&path).context("reading the configuration")?;
    let is_few = text.contains("name = \"impetus-tiny\"\nslots = 16");
    let (from, to) = if is_few { ("\nslots = 16", "\nslots = 20") } else { ("\nslots = 20", "\nslots = 16") };
    ensure!(text.contains(from), "the configuration has other slots");
    fs::write(&path, text.replace(from, to))?;
    site.ctl(&["reload"]).await.map(drop)
}
