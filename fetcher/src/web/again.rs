//! How long to wait before something is tried again, and how often.

use std::time::{Duration, SystemTime};

use rand::Rng;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::sleep;

use crate::{error::FetchError, progress::Progress};

/// The longest that a server may ask to wait before it is given up, for the time being.
pub(super) const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// Tries in a row that fail.
const MAX_TRIES: u32 = 8;
/// Tries in a row that a server puts off.
const MAX_PUT_OFF: u32 = 60;
/// The first delay; each further one doubles.
const FIRST: Duration = Duration::from_millis(300);
const LONGEST: Duration = Duration::from_secs(20);

/// Counts tries of one thing.
#[derive(Debug, Default)]
pub(crate) struct Again {
    tries: u32,
    put_off: u32,
}

impl Again {
    /// Waits before the next try, or says that there is to be none.
    pub(crate) async fn wait(&mut self, error: FetchError, progress: &Progress) -> Result<(), FetchError> {
        if matches!(error, FetchError::Limited { .. }) {
            self.put_off += 1;
            // The gate says when.
            return if self.put_off < MAX_PUT_OFF { Ok(()) } else { Err(error) };
        }
        self.tries += 1;
        if self.tries >= MAX_TRIES {
            return Err(error);
        }
        let delay = delay(self.tries, rand::rng().random_range(0.5..1.0));
        tracing::info!(%error, try_again_ms = delay.as_millis() as u64, "trying again");
        progress.wait(&error.to_string());
        sleep(delay).await;
        progress.wait("");
        Ok(())
    }

    /// It goes on, so that what went wrong counts no longer.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

fn delay(tries: u32, jitter: f64) -> Duration {
    FIRST.saturating_mul(1 << tries.clamp(1, 16).saturating_sub(1)).min(LONGEST).mul_f64(jitter)
}

/// What a server asks to wait: seconds, or a moment as HTTP writes it.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let moment = httpdate::parse_http_date(text).ok()?;
    Some(moment.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_up_to_a_bound() {
        let delays: Vec<u128> = [1, 2, 3, 7, 8, 1000].map(|tries| delay(tries, 1.0).as_millis()).into();
        assert_eq!(delays, [300, 600, 1200, 19_200, 20_000, 20_000]);
        assert_eq!(delay(2, 0.5).as_millis(), 300);
    }

    #[test]
    fn servers_say_when() {
        let check = |text: &str, expected: Option<u64>| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers).map(|wait| wait.as_secs()), expected, "{text}");
        };
        check("7", Some(7));
        check(" 0 ", Some(0));
        check("Wed, 21 Oct 2015 07:28:00 GMT", Some(0));
        check("soon", None);
        check("-1", None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
