//! Quantizations as people name files after them.

/// A quantization of GGUF.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quantization {
    pub(crate) name: &'static str,
    /// Bits of a weight, with the scales that belong to it, as whole files of models of some billion parameters have them.
    bits: f64,
}

/// What most people take: as good as the original for most uses, and a third of its size.
pub(super) const USUAL: &str = "Q4_K_M";

/// Names in which others are contained come before these. Bits as llama.cpp's `quantize` states them.
const ALL: [(&str, f64); 34] = [
    ("IQ1_S", 1.78),
    ("IQ1_M", 2.01),
    ("TQ1_0", 1.69),
    ("TQ2_0", 2.06),
    ("IQ2_XXS", 2.38),
    ("IQ2_XS", 2.59),
    ("IQ2_S", 2.74),
    ("IQ2_M", 2.94),
    ("Q2_K_S", 2.97),
    ("Q2_K_L", 3.3),
    ("Q2_K", 3.16),
    ("IQ3_XXS", 3.25),
    ("IQ3_XS", 3.5),
    ("IQ3_S", 3.66),
    ("IQ3_M", 3.76),
    ("Q3_K_S", 3.64),
    ("Q3_K_M", 4.0),
    ("Q3_K_L", 4.3),
    ("MXFP4", 4.25),
    ("IQ4_XS", 4.46),
    ("IQ4_NL", 4.68),
    ("Q4_0", 4.66),
    ("Q4_1", 5.12),
    ("Q4_K_S", 4.67),
    ("Q4_K_M", 4.89),
    ("Q5_0", 5.59),
    ("Q5_1", 6.06),
    ("Q5_K_S", 5.57),
    ("Q5_K_M", 5.7),
    ("Q6_K", 6.56),
    ("Q8_0", 8.5),
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
        let is_whole = |name: &str| {
            stem.match_indices(name).any(|(at, _)| {
                let before = stem[..at].chars().next_back();
                let after = stem[at + name.len()..].chars().next();
                let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
                !is_part(before) && !is_part(after)
            })
        };
        let named = ALL.iter().filter(|(name, _)| is_whole(name));
        // Q4_K is in Q4_K_M; the longer one is meant.
        named.max_by_key(|(name, _)| name.len()).map(|&(name, bits)| Self { name, bits })
    }

    /// How far it is from the usual one; of two as far away the smaller one comes first.
    pub(super) fn distance(self) -> u64 {
        let usual = ALL.iter().find(|(name, _)| *name == USUAL).map_or(0.0, |(_, bits)| *bits);
        let thousandths = ((self.bits - usual).abs() * 1000.0).round() as u64;
        thousandths * 2 + u64::from(self.bits > usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_quantizations() {
        let check = |stem: &str, expected: &str| {
            assert_eq!(Quantization::of(stem).map_or("", |q| q.name), expected, "{stem}");
        };
        check("Llama-3.2-1B-Instruct-Q4_K_M", "Q4_K_M");
        check("qwen2.5-0.5b-instruct-q8_0", "Q8_0");
        check("model.IQ3_XXS", "IQ3_XXS");
        check("model-fp16", "F16");
        check("model-BF16", "BF16");
        check("UD-Q2_K_XL/model-UD-Q2_K_XL", "Q2_K");
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
        assert!(of("Q3_K_M") < of("Q2_K"));
        assert!(of("Q2_K") < of("Q8_0"));
        assert!(of("Q8_0") < of("F16"));
    }
}
