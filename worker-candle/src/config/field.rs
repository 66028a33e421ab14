//! Typed and bounded access to the settings of a JSON object.

use std::ops::RangeInclusive;

use impetus_runtime::huggingface::FolderError;
use serde_json::{Map, Value};

use crate::error::ModelError;

/// One object of `config.json`. A setting that is `null` counts as absent.
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value) -> Result<Self, ModelError> {
        let object = value.as_object().ok_or_else(|| FolderError::Damaged {
            file: "config.json".into(),
            reason: "it is not a JSON object".into(),
        })?;
        Ok(Self { object })
    }

    /// Number of settings, those that are `null` included.
    pub(super) fn len(&self) -> usize {
        self.object.len()
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// An object inside this one.
    pub(super) fn object(&self, name: &str) -> Result<Option<Fields<'a>>, ModelError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let object = value.as_object().ok_or_else(|| ModelError::config(name, "is not an object"))?;
        Ok(Some(Fields { object }))
    }

    /// A whole number that has to be there.
    pub(super) fn size(&self, name: &str, range: &RangeInclusive<usize>) -> Result<usize, ModelError> {
        self.maybe_size(name, range)?.ok_or_else(|| ModelError::config(name, "is missing"))
    }

    pub(super) fn size_or(
        &self,
        name: &str,
        default: usize,
        range: &RangeInclusive<usize>,
    ) -> Result<usize, ModelError> {
        Ok(self.maybe_size(name, range)?.unwrap_or(default))
    }

    pub(super) fn maybe_size(
        &self,
        name: &str,
        range: &RangeInclusive<usize>,
    ) -> Result<Option<usize>, ModelError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        size.filter(|size| range.contains(size)).map(Some).ok_or_else(|| {
            let (low, high) = (range.start(), range.end());
            ModelError::config(name, format!("is {value}, which is not a number from {low} to {high}"))
        })
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, ModelError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_f64().filter(|number| number.is_finite());
        number.map(Some).ok_or_else(|| ModelError::config(name, format!("is {value}, which is not a number")))
    }

    pub(super) fn number_or(&self, name: &str, default: f64) -> Result<f64, ModelError> {
        Ok(self.number(name)?.unwrap_or(default))
    }

    /// A soft cap: the family's where the setting is absent, none where it is null.
    pub(super) fn cap(&self, name: &str, default: Option<f64>) -> Result<Option<f64>, ModelError> {
        if !self.object.contains_key(name) {
            return Ok(default);
        }
        self.number(name)?.map(|cap| super::positive(name, cap)).transpose()
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, ModelError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value
            .as_bool()
            .map(Some)
            .ok_or_else(|| ModelError::config(name, format!("is {value}, which is neither true nor false")))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, ModelError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value
            .as_str()
            .map(Some)
            .ok_or_else(|| ModelError::config(name, format!("is {value}, which is not a string")))
    }

    pub(super) fn list(&self, name: &str) -> Result<Option<&'a [Value]>, ModelError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value
            .as_array()
            .map(|list| Some(list.as_slice()))
            .ok_or_else(|| ModelError::config(name, "is not a list"))
    }

    /// A list of numbers of a known length.
    pub(super) fn numbers(&self, name: &str, length: usize) -> Result<Vec<f64>, ModelError> {
        let list = self.list(name)?.ok_or_else(|| ModelError::config(name, "is missing"))?;
        let numbers: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
        numbers
            .filter(|numbers| numbers.len() == length && numbers.iter().all(|n| n.is_finite() && *n > 0.0))
            .ok_or_else(|| ModelError::config(name, format!("is not a list of {length} positive numbers")))
    }
}
