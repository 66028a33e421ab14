//! What a terminal is shown, and how it is left as it was found.

use std::{
    borrow::Cow,
    env,
    io::{self, IsTerminal, Write},
};

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

/// Ends every style, shows the cursor, and gives up that pasted text is marked.
const PLAIN: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?2004l";

/// The same, back on the screen that was there before.
const PLAIN_FORMER: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?1049l";

/// The settings of the terminal that this process was started in, put back when this is dropped, whatever happened.
#[derive(Debug)]
pub(super) struct Restore {
    settings: Option<Termios>,
    /// What has to be written besides.
    farewell: &'static [u8],
}

impl Restore {
    /// The settings of now.
    pub(super) fn later() -> Self {
        Self { settings: tcgetattr(io::stdin()).ok(), farewell: PLAIN }
    }

    /// The settings of now, and the screen of now, of who draws on another one.
    pub(super) fn screen_later() -> Self {
        Self { settings: tcgetattr(io::stdin()).ok(), farewell: PLAIN_FORMER }
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        if let Some(settings) = &self.settings {
            // There is nobody left to tell of a terminal that is gone.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, settings);
        }
        if is_capable() {
            let mut out = io::stdout();
            let _ = out.write_all(self.farewell).and_then(|()| out.flush());
        }
    }
}

/// Whether standard output is a terminal that understands sequences.
pub(super) fn is_capable() -> bool {
    io::stdout().is_terminal() && env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// The text with nothing in it that a terminal obeys, but for line ends and tabs: characters of control are shown as
/// their pictures.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    let is_obeyed = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|character| if is_obeyed(character) { picture(character) } else { character }).collect()
}

/// The sign that stands for a character of control (Unicode's "Control Pictures").
fn picture(control: char) -> char {
    match control {
        '\u{7f}' => '\u{2421}',
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(control)).unwrap_or(char::REPLACEMENT_CHARACTER),
        // Those of the upper half have no pictures.
        _ => char::REPLACEMENT_CHARACTER,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        let check = |text: &str, expected: &str| assert_eq!(harmless(text), expected, "{text:?}");
        check("plain\n\ttext ünïcödé 🦀", "plain\n\ttext ünïcödé 🦀");
        check("\x1b[2J\x1b]0;title\x07", "␛[2J␛]0;title␇");
        check("a\rb\x08c\0d\x7f", "a␍b␈c␀d␡");
        check("\u{9b}2J\u{85}", "\u{fffd}2J\u{fffd}");
        assert!(matches!(harmless("nothing to do"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn nothing_is_left_that_is_obeyed(text in any::<String>()) {
            let shown = harmless(&text);
            prop_assert!(shown.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
            prop_assert_eq!(shown.chars().count(), text.chars().count());
        }
    }
}
