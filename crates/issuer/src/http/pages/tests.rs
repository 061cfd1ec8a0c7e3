//! Every page, with markup in every field, and what its answer carries.

use askama::Template as _;
use axum::body::to_bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rstest::rstest;
use tessera_types::Timestamp;

use super::*;

/// What ends a text, an attribute, a tag, a comment and a template expression.
const MARKUP: &str = "</title></script>--><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}&amp;";

fn markup() -> String {
    MARKUP.to_owned()
}

fn frame(language: Language) -> Frame {
    Frame::new(&Site::new("https://id.example/base"), language, "/login?request=r1")
}

fn client() -> ClientView {
    ClientView {
        name: markup(),
        redirect: format!("https://{MARKUP}/cb"),
        failure: Some(format!("https://{MARKUP}/failed")),
        site: Some(format!("https://{MARKUP}/")),
        // With a query alone anything may stand in a logo's URL.
        logo: Logo::of(&format!("https://shop.example/logo.png?{MARKUP}"), &Site::new("https://id.example")),
    }
}

fn login(language: Language, error: Option<LoginError>) -> LoginView {
    LoginView {
        frame: frame(language),
        client: Some(client()),
        csrf: markup(),
        request: Some(markup()),
        identifier: markup(),
        error,
        signed_out: true,
    }
}

fn consent(language: Language) -> ConsentView {
    ConsentView {
        frame: frame(language),
        client: client(),
        who: markup(),
        scopes: vec![
            ScopeView { name: markup(), description: String::new() },
            ScopeView { name: markup(), description: markup() },
        ],
        csrf: markup(),
        request: markup(),
    }
}

fn account(language: Language) -> AccountView {
    AccountView {
        frame: frame(language),
        username: markup(),
        email: Some(markup()),
        apps: vec![AppView {
            client_id: markup(),
            name: markup(),
            redirect: Some(format!("https://{MARKUP}/cb")),
            scopes: vec![ScopeView { name: markup(), description: markup() }],
            since: Timestamp(0),
        }],
        sessions: vec![SessionView {
            id: markup(),
            current: false,
            started: Timestamp(0),
            last_used: Timestamp(i64::MAX),
            user_agent: markup(),
            address: Some(markup()),
        }],
        csrf: markup(),
        notice: Some(Notice::AppRemoved),
    }
}

fn application(language: Language, problems: Vec<FormProblem>, existing: bool) -> ApplicationView {
    ApplicationView {
        frame: frame(language),
        csrf: markup(),
        form: ApplicationForm {
            name: markup(),
            description: markup(),
            kind: markup(),
            enabled: true,
            redirect_uris: markup(),
            failure_uri: markup(),
            site_url: markup(),
            logo_url: markup(),
        },
        organizations: vec![ChoiceView { value: markup(), label: markup(), chosen: true }],
        scopes: vec![ScopeChoiceView { scope: ScopeView { name: markup(), description: markup() }, chosen: true }],
        problems,
        existing: existing.then(|| ExistingView {
            name: markup(),
            client_id: markup(),
            delete: "/account/applications/delete?client_id=x".to_owned(),
            version: 1,
            organization: Some(markup()),
            grants: vec![markup()],
            signs_in: true,
            confidential: true,
            secret: markup(),
            enabled: true,
            may_enable: false,
            administered: false,
            created: Timestamp(0),
            last_used: None,
        }),
        notice: Some(AppNotice::Changed),
    }
}

fn applications(language: Language) -> ApplicationsView {
    ApplicationsView {
        frame: frame(language),
        applications: vec![OwnedView {
            path: "/account/applications/application?client_id=x".to_owned(),
            name: markup(),
            client_id: markup(),
            organization: Some(markup()),
            enabled: false,
            last_used: Some(Timestamp(0)),
        }],
        filter: FilterView { name: markup(), enabled: Some(true) },
        organizations: vec![ChoiceView { value: markup(), label: markup(), chosen: true }],
        next: Some("/account/applications?after=x".to_owned()),
        may_make: true,
        notice: Some(AppNotice::Deleted),
    }
}

fn secret(language: Language) -> SecretView {
    SecretView {
        frame: Frame::of_once(&Site::new("https://id.example/base"), language),
        name: markup(),
        client_id: markup(),
        path: "/account/applications".to_owned(),
        secret: tessera_types::PresentedSecret::new(markup()),
        new: false,
        before_until: Some(Timestamp(0)),
        confirmed: false,
    }
}

fn deletion(language: Language) -> DeleteView {
    DeleteView {
        frame: frame(language),
        csrf: markup(),
        name: markup(),
        client_id: markup(),
        path: "/account/applications".to_owned(),
    }
}

fn error(language: Language, problem: Problem) -> ErrorView {
    let frame = Frame::of_once(&Site::new("https://id.example/base"), language);
    ErrorView { frame, problem, reference: Some(markup()) }
}

fn assert_inert(page: &str) {
    assert!(page.contains("alert(1)"), "the markup is on the page, as text");
    assert_eq!(page.matches("<script").count(), 1, "only the page's own script:\n{page}");
    assert!(!page.contains("<img src=x") && !page.contains("-->"), "{page}");
    assert!(!page.contains("\"'>"), "an attribute was ended:\n{page}");
    assert!(!page.contains(" style=") && !page.contains("<style"), "the policy refuses inline style:\n{page}");
    assert_eq!(page.matches("<h1").count(), 1);
}

#[rstest]
fn markup_in_any_field_stays_text(#[values(Language::En, Language::Fr)] language: Language) {
    for shown in [None, Some(LoginError::Wrong)] {
        assert_inert(&login(language, shown).render().expect("a page"));
    }
    assert_inert(&consent(language).render().expect("a page"));
    assert_inert(&account(language).render().expect("a page"));
    assert_inert(&applications(language).render().expect("a page"));
    for existing in [true, false] {
        assert_inert(&application(language, vec![FormProblem::Name], existing).render().expect("a page"));
    }
    assert_inert(&secret(language).render().expect("a page"));
    assert_inert(&deletion(language).render().expect("a page"));
    assert_inert(&error(language, Problem::Internal).render().expect("a page"));
}

#[test]
fn templates_never_turn_escaping_off() {
    for template in [
        include_str!("../../../templates/base.html"),
        include_str!("../../../templates/parts.html"),
        include_str!("../../../templates/login.html"),
        include_str!("../../../templates/consent.html"),
        include_str!("../../../templates/error.html"),
        include_str!("../../../templates/account.html"),
        include_str!("../../../templates/applications.html"),
        include_str!("../../../templates/application.html"),
        include_str!("../../../templates/application_secret.html"),
        include_str!("../../../templates/application_delete.html"),
    ] {
        assert!(!template.contains("safe") && !template.contains("escape"), "{template}");
        assert!(!template.contains("://") || template.contains("xmlns='http://www.w3.org/2000/svg'"), "{template}");
    }
}

#[rstest]
#[case(login(Language::En, None), 200, None)]
#[case(login(Language::En, Some(LoginError::Wrong)), 422, None)]
#[case(login(Language::En, Some(LoginError::Throttled { seconds: 30 })), 429, Some("30"))]
#[case(login(Language::En, Some(LoginError::Expired)), 400, None)]
#[case(login(Language::En, Some(LoginError::Busy)), 503, Some("1"))]
#[case(consent(Language::En), 200, None)]
#[case(account(Language::En), 200, None)]
#[case(applications(Language::En), 200, None)]
#[case(application(Language::En, vec![], true), 200, None)]
#[case(application(Language::En, vec![FormProblem::Name], false), 422, None)]
#[case(application(Language::En, vec![FormProblem::Conflict], true), 409, None)]
#[case(secret(Language::En), 200, None)]
#[case(deletion(Language::En), 200, None)]
#[case(error(Language::En, Problem::UnknownClient), 400, None)]
#[case(error(Language::En, Problem::WrongRedirect), 400, None)]
#[case(error(Language::En, Problem::Malformed), 400, None)]
#[case(error(Language::En, Problem::Expired), 400, None)]
#[case(error(Language::En, Problem::StaleForm), 403, None)]
#[case(error(Language::En, Problem::NotFound), 404, None)]
#[case(error(Language::En, Problem::Throttled { seconds: 0 }), 429, Some("1"))]
#[case(error(Language::En, Problem::Busy), 503, Some("1"))]
#[case(error(Language::En, Problem::Internal), 500, None)]
fn every_answer_is_guarded_and_says_how_it_went(
    #[case] view: impl IntoResponse,
    #[case] status: u16,
    #[case] retry_after: Option<&str>,
) {
    let response = view.into_response();
    assert_eq!(response.status(), StatusCode::from_u16(status).expect("a status"));
    let value = |name: &str| response.headers().get(name).map(|value| value.to_str().expect("ASCII"));
    assert_eq!(value("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(value("content-language"), Some("en"));
    assert_eq!(value("cache-control"), Some("no-store"));
    assert_eq!(value("x-frame-options"), Some("DENY"));
    assert_eq!(value("retry-after"), retry_after);
    let policy = value("content-security-policy").expect("a policy");
    assert!(policy.ends_with("form-action 'self'"), "a host that is none adds nothing: {policy}");
}

#[tokio::test]
async fn a_transactions_pages_may_post_towards_the_client_and_keep_their_language() {
    let failure = Some("https://errors.album.example/".to_owned());
    let client =
        ClientView { name: "Album".to_owned(), redirect: "https://album.example/cb".to_owned(), failure, ..client() };
    let request = Some("r1".to_owned());
    let response =
        LoginView { client: Some(client), request, signed_out: false, ..login(Language::Fr, None) }.into_response();
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("ASCII");
    assert!(policy.ends_with("form-action 'self' https://album.example https://errors.album.example"), "{policy}");
    assert!(!policy.contains("logo.png"), "it is not on this page: {policy}");
    let page = text(response).await;
    assert!(page.contains("<html lang=\"fr\">"), "{page}");
    assert!(page.contains("action=\"/base/login\""), "{page}");
    assert!(page.contains("name=\"lang\" value=\"fr\""), "{page}");
    assert!(page.contains("name=\"request\" value=\"r1\""), "{page}");
    assert!(page.contains("href=\"/base/login?request=r1&#38;lang=en\""), "{page}");
    assert!(page.contains(&format!("href=\"/base{}\"", assets::STYLE.path())), "{page}");
}

#[test]
fn a_login_without_a_client_belongs_to_no_transaction() {
    let view = LoginView { client: None, request: None, ..login(Language::En, None) };
    let page = view.render().expect("a page");
    assert!(!page.contains("name=\"request\""), "{page}");
}

#[test]
fn an_error_page_offers_no_other_language_since_it_cannot_be_asked_for_again() {
    let page = error(Language::Fr, Problem::Expired).render().expect("a page");
    assert!(!page.contains("hreflang") && !page.contains("<footer"), "{page}");
}

#[test]
fn the_consent_page_shows_a_logo_that_its_policy_allows_and_a_letter_where_there_is_none() {
    let mut view = consent(Language::En);
    view.client.logo = Logo::of("https://shop.example/logo.png?v=2", &Site::new("https://id.example"));
    view.client.site = Some("https://shop.example/".to_owned());
    let page = view.render().expect("a page");
    assert!(
        page.contains("<img src=\"https://shop.example/logo.png?v=2\" alt=\"\" referrerpolicy=\"no-referrer\">"),
        "{page}"
    );
    assert!(
        page.contains("<a href=\"https://shop.example/\" rel=\"noopener noreferrer nofollow\">Its website</a>"),
        "{page}"
    );
    let response = view.into_response();
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("ASCII");
    assert!(policy.contains("img-src 'self' data: https://shop.example/logo.png; "), "{policy}");
    let mut view = consent(Language::En);
    (view.client.site, view.client.logo) =
        (None, Logo::of("http://shop.example/logo.png", &Site::new("https://id.example")));
    let page = view.render().expect("a page");
    assert!(!page.contains("<img") && !page.contains("Its website"), "{page}");
}

#[test]
fn allow_and_deny_weigh_the_same() {
    let page = consent(Language::En).render().expect("a page");
    assert!(page.contains("<button type=\"submit\" name=\"decision\" value=\"allow\">"), "{page}");
    assert!(page.contains("<button type=\"submit\" name=\"decision\" value=\"deny\">"), "{page}");
}

#[test]
fn the_account_page_offers_to_end_other_sessions_only_where_there_are_any() {
    let mut view = account(Language::En);
    assert!(view.render().expect("a page").contains(paths::END_OTHER_SESSIONS));
    view.sessions[0].current = true;
    let page = view.render().expect("a page");
    assert!(!page.contains(paths::END_OTHER_SESSIONS) && !page.contains("name=\"session\""), "{page}");
}

async fn text(response: Response) -> String {
    let body = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    String::from_utf8(body.to_vec()).expect("UTF-8")
}
