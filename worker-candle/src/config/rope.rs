//! Rotary embeddings: how fast each pair of dimensions turns, by base and scaling.

use std::f64::consts::PI;

use super::field::Fields;
use crate::error::ModelError;

/// Positions that a model may have been trained on before its context was stretched.
const ORIGINAL_CONTEXT: std::ops::RangeInclusive<usize> = 1..=1 << 28;

/// One rotary embedding.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RopeConfig {
    /// The base of the geometric series of wave lengths.
    pub(crate) base: f64,
    /// Dimensions of a head that are turned; the rest is left as it is.
    pub(crate) rotated: usize,
    pub(crate) scaling: Scaling,
}

/// How the frequencies are changed for a longer context than the model was first trained on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scaling {
    None,
    /// All positions divided by a factor.
    Linear {
        factor: f64,
    },
    /// NTK-aware scaling by length (arXiv:2309.00071, section 3.2): a larger base beyond the original context.
    Dynamic {
        factor: f64,
        original: f64,
    },
    /// Llama 3: low frequencies divided, high ones kept, those between blended.
    Llama3 {
        factor: f64,
        low: f64,
        high: f64,
        original: f64,
    },
    /// YaRN (arXiv:2309.00071): the like, with a ramp by dimension, and larger scores.
    Yarn {
        factor: f64,
        original: f64,
        fast: f64,
        slow: f64,
        rounded: bool,
        magnitude: f64,
    },
    /// LongRoPE (arXiv:2402.13753): a factor for each dimension, one set for short and one for long contexts.
    Long {
        short: Vec<f64>,
        long: Vec<f64>,
        original: usize,
        magnitude: f64,
    },
}

impl RopeConfig {
    /// The angle per position of each pair of dimensions, and what cosines and sines are multiplied by, for slots
    /// of `context_tokens`.
    pub(crate) fn frequencies(&self, context_tokens: usize) -> (Vec<f32>, f32) {
        let plain = |pair: usize| self.base.powf(-2.0 * pair as f64 / self.rotated as f64);
        let pairs = 0..self.rotated / 2;
        let (frequencies, magnitude): (Vec<f64>, f64) = match &self.scaling {
            Scaling::None => (pairs.map(plain).collect(), 1.0),
            Scaling::Linear { factor } => (pairs.map(|pair| plain(pair) / factor).collect(), 1.0),
            Scaling::Dynamic { factor, original } => {
                // Keys stay in the cache, so a slot keeps one base for its life: the one for its full length.
                let stretch = (factor * context_tokens as f64 / original - (factor - 1.0)).max(1.0);
                let power = -2.0 / (self.rotated as f64 - 2.0);
                (pairs.map(|pair| plain(pair) * stretch.powf(power * pair as f64)).collect(), 1.0)
            }
            Scaling::Llama3 { factor, low, high, original } => {
                let blend = |frequency: f64| {
                    let turns = original * frequency / (2.0 * PI);
                    let share = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                    frequency * (share + (1.0 - share) / factor)
                };
                (pairs.map(plain).map(blend).collect(), 1.0)
            }
            Scaling::Yarn { factor, original, fast, slow, rounded, magnitude } => {
                let ramp = self.yarn_ramp(*original, *fast, *slow, *rounded);
                let blend = |pair: usize| {
                    let divided = ramp(pair);
                    plain(pair) * (divided / factor + 1.0 - divided)
                };
                (pairs.map(blend).collect(), *magnitude)
            }
            Scaling::Long { short, long, original, magnitude } => {
                // Keys stay in the cache, so a slot keeps one set for its life: the one for its full length.
                let factors = if context_tokens > *original { long } else { short };
                (pairs.map(|pair| plain(pair) / factors[pair]).collect(), *magnitude)
            }
        };
        (frequencies.into_iter().map(|frequency| frequency as f32).collect(), magnitude as f32)
    }

    /// The share of division for each pair: none for those that turn often, all for those that hardly turn.
    fn yarn_ramp(&self, original: f64, fast: f64, slow: f64, rounded: bool) -> impl Fn(usize) -> f64 {
        let dims = self.rotated as f64;
        let pair_of = |turns: f64| dims * (original / (turns * 2.0 * PI)).ln() / (2.0 * self.base.ln());
        let (mut low, mut high) = (pair_of(fast), pair_of(slow));
        if rounded {
            (low, high) = (low.floor(), high.ceil());
        }
        let (low, mut high) = (low.max(0.0), high.min(dims - 1.0));
        if low >= high {
            high = low + 0.001;
        }
        move |pair| ((pair as f64 - low) / (high - low)).clamp(0.0, 1.0)
    }
}

/// What a model's files may leave out.
pub(super) struct RopeDefaults {
    pub(super) base: f64,
    /// The base in layers with a window, where it is another.
    pub(super) local_base: Option<f64>,
    /// The share of a head's dimensions that is turned.
    pub(super) share: f64,
}

/// The rotary embeddings of a model: one, or one for full and one for windowed layers.
pub(super) fn parse(
    fields: &Fields,
    defaults: &RopeDefaults,
    head_size: usize,
    trained_context: usize,
) -> Result<Vec<RopeConfig>, ModelError> {
    let source = Source { fields, share: defaults.share, head_size, trained_context };
    let Some(parameters) = fields.object("rope_parameters")? else {
        let scaling = fields.object("rope_scaling")?;
        let global = source.rope(defaults.base, scaling.as_ref())?;
        return match defaults.local_base {
            Some(local) => Ok(vec![global, source.rope(local, None)?]),
            None => Ok(vec![global]),
        };
    };
    match (parameters.object("full_attention")?, parameters.object("sliding_attention")?) {
        (Some(full), Some(sliding)) => {
            let global = source.rope(full.number_or("rope_theta", defaults.base)?, Some(&full))?;
            let local_base = defaults.local_base.unwrap_or(defaults.base);
            let local = source.rope(sliding.number_or("rope_theta", local_base)?, Some(&sliding))?;
            Ok(vec![global, local])
        }
        _ => Ok(vec![source.rope(parameters.number_or("rope_theta", defaults.base)?, Some(&parameters))?]),
    }
}

/// Reads a positive number, by name and default.
type Number<'a> = &'a dyn Fn(&str, Option<f64>) -> Result<f64, ModelError>;

struct Source<'a> {
    fields: &'a Fields<'a>,
    share: f64,
    head_size: usize,
    trained_context: usize,
}

impl Source<'_> {
    fn rope(&self, base: f64, scaling: Option<&Fields>) -> Result<RopeConfig, ModelError> {
        let base = super::positive("rope_theta", base)?;
        let own_share = scaling.map(|scaling| scaling.number("partial_rotary_factor")).transpose()?.flatten();
        let share = own_share.or(self.fields.number("partial_rotary_factor")?).unwrap_or(self.share);
        let rotated = (self.head_size as f64 * share) as usize;
        if !rotated.is_multiple_of(2) || rotated == 0 || rotated > self.head_size {
            let problem = format!("is {share}, which leaves {rotated} of {} dimensions", self.head_size);
            return Err(ModelError::config("partial_rotary_factor", problem));
        }
        let scaling = match scaling {
            Some(scaling) => self.scaling(scaling, rotated)?,
            None => Scaling::None,
        };
        Ok(RopeConfig { base, rotated, scaling })
    }

    fn scaling(&self, scaling: &Fields, rotated: usize) -> Result<Scaling, ModelError> {
        // `type` is the older name.
        let kind = match scaling.text("rope_type")? {
            Some(kind) => Some(kind),
            None => scaling.text("type")?,
        };
        let number = |name: &str, default: Option<f64>| match scaling.number(name)?.or(default) {
            Some(number) => super::positive(name, number),
            None => Err(ModelError::config(name, "is missing from the rotary embedding's settings")),
        };
        match kind.unwrap_or("default") {
            "default" => Ok(Scaling::None),
            "linear" => Ok(Scaling::Linear { factor: number("factor", None)? }),
            "dynamic" if rotated > 2 => Ok(Scaling::Dynamic {
                factor: number("factor", None)?,
                original: self.original(scaling)? as f64,
            }),
            "llama3" => {
                let (low, high) =
                    (number("low_freq_factor", Some(1.0))?, number("high_freq_factor", Some(4.0))?);
                if low >= high {
                    return Err(ModelError::config("high_freq_factor", "is not above low_freq_factor"));
                }
                let original = self.original(scaling)? as f64;
                Ok(Scaling::Llama3 { factor: number("factor", None)?, low, high, original })
            }
            "yarn" => self.yarn(scaling, &number),
            "longrope" | "su" => self.long(scaling, rotated),
            other => Err(ModelError::config(
                "rope_type",
                format!("is `{other}`; known are default, linear, dynamic, llama3, yarn, longrope"),
            )),
        }
    }

    /// The context before it was stretched.
    fn original(&self, scaling: &Fields) -> Result<usize, ModelError> {
        let name = "original_max_position_embeddings";
        let own = scaling.maybe_size(name, &ORIGINAL_CONTEXT)?;
        Ok(own.or(self.fields.maybe_size(name, &ORIGINAL_CONTEXT)?).unwrap_or(self.trained_context))
    }

    fn yarn(&self, scaling: &Fields, number: Number) -> Result<Scaling, ModelError> {
        let factor = number("factor", None)?;
        let scale = |weight: f64| if factor > 1.0 { 0.1 * weight * factor.ln() + 1.0 } else { 1.0 };
        let magnitude = match (
            scaling.number("attention_factor")?,
            scaling.number("mscale")?,
            scaling.number("mscale_all_dim")?,
        ) {
            (Some(magnitude), ..) => magnitude,
            (None, Some(some), Some(all)) if some != 0.0 && all != 0.0 => scale(some) / scale(all),
            _ => scale(1.0),
        };
        Ok(Scaling::Yarn {
            factor,
            original: self.original(scaling)? as f64,
            fast: number("beta_fast", Some(32.0))?,
            slow: number("beta_slow", Some(1.0))?,
            rounded: scaling.flag("truncate")?.unwrap_or(true),
            magnitude,
        })
    }

    fn long(&self, scaling: &Fields, rotated: usize) -> Result<Scaling, ModelError> {
        let original = self.original(scaling)?;
        let factor = self.trained_context as f64 / original as f64;
        let magnitude = match scaling.number("attention_factor")? {
            Some(magnitude) => super::positive("attention_factor", magnitude)?,
            None if factor <= 1.0 => 1.0,
            None => (1.0 + factor.ln() / (original as f64).ln()).sqrt(),
        };
        Ok(Scaling::Long {
            short: scaling.numbers("short_factor", rotated / 2)?,
            long: scaling.numbers("long_factor", rotated / 2)?,
            original,
            magnitude,
        })
    }
}
