//! `POST /api/pull`: a model is fetched into the store. `POST /api/push`: none is sent away.

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use impetus_proto::{
    Code, Error,
    fetch::{FetchProgress, Plan},
    store::{PullEvent, PullRequest, Stored, pull_event::Event},
};
use serde_json::{Value, json};

use super::{
    changing,
    preset::{Preset, bare, check_name},
    told::{self, Listener},
};
use crate::{
    dialect::{Refusal, field::Fields, ignored::Ignored},
    server::{Gateway, read_body},
};

/// What is shown of a digest, in characters.
const SHOWN: usize = 12;

/// What is to be fetched.
struct Wish {
    /// As it was asked for.
    name: String,
    is_streamed: bool,
}

/// How far a pull is.
#[derive(Default)]
struct Course {
    /// Of the largest file, or its name where the server does not tell.
    digest: String,
    total_bytes: u64,
    has_verified: bool,
}

/// Fetches a model and says how that goes.
pub(super) async fn pull(
    State(gateway): State<Gateway>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let body = read_body(request, gateway.limits).await?;
    let mut fields = Fields::of_body(&body)?;
    let wish = Wish::read(&mut fields)?;
    let mut ignored = Ignored::default();
    ignored.add("", &fields);
    let mut response = told::answer(wish.is_streamed, |listener| fetch(gateway, wish, listener)).await?;
    ignored.write(response.headers_mut());
    Ok(response)
}

/// Says why not.
pub(super) async fn push(
    State(gateway): State<Gateway>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    // Read, so that a client that sends first hears the answer.
    read_body(request, gateway.limits).await?;
    let message =
        "this server sends models to no registry; copy the model's files, which `supervisorctl show` names";
    Err(Error::new(Code::UnsupportedParameter, message).into())
}

async fn fetch(gateway: Gateway, wish: Wish, listener: Listener) -> Result<(), Error> {
    listener.status("pulling manifest").await;
    let reference = bare(&wish.name).to_owned();
    // What has a plain name is called by it; a repository's name is a path, and no model's.
    let name = if reference.contains('/') { String::new() } else { reference.clone() };
    let request = PullRequest { reference, name, ..PullRequest::default() };
    let mut events = gateway.upstream.store().await?.pull(request).await.map_err(Error::from)?.into_inner();
    let mut course = Course::default();
    loop {
        let event = tokio::select! {
            event = events.message() => event?,
            // What has come is kept, and the next one goes on from there.
            () = listener.gone() => return Ok(()),
        };
        match event.map(|PullEvent { event }| event) {
            Some(Some(Event::Plan(plan))) => {
                course = Course::of(&plan);
                let present = FetchProgress { bytes: plan.present_bytes, ..FetchProgress::default() };
                course.tell(&present, &listener).await;
            }
            Some(Some(Event::Progress(progress))) => course.tell(&progress, &listener).await,
            Some(Some(Event::Done(model))) => {
                course.verify(&listener).await;
                return arrived(&gateway, &wish, &model, &listener).await;
            }
            Some(None) => {}
            None => return Err(Error::internal("the pull ended without a word")),
        }
    }
}

/// The model is here. Where it is called otherwise than it was asked for, that is another name of it from now on.
async fn arrived(gateway: &Gateway, wish: &Wish, model: &Stored, listener: &Listener) -> Result<(), Error> {
    listener.status("writing manifest").await;
    let asked = bare(&wish.name);
    if asked != model.name && check_name("model", asked).is_ok() {
        gateway.presets.put(Preset::another_name(asked, model.name.clone())).await?;
    }
    Ok(())
}

impl Wish {
    fn read(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let name = changing::model_of(fields)?;
        if fields.flag("insecure")?.unwrap_or(false) {
            let message =
                "insecure is not supported: models are fetched over encrypted connections; leave it out";
            return Err(Error::new(Code::UnsupportedParameter, message).with_param("insecure"));
        }
        for field in ["username", "password"] {
            if fields.text(field)?.is_some_and(|text| !text.is_empty()) {
                let message = format!(
                    "{field} is not supported; the server's owner keeps a token for gated models with `supervisorctl login`"
                );
                return Err(Error::new(Code::UnsupportedParameter, message).with_param(field));
            }
        }
        Ok(Self { name, is_streamed: fields.flag("stream")?.unwrap_or(true) })
    }
}

impl Course {
    fn of(plan: &Plan) -> Self {
        let largest = plan.files.iter().max_by_key(|file| file.bytes);
        let digest = largest.map_or_else(String::new, |file| match file.sha256.as_str() {
            "" => file.path.clone(),
            sha256 => format!("sha256:{sha256}"),
        });
        Self { digest, total_bytes: plan.total_bytes, has_verified: false }
    }

    async fn tell(&mut self, progress: &FetchProgress, listener: &Listener) {
        if progress.verifying {
            return self.verify(listener).await;
        }
        listener.say(self.line(progress)).await;
    }

    /// Says once that what came is compared with its digests, which it is before it is a model.
    async fn verify(&mut self, listener: &Listener) {
        if !self.has_verified {
            listener.status("verifying sha256 digest").await;
        }
        self.has_verified = true;
    }

    fn line(&self, progress: &FetchProgress) -> Value {
        let digest = self.digest.strip_prefix("sha256:").unwrap_or(&self.digest);
        let shown: String = digest.chars().take(SHOWN).collect();
        json!({
            "status": format!("pulling {shown}"),
            "digest": self.digest,
            "total": self.total_bytes,
            "completed": progress.bytes.min(self.total_bytes),
        })
    }
}
