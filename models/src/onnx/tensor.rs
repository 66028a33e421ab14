//! Tensors with data: `TensorProto`, its data passed over and compared with its shape.

use std::io::{Read, Seek};

use super::{
    Share,
    element::ElementType,
    error::{OnnxError, TensorProblem},
    limits,
    source::{Field, Source, Value},
};
use crate::excerpt::excerpt;

const WHAT: &str = "a tensor";

/// A tensor whose description is plausible.
pub(super) struct Tensor {
    pub(super) element: ElementType,
    pub(super) share: Share,
    pub(super) external: Option<External>,
}

/// Where a tensor's data is when it is not in the file.
pub(super) struct External {
    pub(super) location: String,
    /// The fewest bytes that the file there must have.
    pub(super) end: u64,
}

/// The fields of a `TensorProto`.
#[derive(Default)]
struct Description {
    name: String,
    shape: Vec<i64>,
    type_id: u64,
    raw_bytes: Option<u64>,
    /// Bytes of data in fields for its type.
    typed_bytes: u64,
    is_external: bool,
    location: Option<String>,
    offset: Option<String>,
    length: Option<String>,
}

/// The `TensorProto` that ends at `end`.
pub(super) fn read<R: Read + Seek>(source: &mut Source<R>, end: u64) -> Result<Tensor, OnnxError> {
    let offset = source.at();
    let mut tensor = Description::default();
    while let Some(field) = source.field(end, WHAT)? {
        if let Err(problem) = tensor.take(source, field)? {
            return Err(OnnxError::Tensor { name: excerpt(&tensor.name), offset, problem });
        }
    }
    let name = excerpt(&tensor.name);
    tensor.checked().map_err(|problem| OnnxError::Tensor { name, offset, problem })
}

impl Description {
    fn take<R: Read + Seek>(
        &mut self,
        source: &mut Source<R>,
        field: Field,
    ) -> Result<Result<(), TensorProblem>, OnnxError> {
        match field.number {
            1 => return self.dimensions(source, field),
            2 => self.type_id = field.number(WHAT)?,
            8 => self.name = source.text(field.bytes(WHAT)?, "name of a tensor")?,
            9 => {
                self.raw_bytes = Some(field.bytes(WHAT)? - source.at());
                source.skip(field)?;
            }
            13 => self.external_entry(source, field.bytes(WHAT)?)?,
            14 => self.is_external = field.number(WHAT)? == 1,
            4..=7 | 10 | 11 => {
                let bytes = match field.value {
                    // A text may be empty, but it is an element.
                    Value::Bytes { end } => end - source.at() + u64::from(field.number == 6),
                    Value::Fixed(bytes) => bytes,
                    Value::Number(_) => 1,
                };
                self.typed_bytes = self.typed_bytes.saturating_add(bytes);
                source.skip(field)?;
            }
            _ => source.skip(field)?,
        }
        Ok(Ok(()))
    }

    /// One dimension, or several that are packed.
    fn dimensions<R: Read + Seek>(
        &mut self,
        source: &mut Source<R>,
        field: Field,
    ) -> Result<Result<(), TensorProblem>, OnnxError> {
        let end = match field.value {
            Value::Number(dimension) => {
                self.shape.push(dimension as i64);
                source.at()
            }
            _ => field.bytes(WHAT)?,
        };
        while source.at() < end && self.shape.len() <= limits::DIMENSIONS {
            let dimension = source.varint(end, WHAT)?;
            self.shape.push(dimension as i64);
        }
        if self.shape.len() > limits::DIMENSIONS {
            return Ok(Err(TensorProblem::Dimensions { limit: limits::DIMENSIONS }));
        }
        Ok(Ok(()))
    }

    /// A `StringStringEntryProto` of `external_data`.
    fn external_entry<R: Read + Seek>(&mut self, source: &mut Source<R>, end: u64) -> Result<(), OnnxError> {
        let (mut key, mut value) = (String::new(), String::new());
        while let Some(field) = source.field(end, WHAT)? {
            match field.number {
                1 => key = source.text(field.bytes(WHAT)?, "key of external data")?,
                2 => value = source.text(field.bytes(WHAT)?, "path of external data")?,
                _ => source.skip(field)?,
            }
        }
        match key.as_str() {
            "location" => self.location = Some(value),
            "offset" => self.offset = Some(value),
            "length" => self.length = Some(value),
            _ => {}
        }
        Ok(())
    }

    fn checked(self) -> Result<Tensor, TensorProblem> {
        let element = ElementType::from_id(self.type_id).ok_or(TensorProblem::Type { id: self.type_id })?;
        let Some((elements, needed)) = measure(&self.shape, element) else {
            return Err(TensorProblem::Shape { shape: self.shape });
        };
        if self.is_external {
            return self.external(element, Share { elements, bytes: needed });
        }
        let bytes = match self.raw_bytes {
            Some(found) if found != needed => return Err(TensorProblem::Data { needed, found }),
            Some(found) => found,
            // Such fields are of variable length; at the least, one byte holds eight of the smallest elements.
            None if elements.div_ceil(8) > self.typed_bytes => {
                return Err(TensorProblem::Data { needed, found: self.typed_bytes });
            }
            None => self.typed_bytes,
        };
        Ok(Tensor { element, share: Share { elements, bytes }, external: None })
    }

    fn external(self, element: ElementType, share: Share) -> Result<Tensor, TensorProblem> {
        let location = self.location.ok_or(TensorProblem::NoLocation)?;
        let offset = number("offset", self.offset)?.unwrap_or(0);
        let length = number("length", self.length)?.unwrap_or(share.bytes);
        if length != share.bytes {
            return Err(TensorProblem::Data { needed: share.bytes, found: length });
        }
        // Both are below 2^63.
        let end = offset + length;
        Ok(Tensor { element, share, external: Some(External { location, end }) })
    }
}

/// Elements and bytes of a tensor; none when no file can hold it.
fn measure(shape: &[i64], element: ElementType) -> Option<(u64, u64)> {
    let mut elements = 1u64;
    for &dimension in shape {
        // A zero among huge dimensions must not hide them: an engine multiplies in another order.
        elements = elements.checked_mul(u64::try_from(dimension).ok()?.max(1))?;
    }
    let bits = elements.checked_mul(element.bits().max(1)).filter(|&bits| i64::try_from(bits).is_ok())?;
    match (shape.contains(&0), element.bits()) {
        (true, _) => Some((0, 0)),
        (false, 0) => Some((elements, 0)),
        (false, _) => Some((elements, bits.div_ceil(8))),
    }
}

fn number(key: &'static str, value: Option<String>) -> Result<Option<u64>, TensorProblem> {
    let Some(value) = value else { return Ok(None) };
    match value.parse::<u64>() {
        Ok(number) if i64::try_from(number).is_ok() => Ok(Some(number)),
        _ => Err(TensorProblem::Place { key, value: excerpt(&value) }),
    }
}
