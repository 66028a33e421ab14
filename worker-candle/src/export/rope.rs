//! Rotary embeddings as GGUF files express them.

use super::writer::Value;
use crate::config::{RopeConfig, Scaling};

/// The keys below `<architecture>.rope`, or what cannot be expressed.
pub(super) fn values(rope: &RopeConfig) -> Result<Vec<(&'static str, Value)>, &'static str> {
    let mut values = vec![
        ("dimension_count", Value::U32(rope.rotated as u32)),
        ("freq_base", Value::F32(rope.base as f32)),
    ];
    match rope.scaling {
        Scaling::None | Scaling::Llama3 { .. } => {}
        Scaling::Linear { factor } => {
            values.push(("scaling.type", Value::Text("linear".into())));
            values.push(("scaling.factor", Value::F32(factor as f32)));
        }
        Scaling::Dynamic { .. } => return Err("dynamic"),
        Scaling::Yarn { .. } => return Err("yarn"),
        Scaling::Long { .. } => return Err("longrope"),
    }
    Ok(values)
}

/// What the frequency of each pair of dimensions is divided by, where that differs from pair to pair.
pub(super) fn factors(rope: &RopeConfig) -> Option<Vec<f32>> {
    let Scaling::Llama3 { .. } = rope.scaling else { return None };
    // It is the same for every length.
    let (frequencies, _) = rope.frequencies(0);
    let plain = |pair: usize| rope.base.powf(-2.0 * pair as f64 / rope.rotated as f64);
    Some(
        frequencies
            .iter()
            .enumerate()
            .map(|(pair, &turned)| (plain(pair) / f64::from(turned)) as f32)
            .collect(),
    )
}
