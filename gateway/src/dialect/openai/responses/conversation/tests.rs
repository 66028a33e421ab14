use super::*;

fn said(role: &'static str, text: &str) -> Said {
    Said::Message { role, text: text.into(), reasoning: String::new() }
}

fn call(id: &str) -> Said {
    Said::Call(Call { id: id.into(), name: "f".into(), arguments: "{}".into() })
}

fn answer(id: &str) -> Said {
    Said::Answer { call_id: id.into(), text: format!("of {id}") }
}

fn thought(text: &str) -> Said {
    Said::Thought(text.into())
}

/// Each message in short: its role, its text, `?` and its thought, `+` and how many calls it has.
fn check(items: impl IntoIterator<Item = Said>, expected: &[&str]) {
    let mut conversation = Conversation::under(None);
    for item in items {
        conversation.push(item).unwrap();
    }
    let messages = conversation.finish().unwrap();
    let shown: Vec<_> = messages.iter().map(shown).collect();
    assert_eq!(shown, expected);
}

fn shown(message: &Message) -> String {
    let n_calls = message.tool_calls_json.matches("\"function\":{").count();
    let thought = if message.reasoning.is_empty() { "" } else { "?" };
    let calls = if n_calls == 0 { String::new() } else { format!("+{n_calls}") };
    format!("{} {}{thought}{}{calls}", message.role, message.content, message.reasoning)
}

#[test]
fn what_an_assistant_does_in_one_turn_is_one_message() {
    check([said("user", "a"), said("assistant", "b")], &["user a", "assistant b"]);
    check(
        [
            said("user", "a"),
            thought("t"),
            said("assistant", "b"),
            call("1"),
            call("2"),
            answer("1"),
            answer("2"),
        ],
        &["user a", "assistant b?t+2", "tool of 1", "tool of 2"],
    );
    check([thought("t"), call("1"), answer("1")], &["assistant ?t+1", "tool of 1"]);
    check([said("assistant", "a"), said("assistant", "b")], &["assistant a", "assistant b"]);
    check([call("1"), said("assistant", "b")], &["assistant +1", "assistant b"]);
    check([said("assistant", "a"), thought("t"), said("assistant", "b")], &["assistant a", "assistant b?t"]);
}

#[test]
fn what_says_nothing_is_no_message() {
    check([said("user", "a"), thought("t")], &["user a"]);
    check([thought("t"), said("user", "a"), Said::Nothing], &["user a"]);
    check([], &[]);
}

#[test]
fn instructions_come_first() {
    let mut conversation = Conversation::under(Some("be brief"));
    conversation.push(said("system", "and kind")).unwrap();
    let messages = conversation.finish().unwrap();
    assert_eq!(messages.iter().map(shown).collect::<Vec<_>>(), ["system be brief", "system and kind"]);
}

/// Messages as letters: system, user, assistant, tool.
fn of(letters: &str) -> Vec<Message> {
    let role = |letter| match letter {
        's' => "system",
        'u' => "user",
        'a' => "assistant",
        _ => "tool",
    };
    letters.chars().map(|letter| message(role(letter), String::new())).collect()
}

#[test]
fn a_conversation_is_shortened_at_its_beginning() {
    let check = |before: &str, expected: Option<&str>| {
        let mut messages = of(before);
        assert_eq!(shorten(&mut messages), expected.is_some(), "{before}");
        let after: String = messages.iter().filter_map(|message| message.role.chars().next()).collect();
        assert_eq!(after, expected.unwrap_or(before), "{before}");
    };
    check("", None);
    check("u", None);
    check("su", None);
    check("sat", None);
    check("uu", Some("u"));
    check("suau", Some("su"));
    check("suauau", Some("suau"));
    check("suauauauau", Some("suauauau"));
    // No answer of a tool is left without its call.
    check("suatatu", Some("su"));
    check("uatatat", Some("atat"));
    check("suaatt", Some("saatt"));
    check("us", Some("s"));
}

#[test]
fn shortening_comes_to_an_end() {
    let mut messages = of(&"uat".repeat(1000));
    let mut n_steps = 0;
    while shorten(&mut messages) {
        n_steps += 1;
    }
    assert!((1..64).contains(&n_steps), "{n_steps}");
    assert_eq!(messages.len(), 2);
}
