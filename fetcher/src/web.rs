//! Requests to the outside: which servers, whose token, how long, how often again.

mod again;
mod gate;
mod reach;
mod redirect;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use impetus_proto::fetch::FetchSpec;
use reqwest::{Certificate, Client, Proxy, Response, StatusCode, Url, header};

pub(crate) use self::again::Again;
use self::{
    again::retry_after,
    gate::{Gate, Throttle},
    reach::{Reach, Resolver},
};
use crate::{error::FetchError, progress::Progress, source::server};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long an answer may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is read into memory as a whole, in bytes: the list of files of the largest repositories.
const MAX_ANSWER_BYTES: usize = 32 << 20;
/// Where the hub says what is wrong: it answers 401 for what is not there as well as for what is private.
const ERROR_CODE: &str = "x-error-code";
/// How this program names itself.
const USER_AGENT: &str = concat!("impetus/", env!("CARGO_PKG_VERSION"));

/// A client of all servers.
#[derive(Debug)]
pub(crate) struct Web {
    client: Client,
    gate: Gate,
    throttle: Throttle,
    progress: Arc<Progress>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) url: Url,
    /// Sent to this server alone, never to one that it leads to.
    pub(crate) token: Option<Arc<str>>,
    /// The first byte and the one after the last.
    pub(crate) range: Option<(u64, u64)>,
    pub(crate) accept: Option<&'static str>,
    /// What a person calls it.
    pub(crate) what: Arc<str>,
}

impl Ask {
    pub(crate) fn new(url: Url, what: &str) -> Self {
        Self { url, token: None, range: None, accept: None, what: what.into() }
    }

    pub(crate) fn range(&self, from: u64, to: u64) -> Self {
        Self { range: Some((from, to)), ..self.clone() }
    }
}

impl Web {
    pub(crate) fn new(spec: &FetchSpec, progress: Arc<Progress>) -> Result<Self, FetchError> {
        let wrong = |what| move |error: reqwest::Error| FetchError::Setting { what, why: error.to_string() };
        let reach = Arc::new(Reach::new(server(spec).as_ref(), &spec.proxy));
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .redirect(redirect::policy(reach.clone()))
            .dns_resolver(Arc::new(Resolver(reach)));
        if !spec.ca_pem.is_empty() {
            let authorities =
                Certificate::from_pem_bundle(spec.ca_pem.as_bytes()).map_err(wrong("pull.ca_file"))?;
            builder = authorities.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        }
        if !spec.proxy.is_empty() {
            builder = builder.proxy(Proxy::all(&spec.proxy).map_err(wrong("pull.proxy"))?);
        }
        Ok(Self {
            client: builder.build().map_err(wrong("the network"))?,
            gate: Gate::default(),
            throttle: Throttle::new(spec.max_bytes_per_s),
            progress,
        })
    }

    /// An answer that is one, however often it takes within reason.
    pub(crate) async fn get(&self, ask: &Ask) -> Result<Response, FetchError> {
        let mut again = Again::default();
        loop {
            self.gate.passed(&self.progress).await;
            let error = match self.send(ask).await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => self.refused(ask, &response)?,
                Err(error) => unreachable(&ask.url, &error),
            };
            again.wait(error, &self.progress).await?;
        }
    }

    /// A whole answer of text.
    pub(crate) async fn text(&self, ask: &Ask) -> Result<Vec<u8>, FetchError> {
        let mut again = Again::default();
        loop {
            match self.body(self.get(ask).await?, MAX_ANSWER_BYTES).await {
                Err(error @ FetchError::Network { .. }) => again.wait(error, &self.progress).await?,
                read => return read,
            }
        }
    }

    /// So many bytes of a file, from its beginning; `None` where the server gives files as a whole alone.
    pub(crate) async fn head(&self, ask: &Ask, bytes: u64) -> Result<Option<Vec<u8>>, FetchError> {
        let most = usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut again = Again::default();
        loop {
            let answer = self.get(&ask.range(0, bytes)).await?;
            if answer.status() != StatusCode::PARTIAL_CONTENT {
                return Ok(None);
            }
            match self.body(answer, most).await {
                Err(error @ FetchError::Network { .. }) => again.wait(error, &self.progress).await?,
                read => return read.map(Some),
            }
        }
    }

    /// An answer's bytes, of which there may be `most`.
    pub(crate) async fn body(&self, mut answer: Response, most: usize) -> Result<Vec<u8>, FetchError> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece(&mut answer).await? {
            if body.len() + piece.len() > most {
                let why = format!("it is longer than {most} bytes");
                return Err(FetchError::Garbled { url: bare(answer.url()), why });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// The next bytes of an answer, no faster than is allowed; none: there are no more.
    pub(crate) async fn piece(&self, answer: &mut Response) -> Result<Option<Bytes>, FetchError> {
        let piece = answer.chunk().await.map_err(|error| unreachable(answer.url(), &error))?;
        if let Some(piece) = &piece {
            self.throttle.passed(piece.len()).await;
        }
        Ok(piece)
    }

    async fn send(&self, ask: &Ask) -> Result<Response, reqwest::Error> {
        let mut request = self.client.get(ask.url.clone());
        if let Some(token) = &ask.token {
            request = request.bearer_auth(token);
        }
        if let Some((from, to)) = ask.range {
            request = request.header(header::RANGE, format!("bytes={from}-{}", to.saturating_sub(1)));
        }
        if let Some(accept) = ask.accept {
            request = request.header(header::ACCEPT, accept);
        }
        request.send().await
    }

    /// What an answer that is none means: an error that another try may mend, or else `Err`.
    fn refused(&self, ask: &Ask, response: &Response) -> Result<FetchError, FetchError> {
        let (status, url, what) = (response.status(), bare(response.url()), ask.what.to_string());
        let code = response.headers().get(ERROR_CODE).and_then(|code| code.to_str().ok()).unwrap_or_default();
        match status {
            _ if code == "RepoNotFound" => Err(FetchError::Hidden { what, url, status }),
            StatusCode::NOT_FOUND => Err(FetchError::NotFound { what, url }),
            // What asks for a token may as well not be there.
            StatusCode::UNAUTHORIZED if code != "GatedRepo" && ask.token.is_none() => {
                Err(FetchError::Hidden { what, url, status })
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(FetchError::Gated { what, url, status }),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let Some(wait) = retry_after(response.headers()) else {
                    return Ok(FetchError::Status { url, status });
                };
                if wait > again::LONGEST_WAIT {
                    let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
                    return Err(FetchError::Limited { url, seconds });
                }
                // Everybody waits: the server counts all that this machine asks.
                self.gate.close(wait);
                Ok(FetchError::Limited { url, seconds: u32::try_from(wait.as_secs()).unwrap_or(u32::MAX) })
            }
            _ if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                Ok(FetchError::Status { url, status })
            }
            _ => Err(FetchError::Status { url, status }),
        }
    }
}

/// An address without what may be secret in it: signed links have their key in the query.
pub(crate) fn bare(url: &Url) -> String {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    // Fails only for addresses that cannot have any.
    let _ = (bare.set_username(""), bare.set_password(None));
    bare.to_string()
}

/// A server that does not answer, or ceases to.
fn unreachable(url: &Url, error: &reqwest::Error) -> FetchError {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        why = cause.to_string();
        source = cause.source();
    }
    FetchError::Network { url: bare(url), why }
}
