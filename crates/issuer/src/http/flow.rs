//! What the handlers of pages share: the parameters of a page, the transaction it belongs to, and the page for what went wrong.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tessera_kit::http::{Form, FormBody, error};
use tessera_types::{ErrorCode, Failure, RedirectUri, RequestToken};

use super::forwarded;
use super::pages::{ClientView, ErrorView, Frame, Language, Logo, Places, Problem, Site};
use super::visitor::Visitor;
use crate::context::Context;
use crate::operations::authorization::{self, DecideError, Pending};
use crate::report;

/// A request for a page, or a form that was sent from one.
pub(super) struct Page {
    pub(super) cx: Context,
    pub(super) site: Site,
    pub(super) visitor: Visitor,
    /// What `lang` says.
    pub(super) lang: Option<String>,
    /// What `request` says.
    pub(super) request: Option<String>,
}

/// A transaction: a request that waits for a decision.
pub(super) struct Transaction {
    pub(super) text: String,
    pub(super) token: RequestToken,
    pub(super) pending: Pending,
}

impl Page {
    /// A page that is asked for. Of its query only `request`, `lang` and what the caller takes out are looked at.
    pub(super) fn asked(cx: &Context, request: &Request<Body>) -> (Self, Form) {
        let visitor = Visitor::of(cx, request.headers());
        let cx = &cx.reached_from(forwarded::client(cx, request));
        let query = request.uri().query().unwrap_or_default();
        // A query that cannot be read says nothing; what a page needs of it is then missing.
        let mut form = Form::parse(query.as_bytes()).unwrap_or_default();
        (Self::new(cx, visitor, &mut form), form)
    }

    /// A form that was sent.
    ///
    /// # Errors
    /// A page that says that the form cannot be read.
    pub(super) async fn posted(cx: &Context, request: Request<Body>) -> Result<(Self, Form), Response> {
        Self::posted_with(cx, request, &[]).await
    }

    /// As [`posted`](Self::posted), for a form in which some fields may stand more than once.
    ///
    /// # Errors
    /// A page that says that the form cannot be read.
    pub(super) async fn posted_with(
        cx: &Context,
        request: Request<Body>,
        repeatable: &[&str],
    ) -> Result<(Self, Form), Response> {
        let visitor = Visitor::of(cx, request.headers());
        let cx = &cx.reached_from(forwarded::client(cx, &request));
        match FormBody::read(request, repeatable).await {
            Ok(FormBody { mut form, .. }) => Ok((Self::new(cx, visitor, &mut form), form)),
            Err(_) => Err(Self::new(cx, visitor, &mut Form::default()).problem(Problem::Malformed)),
        }
    }

    fn new(cx: &Context, visitor: Visitor, form: &mut Form) -> Self {
        let site = Site::new(&cx.policy.issuer_url);
        Self { cx: cx.clone(), site, visitor, lang: form.take("lang"), request: form.take("request") }
    }

    /// The frame of a page at this path, below the issuer's.
    pub(super) fn frame(&self, transaction: Option<&Transaction>, path: &str) -> Frame {
        let (here, locales) = match transaction {
            Some(transaction) => {
                (format!("{path}?request={}", transaction.text), transaction.pending.request.locales.as_deref())
            }
            None => (path.to_owned(), None),
        };
        Frame::new(&self.site, self.language(locales), here)
    }

    /// The frame of a page that cannot be shown again.
    pub(super) fn frame_of_once(&self) -> Frame {
        Frame::of_once(&self.site, self.language(None))
    }

    /// The language that the page, its transaction or else the browser asks for.
    fn language(&self, locales: Option<&str>) -> Language {
        self.visitor.language(self.lang.as_deref().or(locales))
    }

    /// Where a page of the issuer's is, with the transaction and the language that were chosen.
    pub(super) fn url(&self, path: &str, transaction: Option<&Transaction>) -> String {
        let request = transaction.map(|transaction| format!("request={}", transaction.text));
        // One of our own tags, or nothing: what was sent goes nowhere.
        let lang = self.lang.as_deref().map(|lang| format!("lang={}", self.visitor.language(Some(lang)).tag()));
        let query: Vec<String> = request.into_iter().chain(lang).collect();
        let separator = match (query.is_empty(), path.contains('?')) {
            (true, _) => "",
            (false, true) => "&",
            (false, false) => "?",
        };
        format!("{}{separator}{}", self.site.url(path), query.join("&"))
    }

    /// The transaction, where the page is one's.
    ///
    /// # Errors
    /// A page that says that it is over.
    pub(super) async fn transaction(&self) -> Result<Option<Transaction>, Response> {
        let Some(text) = self.request.clone() else { return Ok(None) };
        let Ok(token) = text.parse::<RequestToken>() else { return Err(self.problem(Problem::Expired)) };
        match authorization::find(&self.cx, &token).await {
            Ok(pending) => Ok(Some(Transaction { text, token, pending })),
            Err(error) => Err(self.undecided(&error)),
        }
    }

    /// The page for a request that was not decided.
    pub(super) fn undecided(&self, error: &DecideError) -> Response {
        match error {
            DecideError::Gone => self.problem(Problem::Expired),
            other => self.failed(other),
        }
    }

    /// The page for a failure.
    pub(super) fn failed(&self, failure: &dyn Failure) -> Response {
        report::internal(failure);
        self.problem(match failure.code() {
            ErrorCode::TemporarilyUnavailable | ErrorCode::DeadlineExceeded => Problem::Busy,
            ErrorCode::Throttled => {
                Problem::Throttled { seconds: failure.retry_after().map_or(1, |wait| wait.as_secs().max(1)) }
            }
            ErrorCode::NotFound => Problem::NotFound,
            ErrorCode::InvalidRequest => Problem::Malformed,
            _ => Problem::Internal,
        })
    }

    /// The page for a problem. Nothing of the request is on it.
    pub(super) fn problem(&self, problem: Problem) -> Response {
        ErrorView { frame: self.frame_of_once(), problem, reference: None }.into_response()
    }
}

/// A path that is not there: a page for people, and JSON for everybody else.
pub(super) async fn nothing_here(State(cx): State<Context>, request: Request<Body>) -> Response {
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accepted.is_some_and(|kinds| kinds.contains("text/html")) {
        let (page, _) = Page::asked(&cx, &request);
        return page.problem(Problem::NotFound);
    }
    error::not_found().await
}

/// A path of the pages' asked for in another way than its forms and links do.
pub(super) async fn wrong_method(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, _) = Page::asked(&cx, &request);
    let mut response = page.problem(Problem::NotFound);
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

impl Transaction {
    /// The client as pages show it.
    pub(super) fn client(&self, site: &Site) -> ClientView {
        let client = &self.pending.client;
        ClientView {
            name: client.name.clone(),
            redirect: self.pending.request.redirect_uri.to_string(),
            failure: client.failure_uri.as_ref().map(ToString::to_string),
            site: client.site_url.as_ref().map(ToString::to_string),
            logo: client.logo_url.as_ref().and_then(|url| Logo::of(url.as_str(), site)),
        }
    }

    /// Where its answer will go.
    pub(super) fn places(&self) -> Places<'_> {
        let failure = self.pending.client.failure_uri.as_ref().map(RedirectUri::as_str);
        Places { redirect: self.pending.request.redirect_uri.as_str(), failure }
    }
}
