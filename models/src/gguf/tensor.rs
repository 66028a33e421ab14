//! Descriptions of tensors: shape, type and place of each are checked, sums are kept.

use std::{collections::BTreeMap, io::Read};

use super::{
    error::{GgufError, TensorProblem},
    limits,
    source::Source,
};
use crate::excerpt::excerpt;

/// The tensors of one file, or of all parts of a split model, summed up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tensors {
    /// How many there are.
    pub count: u64,
    /// Their elements: the model's parameters.
    pub elements: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their bytes by type.
    pub bytes_by_type: BTreeMap<TensorType, u64>,
    /// Bytes of matrices that llama.cpp lays out anew when it loads them: see [`TensorType::is_repacked`].
    pub repacked_bytes: u64,
}

/// How the elements of a tensor are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TensorType(&'static Layout);

/// Number in the file, name, elements of a block, bytes of a block.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Layout(u32, &'static str, u64, u64);

/// The one matrix that nothing is multiplied by: rows of it are looked up.
const TOKEN_EMBEDDING: &str = "token_embd.weight";

/// Every type that tensors of current files have, from `ggml.h` (`ggml_type`) and `ggml-common.h` (`block_*`).
static LAYOUTS: &[Layout] = &[
    Layout(0, "F32", 1, 4),
    Layout(1, "F16", 1, 2),
    Layout(2, "Q4_0", 32, 18),
    Layout(3, "Q4_1", 32, 20),
    Layout(6, "Q5_0", 32, 22),
    Layout(7, "Q5_1", 32, 24),
    Layout(8, "Q8_0", 32, 34),
    Layout(9, "Q8_1", 32, 36),
    Layout(10, "Q2_K", 256, 84),
    Layout(11, "Q3_K", 256, 110),
    Layout(12, "Q4_K", 256, 144),
    Layout(13, "Q5_K", 256, 176),
    Layout(14, "Q6_K", 256, 210),
    Layout(15, "Q8_K", 256, 292),
    Layout(16, "IQ2_XXS", 256, 66),
    Layout(17, "IQ2_XS", 256, 74),
    Layout(18, "IQ3_XXS", 256, 98),
    Layout(19, "IQ1_S", 256, 50),
    Layout(20, "IQ4_NL", 32, 18),
    Layout(21, "IQ3_S", 256, 110),
    Layout(22, "IQ2_S", 256, 82),
    Layout(23, "IQ4_XS", 256, 136),
    Layout(24, "I8", 1, 1),
    Layout(25, "I16", 1, 2),
    Layout(26, "I32", 1, 4),
    Layout(27, "I64", 1, 8),
    Layout(28, "F64", 1, 8),
    Layout(29, "IQ1_M", 256, 56),
    Layout(30, "BF16", 1, 2),
    Layout(34, "TQ1_0", 256, 54),
    Layout(35, "TQ2_0", 256, 66),
    Layout(39, "MXFP4", 32, 17),
    Layout(40, "NVFP4", 64, 36),
    Layout(41, "Q1_0", 128, 18),
    Layout(42, "Q2_0", 64, 18),
];

/// What has been read of the tensors before it is known where their data starts.
pub(super) struct Extents {
    count: u64,
    elements: u128,
    bytes: u128,
    bytes_by_type: BTreeMap<TensorType, u128>,
    repacked_bytes: u128,
    last: Option<Extent>,
}

/// The tensor that ends last.
struct Extent {
    name: String,
    described_at: u64,
    end: u128,
}

impl Tensors {
    /// The type that takes the most bytes.
    pub fn dominant_type(&self) -> Option<TensorType> {
        self.bytes_by_type.iter().max_by_key(|&(_, bytes)| bytes).map(|(kind, _)| *kind)
    }

    /// Adds the tensors of a further part.
    pub fn add(&mut self, part: &Self) {
        self.count = self.count.saturating_add(part.count);
        self.elements = self.elements.saturating_add(part.elements);
        self.bytes = self.bytes.saturating_add(part.bytes);
        self.repacked_bytes = self.repacked_bytes.saturating_add(part.repacked_bytes);
        for (kind, bytes) in &part.bytes_by_type {
            let sum = self.bytes_by_type.entry(*kind).or_default();
            *sum = sum.saturating_add(*bytes);
        }
    }
}

impl TensorType {
    /// The type with this number in the file.
    pub fn from_id(id: u32) -> Option<Self> {
        LAYOUTS.iter().find(|layout| layout.0 == id).map(Self)
    }

    /// Its usual name, `Q4_K` for example.
    pub fn name(self) -> &'static str {
        self.0.1
    }

    /// Whether llama.cpp multiplies by matrices of this type in a layout of its own, a copy of which it makes when it
    /// loads them, on all processors that it has fast kernels for (`ggml_repack_get_optimal_repack_type` in its
    /// `ggml-cpu/repack.cpp`; those of x86-64 with AVX2 and of ARM with dot products are meant).
    pub fn is_repacked(self) -> bool {
        matches!(self.name(), "Q4_0" | "Q4_K" | "IQ4_NL" | "MXFP4")
    }

    /// Elements of a block; rows are whole blocks.
    pub fn block_elements(self) -> u64 {
        self.0.2
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> u64 {
        self.0.3
    }
}

impl Extents {
    /// The sums, when all data lies within a file of `length` bytes whose data starts at `data_offset`.
    pub(super) fn within(self, data_offset: u64, length: u64) -> Result<Tensors, GgufError> {
        if let Some(Extent { name, described_at: offset, end }) = self.last {
            let end = u128::from(data_offset).saturating_add(end);
            if end > u128::from(length) {
                let problem = TensorProblem::Outside { end, length };
                return Err(GgufError::Tensor { name, offset, problem });
            }
        }
        // Each tensor lies within the file; all of them together do when none overlaps another.
        let available = length.saturating_sub(data_offset);
        let overlap = GgufError::Overlap { needed: self.bytes, available };
        let bytes = u64::try_from(self.bytes).ok().filter(|&bytes| bytes <= available);
        let Some(bytes) = bytes else { return Err(overlap) };
        Ok(Tensors {
            count: self.count,
            elements: u64::try_from(self.elements).unwrap_or(u64::MAX),
            bytes,
            bytes_by_type: self.bytes_by_type.into_iter().map(|(kind, sum)| (kind, sum as u64)).collect(),
            repacked_bytes: self.repacked_bytes as u64,
        })
    }
}

/// Reads the descriptions of `count` tensors.
pub(super) fn read<R: Read>(
    source: &mut Source<R>,
    count: u64,
    alignment: u64,
) -> Result<Extents, GgufError> {
    let mut extents = Extents {
        count,
        elements: 0,
        bytes: 0,
        bytes_by_type: BTreeMap::new(),
        repacked_bytes: 0,
        last: None,
    };
    for _ in 0..count {
        let described_at = source.at();
        let name = source.text("tensor name", limits::TENSOR_NAME_BYTES)?;
        let name = excerpt(&String::from_utf8_lossy(&name));
        let shape = match read_shape(source)? {
            Ok(shape) => shape,
            Err(problem) => return Err(GgufError::Tensor { name, offset: described_at, problem }),
        };
        let type_id = source.u32("tensor type")?;
        let start = source.u64("tensor offset")?;
        let measured = measure(&shape, type_id, start, alignment);
        let (kind, elements, bytes) = match measured {
            Ok(measured) => measured,
            Err(problem) => return Err(GgufError::Tensor { name, offset: described_at, problem }),
        };
        extents.elements += u128::from(elements);
        extents.bytes += u128::from(bytes);
        *extents.bytes_by_type.entry(kind).or_default() += u128::from(bytes);
        if kind.is_repacked() && shape.len() > 1 && name != TOKEN_EMBEDDING {
            extents.repacked_bytes += u128::from(bytes);
        }
        let end = u128::from(start) + u128::from(bytes);
        if extents.last.as_ref().is_none_or(|last| last.end < end) {
            extents.last = Some(Extent { name, described_at, end });
        }
    }
    Ok(extents)
}

fn read_shape<R: Read>(source: &mut Source<R>) -> Result<Result<Vec<u64>, TensorProblem>, GgufError> {
    let count = source.u32("tensor dimensions")?;
    if count > limits::DIMENSIONS {
        return Ok(Err(TensorProblem::Dimensions { count, limit: limits::DIMENSIONS }));
    }
    (0..count).map(|_| source.u64("tensor shape")).collect::<Result<_, _>>().map(Ok)
}

/// Type, elements and bytes of one tensor.
fn measure(
    shape: &[u64],
    type_id: u32,
    start: u64,
    alignment: u64,
) -> Result<(TensorType, u64, u64), TensorProblem> {
    let kind = TensorType::from_id(type_id).ok_or(TensorProblem::Type { id: type_id })?;
    let impossible = || TensorProblem::Shape { shape: shape.to_vec() };
    // A zero among huge dimensions must not hide them: the engine multiplies in another order.
    let capacity = shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n.max(1)));
    let capacity = capacity.filter(|&n| i64::try_from(n).is_ok()).ok_or_else(impossible)?;
    let elements = if shape.contains(&0) { 0 } else { capacity };
    let row = shape.first().copied().unwrap_or(1);
    if !row.is_multiple_of(kind.block_elements()) {
        let block = kind.block_elements();
        return Err(TensorProblem::Row { row, block, type_name: kind.name() });
    }
    let bytes = (elements / kind.block_elements()).checked_mul(kind.block_bytes());
    let bytes = bytes.filter(|&n| i64::try_from(n).is_ok()).ok_or_else(impossible)?;
    if !start.is_multiple_of(alignment) {
        return Err(TensorProblem::Misaligned { start, alignment });
    }
    Ok((kind, elements, bytes))
}
