//! Where connections may lead: anywhere on the web, and into a private network only if the server is in one that somebody
//! asked for.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use tokio::net::lookup_host;

/// Variables that name proxies.
const PROXIES: [&str; 6] =
    ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy"];

/// What is known of the networks that a pull leads into.
#[derive(Debug)]
pub(super) struct Reach {
    /// The host that somebody asked for.
    server: Option<String>,
    /// Hosts that connections go through, wherever they are.
    proxies: HashSet<String>,
    /// Whether the server is in a private network.
    is_inside: AtomicBool,
}

/// Finds addresses as the system does, without those that nobody asked for.
#[derive(Debug)]
pub(super) struct Resolver(pub(super) Arc<Reach>);

#[derive(Debug, thiserror::Error)]
#[error("it leads to {0}, which is the name of an address of a private network")]
struct Private(String);

impl Reach {
    /// `proxy` is the configured one; empty: as the environment says.
    pub(super) fn new(server: Option<&Url>, proxy: &str) -> Self {
        let told = PROXIES.iter().filter_map(|name| std::env::var(name).ok()).chain([proxy.to_owned()]);
        Self {
            server: server.and_then(host),
            proxies: told.filter_map(|text| host(&proxy_url(&text)?)).collect(),
            is_inside: AtomicBool::new(server.is_some_and(is_private)),
        }
    }

    /// Whether the server is in a private network itself.
    pub(super) fn is_inside(&self) -> bool {
        self.is_inside.load(Ordering::Relaxed)
    }

    /// The addresses of `name` that may be connected to.
    fn admit(&self, name: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Private> {
        let name = bare(name);
        let is_private = |address: &SocketAddr| is_private_ip(address.ip());
        if self.server.as_ref() == Some(&name) {
            self.is_inside.fetch_or(found.iter().any(is_private), Ordering::Relaxed);
            return Ok(found);
        }
        if self.is_inside() || self.proxies.contains(&name) {
            return Ok(found);
        }
        let admitted: Vec<SocketAddr> = found.into_iter().filter(|address| !is_private(address)).collect();
        if admitted.is_empty() { Err(Private(name)) } else { Ok(admitted) }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0.clone();
        Box::pin(async move {
            // The port is set by whoever connects.
            let found = lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(reach.admit(name.as_str(), found)?.into_iter()) as Addrs)
        })
    }
}

/// Whether the address names a private network, as far as it tells without asking anybody.
pub(super) fn is_private(url: &Url) -> bool {
    let host = host(url).unwrap_or_default();
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(ip) => is_private_ip(ip),
        Err(_) => ["localhost", "local"].contains(&host.rsplit('.').next().unwrap_or_default()),
    }
}

fn is_private_ip(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => {
            ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || is_shared
}

/// Proxies are often named without a scheme.
fn proxy_url(text: &str) -> Option<Url> {
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    text.parse().ok()
}

fn host(url: &Url) -> Option<String> {
    url.host_str().map(bare)
}

/// A name as all who mean the same host write it.
fn bare(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_into_no_private_network_that_nobody_asked_for() {
        let check = |server: &str, proxy: &str, asked: &[(&str, &[&str], usize)]| {
            let server: Url = server.parse().unwrap();
            let reach = Reach::new(Some(&server), proxy);
            for (name, found, expected) in asked {
                let found = found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
                let admitted = reach.admit(name, found).map_or(0, |admitted| admitted.len());
                assert_eq!(admitted, *expected, "{server} {name}");
            }
        };
        let public: &[(&str, &[&str], usize)] = &[
            ("hub.example", &["192.0.2.1"], 1),
            ("cdn.example", &["198.51.100.1", "2001:db8::1"], 2),
            ("cdn.example", &["10.0.0.1", "198.51.100.1"], 1),
            ("rebound.example", &["127.0.0.1", "::1", "fd00::1", "::ffff:192.168.0.1", "169.254.169.254"], 0),
        ];
        check("https://hub.example", "", public);
        check("https://HUB.example.", "", public);
        let mirror: &[(&str, &[&str], usize)] =
            &[("mirror.corp", &["10.0.0.5"], 1), ("files.corp.", &["10.0.0.6", "fd00::6"], 2)];
        check("http://mirror.corp", "", mirror);
        check("http://10.0.0.5", "", &mirror[1..]);
        let proxied: &[(&str, &[&str], usize)] =
            &[("proxy.corp", &["10.0.0.7"], 1), ("files.corp", &["10.0.0.6"], 0)];
        check("https://hub.example", "http://proxy.corp:3128", proxied);
        check("https://hub.example", "proxy.corp:3128", proxied);
    }

    #[tokio::test]
    async fn what_the_system_finds_is_looked_at() {
        let found = async |server: &str| {
            let reach = Reach::new(Some(&server.parse().unwrap()), "");
            let addresses = Resolver(Arc::new(reach)).resolve("localhost".parse().unwrap()).await;
            addresses.map(Iterator::count).map_err(|error| error.to_string())
        };
        assert!(found("http://localhost:1").await.unwrap() > 0);
        let refused = found("https://hub.example").await.unwrap_err();
        assert!(refused.contains("leads to localhost"), "{refused}");
    }
}
