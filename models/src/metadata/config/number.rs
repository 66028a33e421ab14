//! Numbers under any of several names in any of several objects, each within its range.

use std::ops::RangeInclusive;

use crate::{
    broken::Broken,
    settings::{Setting, Settings},
};

/// Objects with the files that they are in; the first that has a number counts.
pub(super) struct Numbers<'a>(Vec<(&'static str, &'a Settings)>);

impl<'a> Numbers<'a> {
    pub(super) fn new(objects: impl Iterator<Item = (&'static str, &'a Settings)>) -> Self {
        Self(objects.collect())
    }

    /// An integer under one of `names`, or the largest of a list with one for each layer. The upper end of `range` has
    /// at most 32 bits. What is no number counts as absent.
    pub(super) fn get(
        &self,
        names: &[&str],
        range: RangeInclusive<u64>,
        expected: &'static str,
    ) -> Result<Option<u32>, Broken> {
        for &(file, settings) in &self.0 {
            for &key in names {
                let Some(value) = settings.get(key).and_then(largest) else { continue };
                let fits = value.fract() == 0.0 && value >= 0.0 && range.contains(&(value as u64));
                if !fits {
                    return Err(Broken::Setting { file, key: key.to_owned(), value, expected });
                }
                return Ok(Some(value as u32));
            }
        }
        Ok(None)
    }
}

/// The number, or the largest of a list, unless one of them is negative: then that.
fn largest(setting: &Setting) -> Option<f64> {
    let Setting::List(elements) = setting else { return number(setting) };
    let numbers: Vec<f64> = elements.iter().filter_map(number).collect();
    let negative = numbers.iter().copied().find(|&number| number < 0.0);
    negative.or_else(|| numbers.into_iter().reduce(f64::max))
}

fn number(setting: &Setting) -> Option<f64> {
    match setting {
        &Setting::Number(number) => Some(number),
        _ => None,
    }
}
