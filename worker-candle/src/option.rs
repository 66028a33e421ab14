//! `[workers.candle.options]`

use std::collections::BTreeMap;

use candle_core::{DType, quantized::GgmlDType};
use impetus_runtime::engine::LoadError;

use crate::device::DeviceChoice;

/// Names of the types that `quantize` takes.
const QUANTIZED: &[(&str, GgmlDType)] = &[
    ("q4_0", GgmlDType::Q4_0),
    ("q4_1", GgmlDType::Q4_1),
    ("q5_0", GgmlDType::Q5_0),
    ("q5_1", GgmlDType::Q5_1),
    ("q8_0", GgmlDType::Q8_0),
    ("q2_k", GgmlDType::Q2K),
    ("q3_k", GgmlDType::Q3K),
    ("q4_k", GgmlDType::Q4K),
    ("q5_k", GgmlDType::Q5K),
    ("q6_k", GgmlDType::Q6K),
];

/// The format's own settings.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Options {
    /// `dtype`: what the weights are held in; as the file has them by default. Computation is in F32 either way,
    /// so that a wider type than the file's changes no result.
    pub(crate) dtype: Option<DType>,
    /// `quantize`: the GGML type that the weights of linear layers are converted to; none by default.
    pub(crate) quantize: Option<GgmlDType>,
    /// `device`: what computes, of those that are built in; the processor by default.
    pub(crate) device: DeviceChoice,
}

impl Options {
    /// Reads the options; an unknown one is an error, as is a value that it cannot have.
    pub(crate) fn parse(options: &BTreeMap<String, String>) -> Result<Self, LoadError> {
        let mut parsed = Self::default();
        for (name, value) in options {
            let refuse =
                |expected: String| LoadError::Option { name: name.clone(), value: value.clone(), expected };
            match (name.as_str(), value.as_str()) {
                ("dtype", "file") => parsed.dtype = None,
                ("dtype", "f32") => parsed.dtype = Some(DType::F32),
                ("dtype", "f16") => parsed.dtype = Some(DType::F16),
                ("dtype", "bf16") => parsed.dtype = Some(DType::BF16),
                ("dtype", _) => return Err(refuse("one of file, f32, f16, bf16".into())),
                ("quantize", "none") => parsed.quantize = None,
                ("quantize", asked) => {
                    let found = QUANTIZED.iter().find(|(name, _)| *name == asked);
                    let names = || QUANTIZED.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                    let (_, kind) = found.ok_or_else(|| refuse(format!("one of none, {}", names())))?;
                    parsed.quantize = Some(*kind);
                }
                ("device", asked) => {
                    let names = DeviceChoice::ALL.map(DeviceChoice::name).join(", ");
                    let found = DeviceChoice::ALL.into_iter().find(|device| device.name() == asked);
                    parsed.device = found.ok_or_else(|| refuse(format!("one of {names}")))?;
                    if !parsed.device.is_built_in() {
                        let built = "this worker was built without it: build it with `--features";
                        return Err(refuse(format!("{built} {asked}`, or use cpu")));
                    }
                }
                _ => return Err(refuse("the options are device, dtype, quantize".into())),
            }
        }
        if parsed.device != DeviceChoice::Cpu && parsed.quantize.is_some() {
            return Err(LoadError::Option {
                name: "quantize".into(),
                value: options["quantize"].clone(),
                expected: "none: weights are quantized for the processor alone".into(),
            });
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, value: &str) -> Result<Options, String> {
        Options::parse(&BTreeMap::from([(name.to_owned(), value.to_owned())]))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_mistake_is_named_with_what_would_be_right() {
        let check = |name: &str, value: &str, expected: &[&str]| {
            let error = parse(name, value).expect_err("the option is wrong");
            assert!(expected.iter().all(|word| error.contains(word)), "{error}");
        };
        check("dtype", "f64", &["dtype", "f64", "bf16"]);
        check("quantize", "iq2_xs", &["quantize", "iq2_xs", "q4_k"]);
        check("mmap", "true", &["mmap", "quantize"]);
        check("device", "tpu", &["device", "tpu", "cuda"]);
    }

    #[test]
    fn a_device_that_is_not_built_in_is_refused() {
        for choice in DeviceChoice::ALL {
            match parse("device", choice.name()) {
                Ok(options) => assert_eq!(options.device, choice),
                Err(error) => assert!(error.contains("built without") && !choice.is_built_in(), "{error}"),
            }
        }
        assert!(parse("device", "cpu").is_ok());
    }

    #[test]
    fn valid_options_are_taken() {
        let check = |name: &str, value: &str, dtype: Option<DType>, quantize: Option<GgmlDType>| {
            let options = parse(name, value).expect("the option is right");
            assert_eq!((options.dtype, options.quantize), (dtype, quantize), "{name}={value}");
        };
        check("dtype", "file", None, None);
        check("dtype", "f16", Some(DType::F16), None);
        check("quantize", "none", None, None);
        check("quantize", "q4_k", None, Some(GgmlDType::Q4K));
    }
}
