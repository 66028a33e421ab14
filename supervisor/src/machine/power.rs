//! What the machine runs on, as Linux tells it (sysfs-class-power(5)): a folder for each battery and each supply.

use std::{fs, path::Path};

use crate::policy::power::Power;

/// Where the kernel tells of them.
const SUPPLIES: &str = "/sys/class/power_supply";

/// What the machine runs on; `None` where the system does not tell of a battery.
pub fn power() -> Option<Power> {
    if cfg!(target_os = "linux") { read(Path::new(SUPPLIES)) } else { None }
}

/// The same of a folder like [`SUPPLIES`]. Batteries of mice and the like are not the machine's.
fn read(supplies: &Path) -> Option<Power> {
    let mut is_supplied = false;
    let mut is_discharging = false;
    let mut charges: Vec<u32> = Vec::new();
    for supply in fs::read_dir(supplies).ok()?.flatten() {
        let value = |name: &str| Some(fs::read_to_string(supply.path().join(name)).ok()?.trim().to_owned());
        let is = |name: &str, expected: &str| value(name).is_some_and(|value| value == expected);
        if !is("type", "Battery") {
            is_supplied |= is("online", "1");
        } else if !is("scope", "Device") && !is("present", "0") {
            charges.extend(value("capacity").and_then(|percent| percent.parse::<u32>().ok()));
            is_discharging |= is("status", "Discharging");
        }
    }
    let n_batteries = u32::try_from(charges.len()).ok().filter(|n| *n > 0)?;
    let percent = u8::try_from(charges.iter().sum::<u32>() / n_batteries).unwrap_or(100).min(100);
    Some(if is_discharging && !is_supplied { Power::Battery { percent } } else { Power::Mains })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_laptop_is_told_from_what_is_plugged_in() {
        let check = |supplies: &[&[(&str, &str)]], expected: Option<Power>| {
            let dir = tempfile::tempdir().unwrap();
            for (idx, files) in supplies.iter().enumerate() {
                let supply = dir.path().join(format!("S{idx}"));
                fs::create_dir(&supply).unwrap();
                for (name, value) in *files {
                    fs::write(supply.join(name), format!("{value}\n")).unwrap();
                }
            }
            assert_eq!(read(dir.path()), expected, "{supplies:?}");
        };
        let off: &[_] = &[("type", "Mains"), ("online", "0")];
        let on: &[_] = &[("type", "Mains"), ("online", "1")];
        let usb: &[_] = &[("type", "USB"), ("online", "1")];
        let draining: &[_] = &[("type", "Battery"), ("status", "Discharging"), ("capacity", "41")];
        let full: &[_] = &[("type", "Battery"), ("status", "Full"), ("capacity", "100")];
        let mouse: &[_] =
            &[("type", "Battery"), ("scope", "Device"), ("status", "Discharging"), ("capacity", "5")];
        let bay: &[_] = &[("type", "Battery"), ("present", "0"), ("capacity", "0")];
        check(&[off, draining], Some(Power::Battery { percent: 41 }));
        check(&[draining], Some(Power::Battery { percent: 41 }));
        check(&[off, draining, full], Some(Power::Battery { percent: 70 }));
        check(&[off, draining, bay, mouse], Some(Power::Battery { percent: 41 }));
        check(&[on, full], Some(Power::Mains));
        // A supply that is too weak for the load.
        check(&[usb, draining], Some(Power::Mains));
        check(&[on], None);
        check(&[on, mouse], None);
        check(&[], None);
        assert_eq!(read(Path::new("/nonexistent")), None);
    }
}
