//! The query of a path: its parameters, taken one by one.

use std::ops::RangeInclusive;

use axum::{extract::Query as AxumQuery, http::Uri};
use impetus_proto::Error;

use crate::dialect::ignored::Ignored;

/// Parameters that nobody has taken yet.
#[derive(Debug)]
pub(in crate::dialect) struct Query(Vec<(String, String)>);

impl Query {
    /// The parameters of a query, without its question mark.
    pub(in crate::dialect) fn read(query: Option<&str>) -> Result<Self, Error> {
        let refused = || Error::invalid("", "the query of the path cannot be read");
        let uri: Uri = format!("/?{}", query.unwrap_or_default()).parse().map_err(|_| refused())?;
        let AxumQuery(pairs) = AxumQuery::try_from_uri(&uri).map_err(|_| refused())?;
        Ok(Self(pairs))
    }

    /// Takes a text. Of several of one name the last one counts; an empty one is absent.
    pub(in crate::dialect) fn text(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().rposition(|(key, _)| key == name)?;
        let (_, value) = self.0.remove(place);
        self.0.retain(|(key, _)| key != name);
        (!value.is_empty()).then_some(value)
    }

    /// Takes the texts of a parameter that may come several times, under any of these names.
    pub(in crate::dialect) fn texts(&mut self, names: &[&str]) -> Vec<String> {
        let taken = self.0.extract_if(.., |(name, _)| names.contains(&name.as_str()));
        taken.map(|(_, value)| value).collect()
    }

    /// Takes `true` or `false`.
    pub(in crate::dialect) fn flag(&mut self, name: &str) -> Result<Option<bool>, Error> {
        let words = &["true", "false", "True", "False", "1", "0"];
        let word = self.word(name, words)?;
        Ok(word.map(|word| matches!(word, "true" | "True" | "1")))
    }

    /// Takes an integer within `range`.
    pub(in crate::dialect) fn number(
        &mut self,
        name: &str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Error> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let (start, end) = (range.start(), range.end());
                let message = format!("{name} must be an integer between {start} and {end}");
                Err(Error::invalid(name, message))
            }
        }
    }

    /// Takes one of `words`.
    pub(in crate::dialect) fn word(
        &mut self,
        name: &str,
        words: &'static [&'static str],
    ) -> Result<Option<&'static str>, Error> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let word = words.iter().find(|word| **word == text).copied();
        match word {
            Some(word) => Ok(Some(word)),
            None => Err(Error::invalid(name, format!("{name} must be one of {}", words.join(", ")))),
        }
    }

    /// What nobody took.
    pub(in crate::dialect) fn rest(self) -> Ignored {
        let mut ignored = Ignored::default();
        for (name, _) in self.0 {
            ignored.name("", &name);
        }
        ignored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_taken_by_name() {
        let mut query =
            Query::read(Some("stream=true&starting_after=7&a=1&a=2&empty=&x%5B%5D=%C3%BC&odd")).unwrap();
        assert_eq!(query.flag("stream").unwrap(), Some(true));
        assert_eq!(query.flag("stream").unwrap(), None);
        assert_eq!(query.number("starting_after", 0..=9).unwrap(), Some(7));
        assert_eq!(query.text("a").as_deref(), Some("2"));
        assert_eq!(query.text("a"), None);
        assert_eq!(query.text("empty"), None);
        assert_eq!(query.texts(&["x", "x[]"]), ["ü"]);
        let mut named = axum::http::HeaderMap::new();
        query.rest().write(&mut named);
        assert_eq!(named["x-impetus-ignored"], "odd");
    }

    #[test]
    fn wrong_values_are_refused_by_name() {
        let mut query = Query::read(Some("stream=yes&limit=0&order=up&limit2=-1")).unwrap();
        assert_eq!(query.flag("stream").unwrap_err().param, "stream");
        assert_eq!(query.number("limit", 1..=100).unwrap_err().param, "limit");
        assert_eq!(query.number("limit2", 0..=100).unwrap_err().param, "limit2");
        assert_eq!(query.word("order", &["asc", "desc"]).unwrap_err().param, "order");
    }
}
