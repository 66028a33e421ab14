//! The items of one request, across as many workers as it takes.
//!
//! A long list goes to its worker in parts, so that no message is larger than the processes take. What a lost worker has
//! answered is kept; its unanswered parts are asked of its successor.

use std::{future::Future, sync::Arc};

use futures::{StreamExt, stream::FuturesOrdered};
use impetus_proto::{Error, MAX_MESSAGE_BYTES, worker::worker_client::WorkerClient};
use tonic::{Response, Status, transport::Channel};

use super::{
    Upstream,
    course::{Course, Errand},
    deadline,
    failure::Failure,
    lease::{Lease, with_id},
};
use crate::trace::RequestId;

/// Items of one part. Their answers, vectors of at most tens of thousands of numbers, fit a message.
const MAX_PART_ITEMS: usize = 256;

/// Bytes of the items of one part that has more than one.
pub(super) const MAX_PART_BYTES: usize = 4 << 20;

/// Parts that the worker has at once: it tokenizes the next while it computes one.
const PARTS_AT_ONCE: usize = 2;

/// What is asked of a worker for each item of a list.
pub(super) trait Job: Sync {
    type Item: Clone + Send + Sync;
    type Message: Send;
    type Reply: Send;
    /// What the worker makes of an item.
    type Output: Send;

    /// What an item takes in a message, at most and but for a few bytes.
    fn size_bytes(item: &Self::Item) -> usize;

    /// The message to the worker of `model` for items of which the first has the place `first`.
    fn message(&self, model: &str, items: &[Self::Item], first: u32) -> Self::Message;

    fn ask(
        client: WorkerClient<Channel>,
        message: tonic::Request<Self::Message>,
    ) -> impl Future<Output = Result<Response<Self::Reply>, Status>> + Send;

    /// The model that the reply is of, and what it says of each item.
    fn open(reply: Self::Reply) -> (String, Vec<Self::Output>);

    /// What is untrue about the outputs of a part, given those before them.
    fn doubt(&self, model: &str, outputs: &[Self::Output], before: &[Self::Output]) -> Option<String>;
}

/// What is known of a request, whichever worker answers it.
struct Progress<J: Job> {
    job: J,
    id: RequestId,
    parts: Vec<Part<J::Item>>,
    /// Parts whose outputs have been received.
    n_done: usize,
    outputs: Vec<J::Output>,
}

/// Items that travel together.
#[derive(Debug, PartialEq)]
pub(super) struct Part<T> {
    /// Place of the first of them in the request.
    pub(super) first: usize,
    pub(super) items: Vec<T>,
}

/// Does `job` for all `items`; answers the canonical name of the model that did it, and the outputs in the order of the
/// items. Dropping it cancels.
pub(super) async fn work<J: Job>(
    upstream: &Arc<Upstream>,
    errand: Errand,
    job: J,
    items: Vec<J::Item>,
) -> Result<(Arc<str>, Vec<J::Output>), Error> {
    deadline::within(Box::pin(run(upstream, errand, job, items)), upstream.limits.request_timeout).await
}

async fn run<J: Job>(
    upstream: &Arc<Upstream>,
    errand: Errand,
    job: J,
    items: Vec<J::Item>,
) -> Result<(Arc<str>, Vec<J::Output>), Error> {
    let id = errand.id.clone();
    let mut course = Course::begin(upstream, errand)?;
    let parts = split(items, J::size_bytes);
    let mut progress = Progress { job, id, parts, n_done: 0, outputs: Vec::new() };
    loop {
        let mut lease = course.lease().await?;
        match progress.go_on(upstream, &mut course, &mut lease).await {
            Ok(()) => return Ok((lease.model.clone(), progress.outputs)),
            Err(failure) => course.lost(lease, failure, progress.n_done).await?,
        }
    }
}

impl<J: Job> Progress<J> {
    /// Asks the leased worker for every part that is not done.
    async fn go_on(
        &mut self,
        upstream: &Upstream,
        course: &mut Course,
        lease: &mut Lease,
    ) -> Result<(), Failure> {
        let channel =
            upstream.connections.get(&lease.endpoint, "the worker").await.map_err(Failure::Broken)?;
        course.dispatched(&lease.worker_id, self.n_done);
        let client = WorkerClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let mut asked = FuturesOrdered::new();
        let mut next = self.n_done;
        loop {
            while asked.len() < PARTS_AT_ONCE
                && let Some(part) = self.parts.get(next)
            {
                let message = self.job.message(&lease.model, &part.items, part.first as u32);
                asked.push_back(J::ask(client.clone(), with_id(message, &self.id)));
                next += 1;
            }
            let reply = tokio::select! {
                biased;
                reply = asked.next() => reply,
                () = lease.silence() => return Err(Failure::broken("it is gone")),
            };
            match reply {
                Some(Ok(reply)) => self.take(reply.into_inner(), &lease.model)?,
                Some(Err(status)) => return Err(Failure::of(&status)),
                None => return Ok(()),
            }
            course.went_on();
        }
    }

    /// Checks that the reply is that of the next part, and takes in its outputs.
    fn take(&mut self, reply: J::Reply, model: &Arc<str>) -> Result<(), Failure> {
        let untrue = |message| Err(Failure::untrue(message));
        let (said, outputs) = J::open(reply);
        if said != **model {
            return untrue(format!("the worker of {model:?} answered for {said:?}"));
        }
        let (n_outputs, n_items) = (outputs.len(), self.parts[self.n_done].items.len());
        if n_outputs != n_items {
            return untrue(format!("the worker of {model:?} gave {n_outputs} answers for {n_items} inputs"));
        }
        if let Some(doubt) = self.job.doubt(model, &outputs, &self.outputs) {
            return untrue(doubt);
        }
        self.outputs.extend(outputs);
        self.n_done += 1;
        Ok(())
    }
}

/// Cuts the items into parts of bounded size, each of at least one item.
pub(super) fn split<T>(items: Vec<T>, size_bytes: impl Fn(&T) -> usize) -> Vec<Part<T>> {
    let mut parts: Vec<Part<T>> = Vec::new();
    let mut n_bytes = 0;
    for (idx, item) in items.into_iter().enumerate() {
        let item_bytes = size_bytes(&item);
        n_bytes += item_bytes;
        match parts.last_mut() {
            Some(part) if part.items.len() < MAX_PART_ITEMS && n_bytes <= MAX_PART_BYTES => {
                part.items.push(item);
            }
            _ => {
                parts.push(Part { first: idx, items: vec![item] });
                n_bytes = item_bytes;
            }
        }
    }
    parts
}
