//! Inputs and outputs of a graph, as the graph itself says what they are.

use ort::value::{DynValue, Outlet, Tensor, TensorElementType};

use crate::error::ModelError;

/// An input or output: a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) element: TensorElementType,
    /// Its dimensions, none for those that differ from run to run.
    pub(crate) dimensions: Vec<Option<usize>>,
}

impl Port {
    /// Reads what the library says of it; nothing when it is no tensor.
    pub(super) fn read(outlet: &Outlet) -> Option<Self> {
        let element = outlet.dtype().tensor_type()?;
        let dimensions = outlet.dtype().tensor_shape()?.iter().map(|&n| usize::try_from(n).ok()).collect();
        Some(Self { name: outlet.name().to_owned(), element, dimensions })
    }

    /// Refuses a port that has other than `rank` dimensions or whose elements are not one of `elements`.
    pub(crate) fn expect(
        &self,
        file: &str,
        elements: &[TensorElementType],
        rank: usize,
    ) -> Result<(), ModelError> {
        if elements.contains(&self.element) && self.dimensions.len() == rank {
            return Ok(());
        }
        let names: Vec<String> = elements.iter().map(ToString::to_string).collect();
        Err(self.refuse(file, &format!("{} with {rank} dimensions", names.join(" or "))))
    }

    /// The error for a port that is not what it has to be.
    pub(crate) fn refuse(&self, file: &str, expected: &str) -> ModelError {
        let sizes: Vec<String> =
            self.dimensions.iter().map(|n| n.map_or_else(|| "any".into(), |n| n.to_string())).collect();
        ModelError::Port {
            file: file.to_owned(),
            name: self.name.clone(),
            found: format!("{} of [{}]", self.element, sizes.join(", ")),
            expected: expected.to_owned(),
        }
    }

    /// Whole numbers for this input.
    pub(crate) fn integers(&self, shape: Vec<usize>, values: Vec<i64>) -> ort::Result<DynValue> {
        Ok(match self.element {
            TensorElementType::Int32 => {
                let values: Vec<i32> = values.into_iter().map(|x| x as i32).collect();
                Tensor::from_array((shape, values))?.into_dyn()
            }
            _ => Tensor::from_array((shape, values))?.into_dyn(),
        })
    }

    /// One number for this input, of the rank that it has.
    pub(crate) fn number(&self, value: i64) -> ort::Result<DynValue> {
        self.integers(vec![1; self.dimensions.len()], vec![value])
    }
}

/// Types of token ids, masks and lengths.
pub(crate) const INTEGERS: [TensorElementType; 2] = [TensorElementType::Int64, TensorElementType::Int32];
/// Types of keys, values and logits.
pub(crate) const FLOATS: [TensorElementType; 3] =
    [TensorElementType::Float32, TensorElementType::Float16, TensorElementType::Bfloat16];
