//! The name that a client asks for. A page of another site can have its own name resolve to this machine, and its
//! visitor's browser then takes this server for that site; what tells it apart is the name in `Host`.

use std::net::IpAddr;

use axum::http::{header::HOST, request::Parts, uri::Authority};
use impetus_config::GatewayConfig;
use impetus_proto::Code;

use super::{Reason, Refused};

/// The names that are this server's.
#[derive(Debug)]
pub(super) struct Hosts {
    /// In lower case, without brackets.
    listed: Vec<String>,
    rule: Rule,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Any name: whoever asks has a key, or it was said so.
    Any,
    /// No name but those listed, only addresses: those no other site can have.
    Address,
    /// Addresses of this machine to itself, and its name for them.
    Loopback,
}

impl Hosts {
    /// What holds for a server that only this machine reaches, or that serves requests without keys.
    pub(super) fn new(config: &GatewayConfig, is_local: bool, allows_unauthenticated: bool) -> Self {
        let listed: Vec<String> =
            config.allowed_hosts.iter().map(|host| bare(host).to_ascii_lowercase()).collect();
        let rule = match (is_local, allows_unauthenticated) {
            _ if listed.iter().any(|host| host == "*") => Rule::Any,
            (true, _) => Rule::Loopback,
            (false, false) if listed.is_empty() => Rule::Any,
            (false, _) => Rule::Address,
        };
        Self { listed, rule }
    }

    pub(super) fn check(&self, head: &Parts) -> Result<(), Refused> {
        if self.rule == Rule::Any {
            return Ok(());
        }
        let asked = asked(head)?;
        if asked.iter().all(|host| self.knows(host)) && !asked.is_empty() {
            return Ok(());
        }
        let shown: String = asked.join(", ").chars().take(100).collect();
        let message = format!(
            "this server is not known as {shown:?}; ask for it by its address, or have the name listed in \
             gateway.allowed_hosts"
        );
        Err(Refused::new(Reason::Host, Code::Forbidden, message))
    }

    fn knows(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        if self.listed.iter().any(|listed| listed == host) {
            return true;
        }
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        let is_localhost = host == "localhost" || host.ends_with(".localhost");
        match self.rule {
            Rule::Any => true,
            Rule::Address => address.is_some() || is_localhost,
            Rule::Loopback => address.is_some_and(|address| address.is_loopback()) || is_localhost,
        }
    }
}

/// Every name that the request asks for, in lower case and without port: its URI may have one beside its header.
fn asked(head: &Parts) -> Result<Vec<String>, Refused> {
    let odd = || Refused::new(Reason::Host, Code::Forbidden, "the Host header is no name or address");
    let headers = head.headers.get_all(HOST).iter();
    let headers = headers.map(|value| value.to_str().ok()?.parse::<Authority>().ok());
    let uri = head.uri.authority().cloned().map(Some);
    let all = headers.chain(uri).map(|authority| {
        authority.map(|authority| bare(authority.host()).to_ascii_lowercase()).ok_or_else(odd)
    });
    all.collect()
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn check(listed: &[&str], (is_local, is_open): (bool, bool), hosts: &[&str], uri: &str, expected: bool) {
        let config = GatewayConfig {
            allowed_hosts: listed.iter().map(ToString::to_string).collect(),
            ..GatewayConfig::default()
        };
        let mut request = Request::get(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let head = request.body(()).unwrap().into_parts().0;
        let is_known = Hosts::new(&config, is_local, is_open).check(&head).is_ok();
        assert_eq!(is_known, expected, "{hosts:?} {uri} {listed:?} {is_local} {is_open}");
    }

    #[test]
    fn on_loopback_only_names_of_this_machine_are_known() {
        let local = |hosts: &[&str], expected| check(&["llm.example"], (true, false), hosts, "/", expected);
        local(&["localhost:8080"], true);
        local(&["LOCALHOST."], true);
        local(&["app.localhost"], true);
        local(&["127.0.0.1"], true);
        local(&["127.1.2.3:9000"], true);
        local(&["[::1]:8080"], true);
        local(&["[::ffff:127.0.0.1]"], true);
        local(&["llm.example:443"], true);
        local(&["evil.example"], false);
        local(&["evil.example:8080"], false);
        local(&["192.168.0.1"], false);
        local(&["localhost.evil.example"], false);
        local(&["127.0.0.1.evil.example"], false);
        local(&[], false);
        local(&[""], false);
        local(&["localhost", "evil.example"], false);
        check(&[], (true, false), &["localhost"], "http://evil.example/", false);
        check(&[], (true, false), &[], "http://localhost:8080/", true);
    }

    #[test]
    fn elsewhere_it_depends_on_keys() {
        let check = |listed: &[&str], is_open, host: &str, expected| {
            check(listed, (false, is_open), &[host], "/", expected);
        };
        check(&[], false, "anything.example", true);
        check(&["llm.example"], false, "anything.example", false);
        check(&["llm.example"], false, "llm.example", true);
        check(&[], true, "evil.example", false);
        check(&[], true, "192.168.0.1:8080", true);
        check(&["*"], true, "evil.example", true);
    }
}
