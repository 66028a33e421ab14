//! Whether a model continues text, turns it into vectors, or ranks documents.

use super::Task;

/// Architectures of GGUF files that are encoders.
const GGUF_ENCODERS: [&str; 11] = [
    "bert",
    "nomic-bert",
    "nomic-bert-moe",
    "jina-bert-v2",
    "jina-bert-v3",
    "modern-bert",
    "neo-bert",
    "eurobert",
    "gemma-embedding",
    "llama-embed",
    "t5encoder",
];

/// Values of `model_type` that are encoders unless `architectures` says otherwise.
const ENCODERS: [&str; 22] = [
    "albert",
    "bert",
    "camembert",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "ernie",
    "eurobert",
    "gte",
    "jina_bert",
    "modernbert",
    "mpnet",
    "neobert",
    "new",
    "nomic_bert",
    "roberta",
    "roberta-prelayernorm",
    "roformer",
    "xlm-roberta",
    "xlm-roberta-flash",
    "xlm-roberta-xl",
];

/// The task of a GGUF file by its architecture and its `pooling_type`, 0 of which is none.
pub(super) fn of_gguf(architecture: &str, pooling: Option<u32>) -> Task {
    let embeds = GGUF_ENCODERS.contains(&architecture) || pooling.is_some_and(|pooling| pooling != 0);
    if embeds { Task::Embed } else { Task::Generate }
}

/// The ending of architectures with a head that classifies, which is how cross-encoders are kept.
const CLASSIFIER: &str = "ForSequenceClassification";

/// The task of a folder by `model_type` and `architectures`.
pub(super) fn of_config(model_type: &str, architectures: &[&str]) -> Task {
    if architectures.iter().any(|name| name.ends_with(CLASSIFIER)) {
        return Task::Rerank;
    }
    let is_causal = architectures.iter().any(|name| name.contains("CausalLM") || name.contains("LMHead"));
    let is_encoder = ENCODERS.contains(&model_type) || architectures.contains(&"T5EncoderModel");
    if is_encoder && !is_causal { Task::Embed } else { Task::Generate }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoders_are_told_from_decoders() {
        fn check(model_type: &str, architectures: &[&str], expected: Task) {
            assert_eq!(of_config(model_type, architectures), expected, "{model_type} {architectures:?}");
        }
        check("bert", &["BertModel"], Task::Embed);
        check("bert", &[], Task::Embed);
        check("xlm-roberta", &["XLMRobertaModel"], Task::Embed);
        check("roberta", &["RobertaForCausalLM"], Task::Generate);
        check("bert", &["BertLMHeadModel"], Task::Generate);
        check("t5", &["T5EncoderModel"], Task::Embed);
        check("llama", &["LlamaForCausalLM"], Task::Generate);
        check("llama", &[], Task::Generate);
        check("bert", &["BertForSequenceClassification"], Task::Rerank);
        check("xlm-roberta", &["XLMRobertaForSequenceClassification"], Task::Rerank);
        check("roberta", &["RobertaForSequenceClassification"], Task::Rerank);
        check("distilbert", &["DistilBertForSequenceClassification"], Task::Rerank);
        check("modernbert", &["ModernBertForSequenceClassification"], Task::Rerank);
        check("bert", &["BertForTokenClassification"], Task::Embed);
        check("", &["SomethingForCausalLM"], Task::Generate);
    }
}
