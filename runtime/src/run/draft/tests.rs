use std::{path::Path, sync::Arc};

use super::*;
use crate::{
    engine::{
        Card, EmbeddingLimits, TokenId, TokenizeError, Vocabulary,
        fake::{ByteVocabulary, FakeEmbedding, FakeEngine, Faults},
    },
    scheduler::SchedulerSettings,
};

const LIMITS: Limits = Limits {
    slots: 4,
    context_tokens: 4096,
    tokens_per_step: 512,
    chunk_rows: 512,
    chunks_per_step: 4,
    vocabulary: 257,
};

/// Loads whatever the path names.
struct Library;

/// Bytes, and nothing that ends a text.
#[derive(Default)]
struct Endless(ByteVocabulary);

impl Backend for Library {
    const FORMAT: &'static str = "fake";

    fn start(_threads: u32) -> Result<Self, LoadError> {
        Ok(Self)
    }

    fn version(&self) -> String {
        String::new()
    }

    fn load(&mut self, spec: &ModelSpec, progress: &Progress) -> Result<Model, LoadError> {
        progress.report(0.5);
        Ok(model(&spec.path))
    }
}

impl Vocabulary for Endless {
    fn size(&self) -> u32 {
        self.0.size()
    }

    fn piece(&self, token: TokenId) -> &[u8] {
        self.0.piece(token)
    }

    fn is_end(&self, _: TokenId) -> bool {
        false
    }

    fn encode(&self, text: &str, special: bool) -> Result<Vec<TokenId>, TokenizeError> {
        self.0.encode(text, special)
    }

    fn begin_text(&self) -> &'static str {
        ""
    }

    fn end_text(&self) -> &'static str {
        ""
    }

    fn longest_piece_bytes(&self) -> usize {
        1
    }
}

fn model(path: &Path) -> Model {
    let generate = || Task::Generate(Box::new(FakeEngine::new(LIMITS, Faults::default())));
    let (task, vocabulary): (Task, Arc<dyn Vocabulary>) = match path.to_str() {
        Some("/vectors") => {
            let limits = EmbeddingLimits {
                inputs_per_step: 4,
                tokens_per_step: 512,
                context_tokens: 512,
                vocabulary: 257,
                dimensions: 8,
                padded: false,
            };
            (Task::Embed(Box::new(FakeEmbedding::new(limits))), Arc::new(ByteVocabulary::default()))
        }
        Some("/endless") => (generate(), Arc::new(Endless::default())),
        _ => (generate(), Arc::new(ByteVocabulary::default())),
    };
    Model { task, vocabulary, card: Card::default() }
}

fn spec(path: &str) -> ModelSpec {
    ModelSpec {
        path: path.into(),
        root: "/".into(),
        slots: 1,
        context_tokens: 0,
        threads: 3,
        options: [("mmap".to_owned(), "false".to_owned())].into(),
    }
}

#[test]
fn a_draft_has_as_many_slots_and_no_more_context_than_it_can() {
    let check = |most: u32, expected: u32| {
        let draft = DraftSpec {
            path: "/d/small".into(),
            root: "/d".into(),
            context_tokens: most,
            ..DraftSpec::default()
        };
        let spec = beside(&model_spec(&draft, &spec("/m/big")), LIMITS);
        assert_eq!((spec.slots, spec.context_tokens, spec.threads), (4, expected, 3));
        assert_eq!((spec.path.as_path(), spec.options.len()), ("/d/small".as_ref(), 0));
    };
    check(0, 4096);
    check(2048, 2048);
    check(8192, 4096);
}

#[test]
fn a_draft_that_does_not_match_is_refused_by_name() {
    let check = |big: &str, draft: Option<&str>, expected: Result<bool, &str>| {
        let placement = Placement {
            model: spec(big),
            draft: draft.map(spec),
            scheduler: SchedulerSettings::default(),
            prefixes: None,
        };
        let loaded = load(&mut Library, &placement, &model(big.as_ref()), &Progress::new(|_| {}));
        match (loaded.map(|draft| draft.is_some()), expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{big} {draft:?}"),
            (Err(error), Err(expected)) => assert_eq!(
                error.to_string(),
                format!(
                    "{} cannot guess for {big}: {expected}; set `draft` to a smaller model of the same family, or to none",
                    draft.unwrap_or_default()
                )
            ),
            (got, _) => panic!("{big} {draft:?}: {got:?}"),
        }
    };
    check("/big", None, Ok(false));
    check("/vectors", None, Ok(false));
    check("/big", Some("/small"), Ok(true));
    check("/big", Some("/endless"), Err("token 256 is not the same in both vocabularies"));
    check("/big", Some("/vectors"), Err("only models that generate have drafts, and are ones"));
    check("/vectors", Some("/small"), Err("only models that generate have drafts, and are ones"));
}

#[test]
fn a_draft_is_the_last_part_of_a_load() {
    let reported = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&reported);
    let progress = Progress::new(move |fraction| seen.lock().unwrap().push((fraction * 1000.0).round()));
    let placement = Placement {
        model: spec("/big"),
        draft: Some(spec("/small")),
        scheduler: SchedulerSettings::default(),
        prefixes: None,
    };
    load(&mut Library, &placement, &model("/big".as_ref()), &progress).unwrap();
    assert_eq!(*reported.lock().unwrap(), [950.0]);
}
