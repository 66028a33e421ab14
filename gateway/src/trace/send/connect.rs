//! Connections to a collector.

use std::{io, path::Path, sync::Arc};

use axum::http::Uri;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::setup::TraceError;

/// A connection, with TLS or without.
pub(super) type Connection = TokioIo<Box<dyn Io>>;

pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Io for S {}

/// Where a collector listens.
#[derive(Debug)]
pub(super) struct Target {
    host: String,
    port: u16,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Target {
    /// `is_h2`: HTTP/2 is spoken, which has to be agreed upon with TLS.
    pub(super) fn of(uri: &Uri, ca: Option<&Path>, is_h2: bool) -> Result<Self, TraceError> {
        let refused = || TraceError::Endpoint { endpoint: uri.to_string() };
        let host = uri.host().ok_or_else(refused)?.trim_matches(['[', ']']).to_owned();
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let tls = is_tls.then(|| -> Result<_, TraceError> {
            let name = ServerName::try_from(host.clone()).map_err(|_| refused())?;
            Ok((Arc::new(client(roots(ca)?, is_h2)), name))
        });
        Ok(Self { host, port, tls: tls.transpose()? })
    }

    /// As a Host header has it.
    pub(super) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

pub(super) async fn connect(target: Arc<Target>) -> io::Result<Connection> {
    let stream = TcpStream::connect((&*target.host, target.port)).await?;
    stream.set_nodelay(true)?;
    let stream: Box<dyn Io> = match &target.tls {
        None => Box::new(stream),
        Some((config, name)) => {
            Box::new(TlsConnector::from(config.clone()).connect(name.clone(), stream).await?)
        }
    };
    Ok(TokioIo::new(stream))
}

fn client(roots: RootCertStore, is_h2: bool) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks the versions that rustls does")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![if is_h2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    config
}

/// The certificates that may vouch for a collector: those of `ca` alone, or the system's.
fn roots(ca: Option<&Path>) -> Result<RootCertStore, TraceError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return if roots.is_empty() { Err(TraceError::NoRoots) } else { Ok(roots) };
    };
    let unread = |source| TraceError::Ca { path: path.to_owned(), source };
    for certificate in CertificateDer::pem_file_iter(path).map_err(unread)? {
        roots.add_parsable_certificates([certificate.map_err(unread)?]);
    }
    if roots.is_empty() { Err(TraceError::NoCa { path: path.to_owned() }) } else { Ok(roots) }
}
