//! TLS (RFC 8446, RFC 5246) from files, on rustls with the one cryptographic library: listeners, client certificates, and the channel to
//! another service.
//!
//! Certificates are replaced while the process runs ([`keep_current`]): a new handshake gets the new one, and what is connected goes on,
//! as long as somebody vouches for the client.
//! Nothing here uses rustls' process-wide provider, which whoever comes first would choose.

mod client;
mod error;
mod files;
mod identity;
mod peer;
mod plain;
mod renewal;
mod server;
mod validity;
mod vouched;

use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use client::{ClientFiles, ClientTls};
pub use error::TlsError;
pub use identity::{Identities, IdentityName, InvalidIdentity, LiveIdentities, NamesClient, NotTheirs};
pub use peer::{PeerCertificate, Secured};
pub(crate) use plain::answer as answer_plain_text;
pub use renewal::{Renewable, Renewal, keep_current};
pub use server::{Acceptor, Failed, Role, ServerTls};
pub(crate) use vouched::{Vouched, lapsed};

/// The cryptography of every connection.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}
