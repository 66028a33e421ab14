//! Models as this API lists and describes them.

use chrono::{DateTime, SecondsFormat};
use impetus_proto::{Error, supervisor::ModelStatus};
use schemars::JsonSchema;
use serde::Serialize;

use crate::dialect::query::Query;

/// The most models of one page, and how many there are on one if nobody says.
const MAX_PAGE: u64 = 1000;
const PAGE: u64 = 20;

/// A page of the list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AnthropicModelList")]
pub(in crate::dialect) struct Page {
    data: Vec<Model>,
    has_more: bool,
    first_id: Option<String>,
    last_id: Option<String>,
}

/// A model.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AnthropicModel")]
pub(in crate::dialect) struct Model {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    display_name: String,
    created_at: String,
}

/// The page of `models` that the query asks for.
pub(in crate::dialect) fn page(models: Vec<ModelStatus>, query: &mut Query) -> Result<Page, Error> {
    let limit = query.number("limit", 1..=MAX_PAGE)?.unwrap_or(PAGE) as usize;
    let mut models = models;
    let place = |models: &[ModelStatus], name: &str, id: String| {
        models.iter().position(|model| model.name == id).ok_or_else(|| {
            Error::invalid(name, format!("{name} is {id:?}, which is none of the models that are listed"))
        })
    };
    if let Some(id) = query.text("after_id") {
        let place = place(&models, "after_id", id)?;
        models.drain(..=place);
    }
    let has_more = if let Some(id) = query.text("before_id") {
        let place = place(&models, "before_id", id)?;
        models.truncate(place);
        // Those that stand right before it.
        let n_left_out = models.len().saturating_sub(limit);
        models.drain(..n_left_out);
        n_left_out > 0
    } else {
        let has_more = models.len() > limit;
        models.truncate(limit);
        has_more
    };
    let data: Vec<Model> = models.into_iter().map(Model::from).collect();
    let id = |model: Option<&Model>| model.map(|model| model.id.clone());
    Ok(Page { first_id: id(data.first()), last_id: id(data.last()), data, has_more })
}

impl From<ModelStatus> for Model {
    fn from(model: ModelStatus) -> Self {
        let created = i64::try_from(model.modified_unix_s).unwrap_or_default();
        let created = DateTime::from_timestamp(created, 0).unwrap_or_default();
        let display_name = if model.description.is_empty() { model.name.clone() } else { model.description };
        Self {
            kind: "model",
            id: model.name,
            display_name,
            created_at: created.to_rfc3339_opts(SecondsFormat::Secs, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_cut_as_the_query_says() {
        let models: Vec<_> = ["a", "b", "c", "d"]
            .map(|name| ModelStatus { name: name.into(), ..ModelStatus::default() })
            .into();
        let check = |query: &str, expected: &[&str], has_more: bool| {
            let page = page(models.clone(), &mut Query::read(Some(query)).unwrap()).unwrap();
            let ids: Vec<_> = page.data.iter().map(|model| model.id.as_str()).collect();
            assert_eq!((ids.as_slice(), page.has_more), (expected, has_more), "{query}");
            assert_eq!(page.first_id.as_deref(), expected.first().copied());
            assert_eq!(page.last_id.as_deref(), expected.last().copied());
        };
        check("", &["a", "b", "c", "d"], false);
        check("limit=4", &["a", "b", "c", "d"], false);
        check("limit=3", &["a", "b", "c"], true);
        check("limit=2&after_id=a", &["b", "c"], true);
        check("limit=2&after_id=b", &["c", "d"], false);
        check("after_id=d", &[], false);
        check("limit=2&before_id=d", &["b", "c"], true);
        check("limit=3&before_id=d", &["a", "b", "c"], false);
        check("before_id=a", &[], false);
        let refused = |query: &str| page(models.clone(), &mut Query::read(Some(query)).unwrap()).unwrap_err();
        assert_eq!(refused("after_id=x").param, "after_id");
        assert_eq!(refused("before_id=x").param, "before_id");
        assert_eq!(refused("limit=0").param, "limit");
        assert_eq!(refused("limit=1001").param, "limit");
    }
}
