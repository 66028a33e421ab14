//! What a model can do, as far as is known without loading it.

use impetus_proto::{
    supervisor::ModelStatus,
    worker::{Description, Task},
};

/// By which templates show that their models think before they answer.
const SIGNS_OF_THOUGHT: [&str; 8] = [
    "enable_thinking",
    "reasoning_effort",
    "reasoning_content",
    "thinking_budget",
    "<think>",
    "<seed:think>",
    "[THINK]",
    "<|channel|>analysis",
];

/// Syntaxes in which thoughts always have a place.
const THINKING_FORMATS: [&str; 1] = ["harmony"];

/// What is called so by Ollama: of the model's task, of its template, and of its worker where one has the model.
pub(super) fn capabilities(
    status: &ModelStatus,
    template: &str,
    worker: Option<&Description>,
) -> Vec<&'static str> {
    let task = match status.task.as_str() {
        "generate" => Task::Generate,
        "embed" => Task::Embed,
        "rerank" => Task::Rerank,
        _ => worker.map_or(Task::Unspecified, Description::task),
    };
    if task == Task::Embed {
        return vec!["embedding"];
    }
    if task != Task::Generate {
        return Vec::new();
    }
    let format = worker.map_or("", |worker| &worker.output_format);
    let can = [
        ("completion", true),
        ("tools", worker.map_or_else(|| template.contains("tools"), |worker| worker.tools)),
        ("insert", worker.is_some_and(|worker| worker.infill)),
        ("thinking", thinks(template, format)),
    ];
    can.into_iter().filter_map(|(name, can)| can.then_some(name)).collect()
}

/// Whether a model of this template, which writes in this syntax, thinks before it answers.
pub(super) fn thinks(template: &str, format: &str) -> bool {
    THINKING_FORMATS.contains(&format) || SIGNS_OF_THOUGHT.iter().any(|sign| template.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_can_what_its_task_its_template_and_its_worker_say() {
        let check = |task: &str, template: &str, worker: Option<Description>, expected: &[&str]| {
            let status = ModelStatus { task: task.into(), ..ModelStatus::default() };
            assert_eq!(capabilities(&status, template, worker.as_ref()), expected, "{task} {template}");
        };
        let worker = |tools: bool, infill: bool| {
            Some(Description { tools, infill, task: Task::Generate.into(), ..Description::default() })
        };
        check("generate", "", None, &["completion"]);
        check("generate", "{% if tools %}", None, &["completion", "tools"]);
        check("generate", "{% if tools %}", worker(false, true), &["completion", "insert"]);
        check("generate", "<think>", worker(true, false), &["completion", "tools", "thinking"]);
        let harmony = Description { output_format: "harmony".into(), ..Description::default() };
        check("generate", "", Some(harmony), &["completion", "thinking"]);
        check("embed", "<think>", None, &["embedding"]);
        check("rerank", "", None, &[]);
        check("", "tools", None, &[]);
        check("", "", worker(true, false), &["completion", "tools"]);
    }
}
