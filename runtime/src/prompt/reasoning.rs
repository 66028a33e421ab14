//! What a template knows of reasoning: the variables that turn it on and say how much of it there is to be.

use std::collections::HashSet;

use impetus_proto::worker::Reasoning;
use serde_json::{Map, Value as Json};

/// Variables by which templates turn reasoning on and off.
const SWITCHES: [&str; 2] = ["enable_thinking", "thinking"];

/// The variable by which a template is told how much to reason.
const EFFORT: &str = "reasoning_effort";

/// The variable by which a template is told how many tokens a thought may have.
const BUDGET: &str = "thinking_budget";

/// Efforts, the least first. A template that names none of its own knows the three in the middle.
const EFFORTS: [&str; 6] = ["minimal", "low", "medium", "high", "xhigh", "max"];

/// What a template knows of reasoning.
#[derive(Debug, Clone, Default)]
pub(super) struct Knobs {
    switches: Vec<&'static str>,
    effort: bool,
    budget: bool,
    /// Efforts that the template names.
    named: Vec<&'static str>,
}

impl Knobs {
    /// Those of a template of this source, which reads these variables.
    pub(super) fn of(source: &str, variables: &HashSet<String>) -> Self {
        let switches = SWITCHES.into_iter().filter(|name| variables.contains(*name)).collect();
        let quoted = |effort: &&str| {
            source.contains(&format!("'{effort}'")) || source.contains(&format!("\"{effort}\""))
        };
        Self {
            switches,
            effort: variables.contains(EFFORT),
            budget: variables.contains(BUDGET),
            named: EFFORTS.into_iter().filter(quoted).collect(),
        }
    }

    /// Whether clients send this variable to every model, whether it reasons or not.
    pub(super) fn is_common(name: &str) -> bool {
        SWITCHES.contains(&name) || [EFFORT, BUDGET].contains(&name)
    }

    /// Sets the variables for what is asked for, except those that the client has set itself. A template without a
    /// variable for it is not told.
    pub(super) fn set(&self, asked: &Reasoning, arguments: &mut Map<String, Json>) {
        if let Some(enabled) = asked.enabled {
            for name in &self.switches {
                arguments.entry(*name).or_insert(Json::from(enabled));
            }
        }
        if self.effort && !asked.effort.is_empty() {
            arguments.entry(EFFORT).or_insert(Json::from(self.nearest(&asked.effort)));
        }
        if let Some(tokens) = asked.budget_tokens.filter(|_| self.budget) {
            arguments.entry(BUDGET).or_insert(Json::from(tokens));
        }
    }

    /// The effort that the template knows and that is nearest to `effort`, the lesser of two.
    fn nearest<'a>(&self, effort: &'a str) -> &'a str {
        let known = |name: &str| matches!(name, "low" | "medium" | "high") || self.named.contains(&name);
        let Some(place) = EFFORTS.iter().position(|name| *name == effort) else { return effort };
        let lesser = EFFORTS[..=place].iter().rev().find(|name| known(name));
        lesser.or_else(|| EFFORTS[place..].iter().find(|name| known(name))).copied().unwrap_or(effort)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_are_told_in_their_own_words() {
        let check = |source: &str, variables: &[&str], asked: Reasoning, expected: Json| {
            let variables = variables.iter().map(ToString::to_string).collect();
            let mut arguments = Map::from_iter([("set".to_owned(), json!(1))]);
            Knobs::of(source, &variables).set(&asked, &mut arguments);
            arguments.remove("set");
            assert_eq!(Json::Object(arguments), expected, "{source} {asked:?}");
        };
        let off = Reasoning { enabled: Some(false), ..Reasoning::default() };
        let effort = |effort: &str| Reasoning {
            enabled: Some(true),
            effort: effort.to_owned(),
            budget_tokens: Some(7),
            ..Reasoning::default()
        };
        check("", &[], effort("high"), json!({}));
        check("", &["enable_thinking"], off.clone(), json!({"enable_thinking": false}));
        check("", &["thinking"], off, json!({"thinking": false}));
        check("", &["reasoning_effort"], effort("minimal"), json!({"reasoning_effort": "low"}));
        check("", &["reasoning_effort"], effort("xhigh"), json!({"reasoning_effort": "high"}));
        check("== 'max'", &["reasoning_effort"], effort("max"), json!({"reasoning_effort": "max"}));
        check("", &["reasoning_effort"], effort("some"), json!({"reasoning_effort": "some"}));
        check("", &["thinking_budget"], effort("low"), json!({"thinking_budget": 7}));
    }
}
