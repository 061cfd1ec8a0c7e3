//! Credentials in a URL end up in logs and histories: they are refused there, and never read (RFC 6749 section 2.3.1).
//! `access_token` is ignored instead, as any unknown parameter: the way of RFC 6750 section 2.3 does not exist here.

use ::http::Uri;
use tessera_types::{ErrorCode, Failure};

use super::form;

/// What never stands in a query.
const CREDENTIALS: &[&str] =
    &["client_assertion", "client_secret", "code", "code_verifier", "password", "refresh_token", "token", "username"];

/// A credential stands in the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a credential in the query")]
pub struct CredentialInQuery;

impl Failure for CredentialInQuery {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidRequest
    }

    fn reason(&self) -> &'static str {
        "CREDENTIAL_IN_QUERY"
    }

    fn advice(&self) -> &'static str {
        "Credentials must not stand in the URL. Send them in the body, and treat these as leaked."
    }
}

/// Refuses a query with a credential in it, however its name is written; everything else there is ignored.
///
/// # Errors
/// [`CredentialInQuery`].
pub fn refuse_credentials(uri: &Uri) -> Result<(), CredentialInQuery> {
    let query = uri.query().unwrap_or_default();
    let names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    for name in names {
        let decoded = form::decode(name.as_bytes()).unwrap_or_default();
        if CREDENTIALS.iter().any(|credential| decoded.eq_ignore_ascii_case(credential)) {
            return Err(CredentialInQuery);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_refused_however_written() {
        for bad in ["/?client_secret=x", "/?a=b&code=1", "/?client%5Fsecret=x", "/?TOKEN=x", "/?password"] {
            assert_eq!(refuse_credentials(&bad.parse().expect("a URI")), Err(CredentialInQuery), "{bad}");
        }
        for good in ["/", "/?", "/?lang=fr&client_id=x", "/?access_token=x"] {
            assert_eq!(refuse_credentials(&good.parse().expect("a URI")), Ok(()), "{good}");
        }
    }
}
