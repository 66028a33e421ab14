//! Graphs for worker-onnx: which of an export's files is the model, and whether all that it needs is there.

use std::{path::Path, sync::Arc};

use super::{Folder, GENAI_CONFIG, NAMED, ONNX_FOLDER, Parts};
use crate::{
    broken::FolderProblem,
    catalog::{ONNX_FORMAT, file::file_name, walk::FoundFile},
    metadata::{Config, Weights},
    onnx::{Graph, Port},
};

/// Graphs of decoders and encoders in the order in which they are preferred: with and without a cache in one graph,
/// then with a cache alone, then without.
const MODELS: [&str; 4] = ["model", "decoder_model_merged", "decoder_with_past_model", "decoder_model"];
/// What follows these names when weights are stored otherwise, the most exact first.
const VARIANTS: [&str; 13] = [
    "",
    "_fp16",
    "_bf16",
    "_int8",
    "_q8",
    "_quantized",
    "_uint8",
    "_q4f16",
    "_q4",
    "_int4",
    "_bnb4",
    "_q2f16",
    "_q2",
];
/// The graph of a pair that takes a cache, and the one that begins without.
const PAIR: (&str, &str) = ("decoder_with_past_model", "decoder_model");
/// Outputs of graphs that compute no text.
const EMBEDDINGS: [&str; 5] =
    ["sentence_embedding", "last_hidden_state", "token_embeddings", "text_embeds", "pooler_output"];
/// The output of graphs that compute tokens, with three dimensions, or that rank texts, with two.
const LOGITS: &str = "logits";
const EXTENSION: &str = "onnx";
/// Where graphs are looked for: in the folder itself and in its subfolder for exports.
const SUBFOLDERS: [&str; 2] = ["", ONNX_FOLDER];

/// The graphs in a folder and in its subfolder for exports, if there are any; `graph` is the one that a place names.
pub(super) fn find<'a>(folder: &'a Folder, config: &Config, graph: Option<&Path>) -> Option<Parts<'a>> {
    let chosen = match graph {
        Some(graph) => Ok(vec![folder.files.get(graph)?]),
        None => choose(folder, config).or_else(|| {
            let mut outside =
                SUBFOLDERS.iter().filter_map(|subfolder| folder.outside_in(subfolder, is_graph));
            outside.next().map(Err)
        })?,
    };
    let parts = |files: Vec<&'a FoundFile>, weights| {
        let path = files.first().map_or(&folder.path, |file| &file.path).clone();
        Parts { format: ONNX_FORMAT, path, files, index: None, weights }
    };
    let graphs = match chosen {
        Ok(graphs) => with_pair(folder, graphs),
        Err(broken) => return Some(parts(all(folder), Err(broken))),
    };
    Some(match measure(folder, &graphs) {
        Ok((weights, data)) => parts(graphs.into_iter().chain(data).collect(), Ok(weights)),
        Err(broken) => parts(graphs, Err(broken)),
    })
}

/// Whether a file's name is one of graphs.
pub(crate) fn is_graph(path: &Path) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(EXTENSION))
}

/// All graphs of a folder.
fn all(folder: &Folder) -> Vec<&FoundFile> {
    let in_folders = SUBFOLDERS.into_iter().flat_map(|subfolder| folder.files_in(subfolder));
    in_folders.filter(|file| is_graph(&file.path)).collect()
}

/// The graph to begin with: that which `genai_config.json` names; else, in the folder and then in its subfolder, one of
/// a usual name, the only one, or one of a usual name with a variant's ending.
fn choose<'a>(folder: &'a Folder, config: &Config) -> Option<Result<Vec<&'a FoundFile>, FolderProblem>> {
    if let Some(name) = config.decoder_file() {
        let in_folder = ["", ONNX_FOLDER]
            .into_iter()
            .find(|subfolder| folder.file(Path::new(subfolder).join(GENAI_CONFIG)).is_some());
        let base = folder.path.join(in_folder.unwrap_or_default());
        return Some(folder.named(GENAI_CONFIG, &base, std::iter::once(name)));
    }
    for subfolder in SUBFOLDERS {
        let graphs: Vec<&FoundFile> =
            folder.files_in(subfolder).filter(|file| is_graph(&file.path)).collect();
        let named = |stem: &str| {
            let name = format!("{stem}.{EXTENSION}");
            graphs.iter().copied().find(|file| file_name(&file.path).eq_ignore_ascii_case(&name))
        };
        let of_variant = |variant: &str| {
            MODELS.iter().find_map(|model| {
                // A graph that takes a cache is of no use without the one that makes it.
                let is_half = *model == PAIR.0 && (!variant.is_empty() || named(PAIR.1).is_none());
                named(&format!("{model}{variant}")).filter(|_| !is_half)
            })
        };
        let chosen = of_variant(VARIANTS[0])
            .or_else(|| graphs.first().copied().filter(|_| graphs.len() == 1))
            .or_else(|| VARIANTS.iter().find_map(|variant| of_variant(variant)));
        match chosen {
            Some(graph) => return Some(Ok(vec![graph])),
            None if graphs.is_empty() => {}
            None => {
                let names = graphs.iter().take(NAMED).map(|file| folder.name_of(&file.path)).collect();
                return Some(Err(FolderProblem::ManyGraphs { names }));
            }
        }
    }
    None
}

/// Adds to one of a pair of graphs the other.
fn with_pair<'a>(folder: &'a Folder, mut graphs: Vec<&'a FoundFile>) -> Vec<&'a FoundFile> {
    let other = graphs.first().and_then(|graph| {
        let other = match graph.path.file_stem()?.to_str()? {
            stem if stem == PAIR.0 => PAIR.1,
            stem if stem == PAIR.1 => PAIR.0,
            _ => return None,
        };
        folder.files.get(&graph.path.with_file_name(format!("{other}.{EXTENSION}")))
    });
    graphs.extend(other);
    graphs
}

/// What the graphs say of their weights, and the files that these are in.
fn measure<'a>(
    folder: &'a Folder,
    graphs: &[&FoundFile],
) -> Result<(Weights, Vec<&'a FoundFile>), FolderProblem> {
    let mut weights = Weights::default();
    let mut data: Vec<&FoundFile> = Vec::new();
    for (idx, file) in graphs.iter().enumerate() {
        let name = folder.name_of(&file.path);
        let graph = Graph::read(folder.open(file)?, file.metadata.len())
            .map_err(|source| FolderProblem::Onnx { file: name.clone(), source: Arc::new(source) })?;
        let own = data_files(folder, file, &name, &graph)?;
        let available =
            own.iter().fold(file.metadata.len(), |sum, file| sum.saturating_add(file.metadata.len()));
        // Tensors may share their data, so that what they add up to is no more than a claim.
        weights.bytes = weights.bytes.saturating_add(graph.weights.bytes().min(available));
        if idx == 0 {
            weights.parameters = parameters(&graph);
            weights.quantization = quantization(&graph);
            weights.embeds = !graph.gives(LOGITS) && EMBEDDINGS.iter().any(|name| graph.gives(name));
            let of_texts =
                |port: &Port| port.name == LOGITS && port.dimensions.as_ref().is_some_and(|d| d.len() == 2);
            weights.ranks = graph.outputs.iter().any(of_texts);
        }
        let is_new = |file: &&FoundFile| !data.iter().any(|known| known.path == file.path);
        let new: Vec<&FoundFile> = own.into_iter().filter(is_new).collect();
        data.extend(new);
    }
    Ok((weights, data))
}

/// The files with a graph's external data, which are as long as the graph says.
fn data_files<'a>(
    folder: &'a Folder,
    file: &FoundFile,
    name: &str,
    graph: &Graph,
) -> Result<Vec<&'a FoundFile>, FolderProblem> {
    let base = file.path.parent().unwrap_or(&folder.path);
    let files = folder.named(name, base, graph.data_files.keys().map(String::as_str))?;
    for (data, part) in files.iter().zip(graph.data_files.values()) {
        let found = data.metadata.len();
        if part.end > found {
            let file = folder.name_of(&data.path);
            return Err(FolderProblem::ShortFile { file, by: name.to_owned(), needed: part.end, found });
        }
    }
    Ok(files)
}

/// Elements of a graph's weights; those that its nodes unpack count as what they unpack to.
fn parameters(graph: &Graph) -> u64 {
    let bits = graph.packed_bits.filter(|bits| (1..8).contains(bits));
    graph.weights.by_type.iter().fold(0, |sum, (element, share)| {
        let factor = bits.filter(|_| element.bits() == 8).map_or(1, |bits| 8 / bits);
        sum.saturating_add(share.elements.saturating_mul(factor))
    })
}

fn quantization(graph: &Graph) -> Option<String> {
    if let Some(bits) = graph.packed_bits.filter(|bits| (1..=8).contains(bits)) {
        return Some(format!("INT{bits}"));
    }
    let name = graph.weights.dominant_type()?.name();
    Some(name.strip_prefix('U').unwrap_or(name).to_owned())
}
