//! `impetus create`: the Modelfile goes to the gateway, and before it the weights that it names, if these are files here.

mod from;
mod weights;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::{Map, Value, json};

use self::weights::Weights;
use super::{Failure, Server, api::Api};
use crate::ctl::{print, pull::Bar};

/// What is read of a Modelfile, in bytes.
const MODELFILE_BYTES: u64 = 1 << 20;

/// Standard input in the place of a file.
const STANDARD_INPUT: &str = "-";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The name that the model is to have.
    name: String,
    /// The Modelfile; - is standard input.
    #[arg(long, short, value_name = "FILE", default_value = "Modelfile")]
    file: PathBuf,
    /// The type that the weights are to have, such as q4_k_m. Default: the one that they have.
    #[arg(long, short, value_name = "TYPE")]
    quantize: Option<String>,
    /// A file with a key, where the server asks for one and it is not in the environment variable IMPETUS_API_KEY.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// Why no model is made.
#[derive(Debug, thiserror::Error)]
pub(in crate::ctl) enum CreateError {
    #[error("cannot read {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is longer than {MODELFILE_BYTES} bytes and no Modelfile", .0.display())]
    Long(PathBuf),
    #[error("{} is not text: a Modelfile is UTF-8", .0.display())]
    NotText(PathBuf),
    #[error("{} has no files that a model can have", .0.display())]
    Empty(PathBuf),
    #[error("{} has more files than a model may have, or deeper folders", .0.display())]
    TooMany(PathBuf),
    #[error("{} is called otherwise than the file of a model can be", .0.display())]
    Name(PathBuf),
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { name, file, quantize, key_file } = arguments;
    let (text, folder) = read(&file)?;
    let weights = match from::path(&text, &folder) {
        Some(path) => Weights::find(&path)?,
        None => Weights::default(),
    };
    let api = Api::of(server, key_file.as_deref()).await?;
    let mut files = Map::new();
    for part in weights.parts {
        files.insert(part.name.clone(), Value::from(part.bring(&api).await?));
    }
    let body = json!({"model": name, "modelfile": text, "quantize": quantize, "files": files});
    let mut teller = Teller::default();
    api.follow("/api/create", &body, |said| teller.tell(said)).await?;
    teller.end();
    print(&format!("{name} is made; `impetus run {name}` talks to it\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// A Modelfile, and the folder that paths in it begin at.
fn read(path: &Path) -> Result<(String, PathBuf), CreateError> {
    let failed = |source| CreateError::File { path: path.to_owned(), source };
    let (reader, folder): (Box<dyn Read>, &Path) = if path == Path::new(STANDARD_INPUT) {
        (Box::new(io::stdin().lock()), Path::new(""))
    } else {
        (Box::new(File::open(path).map_err(failed)?), path.parent().unwrap_or(Path::new("")))
    };
    let mut bytes = Vec::new();
    reader.take(MODELFILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MODELFILE_BYTES {
        return Err(CreateError::Long(path.to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|_| CreateError::NotText(path.to_owned()))?;
    Ok((text, folder.to_owned()))
}

/// Says what the server does.
#[derive(Default)]
struct Teller {
    said: String,
    bar: Option<Bar>,
}

impl Teller {
    fn tell(&mut self, said: &Value) -> Result<(), Failure> {
        let status = crate::ctl::http::plain(said["status"].as_str().unwrap_or_default());
        if status != self.said {
            self.end();
            print(&format!("{status}\n"))?;
            self.said = status;
        }
        if let (Some(total), Some(completed)) = (said["total"].as_u64(), said["completed"].as_u64()) {
            let bar = self.bar.get_or_insert_with(|| {
                let mut bar = Bar::new();
                bar.begin(total, 0);
                bar
            });
            bar.at(&impetus_proto::fetch::FetchProgress { bytes: completed, ..Default::default() });
        }
        Ok(())
    }

    fn end(&mut self) {
        if let Some(mut bar) = self.bar.take() {
            bar.clear();
        }
    }
}
