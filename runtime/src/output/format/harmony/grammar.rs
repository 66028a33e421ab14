//! Grammars of messages.

use std::fmt::Write;

use super::{CHANNEL, CONSTRAIN, END, MESSAGE, START, State, header::Kind};
use crate::output::format::{Rules, Tags, Tool, lark};

/// The grammar of a completion that goes on where the prompt leaves off: any thoughts and remarks, then an answer or
/// a call, which ends the turn.
pub(super) fn of(rules: &Rules, state: &State, tags: &Tags) -> Option<String> {
    if rules.tools.is_empty() && rules.content.is_none() {
        return None;
    }
    let [start, channel, message] = [START, CHANNEL, MESSAGE].map(|tag| tags.lark(tag));
    let calls: Vec<String> = rules.tools.iter().map(|tool| call(tool, rules, tags)).collect();
    let mut grammar = lark::through("through_end", END, tags);
    let free = lark::text("ANSWER", &[START, CHANNEL, MESSAGE, END], &[], tags);
    match &rules.content {
        Some(content) => writeln!(grammar, "answer: content\n{content}").ok()?,
        None => writeln!(grammar, "answer: ANSWER\n{free}").ok()?,
    }
    // A remark is part of the answer's text, so there is none where all of that is held to something.
    let before = if rules.content.is_some() { "\"analysis\"" } else { "(\"analysis\" | \"commentary\")" };
    writeln!(grammar, "before: {channel} {before} {message} through_end {start} \"assistant\"").ok()?;
    let text = format!("{channel} \"final\" {message} answer");
    let turn = match (calls.is_empty(), rules.required) {
        (true, _) => text,
        (false, true) => calls.join(" | "),
        (false, false) => format!("{text} | {}", calls.join(" | ")),
    };
    writeln!(grammar, "turn: before* ({turn})").ok()?;
    let begin = match state {
        // Text that is held to something is over, since what is continued may be all of it.
        State::Message(Kind::Text, _) if rules.required && rules.content.is_some() => {
            format!("{} {start} \"assistant\" turn", tags.lark(END))
        }
        State::Message(Kind::Text, _) if !rules.required => "answer".to_owned(),
        State::Message(Kind::Text | Kind::Reasoning, _) => format!("through_end {start} \"assistant\" turn"),
        _ => "turn".to_owned(),
    };
    Some(format!("start: {begin}\n{grammar}"))
}

fn call(tool: &Tool, rules: &Rules, tags: &Tags) -> String {
    let [channel, constrain, message] = [CHANNEL, CONSTRAIN, MESSAGE].map(|tag| tags.lark(tag));
    let to = lark::literal(&format!(" to=functions.{}", tool.name));
    let json = format!("(\" json\" | \" \"? {constrain} \"json\")?");
    let arguments = lark::arguments(tool, rules);
    format!(
        "{to} {channel} \"commentary\" {json} {message} {arguments} | \
         {channel} \"commentary\" {to} {json} {message} {arguments}"
    )
}
