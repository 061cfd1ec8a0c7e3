//! What a person sees: login, consent, account and error pages, as values that render themselves.
//!
//! A handler fills in a view and answers with it; the status, the security headers and the language follow from the view.
//! Pages work without script, name no other site, and show nothing of a request but what the template engine has escaped.

mod account;
mod applications;
pub mod assets;
mod browser;
mod client;
mod consent;
mod error;
mod frame;
mod headers;
mod language;
mod login;
mod respond;
mod texts;
mod when;

pub use account::{AccountView, AppView, Notice, SessionView};
pub use applications::{
    AppNotice, ApplicationForm, ApplicationView, ApplicationsView, ChoiceView, DeleteView, ExistingView, FilterView,
    FormProblem, OwnedView, ScopeChoiceView, SecretView,
};
pub use client::{ClientView, Logo, Place};
pub use consent::{ConsentView, ScopeView};
pub use error::{ErrorView, Problem};
pub use frame::{Frame, Site, paths};
pub use headers::{Places, csp, secure};
pub use language::Language;
pub use login::{LoginError, LoginView};

#[cfg(test)]
mod tests;
