//! How many sequences a worker generates at once, as people write it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Sequences that are generated at once; in text a number, or `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Slots {
    /// As many as there is memory for when the model is placed.
    #[default]
    Auto,
    /// So many.
    Number(u32),
}

/// The numbers that one worker can generate at once.
const NUMBERS: std::ops::RangeInclusive<u32> = 1..=256;

const AUTO: &str = "auto";

/// What a number of slots is, for whoever wrote something else.
pub(crate) const EXPECTED: &str = "\"auto\", or a whole number from 1 to 256";

impl Slots {
    /// Whether a worker can have so many.
    pub(crate) fn is_possible(self) -> bool {
        match self {
            Self::Auto => true,
            Self::Number(number) => NUMBERS.contains(&number),
        }
    }
}

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str(AUTO),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl Serialize for Slots {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str(AUTO),
            Self::Number(number) => serializer.serialize_u32(*number),
        }
    }
}

impl<'de> Deserialize<'de> for Slots {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

/// Reads what is written.
struct Written;

impl de::Visitor<'_> for Written {
    type Value = Slots;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Slots, E> {
        let refused = |_| E::invalid_value(de::Unexpected::Unsigned(number), &self);
        u32::try_from(number).map(Slots::Number).map_err(refused)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Slots, E> {
        let refused = |_| E::invalid_value(de::Unexpected::Signed(number), &self);
        u32::try_from(number).map(Slots::Number).map_err(refused)
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Slots, E> {
        if word == AUTO { Ok(Slots::Auto) } else { Err(E::invalid_value(de::Unexpected::Str(word), &self)) }
    }
}
