//! A graph file, opened: what it takes, what it gives, and the session that computes it.

mod port;
mod scan;
mod wire;

use impetus_runtime::{engine::LoadError, huggingface::Folder};
use ort::session::{Session, builder::SessionBuilder};

pub(crate) use self::{
    port::{FLOATS, INTEGERS, Port},
    scan::Scan,
};
use crate::{
    error::{ModelError, words},
    library::Library,
    option::Options,
};

/// A graph and its session.
pub(crate) struct Graph {
    /// The graph's file, for messages.
    pub(crate) file: String,
    pub(crate) session: Session,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    pub(crate) scan: Scan,
}

/// Opens graphs, all in the same way.
pub(crate) struct Opener<'a> {
    pub(crate) library: &'a Library,
    pub(crate) options: &'a Options,
    /// Compute threads.
    pub(crate) threads: u32,
}

impl Opener<'_> {
    /// Refuses a provider that this machine or this library cannot offer, with the library's words.
    pub(crate) fn check_provider(&self) -> Result<(), LoadError> {
        self.builder().map(|_| ()).map_err(|error| LoadError::Option {
            name: "provider".into(),
            value: self.options.provider.name().into(),
            expected: format!("it is not available ({}); use cpu", words(&error)),
        })
    }

    /// Opens the graph `file` of `folder`. Nothing outside of the folder's root is opened with it.
    pub(crate) fn open(&self, folder: &Folder, file: &str) -> Result<Graph, ModelError> {
        let scan = Scan::check(folder, file)?;
        let refused = |error: &ort::Error| ModelError::Library {
            file: file.to_owned(),
            what: "could not be loaded",
            words: words(error),
        };
        // The name and not where a link leads: names of weights are relative to it.
        let path = folder.path().join(file);
        let session = self
            .builder()
            .and_then(|mut builder| builder.commit_from_file(&path))
            .map_err(|error| refused(&error))?;
        let ports = |outlets: &[ort::value::Outlet]| {
            let ports = outlets.iter().map(|outlet| {
                Port::read(outlet).ok_or_else(|| ModelError::Port {
                    file: file.to_owned(),
                    name: outlet.name().to_owned(),
                    found: outlet.dtype().to_string(),
                    expected: "a tensor".into(),
                })
            });
            ports.collect::<Result<Vec<_>, _>>()
        };
        let (inputs, outputs) = (ports(session.inputs())?, ports(session.outputs())?);
        Ok(Graph { file: file.to_owned(), session, inputs, outputs, scan })
    }

    fn builder(&self) -> ort::Result<SessionBuilder> {
        let builder = Session::builder(&self.library.environment)?
            .with_optimization_level(self.options.graph_optimization.level())?
            .with_intra_threads(self.threads.max(1) as usize)?
            .with_inter_threads(1)?
            // Workers share the machine's cores.
            .with_intra_op_spinning(false)?
            .with_inter_op_spinning(false)?
            // Patterns are kept for each shape that was ever seen, and a cache has another shape in every step.
            .with_memory_pattern(false)?;
        match self.options.provider.dispatch() {
            Some(provider) => Ok(builder.with_execution_providers([provider])?),
            None => Ok(builder),
        }
    }
}
