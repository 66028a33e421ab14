//! `[workers.onnx.options]`

use std::collections::BTreeMap;

use impetus_runtime::{engine::LoadError, huggingface::PoolingMode};
use ort::{ep::ExecutionProviderDispatch, session::builder::GraphOptimizationLevel};

/// The format's own settings.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// `provider`: what computes the graph.
    pub(crate) provider: Provider,
    /// `graph_optimization`: how much the library rewrites the graph as it loads it; all it can by default.
    pub(crate) graph_optimization: Optimization,
    /// `pooling`: which tokens make the vector of an embedding model, whatever its files say.
    pub(crate) pooling: Option<PoolingMode>,
}

/// An execution provider of the library, of those that are built in.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    #[default]
    Cpu,
    #[cfg(feature = "cuda")]
    Cuda,
    #[cfg(feature = "coreml")]
    CoreMl,
    #[cfg(feature = "directml")]
    DirectMl,
    #[cfg(feature = "openvino")]
    OpenVino,
}

/// All providers, built in or not.
const PROVIDERS: [&str; 5] = ["cpu", "cuda", "coreml", "directml", "openvino"];

/// How much a graph is rewritten.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Optimization {
    #[default]
    All,
    Extended,
    Basic,
    None,
}

impl Options {
    /// Reads the options; an unknown one is an error, as is a value that it cannot have.
    pub(crate) fn parse(options: &BTreeMap<String, String>) -> Result<Self, LoadError> {
        let mut parsed = Self::default();
        for (name, value) in options {
            let refuse = |expected: &str| LoadError::Option {
                name: name.clone(),
                value: value.clone(),
                expected: expected.into(),
            };
            match name.as_str() {
                "provider" => {
                    parsed.provider = match value.as_str() {
                        "cpu" => Provider::Cpu,
                        #[cfg(feature = "cuda")]
                        "cuda" => Provider::Cuda,
                        #[cfg(feature = "coreml")]
                        "coreml" => Provider::CoreMl,
                        #[cfg(feature = "directml")]
                        "directml" => Provider::DirectMl,
                        #[cfg(feature = "openvino")]
                        "openvino" => Provider::OpenVino,
                        known if PROVIDERS.contains(&known) => {
                            return Err(refuse(&format!(
                                "this worker was built without it: build it with `--features {known}`, or use cpu"
                            )));
                        }
                        _ => return Err(refuse(&format!("one of {}", PROVIDERS.join(", ")))),
                    }
                }
                "graph_optimization" => {
                    parsed.graph_optimization = match value.as_str() {
                        "all" => Optimization::All,
                        "extended" => Optimization::Extended,
                        "basic" => Optimization::Basic,
                        "none" => Optimization::None,
                        _ => return Err(refuse("one of all, extended, basic, none")),
                    }
                }
                "pooling" => {
                    parsed.pooling = match value.as_str() {
                        "file" => None,
                        "mean" => Some(PoolingMode::Mean),
                        "cls" => Some(PoolingMode::Cls),
                        "last" => Some(PoolingMode::Last),
                        "max" => Some(PoolingMode::Max),
                        _ => return Err(refuse("one of file, mean, cls, last, max")),
                    }
                }
                _ => return Err(refuse("the options are provider, graph_optimization, pooling")),
            }
        }
        Ok(parsed)
    }
}

impl Provider {
    /// As the option has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            #[cfg(feature = "cuda")]
            Self::Cuda => "cuda",
            #[cfg(feature = "coreml")]
            Self::CoreMl => "coreml",
            #[cfg(feature = "directml")]
            Self::DirectMl => "directml",
            #[cfg(feature = "openvino")]
            Self::OpenVino => "openvino",
        }
    }

    /// What registers it with a session; nothing for the processor, which is there anyway.
    pub(crate) fn dispatch(self) -> Option<ExecutionProviderDispatch> {
        let dispatch: Option<ExecutionProviderDispatch> = match self {
            Self::Cpu => None,
            #[cfg(feature = "cuda")]
            Self::Cuda => Some(ort::ep::CUDA::default().build()),
            #[cfg(feature = "coreml")]
            Self::CoreMl => Some(ort::ep::CoreML::default().build()),
            #[cfg(feature = "directml")]
            Self::DirectMl => Some(ort::ep::DirectML::default().build()),
            #[cfg(feature = "openvino")]
            Self::OpenVino => Some(ort::ep::OpenVINO::default().build()),
        };
        dispatch.map(ExecutionProviderDispatch::error_on_failure)
    }
}

impl Optimization {
    /// The library's name for it.
    pub(crate) fn level(self) -> GraphOptimizationLevel {
        match self {
            Self::All => GraphOptimizationLevel::All,
            Self::Extended => GraphOptimizationLevel::Level2,
            Self::Basic => GraphOptimizationLevel::Level1,
            Self::None => GraphOptimizationLevel::Disable,
        }
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
        check("provider", "tpu", &["provider", "tpu", "openvino"]);
        check("graph_optimization", "some", &["graph_optimization", "some", "basic"]);
        check("pooling", "median", &["pooling", "median", "last"]);
        check("threads", "4", &["threads", "provider, graph_optimization, pooling"]);
    }

    #[test]
    fn a_provider_that_is_not_built_in_is_refused() {
        for name in PROVIDERS {
            match parse("provider", name) {
                Ok(options) => assert_eq!(options.provider.name(), name),
                Err(error) => assert!(error.contains("built without") && error.contains(name), "{error}"),
            }
        }
        assert!(parse("provider", "cpu").is_ok());
    }

    #[test]
    fn valid_options_are_taken() {
        assert_eq!(parse("graph_optimization", "basic").unwrap().graph_optimization, Optimization::Basic);
        assert_eq!(parse("pooling", "cls").unwrap().pooling, Some(PoolingMode::Cls));
        assert_eq!(parse("pooling", "file").unwrap().pooling, None);
    }
}
