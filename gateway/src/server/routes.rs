//! The paths that are served, in a table that can be walked: what each asks of whoever uses it, and its name in logs and
//! metrics.

use std::sync::Arc;

use axum::{Router, routing::MethodRouter};
use impetus_config::Scope;

use super::Gateway;
use crate::access::Need;

/// Paths with their handlers.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    router: Router<Gateway>,
    table: Vec<Route>,
}

/// One path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    /// As axum writes it: `/v1/models/{*name}`.
    pub(super) path: &'static str,
    pub(super) need: Need,
}

/// The finished table.
#[derive(Debug, Clone)]
pub(super) struct Table(Arc<[Route]>);

impl Routes {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Serves a path for those who may use models.
    pub(crate) fn route(self, path: &'static str, methods: MethodRouter<Gateway>) -> Self {
        self.route_for(Need::Scope(Scope::Inference), path, methods)
    }

    /// Serves a path for those who meet this need.
    pub(crate) fn route_for(
        mut self,
        need: Need,
        path: &'static str,
        methods: MethodRouter<Gateway>,
    ) -> Self {
        self.table.push(Route { path, need });
        Self { router: self.router.route(path, methods), table: self.table }
    }

    /// The paths of both.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.table.extend(other.table);
        Self { router: self.router.merge(other.router), table: self.table }
    }

    pub(super) fn into_parts(self) -> (Router<Gateway>, Table) {
        (self.router, Table(self.table.into()))
    }
}

impl Table {
    /// The entry that the router takes a request for `path` to; a path without parameters comes before those with.
    pub(super) fn find(&self, path: &str) -> Option<Route> {
        let exact = self.0.iter().find(|route| route.path == path);
        exact.or_else(|| self.0.iter().find(|route| route.takes(path))).copied()
    }

    /// Every entry.
    #[cfg(test)]
    pub(super) fn all(&self) -> &[Route] {
        &self.0
    }
}

impl Route {
    fn takes(self, path: &str) -> bool {
        let mut steps = path.split('/');
        for pattern in self.path.split('/') {
            let Some(step) = steps.next() else { return false };
            let is_parameter = pattern.starts_with('{') && pattern.ends_with('}');
            if is_parameter && step.is_empty() || !is_parameter && step != pattern {
                return false;
            }
            if pattern.starts_with("{*") {
                return true;
            }
        }
        steps.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;

    #[test]
    fn a_path_is_found_as_the_router_finds_it() {
        let handler = || get(|| async {});
        let (_, table) = Routes::new()
            .route("/v1/models/{*name}", handler())
            .route("/v1/items/{id}", handler())
            .route("/v1/items/{id}/cancel", handler())
            .route_for(Need::Key, "/v1/items/all", handler())
            .merge(Routes::new().route_for(Need::Nothing, "/health", handler()))
            .into_parts();
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(table.find(path).map(|route| route.path), expected, "{path}");
        };
        check("/health", Some("/health"));
        check("/health/", None);
        check("/v1/models", None);
        check("/v1/models/", None);
        check("/v1/models/a/b", Some("/v1/models/{*name}"));
        check("/v1/items/7", Some("/v1/items/{id}"));
        check("/v1/items/", None);
        check("/v1/items/7/cancel", Some("/v1/items/{id}/cancel"));
        check("/v1/items/7/other", None);
        check("/v1/items/all", Some("/v1/items/all"));
        check("", None);
    }
}
