//! How the introspector itself is known to the issuer.

use std::sync::Arc;

use tessera_kit::token_source::{TokenError, TokenSource};
use tonic::Request;

/// One of the two.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// By a token with the scope `tessera.sync`, got with its client's secret.
    Token(Arc<TokenSource>),
    /// By the certificate of the connection, which the issuer's configuration maps to that scope.
    Certificate,
}

impl Credential {
    /// Puts on a request what it needs.
    pub(crate) async fn authorize<T>(&self, request: &mut Request<T>) -> Result<(), TokenError> {
        if let Self::Token(tokens) = self {
            request.metadata_mut().insert("authorization", tokens.authorization().await?);
        }
        Ok(())
    }

    /// Forgets the token, after the issuer refused it.
    pub(crate) async fn forget(&self) {
        if let Self::Token(tokens) = self {
            tokens.forget().await;
        }
    }
}
