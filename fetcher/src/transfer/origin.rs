//! Where a file's bytes come from: links that servers lead to are asked directly as long as they hold.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use reqwest::{Response, Url, header};

use crate::{
    error::FetchError,
    source::{RemoteFile, Version},
    web::{Ask, bare},
};

/// The server of one file.
#[derive(Debug)]
pub(super) struct Origin {
    ask: Ask,
    /// What every answer has to be of; absent: the file's digest tells.
    version: Option<Version>,
    direct: Mutex<Option<Url>>,
    /// Whether there ever was such a link.
    has_led: AtomicBool,
}

impl Origin {
    pub(super) fn of(file: &RemoteFile) -> Self {
        Self {
            ask: file.ask.clone(),
            version: file.version.clone(),
            direct: Mutex::default(),
            has_led: AtomicBool::default(),
        }
    }

    /// What is asked for next.
    pub(super) fn next(&self) -> Ask {
        match &*self.direct() {
            // A link carries its own permission.
            Some(url) => Ask { url: url.clone(), token: None, ..self.ask.clone() },
            None => self.ask.clone(),
        }
    }

    /// What is asked for where no link is known.
    pub(super) fn first(&self) -> &Ask {
        &self.ask
    }

    /// Whether there ever was a link.
    pub(super) fn has_led(&self) -> bool {
        self.has_led.load(Ordering::Relaxed)
    }

    /// That link holds no longer. Another one may be known by now.
    pub(super) fn forget(&self, link: &Url) {
        self.direct().take_if(|known| known == link);
    }

    /// An answer whose bytes are the file's.
    pub(super) fn led_to(&self, answer: &Response) {
        if *answer.url() != self.ask.url {
            *self.direct() = Some(answer.url().clone());
            self.has_led.store(true, Ordering::Relaxed);
        }
    }

    /// Whether an answer is of the state of the file that the others were of.
    pub(super) fn check(&self, answer: &Response) -> Result<(), FetchError> {
        if self.version.is_some() && Version::of(answer.headers()) != self.version {
            return Err(FetchError::Changed { url: bare(&self.ask.url) });
        }
        Ok(())
    }

    fn direct(&self) -> MutexGuard<'_, Option<Url>> {
        self.direct.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// First byte, the one after the last, and length of the whole.
pub(super) fn range_of(answer: &Response) -> Option<(u64, u64, u64)> {
    let range = answer.headers().get(header::CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    let (range, total) = range.split_once('/')?;
    let (from, last) = range.split_once('-')?;
    Some((from.parse().ok()?, last.parse::<u64>().ok()?.checked_add(1)?, total.parse().ok()?))
}
