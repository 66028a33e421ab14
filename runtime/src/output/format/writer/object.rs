//! Objects: which members, in which order.

use std::collections::HashSet;

use serde_json::{Map, Value as Json};

use super::{super::lark, Writer};

/// A member of an object.
pub(in super::super) struct Member {
    /// What stands before the value.
    pub(in super::super) head: String,
    /// The value.
    pub(in super::super) value: String,
    /// It has to be there.
    pub(in super::super) required: bool,
}

impl Writer<'_> {
    pub(super) fn object(&mut self, part: &Map<String, Json>, place: &str) -> String {
        if part.get("properties").and_then(Json::as_object).is_none_or(Map::is_empty) {
            if part.get("required").and_then(Json::as_array).is_some_and(|names| !names.is_empty()) {
                self.miss("required", place);
            }
            return match part.get("additionalProperties") {
                Some(Json::Bool(false)) => "\"{\" \"}\"".to_owned(),
                None | Some(Json::Bool(true)) => self.notation.object.to_owned(),
                Some(others) => {
                    let value = self.value(others, &format!("{place}/additionalProperties"));
                    let member = self.shared(&format!("{} {value}", self.notation.any_key));
                    let comma = lark::literal(self.notation.comma);
                    format!("\"{{\" ({member} ({comma} {member})*)? \"}}\"")
                }
            };
        }
        let members = self.listed(part, &self.notation.key, place);
        let members = self.members(&members);
        format!("\"{{\" {members} \"}}\"")
    }

    pub(super) fn listed(
        &mut self,
        part: &Map<String, Json>,
        key: impl Fn(&str) -> Option<String>,
        place: &str,
    ) -> Vec<Member> {
        let none = Map::new();
        let properties = part.get("properties").and_then(Json::as_object).unwrap_or(&none);
        let required: HashSet<&str> = part
            .get("required")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect();
        if required.iter().any(|name| !properties.contains_key(*name)) {
            self.miss("required", place);
        }
        let mut members = Vec::new();
        for (name, schema) in properties {
            let is_required = required.contains(name.as_str());
            let (Some(head), false) = (key(name), schema == &Json::Bool(false)) else {
                if is_required {
                    self.miss("properties", place);
                }
                continue;
            };
            let value = self.value(schema, &format!("{place}/properties/{name}"));
            members.push((name, Member { head, value, required: is_required }));
        }
        if self.notation.sorted {
            members.sort_by_key(|(name, _)| name.to_lowercase());
        }
        members.into_iter().map(|(_, member)| member).collect()
    }

    /// These members in order, without those that may be absent or with them.
    pub(in super::super) fn members(&mut self, members: &[Member]) -> String {
        let comma = lark::literal(self.notation.comma);
        let base = self.name("members");
        let (mut first, mut may_be_first) = (Vec::new(), true);
        for (at, Member { head, value, required }) in members.iter().enumerate() {
            let mark = if *required { "" } else { "?" };
            let (member, behind) = (format!("{base}_{at}"), format!("{base}_behind{}", at + 1));
            self.rule(&member, &format!("{head} {value}"));
            self.rule(&format!("{base}_behind{at}"), &format!("({comma} {member}){mark} {behind}"));
            if may_be_first {
                first.push(format!("{member} {behind}"));
            }
            may_be_first &= !required;
        }
        if first.is_empty() {
            return String::new();
        }
        self.rule(&format!("{base}_behind{}", members.len()), "\"\"");
        format!("({}){}", first.join(" | "), if may_be_first { "?" } else { "" })
    }
}
