//! Quantizations as people name files after them.

use std::fmt;

/// A quantization of GGUF.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quantization {
    name: &'static str,
    /// Whether it is one of Unsloth's, whose layers have different ones.
    is_dynamic: bool,
    /// Bits of a weight, with the scales that belong to it, as whole files of models of some billion parameters have them.
    bits: f64,
}

/// What most people take: as good as the original for most uses, and a third of its size.
pub(super) const USUAL: &str = "Q4_K_M";

/// What the names of Unsloth's begin with.
const DYNAMIC: &str = "UD-";

/// Bits as llama.cpp's `quantize` states them, and of what others make as their files of models of 8 billion have them.
const ALL: [(&str, f64); 49] = [
    ("IQ1_S", 1.78),
    ("IQ1_M", 2.01),
    ("TQ1_0", 1.69),
    ("TQ2_0", 2.06),
    ("IQ2_XXS", 2.38),
    ("IQ2_XS", 2.59),
    ("IQ2_S", 2.74),
    ("IQ2_M", 2.94),
    ("Q2_K_S", 2.97),
    ("Q2_K_L", 3.68),
    ("Q2_K_XL", 3.4),
    ("Q2_K", 3.16),
    ("IQ3_XXS", 3.25),
    ("IQ3_XS", 3.5),
    ("IQ3_S", 3.66),
    ("IQ3_M", 3.76),
    ("Q3_K_S", 3.64),
    ("Q3_K_M", 4.0),
    ("Q3_K_L", 4.3),
    ("Q3_K_XL", 4.4),
    // What files are called that do not say which: the medium one.
    ("Q3_K", 4.01),
    ("MXFP4", 4.25),
    ("IQ4_XS", 4.46),
    ("IQ4_NL", 4.68),
    ("Q4_0", 4.66),
    ("Q4_0_4_4", 4.66),
    ("Q4_0_4_8", 4.66),
    ("Q4_0_8_8", 4.66),
    ("Q4_1", 5.12),
    ("Q4_K_S", 4.67),
    ("Q4_K_M", 4.89),
    ("Q4_K_L", 5.29),
    ("Q4_K_XL", 4.97),
    ("Q4_K", 4.88),
    ("Q5_0", 5.59),
    ("Q5_1", 6.06),
    ("Q5_K_S", 5.57),
    ("Q5_K_M", 5.7),
    ("Q5_K_L", 6.04),
    ("Q5_K_XL", 5.8),
    ("Q5_K", 5.71),
    ("Q6_K", 6.56),
    ("Q6_K_L", 6.82),
    ("Q6_K_XL", 7.4),
    ("Q8_0", 8.5),
    ("Q8_K_XL", 10.5),
    ("BF16", 16.0),
    ("F16", 16.0),
    ("F32", 32.0),
];

impl Quantization {
    /// That which a file's name tells.
    pub(super) fn of(stem: &str) -> Option<Self> {
        let stem = stem.to_ascii_uppercase();
        // `fp16` and the like are written as well.
        let stem = stem.replace("FP16", "F16").replace("FP32", "F32");
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let whole = |name: &str| {
            let mut found = stem.rmatch_indices(name).map(|(at, _)| (&stem[..at], &stem[at + name.len()..]));
            found.find(|(before, after)| {
                !is_part(before.chars().next_back()) && !is_part(after.chars().next())
            })
        };
        let named = ALL.iter().filter_map(|(name, bits)| Some((*name, *bits, whole(name)?.0)));
        // Q4_K is in Q4_K_M; the longer one is meant.
        let (name, bits, before) = named.max_by_key(|(name, ..)| name.len())?;
        let is_dynamic =
            before.strip_suffix(DYNAMIC).is_some_and(|before| !is_part(before.chars().next_back()));
        Some(Self { name, is_dynamic, bits })
    }

    /// Whether a person means it by this text, perhaps without saying whose it is.
    pub(super) fn is_called(self, text: &str) -> bool {
        text.eq_ignore_ascii_case(self.name) || text.eq_ignore_ascii_case(&self.to_string())
    }

    /// How far it is from the usual one; of two as far away the smaller one comes first.
    pub(super) fn distance(self) -> u64 {
        let usual = ALL.iter().find(|(name, _)| *name == USUAL).map_or(0.0, |(_, bits)| *bits);
        let thousandths = ((self.bits - usual).abs() * 1000.0).round() as u64;
        thousandths * 2 + u64::from(self.bits > usual)
    }
}

impl fmt::Display for Quantization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_dynamic { DYNAMIC } else { "" })?;
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_quantizations() {
        let check = |stem: &str, expected: &str| {
            let got = Quantization::of(stem).map(|q| q.to_string());
            assert_eq!(got.unwrap_or_default(), expected, "{stem}");
        };
        check("Llama-3.2-1B-Instruct-Q4_K_M", "Q4_K_M");
        check("qwen2.5-0.5b-instruct-q8_0", "Q8_0");
        check("model.IQ3_XXS", "IQ3_XXS");
        check("model-fp16", "F16");
        check("model-BF16", "BF16");
        check("UD-Q2_K_XL/model-UD-Q2_K_XL", "UD-Q2_K_XL");
        check("model-Q4_K_L", "Q4_K_L");
        check("model-Q3_K_XL", "Q3_K_XL");
        check("model.i1-Q4_K_S", "Q4_K_S");
        check("model-MXFP4_MOE", "MXFP4");
        check("CLOUD-Q6_K", "Q6_K");
        check("model.Q2_K", "Q2_K");
        check("model_Q5_K_S", "Q5_K_S");
        check("F16/model", "F16");
        check("SF32A-model", "");
        check("model", "");
    }

    #[test]
    fn the_usual_one_comes_first() {
        let of = |name| Quantization::of(name).unwrap().distance();
        assert_eq!(of("Q4_K_M"), 0);
        assert!(of("Q4_K_S") < of("Q5_K_M"));
        assert!(of("Q5_K_M") < of("Q8_0"));
        assert!(of("Q4_K_M") < of("Q4_K") && of("Q4_K") < of("Q4_K_XL"));
        assert!(of("Q4_K_S") < of("Q3_K_XL") && of("Q4_K_S") < of("Q4_K_L"));
        assert!(of("Q5_K_M") < of("Q5_K_L") && of("Q5_K_L") < of("Q6_K"));
        assert!(of("Q3_K_M") < of("Q2_K"));
        assert!(of("Q2_K") < of("Q8_0"));
        assert!(of("Q8_0") < of("F16"));
    }
}
