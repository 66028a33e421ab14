//! The temperature, which may follow the distribution.

use impetus_proto::worker;

use super::candidate::{self, Candidate};

/// A temperature that follows the entropy of the distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DynamicTemperatureParams {
    /// How far below and above the temperature it may be; zero is off.
    pub range: f32,
    /// Makes it rise later than the entropy (above one) or sooner (below).
    pub exponent: f32,
}

/// The temperature for these `candidates`, as llama.cpp computes it: from `temperature` less the range (zero at least)
/// where one is certain, to `temperature` plus the range where all are equally probable.
pub(super) fn of(
    candidates: &[Candidate],
    temperature: f32,
    dynamic: Option<DynamicTemperatureParams>,
) -> f32 {
    let Some(DynamicTemperatureParams { range, exponent }) = dynamic.filter(|dynamic| dynamic.range > 0.0)
    else {
        return temperature;
    };
    if candidates.len() < 2 {
        return temperature;
    }
    let (low, high) = ((temperature - range).max(0.0), temperature + range);
    let share = candidate::entropy(candidates) / (candidates.len() as f64).ln();
    low + (high - low) * share.clamp(0.0, 1.0).powf(f64::from(exponent)) as f32
}

impl From<&worker::DynamicTemperature> for DynamicTemperatureParams {
    fn from(wire: &worker::DynamicTemperature) -> Self {
        Self { range: wire.range, exponent: wire.exponent }
    }
}
