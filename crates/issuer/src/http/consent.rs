//! `/consent`: a person decides what a client may do.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::{IntoResponse as _, Response};
use tessera_store::{StoreError, User};
use tessera_types::{Scope, ScopeSet};

use super::flow::{Page, Transaction};
use super::pages::{ConsentView, Language, Problem, ScopeView, paths};
use super::visitor::{self, Came, Purpose};
use crate::context::Context;
use crate::operations::authorization::{self, DecideError, Decider, Decision};

/// Shows the page. Who is not signed in is asked to; who has allowed all of it before is not asked again.
pub(super) async fn show(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, _) = Page::asked(&cx, &request);
    let transaction = match page.transaction().await {
        Ok(Some(transaction)) => transaction,
        Ok(None) => return page.problem(Problem::Malformed),
        Err(response) => return response,
    };
    let user = match page.visitor.session(&cx).await {
        Ok(Some(live)) => live.user,
        Ok(None) => return visitor::send_to(&page.url(paths::LOGIN, Some(&transaction)), None),
        Err(error) => return page.failed(&error),
    };
    if let Some(answer) = remembered(&page, &transaction).await {
        return answer;
    }
    match ask(&page, &transaction, &user).await {
        Ok(view) => view.into_response(),
        Err(error) => page.failed(&error),
    }
}

/// Takes the decision.
pub(super) async fn submit(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, form) = match Page::posted(&cx, request).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    let transaction = match page.transaction().await {
        Ok(Some(transaction)) => transaction,
        Ok(None) => return page.problem(Problem::Malformed),
        Err(response) => return response,
    };
    if !page.visitor.gave(&cx, Purpose::Request(&transaction.text), form.value("csrf")) {
        return page.problem(Problem::StaleForm);
    }
    match form.value("decision") {
        Some("allow") => decide(&page, &transaction, Decision::Allow).await,
        Some("deny") => decide(&page, &transaction, Decision::Deny).await,
        _ => page.problem(Problem::Malformed),
    }
}

async fn decide(page: &Page, transaction: &Transaction, decision: Decision) -> Response {
    let decider = Decider::Session(page.visitor.token());
    let outcome = authorization::decide(&page.cx, &transaction.token, &decider, decision).await;
    answer(page, transaction, outcome, Came::ByForm)
}

/// The answer for somebody who allowed all of it before; none where they must be asked.
async fn remembered(page: &Page, transaction: &Transaction) -> Option<Response> {
    let decider = Decider::Session(page.visitor.token());
    match authorization::decide(&page.cx, &transaction.token, &decider, Decision::Remembered).await {
        Err(DecideError::NotAllowedBefore) => None,
        outcome => Some(answer(page, transaction, outcome, Came::ByAddress)),
    }
}

fn answer(page: &Page, transaction: &Transaction, outcome: Result<String, DecideError>, came: Came) -> Response {
    match outcome {
        Ok(answer) => visitor::send_to_client(&answer, Some(transaction.places()), came),
        Err(DecideError::SignedOut) => visitor::send_to(&page.url(paths::LOGIN, Some(transaction)), None),
        Err(error) => page.undecided(&error),
    }
}

async fn ask(page: &Page, transaction: &Transaction, user: &User) -> Result<ConsentView, StoreError> {
    let frame = page.frame(Some(transaction), paths::CONSENT);
    let scopes = describe(&page.cx, &transaction.pending.request.scopes, frame.language()).await?;
    Ok(ConsentView {
        frame,
        client: transaction.client(&page.site),
        who: who(user),
        scopes,
        csrf: page.visitor.csrf(&page.cx, Purpose::Request(&transaction.text)),
        request: transaction.text.clone(),
    })
}

/// What scopes allow, in plain words of a language, or of English where there are none.
pub(super) async fn describe(
    cx: &Context,
    scopes: &ScopeSet,
    language: Language,
) -> Result<Vec<ScopeView>, StoreError> {
    let records = cx.store.scopes().find_all(scopes).await?;
    let mut texts: HashMap<Scope, _> = records.into_iter().map(|record| (record.name, record.descriptions)).collect();
    let described = scopes.iter().map(|scope| {
        let texts = texts.remove(scope).unwrap_or_default();
        let description = texts.get(language.tag()).or_else(|| texts.get(Language::En.tag())).cloned();
        ScopeView { name: scope.to_string(), description: description.unwrap_or_default() }
    });
    Ok(described.collect())
}

/// Who is signed in, as they know themselves.
fn who(user: &User) -> String {
    if user.name.is_empty() { user.username.to_string() } else { format!("{} ({})", user.name, user.username) }
}
