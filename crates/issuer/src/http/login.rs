//! `/login` and `/logout`: a person signs in, or out.

use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::{IntoResponse as _, Response};
use tessera_kit::http::Form;
use tessera_types::PresentedSecret;

use super::flow::{Page, Transaction};
use super::forwarded;
use super::pages::{LoginError, LoginView, Problem, paths};
use super::visitor::{self, Purpose};
use crate::context::Context;
use crate::operations::sessions;
use crate::report;
use crate::user_auth::{PresentedUser, UserAuthError};

/// Shows the page; who is signed in is sent on.
pub(super) async fn show(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, mut form) = Page::asked(&cx, &request);
    let signed_out = form.take("signed_out").is_some();
    match page.transaction().await {
        Err(response) => response,
        Ok(transaction) => match page.visitor.session(&cx).await {
            Err(error) => page.failed(&error),
            Ok(Some(_)) => onward(&page, transaction.as_ref()),
            Ok(None) => {
                let view = view(&page, transaction.as_ref(), String::new(), None);
                page.visitor.greet(&cx, LoginView { signed_out, ..view }.into_response())
            }
        },
    }
}

/// Signs somebody in.
pub(super) async fn submit(State(cx): State<Context>, request: Request<Body>) -> Response {
    let from = forwarded::client(&cx, &request);
    let (page, mut form) = match Page::posted(&cx, request).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    let transaction = match page.transaction().await {
        Ok(transaction) => transaction,
        Err(response) => return response,
    };
    if !page.visitor.gave(&cx, purpose(transaction.as_ref()), form.value("csrf")) {
        // Also where cookies are off: the page then comes again, and says so.
        let view = view(&page, transaction.as_ref(), String::new(), Some(LoginError::Expired));
        return page.visitor.greet(&cx, view.into_response());
    }
    let identifier = form.take("username").unwrap_or_default();
    match attempt(&cx, &page, &identifier, &mut form, from).await {
        Ok(begun) => {
            end_before(&cx, &page).await;
            let mut response = onward(&page, transaction.as_ref());
            visitor::sign_in(&cx, &mut response, &begun.token);
            response
        }
        Err(error) => view(&page, transaction.as_ref(), identifier, Some(told(&error))).into_response(),
    }
}

/// Signs somebody out, and brings them back to their transaction where they are in one.
pub(super) async fn leave(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, form) = match Page::posted(&cx, request).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    let transaction = match page.transaction().await {
        Ok(transaction) => transaction,
        Err(response) => return response,
    };
    let purpose = transaction.as_ref().map_or(Purpose::Account, |transaction| Purpose::Request(&transaction.text));
    if !page.visitor.gave(&cx, purpose, form.value("csrf")) {
        return page.problem(Problem::StaleForm);
    }
    let ended = async {
        if let Some(live) = page.visitor.session(&cx).await? {
            sessions::end_one(&page.cx, &live.user, live.session.id).await?;
        }
        Ok::<_, sessions::SessionError>(())
    };
    if let Err(error) = ended.await {
        return page.failed(&error);
    }
    let login = page.url(paths::LOGIN, transaction.as_ref());
    let separator = if login.contains('?') { '&' } else { '?' };
    let mut response = visitor::send_to(&format!("{login}{separator}signed_out=1"), None);
    visitor::sign_out(&cx, &mut response);
    response
}

/// Ends the session that the browser had until now: its cookie is replaced, and nobody could end it there any more.
async fn end_before(cx: &Context, page: &Page) {
    let ended = async {
        if let Some(live) = page.visitor.session(cx).await? {
            sessions::end_one(&page.cx, &live.user, live.session.id).await?;
        }
        Ok::<_, sessions::SessionError>(())
    };
    if let Err(error) = ended.await {
        tracing::warn!(%error, "the session before a login was not ended");
    }
}

async fn attempt(
    cx: &Context,
    page: &Page,
    identifier: &str,
    form: &mut Form,
    from: Option<std::net::IpAddr>,
) -> Result<sessions::Begun, UserAuthError> {
    let password = form.take("password").and_then(PresentedSecret::new).unwrap_or_else(PresentedSecret::nobodys);
    let presented = PresentedUser { identifier: identifier.to_owned(), password, from, relayed: false };
    sessions::login(cx, &presented, &page.visitor.agent).await
}

/// On to what the person came for.
fn onward(page: &Page, transaction: Option<&Transaction>) -> Response {
    let path = if transaction.is_some() { paths::CONSENT } else { paths::ACCOUNT };
    visitor::send_to(&page.url(path, transaction), transaction.map(Transaction::places))
}

fn purpose(transaction: Option<&Transaction>) -> Purpose<'_> {
    transaction.map_or(Purpose::Login, |transaction| Purpose::Request(&transaction.text))
}

fn view(page: &Page, transaction: Option<&Transaction>, identifier: String, error: Option<LoginError>) -> LoginView {
    LoginView {
        frame: page.frame(transaction, paths::LOGIN),
        client: transaction.map(|transaction| transaction.client(&page.site)),
        csrf: page.visitor.csrf(&page.cx, purpose(transaction)),
        request: transaction.map(|transaction| transaction.text.clone()),
        identifier,
        error,
        signed_out: false,
    }
}

fn told(error: &UserAuthError) -> LoginError {
    report::internal(error);
    match error {
        UserAuthError::Refused(_) => LoginError::Wrong,
        UserAuthError::Throttled(wait) => LoginError::Throttled { seconds: wait.as_secs().max(1) },
        _ => LoginError::Busy,
    }
}
