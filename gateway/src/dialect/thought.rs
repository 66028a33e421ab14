//! A thought in the form in which clients hand it back unread. The thought is no secret here, since whoever asks is shown
//! it, so the form is opaque and nothing more.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

/// What tells our form from that of others.
const MARK: &str = "impetus1.";

/// The form of a thought.
pub(in crate::dialect) fn seal(thought: &str) -> String {
    format!("{MARK}{}", STANDARD_NO_PAD.encode(thought))
}

/// The thought in a form; `None` for what another server made.
pub(in crate::dialect) fn open(sealed: &str) -> Option<String> {
    let bytes = STANDARD_NO_PAD.decode(sealed.strip_prefix(MARK)?).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_opened_and_nothing_else() {
        let check = |sealed: &str, expected: Option<&str>| assert_eq!(open(sealed).as_deref(), expected);
        check(&seal(""), Some(""));
        check(&seal("größer\n"), Some("größer\n"));
        check("gAAAAABo", None);
        check("impetus1.*", None);
        check("impetus1./w", None);
    }
}
