//! Names that clients insist on, and the models that the owner has chosen for them: `gateway.names`.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use crate::glob;

/// Patterns of names with the model for each, the one that says most of a name first.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChosenNames(Arc<[(String, String)]>);

impl ChosenNames {
    /// As configured.
    pub(crate) fn new(names: &BTreeMap<String, String>) -> Self {
        let mut chosen: Vec<_> =
            names.iter().map(|(pattern, model)| (pattern.clone(), model.clone())).collect();
        // Sorting keeps the alphabetical order of those that are alike.
        chosen.sort_by_key(|(pattern, _)| {
            let n_stars = pattern.matches('*').count();
            (n_stars > 0, Reverse(pattern.len() - n_stars), n_stars)
        });
        Self(chosen.into())
    }

    /// The model that stands for a name which no model has. The default model's empty name is nobody's to choose for.
    pub(crate) fn of(&self, name: &str) -> Option<&str> {
        let is_meant = |(pattern, _): &&(String, String)| glob::matches(pattern, name);
        let (_, model) = self.0.iter().filter(|_| !name.is_empty()).find(is_meant)?;
        Some(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_that_says_most_of_a_name_counts() {
        let table = [
            ("claude-*", "big"),
            ("claude-*-haiku*", "small"),
            ("claude-haiku*", "small"),
            ("claude-sonnet-5", "one"),
            ("*-mini", "mini"),
            ("gpt-*", "big"),
            ("gpt-4*", "old"),
            ("gpt-4**", "never"),
            ("gpt-*4", "never"),
        ];
        let names = ChosenNames::new(&table.map(|(name, model)| (name.into(), model.into())).into());
        let check = |name: &str, expected: Option<&str>| assert_eq!(names.of(name), expected, "{name}");
        check("claude-opus-9", Some("big"));
        check("claude-3-haiku-20240307", Some("small"));
        check("claude-haiku-4", Some("small"));
        check("claude-sonnet-5", Some("one"));
        check("claude-sonnet-5-1", Some("big"));
        check("gpt-3-mini", Some("mini"));
        check("gpt-4-turbo", Some("old"));
        check("gpt-4", Some("never"));
        check("claude", None);
        check("other", None);
        check("", None);
        let all = ChosenNames::new(&BTreeMap::from([("*".into(), "any".into())]));
        assert_eq!((all.of("other"), all.of("")), (Some("any"), None));
        assert_eq!(ChosenNames::default().of("other"), None);
    }
}
