//! Requests that crashed a worker alone. They are remembered for a while, so that the same one does it no more.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use impetus_proto::{
    Code, Error,
    worker::{EmbedInput, GenerateRequest, Sampling},
};
use prost::Message;
use tokio::{sync::watch, time::Instant};

use super::suspicion::Explained;

/// Requests remembered at once. The one that would be forgotten next makes room.
const MAX_REMEMBERED: usize = 1024;

/// What a request asks for, whoever asks and however often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(u64);

/// What has crashed workers, by model and request.
#[derive(Debug)]
pub(super) struct PoisonMemory {
    /// Keyed at random, so that nobody can make a request that looks like another one.
    hashing: RandomState,
    lasts: Duration,
    known: Mutex<HashMap<(String, Fingerprint), Poison>>,
    explained: watch::Sender<Explained>,
}

#[derive(Debug)]
struct Poison {
    cause: String,
    n_workers: usize,
    until: Instant,
}

impl PoisonMemory {
    /// A memory that keeps a request for `lasts`.
    pub(super) fn new(lasts: Duration) -> Self {
        let (hashing, explained) = (RandomState::new(), watch::channel(Explained::default()).0);
        Self { hashing, lasts, known: Mutex::default(), explained }
    }

    /// The fingerprint of a completion: all that a worker computes from, except the seed, which is a new one each time
    /// for a request that names none.
    pub(super) fn of_generation(&self, request: &GenerateRequest) -> Fingerprint {
        let sampling = request.sampling.clone().map(|sampling| Sampling { seed: 0, ..sampling });
        let content =
            GenerateRequest { sampling, model: String::new(), choice: 0, resume: None, ..request.clone() };
        Fingerprint(self.hashing.hash_one(content.encode_to_vec()))
    }

    /// The fingerprint of inputs to embed.
    pub(super) fn of_inputs(&self, inputs: &[EmbedInput]) -> Fingerprint {
        let mut hasher = self.hashing.build_hasher();
        for input in inputs {
            input.encode_to_vec().hash(&mut hasher);
        }
        Fingerprint(hasher.finish())
    }

    /// The fingerprint of documents to rank by a query.
    pub(super) fn of_documents(&self, query: &str, documents: &[String]) -> Fingerprint {
        Fingerprint(self.hashing.hash_one((query, documents)))
    }

    /// The fingerprint of a question that is one message.
    pub(super) fn of_message<M: Message>(&self, message: &M) -> Fingerprint {
        // Messages of two kinds may have the same bytes.
        Fingerprint(self.hashing.hash_one((std::any::type_name::<M>(), message.encode_to_vec())))
    }

    /// Refuses a request that has crashed workers of `model`.
    pub(super) fn check(&self, model: &str, fingerprint: Fingerprint) -> Result<(), Error> {
        let mut known = self.lock();
        if known.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        known.retain(|_, poison| poison.until > now);
        let Some(poison) = known.get(&(model.to_owned(), fingerprint)) else { return Ok(()) };
        let Poison { cause, n_workers, until } = poison;
        let seconds = (*until - now).as_secs() + 1;
        let message = format!(
            "an equal request has crashed {n_workers} workers of {model:?}, the last one alone ({cause}), and is \
             refused for another {seconds} s; send a different one"
        );
        Err(Error::new(Code::WorkerCrashed, message))
    }

    /// The crashes that are explained, and each change of that.
    pub(super) fn explained(&self) -> watch::Receiver<Explained> {
        self.explained.subscribe()
    }

    /// Keeps in mind that the request crashed these `workers` of `model`, the last of them by `cause`; answers what the
    /// client is told.
    pub(super) fn convict(
        &self,
        model: &str,
        fingerprint: Fingerprint,
        workers: &[String],
        cause: &str,
    ) -> Error {
        let (seconds, n_workers) = (self.lasts.as_secs(), workers.len());
        let again = match seconds {
            0 => String::new(),
            _ => format!("; if it is sent again within {seconds} s it is refused"),
        };
        let message = format!(
            "this request has crashed {n_workers} workers of {model:?}, the last one while it was served alone \
             ({cause}){again}"
        );
        if seconds > 0 {
            let mut known = self.lock();
            if known.len() >= MAX_REMEMBERED
                && let Some(oldest) =
                    known.iter().min_by_key(|(_, poison)| poison.until).map(|(key, _)| key.clone())
            {
                known.remove(&oldest);
            }
            let until = Instant::now() + self.lasts;
            let poison = Poison { cause: cause.to_owned(), n_workers, until };
            known.insert((model.to_owned(), fingerprint), poison);
        }
        // Last: who is cleared by this looks whether it is the same request.
        self.explained.send_modify(|explained| explained.by(workers));
        Error::new(Code::WorkerCrashed, message)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, Fingerprint), Poison>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use impetus_proto::worker::{Resume, Stopping, generate_request::Input};

    use super::*;

    fn prompt(text: &str) -> GenerateRequest {
        GenerateRequest { input: Some(Input::Text(text.into())), ..GenerateRequest::default() }
    }

    fn workers() -> [String; 3] {
        ["gguf-1", "gguf-2", "gguf-3"].map(Into::into)
    }

    #[tokio::test(start_paused = true)]
    async fn a_poison_is_refused_until_it_is_forgotten() {
        let memory = PoisonMemory::new(Duration::from_mins(10));
        let [bad, good] = ["bad", "good"].map(|text| memory.of_generation(&prompt(text)));
        memory.check("tiny", bad).unwrap();
        let told = memory.convict("tiny", bad, &workers(), "killed by SIGSEGV");
        assert_eq!(told.code(), Code::WorkerCrashed);
        assert!(told.message.contains("3 workers of \"tiny\""), "{told}");
        assert!(told.message.contains("killed by SIGSEGV") && told.message.contains("600 s"), "{told}");
        tokio::time::advance(Duration::from_mins(4)).await;
        let refused = memory.check("tiny", bad).unwrap_err();
        assert_eq!(refused.code(), Code::WorkerCrashed);
        assert!(refused.message.contains("for another 361 s"), "{refused}");
        memory.check("tiny", good).unwrap();
        memory.check("other", bad).unwrap();
        tokio::time::advance(Duration::from_mins(6)).await;
        memory.check("tiny", bad).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_is_bounded_and_can_be_turned_off() {
        let memory = PoisonMemory::new(Duration::from_mins(10));
        for number in 0..=MAX_REMEMBERED as u64 {
            memory.convict("tiny", Fingerprint(number), &workers(), "crash");
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        memory.check("tiny", Fingerprint(0)).unwrap();
        memory.check("tiny", Fingerprint(1)).unwrap_err();
        let forgetful = PoisonMemory::new(Duration::ZERO);
        forgetful.convict("tiny", Fingerprint(0), &workers(), "crash");
        forgetful.check("tiny", Fingerprint(0)).unwrap();
    }

    #[test]
    fn a_fingerprint_is_of_what_is_computed() {
        let memory = PoisonMemory::new(Duration::from_mins(10));
        let base = prompt("text");
        let check = |request: GenerateRequest, is_same: bool| {
            let fingerprints = [&base, &request].map(|request| memory.of_generation(request));
            assert_eq!(fingerprints[0] == fingerprints[1], is_same, "{request:?}");
        };
        check(GenerateRequest { model: "tiny".into(), choice: 3, ..base.clone() }, true);
        check(GenerateRequest { resume: Some(Resume { tokens: vec![1] }), ..base.clone() }, true);
        check(prompt("texts"), false);
        let stopping = Some(Stopping { max_tokens: Some(1), ..Stopping::default() });
        check(GenerateRequest { stopping, ..base.clone() }, false);
        let seeded = |seed, top_k| {
            let sampling = Some(Sampling { seed, top_k, ..Sampling::default() });
            memory.of_generation(&GenerateRequest { sampling, ..base.clone() })
        };
        assert_eq!(seeded(1, 0), seeded(2, 0));
        assert_ne!(seeded(1, 0), seeded(1, 1));
    }
}
