//! What was looked at, what was seen, and what to do about it.

use std::fmt;

use serde_json::{Value, json};

use super::super::{http::plain, table::Table};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    what: String,
    verdict: Verdict,
    seen: String,
    /// One sentence; only where something is to be done.
    advice: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    /// The server works, but not as well as it could.
    Warning,
    /// The server, or a part of it, does not work.
    Error,
    NotApplicable,
}

impl Finding {
    pub(super) fn ok(what: impl Into<String>, seen: impl fmt::Display) -> Self {
        Self::new(what, Verdict::Ok, seen, None)
    }

    pub(super) fn none(what: impl Into<String>, seen: impl fmt::Display) -> Self {
        Self::new(what, Verdict::NotApplicable, seen, None)
    }

    pub(super) fn warning(
        what: impl Into<String>,
        seen: impl fmt::Display,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(what, Verdict::Warning, seen, Some(advice.into()))
    }

    pub(super) fn error(what: impl Into<String>, seen: impl fmt::Display, advice: impl Into<String>) -> Self {
        Self::new(what, Verdict::Error, seen, Some(advice.into()))
    }

    /// The same of something that only a part of what is offered needs.
    pub(super) fn into_warning(self) -> Self {
        let verdict = if self.is_error() { Verdict::Warning } else { self.verdict };
        Self { verdict, ..self }
    }

    pub(super) fn is_error(&self) -> bool {
        self.verdict == Verdict::Error
    }

    fn new(
        what: impl Into<String>,
        verdict: Verdict,
        seen: impl fmt::Display,
        advice: Option<String>,
    ) -> Self {
        Self { what: what.into(), verdict, seen: plain(&seen.to_string()), advice }
    }
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::NotApplicable => "not applicable",
        }
    }
}

/// A line for each, and how many there are that want something done.
pub(super) fn text(findings: &[Finding]) -> String {
    let mut table = Table::new(&["VERDICT", "WHAT", "SEEN"]);
    for finding in findings {
        let seen = match &finding.advice {
            Some(advice) => format!("{}; {advice}", finding.seen),
            None => finding.seen.clone(),
        };
        table.row([finding.verdict.name().to_owned(), finding.what.clone(), seen]);
    }
    let (errors, warnings) = (count(findings, Verdict::Error), count(findings, Verdict::Warning));
    format!("{table}\n{errors} errors, {warnings} warnings\n")
}

pub(super) fn json(findings: &[Finding]) -> Value {
    let checks = findings.iter().map(|finding| {
        json!({
            "what": finding.what,
            "verdict": finding.verdict.name(),
            "seen": finding.seen,
            "advice": finding.advice,
        })
    });
    json!({
        "errors": count(findings, Verdict::Error),
        "warnings": count(findings, Verdict::Warning),
        "checks": checks.collect::<Vec<_>>(),
    })
}

fn count(findings: &[Finding], verdict: Verdict) -> usize {
    findings.iter().filter(|finding| finding.verdict == verdict).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> [Finding; 4] {
        [
            Finding::ok("cores", "8"),
            Finding::none("GPU", "no driver of NVIDIA's"),
            Finding::warning("swap", "3.0 GiB of 4.0 GiB in use", "lower budget.ram"),
            Finding::error("port", "held by \x1b[1mcaddy", "stop that program"),
        ]
    }

    #[test]
    fn for_people() {
        insta::assert_snapshot!(text(&findings()), @r"
        VERDICT         WHAT   SEEN
        ok              cores  8
        not applicable  GPU    no driver of NVIDIA's
        warning         swap   3.0 GiB of 4.0 GiB in use; lower budget.ram
        error           port   held by  [1mcaddy; stop that program

        1 errors, 1 warnings
        ");
    }

    #[test]
    fn for_programs() {
        let value = json(&findings());
        assert_eq!((&value["errors"], &value["warnings"]), (&json!(1), &json!(1)));
        let swap = json!({"what": "swap", "verdict": "warning", "seen": "3.0 GiB of 4.0 GiB in use",
            "advice": "lower budget.ram"});
        assert_eq!(value["checks"][2], swap);
        assert_eq!(value["checks"][0]["advice"], Value::Null);
    }
}
