//! Why a bench cannot go on, or a request of it counts as failed.

use std::io;

use crate::ctl::http::HttpError;

#[derive(Debug, thiserror::Error)]
pub(in crate::ctl) enum BenchError {
    #[error("{url:?} is no address of a server: {reason}, such as http://127.0.0.1:8080")]
    Url { url: String, reason: &'static str },
    #[error("the lease on the model ended before it was ready: {0}; look at `supervisorctl status`")]
    Lease(String),
    #[error("no server answers on {url}: {source}; start it, or correct the address")]
    Unreachable { url: String, source: io::Error },
    #[error("{url}: {source}")]
    Http { url: String, source: HttpError },
    #[error("{url} refused a request with {status}: {message}")]
    Refused { url: String, status: u16, message: String },
    #[error("{url} failed a request: {message}")]
    Failed { url: String, message: String },
    #[error(
        "{url} ended an answer without text, its usage or [DONE]; it has to stream completions as OpenAI's API does"
    )]
    Silent { url: String },
    #[error("{url} did not finish a request within {seconds} s")]
    Slow { url: String, seconds: u64 },
    #[error(
        "nothing can be measured: the model has {context_tokens} tokens of context, and the shortest of --prompt with \
         --tokens takes {least}"
    )]
    NothingFits { context_tokens: u32, least: u32 },
}
