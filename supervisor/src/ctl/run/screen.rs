//! Where answers are written: to a terminal with what it thinks apart and nothing that it obeys, elsewhere as they are and
//! without thoughts.

use std::io::{self, IsTerminal, Write};

use crate::ctl::{
    failure::Failure,
    terminal::{self, harmless},
};

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// An output, and what it shows.
pub(super) struct Screen {
    out: Box<dyn Write>,
    is_terminal: bool,
    has_styles: bool,
    part: Part,
    /// Whether what was written last is the end of a line.
    is_at_start: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Nothing,
    Thought,
    Answer,
}

impl Screen {
    pub(super) fn of_standard_output() -> Self {
        Self::new(Box::new(io::stdout()), io::stdout().is_terminal(), terminal::is_capable())
    }

    fn new(out: Box<dyn Write>, is_terminal: bool, has_styles: bool) -> Self {
        Self { out, is_terminal, has_styles, part: Part::Nothing, is_at_start: true }
    }

    /// More of what the model thinks.
    pub(super) fn reasoning(&mut self, text: &str) -> Result<(), Failure> {
        if text.is_empty() || !self.is_terminal {
            return Ok(());
        }
        if self.part != Part::Thought {
            self.part = Part::Thought;
            self.raw(if self.has_styles { DIM } else { "[thought] " })?;
        }
        self.text(text)
    }

    /// More of what it says.
    pub(super) fn content(&mut self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        if self.part == Part::Thought {
            self.end_thought()?;
            self.raw(if self.has_styles { "\n" } else { "\n[answer] " })?;
        }
        self.part = Part::Answer;
        self.text(text)
    }

    /// The answer is over, whole or not.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        if self.part == Part::Thought {
            self.end_thought()?;
        } else if self.part == Part::Answer && !self.is_at_start {
            self.raw("\n")?;
        }
        (self.part, self.is_at_start) = (Part::Nothing, true);
        Ok(())
    }

    /// Says something that is not of the answer, in lines of its own.
    pub(super) fn note(&mut self, text: &str) -> Result<(), Failure> {
        let text = harmless(text.trim_end());
        let note = if self.has_styles { format!("{DIM}{text}{PLAIN}\n") } else { format!("{text}\n") };
        self.raw(&note)
    }

    fn end_thought(&mut self) -> Result<(), Failure> {
        let line_end = if self.is_at_start { "" } else { "\n" };
        let style_end = if self.has_styles { PLAIN } else { "" };
        self.raw(&format!("{style_end}{line_end}"))
    }

    fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.is_at_start = text.ends_with('\n');
        if self.is_terminal {
            let shown = harmless(text).into_owned();
            self.raw(&shown)
        } else {
            self.raw(text)
        }
    }

    fn raw(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).map_err(Failure::Output)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Rc<RefCell<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What becomes of thoughts and of an answer on a terminal, on one without styles, and elsewhere.
    fn show(thought: &[&str], answer: &[&str]) -> [String; 3] {
        [(true, true), (true, false), (false, false)].map(|(is_terminal, has_styles)| {
            let written = Written::default();
            let mut screen = Screen::new(Box::new(written.clone()), is_terminal, has_styles);
            for text in thought {
                screen.reasoning(text).unwrap();
            }
            for text in answer {
                screen.content(text).unwrap();
            }
            screen.end().unwrap();
            String::from_utf8(written.0.take()).unwrap()
        })
    }

    #[test]
    fn thoughts_stand_apart_and_only_on_terminals() {
        let check = |thought: &[&str], answer: &[&str], expected: [&str; 3]| {
            assert_eq!(show(thought, answer), expected, "{thought:?} {answer:?}");
        };
        check(&[], &["a", "b"], ["ab\n", "ab\n", "ab\n"]);
        check(&[], &["a\n"], ["a\n", "a\n", "a\n"]);
        check(&[], &[], ["", "", ""]);
        check(&["h", "m"], &["a"], ["\x1b[2mhm\x1b[0m\n\na\n", "[thought] hm\n\n[answer] a\n", "a\n"]);
        check(&["h\n"], &[], ["\x1b[2mh\n\x1b[0m", "[thought] h\n", ""]);
    }

    #[test]
    fn a_terminal_obeys_nothing_that_a_model_says() {
        let [terminal, _, pipe] = show(&["\x1b[2J"], &["\x1b]0;x\x07\tb"]);
        assert_eq!(terminal, "\x1b[2m␛[2J\x1b[0m\n\n␛]0;x␇\tb\n");
        assert_eq!(pipe, "\x1b]0;x\x07\tb\n", "a pipe gets what was said");
    }
}
