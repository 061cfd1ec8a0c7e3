//! The `Authorization` header: Basic as OAuth writes it (RFC 6749 section 2.3.1) and Bearer (RFC 6750 section 2.1).

use std::fmt;

use ::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tessera_types::{ClientId, ErrorCode, Failure, PresentedSecret};
use zeroize::{Zeroize as _, Zeroizing};

use super::form::{self, Form};

/// What a caller presents in the `Authorization` header.
#[derive(Debug)]
pub enum Authorization {
    /// A client's identifier and secret.
    Basic(Credentials),
    /// A token.
    Bearer(BearerToken),
}

/// A client's identifier and, where it presented one, its secret.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Who it says it is.
    pub client_id: ClientId,
    /// What it presents as proof; `None` where the secret is empty or too long, which never authenticates.
    pub secret: Option<PresentedSecret>,
}

/// A Bearer token as presented: `b64token` of RFC 6750 section 2.1, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(Zeroizing<String>);

/// Why an `Authorization` header was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// More than one `Authorization` header.
    #[error("there is more than one Authorization header")]
    Repeated,
    /// A scheme other than Basic and Bearer, or none.
    #[error("the authorization scheme is not supported")]
    Scheme,
    /// Not strict base64 of `id:secret`, form-encoded.
    #[error("the Basic credentials are malformed")]
    Basic,
    /// Not a `b64token`.
    #[error("the Bearer token is malformed")]
    Bearer,
}

impl Failure for AuthorizationError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Repeated => ErrorCode::InvalidRequest,
            Self::Scheme | Self::Basic => ErrorCode::InvalidClient,
            Self::Bearer => ErrorCode::InvalidToken,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Repeated => "AUTHORIZATION_REPEATED",
            Self::Scheme => "AUTHORIZATION_SCHEME_UNSUPPORTED",
            Self::Basic => "BASIC_MALFORMED",
            Self::Bearer => "BEARER_MALFORMED",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Repeated => "There is more than one Authorization header; send one.",
            Self::Scheme => "The authorization scheme is not supported; use Basic or Bearer.",
            Self::Basic => {
                "The Basic credentials are malformed; form-encode id and secret, join them with a colon, and encode that in base64."
            }
            Self::Bearer => "The Bearer token is malformed.",
        }
    }
}

impl Authorization {
    /// Reads the header, where there is one.
    ///
    /// # Errors
    /// Every [`AuthorizationError`].
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, AuthorizationError> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(AuthorizationError::Repeated);
        }
        Self::parse(value.as_bytes()).map(Some)
    }

    /// Reads the header's value. The scheme's case does not matter (RFC 9110 section 11.1).
    ///
    /// # Errors
    /// [`AuthorizationError::Scheme`], [`AuthorizationError::Basic`] and [`AuthorizationError::Bearer`].
    pub fn parse(value: &[u8]) -> Result<Self, AuthorizationError> {
        let (scheme, rest) = match value.iter().position(|b| *b == b' ') {
            Some(at) => (&value[..at], value[at..].trim_ascii_start()),
            None => (value, &[][..]),
        };
        if scheme.eq_ignore_ascii_case(b"basic") {
            Credentials::parse(rest).map(Self::Basic)
        } else if scheme.eq_ignore_ascii_case(b"bearer") {
            BearerToken::parse(rest).map(Self::Bearer)
        } else {
            Err(AuthorizationError::Scheme)
        }
    }
}

/// The user and the password of `Authorization: Basic` as they stand there (RFC 7617), for callers that know no form-encoding of them.
/// `None` without such a header, or where it cannot be read.
#[must_use]
pub fn basic_as_written(headers: &HeaderMap) -> Option<(String, Zeroizing<String>)> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let pair = Zeroizing::new(STANDARD.decode(encoded.trim_ascii()).ok()?);
    let (user, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some((user.to_owned(), Zeroizing::new(password.to_owned())))
}

/// Whether a request says nothing of who asks, but perhaps a `client_id`: then the certificate of its connection may, where an endpoint
/// takes that. Beside anything else it counts for nothing, also where that is refused: nobody gets the one's rights where the other's
/// are.
#[must_use]
pub fn says_nothing(headers: &HeaderMap, form: &Form) -> bool {
    let proofs = ["client_secret", "client_assertion", "client_assertion_type"];
    !headers.contains_key(header::AUTHORIZATION) && proofs.iter().all(|name| form.value(name).is_none())
}

impl Credentials {
    /// Reads what follows `Basic `: strict base64, split at the first `:`, both halves form-decoded. So identifiers and secrets
    /// may hold any character, the colon as `%3A`.
    ///
    /// # Errors
    /// [`AuthorizationError::Basic`].
    pub fn parse(encoded: &[u8]) -> Result<Self, AuthorizationError> {
        let pair = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| AuthorizationError::Basic)?);
        let colon = pair.iter().position(|b| *b == b':').ok_or(AuthorizationError::Basic)?;
        let client_id = form::decode(&pair[..colon]).map_err(|_| AuthorizationError::Basic)?;
        let secret = form::decode(&pair[colon + 1..]).map_err(|_| AuthorizationError::Basic)?;
        let client_id = client_id.parse().map_err(|_| AuthorizationError::Basic)?;
        Ok(Self { client_id, secret: PresentedSecret::new(secret) })
    }
}

impl BearerToken {
    /// Reads what follows `Bearer `.
    ///
    /// # Errors
    /// [`AuthorizationError::Bearer`].
    pub fn parse(token: &[u8]) -> Result<Self, AuthorizationError> {
        let body = match token.iter().position(|b| *b == b'=') {
            Some(at) if token[at..].iter().all(|b| *b == b'=') => &token[..at],
            Some(_) => return Err(AuthorizationError::Bearer),
            None => token,
        };
        let well_formed = body.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(b));
        if body.is_empty() || !well_formed {
            return Err(AuthorizationError::Bearer);
        }
        let text = String::from_utf8(token.to_vec()).map_err(|error| {
            error.into_bytes().zeroize();
            AuthorizationError::Bearer
        })?;
        Ok(Self(Zeroizing::new(text)))
    }

    /// The token itself, for checking it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(…)")
    }
}

#[cfg(test)]
mod tests;
