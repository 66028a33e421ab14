//! HTTPS: the certificate, and its replacement while the server runs.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use impetus_config::TlsConfig;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_rustls::TlsAcceptor;
use tracing::{error, info};

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// The certificate in force.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    files: Files,
    config: Arc<watch::Sender<Arc<ServerConfig>>>,
}

#[derive(Debug, Clone)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("cannot read the certificate {}: {source}; check gateway.tls.cert", path.display())]
    Cert { path: PathBuf, source: pem::Error },
    #[error("there is no certificate in {}; gateway.tls.cert names a file in PEM", path.display())]
    NoCert { path: PathBuf },
    #[error("cannot read the private key {}: {source}; check gateway.tls.key", path.display())]
    Key { path: PathBuf, source: pem::Error },
    #[error("the certificate {} and the key {} cannot be used: {source}", cert.display(), key.display())]
    Unfit { cert: PathBuf, key: PathBuf, source: rustls::Error },
}

impl Tls {
    /// The certificate of the configuration, if it has one.
    pub(crate) fn load(config: &TlsConfig) -> Result<Option<Self>, TlsError> {
        let (Some(cert), Some(key)) = (config.cert.clone(), config.key.clone()) else { return Ok(None) };
        let files = Files { cert, key };
        let config = Arc::new(watch::Sender::new(files.load()?));
        Ok(Some(Self { files, config }))
    }

    /// For one connection, with the certificate of now.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.borrow().clone())
    }

    /// Takes new files up as they come, for as long as it is polled. What cannot be used leaves the former certificate
    /// in force.
    pub(super) async fn follow(&self) {
        let mut times = interval(PERIOD);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = self.files.stamps();
        loop {
            times.tick().await;
            let files = self.files.clone();
            let before = known;
            let looked = spawn_blocking(move || {
                let stamps = files.stamps();
                (stamps != before).then(|| (files.load(), stamps))
            });
            let Ok(Some((loaded, stamps))) = looked.await else { continue };
            known = stamps;
            match loaded {
                Ok(config) => {
                    self.config.send_replace(config);
                    info!(cert = %self.files.cert.display(), "certificate replaced");
                }
                Err(error) => error!(%error, "certificate not replaced; the former one stays in force"),
            }
        }
    }
}

impl Files {
    fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let Self { cert, key } = self;
        let cert_error = |source| TlsError::Cert { path: cert.clone(), source };
        let chain: Vec<_> = CertificateDer::pem_file_iter(cert)
            .map_err(cert_error)?
            .collect::<Result<_, _>>()
            .map_err(cert_error)?;
        if chain.is_empty() {
            return Err(TlsError::NoCert { path: cert.clone() });
        }
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|source| TlsError::Key { path: key.clone(), source })?;
        let unfit = |source| TlsError::Unfit { cert: cert.clone(), key: key.clone(), source };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unfit)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(unfit)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// What changes when somebody replaces or writes one of the files.
    fn stamps(&self) -> [Option<(u64, i64, i64, u64)>; 2] {
        [stamp(&self.cert).ok(), stamp(&self.key).ok()]
    }
}

fn stamp(path: &Path) -> io::Result<(u64, i64, i64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len()))
}
