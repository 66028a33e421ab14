//! Element types of safetensors files.

use std::fmt;

/// How the elements of a tensor are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dtype(&'static Layout);

/// Name, bits of an element.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Layout(&'static str, u64);

/// Every type of the reference implementation (`safetensors/src/tensor.rs`).
static LAYOUTS: &[Layout] = &[
    Layout("BOOL", 8),
    Layout("F4", 4),
    Layout("F6_E2M3", 6),
    Layout("F6_E3M2", 6),
    Layout("U8", 8),
    Layout("I8", 8),
    Layout("F8_E5M2", 8),
    Layout("F8_E4M3", 8),
    Layout("F8_E8M0", 8),
    Layout("I16", 16),
    Layout("U16", 16),
    Layout("F16", 16),
    Layout("BF16", 16),
    Layout("I32", 32),
    Layout("U32", 32),
    Layout("F32", 32),
    Layout("C64", 64),
    Layout("F64", 64),
    Layout("I64", 64),
    Layout("U64", 64),
];

impl Dtype {
    /// The type of this name in a file.
    pub fn from_name(name: &str) -> Option<Self> {
        LAYOUTS.iter().find(|layout| layout.0 == name).map(Self)
    }

    /// Its name, `BF16` for example.
    pub fn name(self) -> &'static str {
        self.0.0
    }

    /// Bits of an element.
    pub fn bits(self) -> u64 {
        self.0.1
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
