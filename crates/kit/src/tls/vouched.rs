//! Whether somebody still vouches for the other end of a connection.
//!
//! A handshake verifies a client's certificate once; the authorities may be replaced while the connection lives. Then its certificate is
//! held against the new ones, and where none of them vouches for it, it is nobody's any more and the connection ends.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use tessera_types::error::chain;
use tokio::sync::watch;

use super::peer::PeerCertificate;
use super::server::ServerTls;

/// A client's certificate, with what it takes to verify it again.
#[derive(Clone)]
pub(crate) struct Vouched {
    pub(super) tls: ServerTls,
    /// What the client presented: its certificate, and those between it and the authority.
    pub(super) presented: Vec<CertificateDer<'static>>,
    pub(super) certificate: Option<Arc<PeerCertificate>>,
    /// From before the handshake: what was replaced during it has been seen by nobody.
    pub(super) replaced: watch::Receiver<()>,
}

/// Resolves when nobody vouches for a connection's certificate any more; never, where there is none.
pub(crate) async fn lapsed(vouched: Option<Vouched>) {
    let Some(Vouched { tls, presented, certificate, mut replaced }) = vouched else {
        return std::future::pending().await;
    };
    // Where nothing is replaced any more, the process is about to end.
    while replaced.changed().await.is_ok() {
        if let Err(error) = tls.verify(&presented) {
            if let Some(certificate) = &certificate {
                certificate.withdraw();
            }
            let names = certificate.map(|certificate| certificate.shown());
            tracing::info!(
                names,
                error = chain(&error),
                "nobody vouches for a client's certificate any more: its connection ends"
            );
            return;
        }
    }
    std::future::pending::<()>().await;
}
