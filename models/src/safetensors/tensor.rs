//! Descriptions of tensors: each is checked while the header is read, their places together at its end.

use std::{collections::BTreeMap, fmt, io::Read};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    dtype::Dtype,
    error::{SafetensorsError, TensorProblem},
    limits,
};
use crate::excerpt::excerpt;

/// The tensors of one file, or of all shards of a model, summed up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tensors {
    /// How many there are.
    pub count: u64,
    /// Their elements and bytes by type.
    pub by_dtype: BTreeMap<Dtype, Share>,
    /// Elements by type of those among them whose names say that they tell how others are quantized: scales, offsets
    /// and indices.
    pub companions: BTreeMap<Dtype, u64>,
}

/// What one type has of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// Elements.
    pub elements: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Endings of the names of tensors that accompany a quantized one, as MLX, GPTQ, AWQ and others write them.
const COMPANIONS: [&str; 6] = [".scales", "_scales", ".biases", ".qzeros", ".g_idx", ".absmax"];
/// Types into which several quantized weights are packed.
const PACKING: [&str; 3] = ["U32", "I32", "U8"];
const METADATA_KEY: &str = "__metadata__";

/// What a header says, in its order.
#[derive(Default)]
pub(super) struct Entries {
    tensors: Tensors,
    extents: Vec<Extent>,
    /// Why reading was given up, when that is not the JSON's fault.
    refused: Option<SafetensorsError>,
}

/// Where a tensor lies, in bytes from the start of the data.
struct Extent {
    start: u64,
    end: u64,
    name: String,
}

/// One tensor as the JSON has it.
#[derive(Deserialize)]
struct Entry {
    dtype: DtypeName,
    shape: Shape,
    data_offsets: (u64, u64),
}

struct DtypeName(Result<Dtype, String>);
struct Shape(Vec<u64>);

impl Tensors {
    /// Elements of all tensors.
    pub fn elements(&self) -> u64 {
        self.by_dtype.values().fold(0, |sum, share| sum.saturating_add(share.elements))
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> u64 {
        self.by_dtype.values().fold(0, |sum, share| sum.saturating_add(share.bytes))
    }

    /// Elements of all tensors; when weights are packed `bits` each into larger elements, of what they unpack to.
    pub fn parameters(&self, bits: Option<u64>) -> u64 {
        let Some(bits) = bits.filter(|bits| (1..=32).contains(bits)) else { return self.elements() };
        self.by_dtype.iter().fold(0, |sum, (dtype, share)| {
            let companions = self.companions.get(dtype).copied().unwrap_or(0);
            let own = share.elements.saturating_sub(companions);
            let is_packed = PACKING.contains(&dtype.name());
            let unpacked = u128::from(own) * u128::from(dtype.bits()) / u128::from(bits);
            sum.saturating_add(if is_packed { u64::try_from(unpacked).unwrap_or(u64::MAX) } else { own })
        })
    }

    /// The type that takes the most bytes.
    pub fn dominant_dtype(&self) -> Option<Dtype> {
        self.by_dtype.iter().max_by_key(|(_, share)| share.bytes).map(|(dtype, _)| *dtype)
    }

    /// Adds the tensors of a further shard.
    pub fn add(&mut self, shard: &Self) {
        self.count = self.count.saturating_add(shard.count);
        for (dtype, elements) in &shard.companions {
            let sum = self.companions.entry(*dtype).or_default();
            *sum = sum.saturating_add(*elements);
        }
        for (dtype, share) in &shard.by_dtype {
            self.by_dtype.entry(*dtype).or_default().add(*share);
        }
    }
}

impl Share {
    fn add(&mut self, other: Self) {
        self.elements = self.elements.saturating_add(other.elements);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl Entries {
    /// Reads the JSON that `reader` holds to its end.
    pub(super) fn read(reader: impl Read) -> Result<Self, SafetensorsError> {
        let mut entries = Self::default();
        let mut deserializer = serde_json::Deserializer::from_reader(reader);
        let read = deserializer.deserialize_map(&mut entries).and_then(|()| deserializer.end());
        match (entries.refused.take(), read) {
            (Some(refused), _) => Err(refused),
            (None, Err(source)) if source.is_io() => Err(SafetensorsError::Io { source: source.into() }),
            (None, Err(source)) => Err(SafetensorsError::Json { source }),
            (None, Ok(())) => Ok(entries),
        }
    }

    /// The sums, when the tensors fill `available` bytes of data.
    pub(super) fn within(mut self, available: u64) -> Result<Tensors, SafetensorsError> {
        self.extents.sort_by_key(|extent| (extent.start, extent.end));
        let mut expected = 0;
        for Extent { start, end, name } in self.extents {
            let problem = if start != expected {
                TensorProblem::Start { start, expected }
            } else if end > available {
                TensorProblem::Outside { end, available }
            } else {
                expected = end;
                continue;
            };
            return Err(SafetensorsError::Tensor { name, problem });
        }
        if expected < available {
            return Err(SafetensorsError::Remainder { end: expected, available });
        }
        Ok(self.tensors)
    }

    fn add(&mut self, name: &str, entry: Entry) -> Result<(), SafetensorsError> {
        if self.extents.len() >= limits::TENSORS {
            return Err(SafetensorsError::TooMany { limit: limits::TENSORS });
        }
        let (start, end) = entry.data_offsets;
        let (dtype, share) =
            measure(entry).map_err(|problem| SafetensorsError::Tensor { name: excerpt(name), problem })?;
        self.tensors.count += 1;
        self.tensors.by_dtype.entry(dtype).or_default().add(share);
        if COMPANIONS.iter().any(|ending| name.ends_with(ending)) {
            let sum = self.tensors.companions.entry(dtype).or_default();
            *sum = sum.saturating_add(share.elements);
        }
        self.extents.push(Extent { start, end, name: excerpt(name) });
        Ok(())
    }
}

impl<'de> Visitor<'de> for &mut Entries {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA_KEY {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let entry = map.next_value()?;
            if let Err(refused) = self.add(&name, entry) {
                self.refused = Some(refused);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for DtypeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = DtypeName;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the name of a type")
            }

            fn visit_str<E>(self, name: &str) -> Result<DtypeName, E> {
                Ok(DtypeName(Dtype::from_name(name).ok_or_else(|| excerpt(name))))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Dimensions;
        impl<'de> Visitor<'de> for Dimensions {
            type Value = Shape;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "a list of at most {} dimensions", limits::DIMENSIONS)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
                let mut shape = Vec::new();
                while let Some(dimension) = list.next_element()? {
                    if shape.len() == limits::DIMENSIONS {
                        return Err(A::Error::invalid_length(shape.len() + 1, &self));
                    }
                    shape.push(dimension);
                }
                Ok(Shape(shape))
            }
        }
        deserializer.deserialize_seq(Dimensions)
    }
}

/// Type, elements and bytes of one tensor.
fn measure(entry: Entry) -> Result<(Dtype, Share), TensorProblem> {
    let dtype = entry.dtype.0.map_err(|dtype| TensorProblem::Dtype { dtype })?;
    let Shape(shape) = entry.shape;
    // A zero among huge dimensions must not hide them: an engine multiplies in another order.
    let capacity = shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n.max(1)));
    let bits = capacity.and_then(|elements| elements.checked_mul(dtype.bits()));
    let fits = |bits: &u64| i64::try_from(*bits).is_ok();
    let (Some(capacity), Some(bits)) = (capacity, bits.filter(fits)) else {
        return Err(TensorProblem::Shape { shape });
    };
    let (elements, bits) = if shape.contains(&0) { (0, 0) } else { (capacity, bits) };
    if !bits.is_multiple_of(8) {
        return Err(TensorProblem::Shape { shape });
    }
    let bytes = bits / 8;
    let (start, end) = entry.data_offsets;
    if end.checked_sub(start) != Some(bytes) {
        return Err(TensorProblem::Extent { needed: bytes, start, end });
    }
    Ok((dtype, Share { elements, bytes }))
}
