//! What is said of a conversion.

use std::fmt::Write;

use impetus_proto::store::{ConvertPlan, Stored, convert_event::Event};
use serde_json::{Value, json};

use super::check::{Bound, Found};
use crate::ctl::{store, table::amount};

pub(super) fn plan(plan: &ConvertPlan) -> String {
    let kind = if plan.source_type.is_empty() { "of an unknown type" } else { &plan.source_type };
    let size =
        if plan.bytes == 0 { "of unknown size".to_owned() } else { format!("about {}", amount(plan.bytes)) };
    let mut text = format!("{} of {} ({}, {kind}), {size}\n", plan.name, plan.model, plan.source_format);
    // Writing to a String cannot fail.
    for step in &plan.steps {
        let _ = writeln!(text, "  {step}");
    }
    for note in &plan.notes {
        let _ = writeln!(text, "  note: {note}");
    }
    text
}

pub(super) fn done(model: &Stored) -> String {
    format!("{} is here, {}\n", model.name, amount(model.bytes))
}

pub(super) fn check(found: &Found) -> String {
    format!(
        "compared with its source: {} of {} texts the same, {} of {} tokens before the first difference, log \
         probabilities differ by {:.4} on average and {:.3} at most\n",
        found.n_same, found.n_texts, found.n_agreed, found.n_tokens, found.mean, found.most
    )
}

pub(super) fn check_as_json(found: &Found, bound: &Bound, is_within: bool) -> Value {
    json!({
        "event": "check",
        "texts": found.n_texts,
        "same_texts": found.n_same,
        "tokens": found.n_tokens,
        "agreed_tokens": found.n_agreed,
        "mean_logprob_difference": found.mean,
        "max_logprob_difference": found.most,
        "bound": match bound {
            Bound::Same => json!("same texts"),
            Bound::Mean(mean) => json!(mean),
        },
        "within": is_within,
    })
}

pub(super) fn as_json(event: &Event) -> Value {
    match event {
        Event::Plan(plan) => json!({
            "event": "plan",
            "model": plan.model,
            "name": plan.name,
            "type": plan.r#type,
            "source_format": plan.source_format,
            "source_type": (!plan.source_type.is_empty()).then_some(&plan.source_type),
            "bytes": (plan.bytes > 0).then_some(plan.bytes),
            "disk_bytes": (plan.disk_bytes > 0).then_some(plan.disk_bytes),
            "steps": plan.steps,
            "notes": plan.notes,
        }),
        Event::Progress(progress) => json!({
            "event": "progress",
            "step": progress.step,
            "bytes": progress.bytes,
            "total_bytes": (progress.total_bytes > 0).then_some(progress.total_bytes),
        }),
        Event::Done(model) => json!({ "event": "done", "model": store::as_json(model) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_done_is_said() {
        let told = ConvertPlan {
            model: "m".into(),
            name: "m-Q4_K_M".into(),
            source_format: "candle".into(),
            source_type: "BF16".into(),
            bytes: 5 << 30,
            steps: vec!["worker-candle writes its own type".into(), "worker-gguf writes Q4_K_M".into()],
            notes: vec!["a note".into()],
            ..ConvertPlan::default()
        };
        insta::assert_snapshot!(plan(&told), @r"
        m-Q4_K_M of m (candle, BF16), about 5.0 GiB
          worker-candle writes its own type
          worker-gguf writes Q4_K_M
          note: a note
        ");
    }
}
