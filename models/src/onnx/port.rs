//! Inputs and outputs: `ValueInfoProto` and the types in it.

use std::io::{Read, Seek};

use super::{Dimension, Port, element::ElementType, error::OnnxError, limits, source::Source};

const WHAT: &str = "an input or output";

/// The `ValueInfoProto` that ends at `end`.
pub(super) fn read<R: Read + Seek>(source: &mut Source<R>, end: u64) -> Result<Port, OnnxError> {
    let mut port = Port::default();
    while let Some(field) = source.field(end, WHAT)? {
        match field.number {
            1 => port.name = source.text(field.bytes(WHAT)?, WHAT)?,
            2 => read_type(source, field.bytes(WHAT)?, &mut port)?,
            _ => source.skip(field)?,
        }
    }
    Ok(port)
}

/// `TypeProto`, of which sequences, maps and optional values are passed over.
fn read_type<R: Read + Seek>(source: &mut Source<R>, end: u64, port: &mut Port) -> Result<(), OnnxError> {
    while let Some(field) = source.field(end, WHAT)? {
        match field.number {
            1 => read_tensor_type(source, field.bytes(WHAT)?, port)?,
            _ => source.skip(field)?,
        }
    }
    Ok(())
}

fn read_tensor_type<R: Read + Seek>(
    source: &mut Source<R>,
    end: u64,
    port: &mut Port,
) -> Result<(), OnnxError> {
    while let Some(field) = source.field(end, WHAT)? {
        match field.number {
            1 => {
                let damaged = OnnxError::Damaged { what: "an element type", offset: field.offset };
                port.element = Some(ElementType::from_id(field.number(WHAT)?).ok_or(damaged)?);
            }
            2 => read_shape(source, field.bytes(WHAT)?, port.dimensions.get_or_insert_default())?,
            _ => source.skip(field)?,
        }
    }
    Ok(())
}

fn read_shape<R: Read + Seek>(
    source: &mut Source<R>,
    end: u64,
    dimensions: &mut Vec<Dimension>,
) -> Result<(), OnnxError> {
    while let Some(field) = source.field(end, WHAT)? {
        if field.number != 1 {
            source.skip(field)?;
            continue;
        }
        if dimensions.len() == limits::DIMENSIONS {
            return Err(OnnxError::TooMany {
                what: "dimensions of one input",
                limit: limits::DIMENSIONS as u64,
            });
        }
        dimensions.push(read_dimension(source, field.bytes(WHAT)?)?);
    }
    Ok(())
}

fn read_dimension<R: Read + Seek>(source: &mut Source<R>, end: u64) -> Result<Dimension, OnnxError> {
    let mut dimension = Dimension::Unknown;
    while let Some(field) = source.field(end, WHAT)? {
        match field.number {
            // Some exporters write what they do not know as -1.
            1 => {
                let size = i64::try_from(field.number(WHAT)?).ok();
                dimension = size.map_or(Dimension::Unknown, |size| Dimension::Fixed(size as u64));
            }
            2 => {
                let name = source.text(field.bytes(WHAT)?, WHAT)?;
                dimension = if name.is_empty() { Dimension::Unknown } else { Dimension::Named(name) };
            }
            _ => source.skip(field)?,
        }
    }
    Ok(dimension)
}
