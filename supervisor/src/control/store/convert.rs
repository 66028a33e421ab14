//! `Convert`

use futures::{StreamExt, stream};
use impetus_models::ModelName;
use impetus_proto::{
    Error,
    store::{ConvertEvent, ConvertPlan, ConvertProgress, ConvertRequest, convert_event::Event},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{super::Answers, StoreService};
use crate::conversions::{Plan, Step, Told, Wanted};

/// What may be said before whoever listens has heard it.
const AHEAD: usize = 16;

impl StoreService {
    /// Answers how the conversion goes until it ends.
    pub(super) async fn answer_convert(
        &self,
        request: ConvertRequest,
    ) -> Result<Answers<ConvertEvent>, Error> {
        let plan_only = request.plan_only;
        let plan = self.0.conversions.plan(&wanted(request)?).await?;
        let first = stream::iter([Ok(event(Event::Plan(message(&plan))))]);
        if plan_only {
            return Ok(first.boxed());
        }
        let (tell, told) = mpsc::channel(AHEAD);
        let conversions = self.0.conversions.clone();
        let sizes: Vec<u64> = plan.steps.iter().map(|step| step.bytes).collect();
        tokio::spawn(async move {
            let made = conversions.make(&plan, &tell).await.map(Box::new);
            // An error means that nobody wants to know.
            drop(tell.send(Told::End(made)).await);
        });
        let service = self.clone();
        let events = ReceiverStream::new(told).map(move |told| match told {
            Told::Progress { step, bytes } => {
                let total_bytes = sizes.get(step).copied().unwrap_or_default();
                Ok(event(Event::Progress(ConvertProgress { step: step as u32, bytes, total_bytes })))
            }
            Told::End(Ok(kept)) => Ok(event(Event::Done(service.message(*kept, &[])))),
            Told::End(Err(error)) => Err(error.into()),
        });
        Ok(first.chain(events).boxed())
    }
}

fn wanted(request: ConvertRequest) -> Result<Wanted, Error> {
    let name = (!request.name.is_empty()).then(|| ModelName::new(&request.name)).transpose();
    let name = name.map_err(|error| Error::invalid("name", error.to_string()))?;
    Ok(Wanted { model: request.model, kind: request.r#type.to_lowercase(), name })
}

fn message(plan: &Plan) -> ConvertPlan {
    let step = |step: &Step| {
        let kind = step.kind.map_or_else(|| "its own type".to_owned(), str::to_uppercase);
        format!("worker-{} writes {kind}", step.format)
    };
    ConvertPlan {
        model: plan.model.clone(),
        name: plan.name.to_string(),
        r#type: plan.kind.to_uppercase(),
        source_format: plan.format.clone(),
        source_type: plan.source_kind.clone(),
        bytes: plan.steps.last().map_or(0, |step| step.bytes),
        disk_bytes: plan.disk_bytes,
        steps: plan.steps.iter().map(step).collect(),
        notes: plan.notes.clone(),
    }
}

fn event(event: Event) -> ConvertEvent {
    ConvertEvent { event: Some(event) }
}
