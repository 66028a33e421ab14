//! Looks what the machine runs on, and has the fleet do less on a battery where the configuration wants that.

use std::{sync::Arc, time::Duration};

use impetus_config::{Config, OnBattery};
use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::{MissedTickBehavior, interval},
};

use crate::{control::Control, machine, policy::power::Restraint};

/// How often.
const PERIOD: Duration = Duration::from_secs(10);

/// The restraint in force.
struct Keeper {
    control: Control,
    configs: watch::Receiver<Arc<Config>>,
    restraint: Restraint,
    /// Whether it was said that nothing is known of batteries.
    is_told: bool,
}

/// Restrains the fleet as the power of the moment wants it, and goes on with that in a task.
pub(super) async fn start(control: Control, configs: watch::Receiver<Arc<Config>>) -> JoinHandle<()> {
    let mut keeper = Keeper { control, configs, restraint: Restraint::None, is_told: false };
    keeper.look().await;
    tokio::spawn(keeper.keep())
}

impl Keeper {
    async fn keep(mut self) {
        let mut times = interval(PERIOD);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = times.tick() => {}
                Ok(()) = self.configs.changed() => {}
            }
            let former = self.restraint;
            self.look().await;
            if former != Restraint::None && self.restraint == Restraint::None {
                for name in self.control.library.preloads() {
                    self.control.preload(&name).await;
                }
            }
        }
    }

    async fn look(&mut self) {
        let (on_battery, percent) = {
            let config = self.configs.borrow_and_update();
            (config.supervisor.on_battery, config.supervisor.battery_percent)
        };
        let next = if on_battery == OnBattery::Serve {
            Restraint::None
        } else {
            let Ok(power) = spawn_blocking(machine::power).await else { return };
            if power.is_none() && !self.is_told {
                self.is_told = true;
                tracing::warn!("supervisor.on_battery has no effect: the system tells of no battery");
            }
            power.map_or(Restraint::None, |power| self.restraint.next(on_battery, percent, power))
        };
        if next == self.restraint {
            return;
        }
        // An error means that the server stops.
        if self.control.fleet.restrain(next).await.is_ok() {
            tracing::info!(restraint = ?next, "what the battery is spared has changed");
            self.restraint = next;
        }
    }
}
