//! Hugging Face folders: safetensors, PyTorch checkpoints and MLX exports, loaded with candle. One decoder and one
//! encoder compute the families that they cover, candle's stock models what else there is.

mod config;
mod decoder;
mod device;
mod encoder;
mod engine;
mod error;
mod export;
mod kernel;
mod layer;
mod load;
mod option;
mod plan;
mod stock;
mod team;
#[cfg(test)]
mod testing;
mod weights;

use impetus_runtime::engine::{Backend, Conversion, ConvertError, LoadError, Model, ModelSpec, Progress};
use tracing::warn;

use crate::option::Options;

/// candle, with its threads running.
pub struct Candle {
    threads: usize,
}

impl Backend for Candle {
    const FORMAT: &'static str = "candle";

    fn start(threads: u32) -> Result<Self, LoadError> {
        let threads = threads.max(1) as usize;
        // Products of our own are the team's; candle's are done by rayon's one pool, whose threads sleep until then.
        // Neither can be started twice: in a test they are there already.
        let is_pool_new = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().is_ok();
        if !team::start(threads) || !is_pool_new {
            warn!(threads, "the compute threads stay as they are");
        }
        Ok(Self { threads })
    }

    fn version(&self) -> String {
        format!("candle {CANDLE_VERSION}")
    }

    fn load(&mut self, spec: &ModelSpec, progress: &Progress) -> Result<Model, LoadError> {
        let options = Options::parse(&spec.options)?;
        if spec.threads as usize != self.threads {
            warn!(asked = spec.threads, used = self.threads, "the compute threads were started before");
        }
        let device = options.device.open()?;
        load::load(spec, options, &device, progress).map_err(|error| error.broken(&spec.path))
    }

    fn convert(conversion: &Conversion) -> Result<(), ConvertError> {
        export::convert(conversion)
    }
}

/// The library's version, which it does not tell; the manifest asks for exactly this one.
const CANDLE_VERSION: &str = "0.11.1";
