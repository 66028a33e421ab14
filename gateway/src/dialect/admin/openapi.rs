//! The operations of this API, one row each.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::{config, crashes, events, history, keys, logs, models, pulls, requests, search, status, steer};
use crate::dialect::openai::openapi::{GET, Operation, POST, of};
use crate::{overview::Sample, trace::RequestTrace};

const LOGS: &[(&str, &str)] =
    &[("source", "string"), ("level", "string"), ("request_id", "string"), ("lines", "integer")];
const DELETE: Operation = Operation { method: "delete", ..GET };

/// All of them.
pub(in crate::dialect) const OPERATIONS: &[Operation] = &[
    Operation {
        path: "/admin/status",
        id: "getAdminStatus",
        summary: "How the whole server stands",
        answer: of::<status::Status>,
        ..GET
    },
    Operation {
        path: "/admin/events",
        id: "streamAdminEvents",
        summary: "Everything live but log lines, as server-sent events",
        events: &[
            ("status", of::<status::Status>),
            ("event", of::<events::Happening>),
            ("history", of::<Sample>),
            ("pulls", of::<pulls::Pulls>),
            ("gap", of::<events::Missed>),
            ("away", of::<events::Away>),
        ],
        query: &[("since_s", "integer")],
        ..GET
    },
    Operation {
        path: "/admin/history",
        id: "getHistory",
        summary: "Samples of the last minutes or hours",
        answer: of::<history::History>,
        query: &[("since_s", "integer"), ("step_s", "integer")],
        ..GET
    },
    Operation {
        path: "/admin/models",
        id: "listStoredModels",
        summary: "The models of the store",
        answer: of::<models::StoredModels>,
        ..GET
    },
    Operation {
        path: "/admin/models",
        id: "uploadModel",
        summary: "Send a model, as a GGUF file or as a form with the files of a folder",
        body: Some(bytes),
        answer: of::<super::StoredModel>,
        query: &[("name", "string"), ("file", "string"), ("sha256", "string")],
        ..POST
    },
    Operation {
        path: "/admin/models/{name}",
        id: "getModelInfo",
        summary: "Everything that is known of a model",
        answer: of::<models::ModelInfo>,
        ..GET
    },
    Operation {
        path: "/admin/models/{name}",
        id: "removeModel",
        summary: "Unload a model of the store and remove its files",
        answer: of::<models::RemovedModel>,
        ..DELETE
    },
    Operation {
        path: "/admin/models/{name}/load",
        id: "loadModel",
        summary: "Load a model",
        body: Some(of::<steer::LoadWish>),
        answer: of::<steer::Loaded>,
        ..POST
    },
    Operation {
        path: "/admin/models/{name}/unload",
        id: "unloadModel",
        summary: "Unload a model",
        answer: of::<steer::Unloaded>,
        ..POST
    },
    Operation {
        path: "/admin/models/{name}/keep_alive",
        id: "keepModel",
        summary: "Say how long a model stays when nobody uses it",
        body: Some(of::<steer::KeepWish>),
        answer: of::<steer::Loaded>,
        ..POST
    },
    Operation {
        path: "/admin/aliases/{alias}",
        id: "swapAlias",
        summary: "Let an alias mean another model",
        body: Some(of::<steer::SwapWish>),
        answer: of::<steer::Swapped>,
        ..POST
    },
    Operation {
        path: "/admin/restart",
        id: "restartProcess",
        summary: "Replace the worker of a model, or the gateway",
        body: Some(of::<steer::RestartWish>),
        answer: of::<steer::Restarted>,
        ..POST
    },
    Operation {
        path: "/admin/pulls",
        id: "listPulls",
        summary: "Models that are fetched, or can be gone on with",
        answer: of::<pulls::Pulls>,
        ..GET
    },
    Operation {
        path: "/admin/pulls",
        id: "pullModel",
        summary: "Fetch a model, or say what would be fetched",
        body: Some(of::<pulls::Wish>),
        answer: of::<pulls::PullNews>,
        streams: true,
        ..POST
    },
    Operation {
        path: "/admin/pulls/{id}",
        id: "cancelPull",
        summary: "Stop fetching a model",
        answer: of::<Option<pulls::Pull>>,
        query: &[("discard", "boolean")],
        ..DELETE
    },
    Operation {
        path: "/admin/hub/search",
        id: "searchHub",
        summary: "Ask the hub for models",
        answer: of::<search::HubModels>,
        query: &[("q", "string"), ("format", "string"), ("limit", "integer")],
        ..GET
    },
    Operation {
        path: "/admin/logs",
        id: "getLogs",
        summary: "What the processes said last",
        answer: of::<logs::LogLines>,
        query: LOGS,
        ..GET
    },
    Operation {
        path: "/admin/logs/follow",
        id: "followLogs",
        summary: "What the processes say, as server-sent events",
        events: &[("lines", of::<logs::LogLines>)],
        query: LOGS,
        ..GET
    },
    Operation {
        path: "/admin/requests",
        id: "listRequests",
        summary: "The requests that ended last",
        answer: of::<requests::Requests>,
        query: &[("limit", "integer")],
        ..GET
    },
    Operation {
        path: "/admin/requests/{id}",
        id: "getRequest",
        summary: "A request's way through the processes",
        answer: of::<RequestTrace>,
        ..GET
    },
    Operation {
        path: "/admin/crashes",
        id: "listCrashes",
        summary: "Reports of processes that died",
        answer: of::<crashes::Crashes>,
        ..GET
    },
    Operation {
        path: "/admin/crashes/{id}",
        id: "getCrash",
        summary: "The report of a process that died",
        answer: of::<crashes::CrashReport>,
        ..GET
    },
    Operation {
        path: "/admin/keys",
        id: "listKeys",
        summary: "The keys that open the server, without their secrets",
        answer: of::<keys::ApiKeys>,
        ..GET
    },
    Operation {
        path: "/admin/keys",
        id: "makeKey",
        summary: "Make a key; its secret is answered this once",
        body: Some(of::<keys::KeyWish>),
        answer: of::<keys::MadeKey>,
        ..POST
    },
    Operation {
        path: "/admin/keys/{name}",
        id: "revokeKey",
        summary: "Take a key away",
        answer: of::<keys::RevokedKey>,
        ..DELETE
    },
    Operation {
        path: "/admin/config",
        id: "getConfiguration",
        summary: "Every setting with its value and where that comes from",
        answer: of::<config::Configuration>,
        ..GET
    },
    Operation {
        path: "/admin/config",
        id: "editConfiguration",
        summary: "Write changes into the configuration file and reload it",
        body: Some(of::<config::Wish>),
        answer: of::<config::ConfigurationChange>,
        ..POST
    },
    Operation {
        path: "/admin/config/reload",
        id: "reloadConfiguration",
        summary: "Read the configuration again",
        answer: of::<config::Reloaded>,
        ..POST
    },
    Operation {
        path: "/admin/profiles",
        id: "listProfiles",
        summary: "Sets of settings with a name",
        answer: of::<config::Profiles>,
        ..GET
    },
];

fn bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "binary"})
}
