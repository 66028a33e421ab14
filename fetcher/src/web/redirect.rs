//! How far a server may lead somewhere else.

use std::sync::Arc;

use reqwest::{
    Url,
    redirect::{Attempt, Policy},
};

use super::reach::{Reach, is_private};

/// Redirections of one request.
const MAX: usize = 8;

#[derive(Debug, thiserror::Error)]
enum Astray {
    #[error("it leads on for too long")]
    TooMany,
    #[error("it leads to {0}, which is not encrypted")]
    Downgrade(String),
    #[error("it leads to {0}, which is an address of a private network")]
    Private(String),
    #[error("it leads to {0}, which is no address of the web")]
    Scheme(String),
}

/// Follows a few redirections, none from an encrypted connection to a plain one and none into a private network that the
/// first server is not in itself; where names lead is looked at when they are resolved. The client sends no token to
/// another host.
pub(super) fn policy(reach: Arc<Reach>) -> Policy {
    Policy::custom(move |attempt: Attempt| match check(attempt.previous(), attempt.url(), &reach) {
        Ok(()) => attempt.follow(),
        Err(astray) => attempt.error(astray),
    })
}

fn check(previous: &[Url], next: &Url, reach: &Reach) -> Result<(), Astray> {
    let host = || next.host_str().unwrap_or_default().to_owned();
    let Some(last) = previous.last() else { return Ok(()) };
    if previous.len() > MAX {
        return Err(Astray::TooMany);
    }
    match next.scheme() {
        "http" if last.scheme() == "https" => return Err(Astray::Downgrade(host())),
        "http" | "https" => {}
        _ => return Err(Astray::Scheme(host())),
    }
    if is_private(next) && !reach.is_inside() {
        return Err(Astray::Private(host()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    #[test]
    fn servers_lead_nowhere_private() {
        let check = |from: &str, to: &str, is_fine: bool| {
            let from: Url = from.parse().unwrap();
            let reach = Reach::new(Some(&from), "");
            let got = check(slice::from_ref(&from), &to.parse().unwrap(), &reach);
            assert_eq!(got.is_ok(), is_fine, "{from} → {to}: {got:?}");
        };
        check("https://huggingface.co/a", "https://cdn.example.org/b", true);
        check("https://huggingface.co/a", "http://cdn.example.org/b", false);
        check("http://127.0.0.1:1/a", "http://127.0.0.1:2/b", true);
        check("http://127.0.0.1:1/a", "http://192.168.0.1/b", true);
        for private in [
            "127.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "192.168.1.1",
            "172.16.0.1",
            "100.64.0.1",
            "0.0.0.0",
            "localhost",
            "localhost.",
            "LOCALHOST",
            "a.localhost",
            "printer.local",
            "[::1]",
            "[fd00::1]",
            "[fe80::1]",
            "[::ffff:10.0.0.1]",
            "[::ffff:100.64.0.1]",
            "2130706433",
        ] {
            check("https://huggingface.co/a", &format!("https://{private}/b"), false);
        }
        check("https://huggingface.co/a", "ftp://example.org/b", false);
        let long = vec!["https://a.example/".parse().unwrap(); 9];
        let reach = Reach::new(None, "");
        assert!(super::check(&long, &"https://b.example/".parse().unwrap(), &reach).is_err());
    }
}
