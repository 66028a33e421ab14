//! A number of bytes, as people write it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Bytes; in text a whole number and a unit: `512MiB`, `12GiB`, `1000000B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(
    /// The bytes.
    pub u64,
);

/// The units, the largest first.
const UNITS: &[(&str, u64)] =
    &[("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// What a size is, for whoever wrote something else.
pub(crate) const EXPECTED: &str = "a whole number of B, KiB, MiB, GiB or TiB in quotes, such as \"512MiB\"";
pub(crate) const EXPECTED_OR_AUTO: &str =
    "\"auto\", or a whole number of B, KiB, MiB, GiB or TiB in quotes, such as \"12GiB\"";

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| Some((text.trim().strip_suffix(name)?, unit)))
            .ok_or(EXPECTED)?;
        let number: u64 = number.trim().parse().map_err(|_| EXPECTED)?;
        number.checked_mul(*unit).map(Self).ok_or(EXPECTED)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) = UNITS
            .iter()
            .find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit))
            .unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

impl TryFrom<String> for Size {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let check = |text: &str, bytes: Option<u64>, again: &str| {
            let size: Option<Size> = text.parse().ok();
            assert_eq!(size, bytes.map(Size), "{text}");
            assert_eq!(size.map(|size| size.to_string()).unwrap_or_default(), again, "{text}");
        };
        check("512MiB", Some(512 << 20), "512MiB");
        check(" 2 GiB ", Some(2 << 30), "2GiB");
        check("2048MiB", Some(2 << 30), "2GiB");
        check("1500B", Some(1500), "1500B");
        check("0B", Some(0), "0B");
        check("12", None, "");
        check("-1GiB", None, "");
        check("1.5GiB", None, "");
        check("99999999999TiB", None, "");
    }
}
