//! The consent page.

use askama::Template;
use axum::response::{IntoResponse, Response};

use super::client::{ClientView, Logo, Place};
use super::frame::{Frame, paths};
use super::headers::Places;
use super::respond::{Page, respond};

/// The consent page: who asks, for what, and of whom.
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub struct ConsentView {
    /// What is round the page. Its `here` is [`paths::CONSENT`] with the transaction in the query.
    pub frame: Frame,
    /// Who asks.
    pub client: ClientView,
    /// Who is signed in, as the person knows themself.
    pub who: String,
    /// What is asked for.
    pub scopes: Vec<ScopeView>,
    /// Against forged posts: bound to the session and to the transaction.
    pub csrf: String,
    /// The transaction, as the opaque name under which the server keeps it. What was asked for is kept there too, never in the form.
    pub request: String,
}

/// A scope, in plain words where there are any.
#[derive(Clone, Debug)]
pub struct ScopeView {
    /// The scope.
    pub name: String,
    /// What it allows, as an administrator described it. Empty where nobody did: the name is shown instead.
    pub description: String,
}

impl Page for ConsentView {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn places(&self) -> Option<Places<'_>> {
        Some(self.client.places())
    }

    fn logo(&self) -> Option<&Logo> {
        self.client.logo.as_ref()
    }
}

impl IntoResponse for ConsentView {
    fn into_response(self) -> Response {
        respond(&self)
    }
}
