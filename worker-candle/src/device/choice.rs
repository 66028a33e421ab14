//! Which device a model is computed on.

use candle_core::Device;
use impetus_runtime::engine::LoadError;

/// What the option `device` says.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceChoice {
    #[default]
    Cpu,
    /// The first NVIDIA card, in the driver's order.
    Cuda,
    /// The GPU of one of Apple's machines.
    Metal,
}

impl DeviceChoice {
    /// All of them, built in or not.
    pub(crate) const ALL: [Self; 3] = [Self::Cpu, Self::Cuda, Self::Metal];

    /// As the option has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Metal => "metal",
        }
    }

    /// Whether this worker was built with it.
    pub(crate) fn is_built_in(self) -> bool {
        match self {
            Self::Cpu => true,
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Metal => cfg!(feature = "metal"),
        }
    }

    /// Opens the device.
    pub(crate) fn open(self) -> Result<Device, LoadError> {
        let opened = match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => Device::new_cuda(0),
            Self::Metal => Device::new_metal(0),
        };
        opened.map_err(|error| LoadError::Option {
            name: "device".into(),
            value: self.name().into(),
            expected: format!("it is not available ({error}); use cpu"),
        })
    }
}
