//! How far a server may lead somewhere else.

use std::net::IpAddr;

use reqwest::{
    Url,
    redirect::{Attempt, Policy},
};

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
/// first server is not in itself. The client sends no token to another host.
pub(super) fn policy() -> Policy {
    Policy::custom(|attempt: Attempt| match check(attempt.previous(), attempt.url()) {
        Ok(()) => attempt.follow(),
        Err(astray) => attempt.error(astray),
    })
}

fn check(previous: &[Url], next: &Url) -> Result<(), Astray> {
    let host = || next.host_str().unwrap_or_default().to_owned();
    let (Some(first), Some(last)) = (previous.first(), previous.last()) else { return Ok(()) };
    if previous.len() > MAX {
        return Err(Astray::TooMany);
    }
    match next.scheme() {
        "http" if last.scheme() == "https" => return Err(Astray::Downgrade(host())),
        "http" | "https" => {}
        _ => return Err(Astray::Scheme(host())),
    }
    if is_private(next) && !is_private(first) {
        return Err(Astray::Private(host()));
    }
    Ok(())
}

fn is_private(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    match host.parse() {
        Ok(IpAddr::V4(ip)) => {
            let [a, b, ..] = ip.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || is_shared
        }
        Ok(IpAddr::V6(ip)) => match ip.to_ipv4_mapped() {
            Some(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified(),
            None => {
                ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local()
            }
        },
        Err(_) => ["localhost", "local"].contains(&host.rsplit('.').next().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_lead_nowhere_private() {
        let check = |from: &str, to: &str, is_fine: bool| {
            let got = check(&[from.parse().unwrap()], &to.parse().unwrap());
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
            "printer.local",
            "[::1]",
            "[fd00::1]",
            "[fe80::1]",
            "[::ffff:10.0.0.1]",
            "2130706433",
        ] {
            check("https://huggingface.co/a", &format!("https://{private}/b"), false);
        }
        check("https://huggingface.co/a", "ftp://example.org/b", false);
        let long = vec!["https://a.example/".parse().unwrap(); 9];
        assert!(super::check(&long, &"https://b.example/".parse().unwrap()).is_err());
    }
}
