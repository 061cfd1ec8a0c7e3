//! `application/x-www-form-urlencoded`, read strictly.
//!
//! Every parameter at most once (RFC 6749 sections 3.1 and 3.2), an empty one as absent, percent escapes complete and UTF-8
//! valid. Frameworks' form extractors forgive all of these, and a second value that only one of two parties sees is an attack.

use std::fmt;

use tessera_types::{ErrorCode, Failure};
use zeroize::Zeroize as _;

/// How many parameters a request may have. The endpoints know a dozen.
const MAX_PARAMETERS: usize = 128;

/// The parameters of a request, each at most once. Its values are credentials often enough that `Debug` shows only names, and
/// that they are wiped when dropped.
#[derive(Default)]
pub struct Form(Vec<(String, String)>);

/// Why a body is not a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// A parameter stands there twice.
    #[error("a parameter is repeated")]
    Repeated,
    /// A `%` without two hexadecimal digits.
    #[error("a percent escape is broken")]
    Escape,
    /// What the escapes stand for is not UTF-8.
    #[error("a parameter is not UTF-8")]
    Utf8,
    /// More than 128 parameters.
    #[error("there are too many parameters")]
    TooMany,
}

impl Failure for FormError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidRequest
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Repeated => "PARAMETER_REPEATED",
            Self::Escape => "FORM_ESCAPE_BROKEN",
            Self::Utf8 => "FORM_NOT_UTF8",
            Self::TooMany => "TOO_MANY_PARAMETERS",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Repeated => "A parameter is repeated; send each parameter once.",
            Self::Escape => "A percent escape is incomplete; write a percent sign as %25.",
            Self::Utf8 => "A parameter is not valid UTF-8.",
            Self::TooMany => "There are too many parameters.",
        }
    }
}

impl Form {
    /// Reads a body.
    ///
    /// # Errors
    /// Every [`FormError`].
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        Self::parse_with(body, &[])
    }

    /// Reads a body in which some parameters may be repeated, as `resource` may (RFC 8707 section 2).
    ///
    /// # Errors
    /// Every [`FormError`].
    pub fn parse_with(body: &[u8], repeatable: &[&str]) -> Result<Self, FormError> {
        let mut form = Self::default();
        for pair in body.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = split(pair);
            form.push(decode(name)?, decode(value)?, repeatable)?;
        }
        Ok(form)
    }

    /// Reads a form in which any parameter may be repeated, for a reader who answers for that itself: see
    /// [`repeated`](Self::repeated).
    ///
    /// # Errors
    /// Every [`FormError`] but `Repeated`.
    pub fn parse_repeating(body: &[u8]) -> Result<Self, FormError> {
        let mut form = Self::default();
        for pair in body.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = split(pair);
            form.add(decode(name)?, decode(value)?)?;
        }
        Ok(form)
    }

    /// The names that stand there more than once, with a value or without.
    pub fn repeated(&self) -> impl Iterator<Item = &str> {
        let names = self.0.iter().map(|(name, _)| name.as_str()).enumerate();
        names.filter(|(at, name)| self.0[..*at].iter().any(|(n, _)| n == name)).map(|(_, name)| name)
    }

    /// Adds a parameter, as long as it may stand there.
    pub(super) fn push(&mut self, name: String, value: String, repeatable: &[&str]) -> Result<(), FormError> {
        if self.0.iter().any(|(n, _)| *n == name) && !repeatable.contains(&name.as_str()) {
            return Err(FormError::Repeated);
        }
        self.add(name, value)
    }

    /// Adds a parameter, also where its name stands there already.
    ///
    /// # Errors
    /// `TooMany`.
    pub fn add(&mut self, name: String, value: String) -> Result<(), FormError> {
        if self.0.len() == MAX_PARAMETERS {
            return Err(FormError::TooMany);
        }
        self.0.push((name, value));
        Ok(())
    }

    /// Every parameter in its order, those with an empty value too.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a parameter; an empty one is absent (RFC 6749 section 3.2).
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// Every value of a parameter that may be repeated.
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// Takes the value of a parameter out.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let (_, value) = self.0.iter_mut().find(|(n, v)| n == name && !v.is_empty())?;
        Some(std::mem::take(value))
    }
}

impl Drop for Form {
    fn drop(&mut self) {
        for (_, value) in &mut self.0 {
            value.zeroize();
        }
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|b| *b == b'=') {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, &[]),
    }
}

/// Decodes one name or value: `+` is a space, `%XX` a byte, the whole UTF-8. Both halves of Basic credentials are written so
/// too (RFC 6749 section 2.3.1).
///
/// # Errors
/// [`FormError::Escape`] and [`FormError::Utf8`].
pub fn decode(encoded: &[u8]) -> Result<String, FormError> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next())? << 4 | hex(rest.next())?,
            other => *other,
        });
    }
    String::from_utf8(bytes).map_err(|error| {
        error.into_bytes().zeroize();
        FormError::Utf8
    })
}

fn hex(digit: Option<&u8>) -> Result<u8, FormError> {
    match digit {
        Some(d @ b'0'..=b'9') => Ok(d - b'0'),
        Some(d @ b'a'..=b'f') => Ok(d - b'a' + 10),
        Some(d @ b'A'..=b'F') => Ok(d - b'A' + 10),
        _ => Err(FormError::Escape),
    }
}

#[cfg(test)]
mod tests;
