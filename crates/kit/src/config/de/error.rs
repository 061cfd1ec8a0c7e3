//! serde's error, with the place it belongs to.

use std::fmt;

use super::super::tree::Origin;

#[derive(Debug)]
pub(super) struct Error {
    pub(super) path: Vec<String>,
    pub(super) origin: Option<Origin>,
    pub(super) placed: bool,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Missing(&'static str),
    Invalid(String),
}

impl Error {
    fn new(kind: Kind) -> Self {
        Self { path: Vec::new(), origin: None, placed: false, kind }
    }

    /// Gives the error a place, unless it has a more exact one.
    pub(super) fn at(mut self, path: &[String], origin: &Origin) -> Self {
        if !self.placed {
            self.path = path.to_vec();
            self.origin = Some(origin.clone());
            self.placed = true;
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Missing(field) => write!(f, "{field} is missing"),
            Kind::Invalid(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Kind::Invalid(message.to_string()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Kind::Missing(field))
    }
}
