//! The terminal while the view has it.

use std::{
    io::{self, BufWriter, Write},
    panic,
};

use crossterm::{
    QueueableCommand,
    cursor::{Hide, MoveTo},
    style::{Attribute, Print, SetAttribute},
    terminal::{self, Clear, ClearType, EnterAlternateScreen},
};

use super::{
    frame::{self, Size, Style},
    view::View,
};
use crate::ctl::terminal::Restore;

/// What is known of a terminal that does not tell its size.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// Another screen of the terminal, without a cursor; what was there comes back when this is dropped.
pub(super) struct Screen {
    out: BufWriter<io::Stdout>,
    _restored: Restore,
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        let restored = Restore::screen_later();
        // A panic is told before anything is dropped, and nobody would see it on a screen that goes.
        let tell = panic::take_hook();
        let settings = Restore::screen_later();
        let settings = std::sync::Mutex::new(Some(settings));
        panic::set_hook(Box::new(move |info| {
            drop(settings.lock().ok().and_then(|mut settings| settings.take()));
            tell(info);
        }));
        terminal::enable_raw_mode()?;
        let mut out = BufWriter::new(io::stdout());
        out.queue(EnterAlternateScreen)?.queue(Hide)?.queue(Clear(ClearType::All))?;
        out.flush()?;
        Ok(Self { out, _restored: restored })
    }

    /// Shows the view as it is, as large as the terminal is now.
    pub(super) fn draw(&mut self, view: &View) -> io::Result<()> {
        let size = terminal::size().map_or(USUAL, |(columns, rows)| Size { columns, rows });
        for (row, line) in (0..size.rows).zip(frame::lines(view, size)) {
            self.out.queue(MoveTo(0, row))?;
            let attribute = match line.style {
                Style::Plain => Attribute::Reset,
                Style::Bold => Attribute::Bold,
                Style::Chosen => Attribute::Reverse,
            };
            self.out.queue(SetAttribute(attribute))?.queue(Print(&line.text))?;
            self.out.queue(SetAttribute(Attribute::Reset))?.queue(Clear(ClearType::UntilNewLine))?;
        }
        self.out.flush()
    }
}
