//! What a prompt asks of the worker: `!crash@12` anywhere in it is a crash when the twelfth token of the completion
//! has been computed.

use super::fault::Fault;

/// One of a prompt's wishes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Directive {
    /// A fault once the completion has this many tokens, on every worker that gets this far.
    Fault { at: usize, fault: Fault },
    /// Memory, once the completion has this many tokens.
    Grow { at: usize, mib: usize },
    /// Nonsense on all connections when this token is generated, but not when it is replayed.
    Garbage { at: usize },
    /// The answer tells how attempts to leave the sandbox went.
    Sandbox,
}

/// All directives of a prompt, in its order. What only looks like one is text.
pub(super) fn directives(prompt: &str) -> Vec<Directive> {
    let words = prompt.split('!').skip(1);
    words.filter_map(|word| word.split_whitespace().next()).filter_map(parse).collect()
}

fn parse(word: &str) -> Option<Directive> {
    if word == "sandbox" {
        return Some(Directive::Sandbox);
    }
    let (name, place) = word.split_once('@')?;
    if name == "grow" {
        let (at, mib) = place.split_once(':')?;
        return Some(Directive::Grow { at: at.parse().ok()?, mib: mib.parse().ok()? });
    }
    let at = place.parse().ok()?;
    if name == "garbage" {
        return Some(Directive::Garbage { at });
    }
    Some(Directive::Fault { at, fault: Fault::parse(name)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_found_in_any_text() {
        let check =
            |prompt: &str, expected: &[Directive]| assert_eq!(directives(prompt), expected, "{prompt:?}");
        check("hello! world", &[]);
        check("user: !crash@12\nassistant: ", &[Directive::Fault { at: 12, fault: Fault::Crash }]);
        check(
            "!hang@3 and !grow@5:64",
            &[Directive::Fault { at: 3, fault: Fault::Hang }, Directive::Grow { at: 5, mib: 64 }],
        );
        check("!garbage@8", &[Directive::Garbage { at: 8 }]);
        check("!sandbox", &[Directive::Sandbox]);
        check("!grow@5 !crash !crash@x !dance@4", &[]);
    }
}
