//! Lists: how many elements, and of which values.

use serde_json::{Map, Value as Json};

use super::{super::lark, OF_LISTS, Writer};

/// The most elements of a list that are counted.
const MAX_COUNTED: u64 = 1000;

/// The most elements with values of their own: each stands within brackets of its own.
const MAX_FIRST: usize = 16;

impl Writer<'_> {
    pub(super) fn list(&mut self, part: &Map<String, Json>, place: &str) -> String {
        if !OF_LISTS.iter().any(|keyword| part.contains_key(*keyword)) {
            return self.notation.list.to_owned();
        }
        let none = Vec::new();
        let first = part.get("prefixItems").and_then(Json::as_array).unwrap_or(&none);
        let first: Vec<String> = first
            .iter()
            .enumerate()
            .map(|(idx, schema)| self.value(schema, &format!("{place}/prefixItems/{idx}")))
            .collect();
        if first.len() > MAX_FIRST {
            return self.anything("prefixItems", place);
        }
        let n_first = first.len() as u64;
        let least = part.get("minItems").and_then(Json::as_u64).unwrap_or(0);
        let mut most = part.get("maxItems").and_then(Json::as_u64);
        for (keyword, bound) in [("minItems", Some(least)), ("maxItems", most)] {
            if bound.is_some_and(|bound| bound > MAX_COUNTED) {
                return self.anything(keyword, place);
            }
        }
        let item = match part.get("items") {
            Some(Json::Bool(false)) => {
                most = Some(most.map_or(n_first, |most| most.min(n_first)));
                String::new()
            }
            // Written twice below, which doubles with each list within a list.
            Some(items) => {
                let item = self.value(items, &format!("{place}/items"));
                self.shared(&item)
            }
            None => self.notation.any.to_owned(),
        };
        if most.is_some_and(|most| most < least) {
            return self.anything("minItems", place);
        }
        let elements = self.elements(&first, &item, least, most);
        format!("\"[\" {elements} \"]\"")
    }

    /// The elements of a list, of which those that stand `first` have values of their own.
    fn elements(&self, first: &[String], item: &str, least: u64, most: Option<u64>) -> String {
        let comma = lark::literal(self.notation.comma);
        // One of the items at least is written as one that stands first, without a comma before it.
        let lone = [item.to_owned()];
        let first = if first.is_empty() && most != Some(0) { &lone } else { first };
        let n_first = first.len() as u64;
        let more = most.map(|most| most.saturating_sub(n_first));
        let mut rest = match more {
            Some(0) => String::new(),
            Some(more) => format!("({comma} {item}){{{},{more}}}", least.saturating_sub(n_first)),
            None => format!("({comma} {item}){{{},}}", least.saturating_sub(n_first)),
        };
        for (idx, value) in first.iter().enumerate().rev() {
            let idx = idx as u64;
            if most.is_some_and(|most| idx >= most) {
                rest = String::new();
                continue;
            }
            let before = if idx == 0 { "" } else { comma.as_str() };
            rest = format!("{before} {value} {rest}");
            if idx >= least {
                rest = format!("({rest})?");
            }
        }
        rest
    }
}
