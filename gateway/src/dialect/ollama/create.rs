//! `POST /api/create`: a model is made of another one, or of files that were sent as blobs.

mod recipe;
mod weights;

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use impetus_proto::{Code, Error};
use tracing::info;

use super::{
    modelfile::{Modelfile, written},
    named::Named,
    preset::{Preset, Presets, bare, check_name},
    told::{self, Listener},
};
use crate::{
    clock::unix_now,
    dialect::{Refusal, field::Fields, ignored::Ignored},
    server::{Caller, Gateway, read_body},
};
use recipe::{Recipe, Source};

/// Makes a model.
pub(super) async fn create(
    State(gateway): State<Gateway>,
    Extension(caller): Extension<Caller>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let body = read_body(request, gateway.limits).await?;
    let mut fields = Fields::of_body(&body)?;
    let recipe = Recipe::read(&mut fields)?;
    let mut ignored = Ignored::default();
    ignored.add("", &fields);
    let is_streamed = recipe.is_streamed;
    let order = Order::of(&gateway, &caller, recipe).await?;
    let mut response = told::answer(is_streamed, |listener| order.carry_out(gateway, listener)).await?;
    ignored.write(response.headers_mut());
    Ok(response)
}

/// What is to be done, checked as far as it can be before it is begun.
struct Order {
    name: String,
    base: Base,
    source: Source,
    /// The type that the weights are to have.
    quantize: Option<String>,
    /// None where the model alone is what is asked for.
    preset: Option<Preset>,
}

/// Of what a model is made.
enum Base {
    /// A model of this server, by its own name.
    Model(String),
    /// A preset, whose settings are those of the new one as far as it has none.
    Preset(Box<Preset>),
    /// Files that were sent.
    Blobs,
}

impl Order {
    async fn of(gateway: &Gateway, caller: &Caller, recipe: Recipe) -> Result<Self, Error> {
        let Recipe { name, source, modelfile, quantize, .. } = recipe;
        let name = bare(&name).to_owned();
        check_name("model", &name)?;
        let base = match &source {
            Source::Model(from) => Base::named(gateway, caller, from).await?,
            Source::Files(files) => {
                gateway.blobs.check(files).await?;
                Base::Blobs
            }
        };
        let mut order = Self { name, base, source, quantize, preset: None };
        order.check_place(gateway).await?;
        if let Some(template) = &modelfile.template {
            order.check_template(gateway, template).await?;
        }
        order.preset = order.preset_of(modelfile);
        order.preset.as_ref().map_or(Ok(()), Presets::check)?;
        Ok(order)
    }

    /// The model of the server that the new one is served by; none where that is yet to be made.
    fn from(&self) -> Option<&str> {
        if self.quantize.is_some() { None } else { self.base.model() }
    }

    /// Refuses a name that another model of the server has already.
    async fn check_place(&self, gateway: &Gateway) -> Result<(), Error> {
        let holder = match gateway.upstream.model(&self.name).await {
            Ok(model) => model.name,
            Err(error) if error.code() == Code::ModelNotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if self.from() == Some(&holder) {
            return Ok(());
        }
        let message = format!(
            "{:?} is the name of a model of this server; choose another one, or delete that model first",
            self.name
        );
        Err(Error::new(Code::Conflict, message).with_param("model"))
    }

    /// Prompts are made by the template in a model's file; another one would be passed over.
    async fn check_template(&self, gateway: &Gateway, template: &str) -> Result<(), Error> {
        let own = match self.from() {
            Some(model) => Some(gateway.upstream.show(model).await?.chat_template),
            None => None,
        };
        if own.is_some_and(|own| own.trim() == template.trim()) {
            return Ok(());
        }
        let message = "template is not supported unless it is the one that is in the model's own file, which makes its \
                       prompts in any case; leave it out";
        Err(Error::new(Code::UnsupportedParameter, message).with_param("template"))
    }

    /// The settings that are kept of it.
    fn preset_of(&self, mut made: Modelfile) -> Option<Preset> {
        let from = self.from().unwrap_or(&self.name).to_owned();
        if let Base::Preset(base) = &self.base {
            made.inherit(Preset::clone(base));
        } else if from == self.name && made.is_plain() {
            return None;
        }
        (made.from, made.template) = (Some(from.clone()), None);
        let modelfile = written(&made);
        let Modelfile { system, messages, options, license, .. } = made;
        let (name, created_unix_s) = (self.name.clone(), unix_now());
        Some(Preset { name, from, system, messages, options, license, modelfile, created_unix_s })
    }

    async fn carry_out(self, gateway: Gateway, listener: Listener) -> Result<(), Error> {
        if self.from().is_none() {
            weights::make(&gateway, &listener, &self).await?;
        }
        listener.status("writing manifest").await;
        info!(model = self.name, from = self.from(), "made");
        match self.preset {
            Some(preset) => gateway.presets.put(preset).await,
            // Settings that were made over it before are not asked for any more.
            None => gateway.presets.remove(&self.name).await.map(drop),
        }
    }
}

impl Base {
    /// The model of this server that it is, or is served by.
    fn model(&self) -> Option<&str> {
        match self {
            Self::Model(name) => Some(name),
            Self::Preset(preset) => Some(&preset.from),
            Self::Blobs => None,
        }
    }

    /// The model or preset that `name` means, if the caller may use it.
    async fn named(gateway: &Gateway, caller: &Caller, name: &str) -> Result<Self, Error> {
        let named = Named::find(gateway, caller, name).await.map_err(|error| error.with_param("from"))?;
        Ok(named.preset.map_or(Self::Model(named.status.name), |preset| Self::Preset(Box::new(preset))))
    }
}

impl Modelfile {
    /// Whether it says nothing but of what the model is made.
    fn is_plain(&self) -> bool {
        self.system.is_none()
            && self.messages.is_empty()
            && self.options.is_empty()
            && self.license.is_empty()
    }

    /// Takes over what it does not say itself.
    fn inherit(&mut self, base: Preset) {
        self.system = self.system.take().or(base.system);
        if self.messages.is_empty() {
            self.messages = base.messages;
        }
        if self.license.is_empty() {
            self.license = base.license;
        }
        let own = std::mem::replace(&mut self.options, base.options);
        self.options.extend(own);
    }
}
