//! Numbers under an architecture's keys, each within its range.

use std::ops::RangeInclusive;

use crate::{
    broken::Broken,
    gguf::{Header, Value},
};

/// The keys `<architecture>.…` of a header.
pub(super) struct Numbers<'a> {
    header: &'a Header,
    architecture: &'a str,
}

impl<'a> Numbers<'a> {
    pub(super) fn new(header: &'a Header, architecture: &'a str) -> Self {
        Self { header, architecture }
    }

    /// An integer that every model has.
    pub(super) fn required(
        &self,
        name: &str,
        range: RangeInclusive<u64>,
        expected: &'static str,
    ) -> Result<u32, Broken> {
        self.largest(name, range, expected)?.ok_or_else(|| Broken::MissingKey { key: self.key(name) })
    }

    /// An integer, or the largest of an array with one for each layer. Each of them must be in range.
    pub(super) fn largest(
        &self,
        name: &str,
        range: RangeInclusive<u64>,
        expected: &'static str,
    ) -> Result<Option<u32>, Broken> {
        let key = self.key(name);
        let integers = match self.header.values.get(&key) {
            None => return Ok(None),
            Some(Value::Unsigned(value)) => {
                return checked(&key, *value, range, expected).map(Some);
            }
            Some(Value::Signed(value)) => &[*value][..],
            Some(Value::Integers(values)) if !values.is_empty() => values,
            Some(_) => {
                return Err(Broken::WrongType { key, expected: "an integer or a list of integers" });
            }
        };
        let mut largest = 0;
        for &value in integers {
            let value = u64::try_from(value).map_err(|_| Broken::Implausible {
                key: key.clone(),
                value: value as f64,
                expected,
            })?;
            largest = largest.max(checked(&key, value, range.clone(), expected)?);
        }
        Ok(Some(largest))
    }

    /// The sum of an array with one integer for each of the `layers`, which [`Self::largest`] has found in range; none
    /// when there is no such array.
    pub(super) fn sum(&self, name: &str, layers: u32) -> Option<u64> {
        match self.header.values.get(&self.key(name))? {
            Value::Integers(values) if values.len() == layers as usize => Some(
                values.iter().filter_map(|&value| u64::try_from(value).ok()).fold(0, u64::saturating_add),
            ),
            _ => None,
        }
    }

    /// Checks a norm's epsilon, if there is one; engines assert that it is not negative.
    pub(super) fn epsilon(&self, name: &str) -> Result<(), Broken> {
        self.float(name, |value| (0.0..1.0).contains(&value), "0 or more and less than 1")
    }

    /// Checks that a number, if there is one, is finite.
    pub(super) fn finite(&self, name: &str) -> Result<(), Broken> {
        self.float(name, f64::is_finite, "a finite number")
    }

    fn float(
        &self,
        name: &str,
        plausible: impl Fn(f64) -> bool,
        expected: &'static str,
    ) -> Result<(), Broken> {
        let key = self.key(name);
        match self.header.values.get(&key) {
            None => Ok(()),
            Some(&Value::Float(value)) if plausible(value) => Ok(()),
            Some(&Value::Float(value)) => Err(Broken::Implausible { key, value, expected }),
            Some(_) => Err(Broken::WrongType { key, expected: "a float" }),
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }
}

/// `value` when it is in `range`, the upper end of which has at most 32 bits.
pub(super) fn checked(
    key: &str,
    value: u64,
    range: RangeInclusive<u64>,
    expected: &'static str,
) -> Result<u32, Broken> {
    u32::try_from(value).ok().filter(|_| range.contains(&value)).ok_or_else(|| Broken::Implausible {
        key: key.to_owned(),
        value: value as f64,
        expected,
    })
}
