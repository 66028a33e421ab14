//! Element types of ONNX tensors.

/// How the elements of a tensor are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ElementType(&'static Layout);

/// Number in the file, name, bits of an element.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Layout(u64, &'static str, u64);

/// `TensorProto.DataType` of `onnx.proto`, with the names that other formats have for the same. A text has no size.
static LAYOUTS: &[Layout] = &[
    Layout(1, "F32", 32),
    Layout(2, "UINT8", 8),
    Layout(3, "INT8", 8),
    Layout(4, "UINT16", 16),
    Layout(5, "INT16", 16),
    Layout(6, "INT32", 32),
    Layout(7, "INT64", 64),
    Layout(8, "STRING", 0),
    Layout(9, "BOOL", 8),
    Layout(10, "F16", 16),
    Layout(11, "F64", 64),
    Layout(12, "UINT32", 32),
    Layout(13, "UINT64", 64),
    Layout(14, "C64", 64),
    Layout(15, "C128", 128),
    Layout(16, "BF16", 16),
    Layout(17, "F8_E4M3FN", 8),
    Layout(18, "F8_E4M3FNUZ", 8),
    Layout(19, "F8_E5M2", 8),
    Layout(20, "F8_E5M2FNUZ", 8),
    Layout(21, "UINT4", 4),
    Layout(22, "INT4", 4),
    Layout(23, "F4_E2M1", 4),
    Layout(24, "F8_E8M0", 8),
    Layout(25, "UINT2", 2),
    Layout(26, "INT2", 2),
];

impl ElementType {
    /// The type with this number in a file.
    pub fn from_id(id: u64) -> Option<Self> {
        LAYOUTS.iter().find(|layout| layout.0 == id).map(Self)
    }

    /// Its name, `F16` for example.
    pub fn name(self) -> &'static str {
        self.0.1
    }

    /// Bits of an element; 0 for a text.
    pub fn bits(self) -> u64 {
        self.0.2
    }
}
