//! Writes every state of every page as a file, to be looked at: `cargo run -p tessera-issuer --example pages -- OUTDIR`.

use std::path::{Path, PathBuf};

use axum::body::to_bytes;
use axum::response::IntoResponse;
use tessera_issuer::http::pages::{
    AccountView, AppNotice, AppView, ApplicationForm, ApplicationView, ApplicationsView, ChoiceView, ClientView,
    ConsentView, DeleteView, ErrorView, ExistingView, FilterView, FormProblem, Frame, Language, LoginError, LoginView,
    Notice, OwnedView, Problem, ScopeChoiceView, ScopeView, SecretView, SessionView, Site, assets, paths,
};
use tessera_types::{PresentedSecret, Timestamp};

const ISSUER: &str = "https://id.example.org";
const LONG: &str = "The Extraordinarily Long-Winded Association of Amateur Astronomers and Photographers of the Northern \
    Hemisphere, Section for Public Outreach, Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverordnung (test)";
const HOSTILE: &str = "<script>alert(1)</script> \"><img src=x onerror=alert(1)> {{ 7*7 }} &amp; '\u{202e}gro.live";
const RTL: &str = "معرض الصور";
const NOW: Timestamp = Timestamp(1_772_373_900);

type Pages = Vec<(String, axum::response::Response)>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(std::env::args().nth(1).ok_or("usage: pages OUTDIR")?);
    std::fs::create_dir_all(out.join("assets"))?;
    for asset in [&*assets::STYLE, &*assets::SCRIPT] {
        std::fs::write(out.join(asset.path().trim_start_matches('/')), asset.body())?;
    }
    let mut pages = Pages::new();
    for language in Language::ALL {
        login(language, &mut pages);
        consent(language, &mut pages);
        errors(language, &mut pages);
        account(language, &mut pages);
        applications(language, &mut pages);
        application(language, &mut pages);
    }
    write(&out, pages).await
}

/// Files stand beside their assets, so that a browser shows them from the disk.
async fn write(out: &Path, pages: Pages) -> Result<(), Box<dyn std::error::Error>> {
    let mut index = vec!["<!doctype html><meta charset=utf-8><title>Pages</title><ul>".to_owned()];
    for (name, response) in pages {
        let body = to_bytes(response.into_body(), usize::MAX).await?;
        let html = String::from_utf8(body.to_vec())?.replace("=\"/assets/", "=\"assets/");
        std::fs::write(out.join(format!("{name}.html")), html)?;
        index.push(format!("<li><a href=\"{name}.html\">{name}</a>"));
    }
    std::fs::write(out.join("index.html"), index.concat())?;
    Ok(())
}

fn put(pages: &mut Pages, language: Language, name: &str, view: impl IntoResponse) {
    pages.push((format!("{name}-{}", language.tag()), view.into_response()));
}

fn frame(language: Language, here: &str) -> Frame {
    Frame::new(&Site::new(ISSUER), language, here)
}

fn client(name: &str, redirect: &str) -> ClientView {
    ClientView { name: name.to_owned(), redirect: redirect.to_owned(), failure: None, site: None, logo: None }
}

fn album() -> ClientView {
    client("Photo Album", "https://album.example.com/callback")
}

fn login(language: Language, pages: &mut Pages) {
    let view = |client: Option<ClientView>, error: Option<LoginError>| LoginView {
        frame: frame(language, "/login?request=r1"),
        client,
        csrf: "csrf".to_owned(),
        request: Some("r1".to_owned()),
        identifier: if error.is_some() { "ada@example.org".to_owned() } else { String::new() },
        error,
        signed_out: false,
    };
    put(pages, language, "login", view(Some(album()), None));
    put(pages, language, "login-no-client", LoginView { request: None, ..view(None, None) });
    put(pages, language, "login-signed-out", LoginView { request: None, signed_out: true, ..view(None, None) });
    for (name, error) in [
        ("wrong", LoginError::Wrong),
        ("throttled", LoginError::Throttled { seconds: 140 }),
        ("expired", LoginError::Expired),
        ("busy", LoginError::Busy),
    ] {
        put(pages, language, &format!("login-{name}"), view(Some(album()), Some(error)));
    }
    let long = client(LONG, "https://a.very.long.host.name.in.some.department.of.the.association.example.org:8443/cb");
    let identifier = "\"><script>alert(1)</script>".to_owned();
    put(pages, language, "login-long", LoginView { identifier, ..view(Some(long), Some(LoginError::Wrong)) });
    put(pages, language, "login-device", view(Some(client("tessera", "http://127.0.0.1:49152/cb")), None));
}

fn scopes(count: usize) -> Vec<ScopeView> {
    let all = [
        ("photos.read", "See your photos and albums"),
        ("photos.write", "Add, change and delete your photos"),
        ("profile", "See your name and your picture"),
        ("contacts.read", "See the people you share with"),
        ("orders.read", ""),
        (
            "orders.write",
            "Order prints in your name and charge them to the payment method that you have chosen for prints",
        ),
        ("calendar.read", "Know when you are free"),
        ("offline", "Go on doing all this while you are away"),
    ];
    all.iter()
        .take(count)
        .map(|(name, description)| ScopeView { name: (*name).to_owned(), description: (*description).to_owned() })
        .collect()
}

fn consent(language: Language, pages: &mut Pages) {
    let view = |client, count| ConsentView {
        frame: frame(language, "/consent?request=r1"),
        client,
        who: "ada".to_owned(),
        scopes: scopes(count),
        csrf: "csrf".to_owned(),
        request: "r1".to_owned(),
    };
    put(pages, language, "consent", view(album(), 1));
    put(pages, language, "consent-no-scope", view(album(), 0));
    put(pages, language, "consent-eight-scopes", view(album(), 8));
    let app = client(RTL, "org.example.album:/cb");
    put(pages, language, "consent-rtl", view(app, 2));
    let scopes = vec![
        ScopeView { name: "a".repeat(255), description: String::new() },
        ScopeView { name: "b".to_owned(), description: HOSTILE.to_owned() },
        ScopeView { name: "c".to_owned(), description: LONG.to_owned() },
    ];
    let long = client(LONG, "https://a.very.long.host.name.in.some.department.of.the.association.example.org:8443/cb");
    let who = "augusta.ada.king.countess.of.lovelace@a.very.long.host.name.example.org".to_owned();
    put(pages, language, "consent-long", ConsentView { who, scopes: scopes.clone(), ..view(long, 0) });
    let hostile = client(HOSTILE, "https://album.example.com/callback");
    put(pages, language, "consent-hostile", ConsentView { who: HOSTILE.to_owned(), scopes, ..view(hostile, 0) });
}

fn errors(language: Language, pages: &mut Pages) {
    for (name, problem) in [
        ("unknown-client", Problem::UnknownClient),
        ("wrong-redirect", Problem::WrongRedirect),
        ("malformed", Problem::Malformed),
        ("expired", Problem::Expired),
        ("stale-form", Problem::StaleForm),
        ("not-found", Problem::NotFound),
        ("throttled", Problem::Throttled { seconds: 30 }),
        ("busy", Problem::Busy),
        ("internal", Problem::Internal),
    ] {
        let reference = Some("0198f3c2-7a41-7cc2-9d57-2f3b8a6e1c04".to_owned());
        let view = ErrorView { frame: Frame::of_once(&Site::new(ISSUER), language), problem, reference };
        put(pages, language, &format!("error-{name}"), view);
    }
}

fn app(name: &str, redirect: Option<&str>, count: usize, days: i64) -> AppView {
    AppView {
        client_id: format!("client-{days}"),
        name: name.to_owned(),
        redirect: redirect.map(str::to_owned),
        scopes: scopes(count),
        since: Timestamp(NOW.0 - days * 86_400),
    }
}

fn session(id: &str, current: bool, user_agent: &str, address: &str) -> SessionView {
    SessionView {
        id: id.to_owned(),
        current,
        started: Timestamp(NOW.0 - 400_000),
        last_used: NOW,
        user_agent: user_agent.to_owned(),
        address: Some(address.to_owned()),
    }
}

fn account(language: Language, pages: &mut Pages) {
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0";
    let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1";
    let view = |notice| AccountView {
        frame: frame(language, paths::ACCOUNT),
        username: "ada".to_owned(),
        email: Some("ada@example.org".to_owned()),
        apps: vec![
            app("Photo Album", Some("https://album.example.com/callback"), 3, 12),
            app("tessera", Some("http://127.0.0.1/cb"), 0, 90),
            app(RTL, Some("org.example.album:/cb"), 1, 365),
        ],
        sessions: vec![
            session("1", true, firefox, "192.0.2.17"),
            session("2", false, phone, "2001:db8:1234:5678:9abc:def0:1234:5678"),
            session("3", false, "curl/8", "198.51.100.4"),
        ],
        csrf: "csrf".to_owned(),
        notice,
    };
    let alone = vec![session("1", true, firefox, "192.0.2.17")];
    put(pages, language, "account", view(None));
    put(
        pages,
        language,
        "account-empty",
        AccountView { apps: vec![], sessions: alone.clone(), email: None, ..view(None) },
    );
    for (name, notice) in [
        ("removed", Notice::AppRemoved),
        ("unconfirmed", Notice::AppRemovalUnconfirmed),
        ("ended", Notice::SessionEnded),
        ("others-ended", Notice::OtherSessionsEnded),
    ] {
        put(pages, language, &format!("account-{name}"), AccountView { sessions: alone.clone(), ..view(Some(notice)) });
    }
    let apps =
        vec![app(LONG, Some("https://a.very.long.host.name.example.org:8443/cb"), 8, 1), app(HOSTILE, None, 2, 2)];
    let long = AccountView { apps, username: HOSTILE.to_owned(), email: Some(LONG.to_owned()), ..view(None) };
    put(pages, language, "account-long", long);
}

fn organizations(chosen: usize) -> Vec<ChoiceView> {
    let named = ["Acme", LONG, RTL].into_iter().enumerate();
    named.map(|(at, name)| ChoiceView { value: at.to_string(), label: name.to_owned(), chosen: at == chosen }).collect()
}

fn owned(name: &str, enabled: bool, organization: Option<&str>, last_used: Option<Timestamp>) -> OwnedView {
    OwnedView {
        path: "/account/applications/application?client_id=x".to_owned(),
        name: name.to_owned(),
        client_id: "0f1e2d3c4b5a69788796a5b4c3d2e1f0".to_owned(),
        organization: organization.map(str::to_owned),
        enabled,
        last_used,
    }
}

fn applications(language: Language, pages: &mut Pages) {
    let view = |applications: Vec<OwnedView>, notice| ApplicationsView {
        frame: frame(language, paths::APPLICATIONS),
        applications,
        filter: FilterView::default(),
        organizations: organizations(usize::MAX),
        next: None,
        may_make: true,
        notice,
    };
    let some = vec![
        owned("Night job", true, Some("Acme"), Some(NOW)),
        owned("Old shop", false, Some("Acme"), None),
        owned(RTL, true, None, None),
    ];
    let next = Some("/account/applications?after=x".to_owned());
    put(pages, language, "applications", ApplicationsView { next, ..view(some.clone(), None) });
    put(pages, language, "applications-deleted", view(some, Some(AppNotice::Deleted)));
    put(pages, language, "applications-empty", view(Vec::new(), None));
    let filter = FilterView { name: "shop".to_owned(), enabled: Some(false) };
    put(pages, language, "applications-none-found", ApplicationsView { filter, ..view(Vec::new(), None) });
    let outside = ApplicationsView { organizations: Vec::new(), may_make: false, ..view(Vec::new(), None) };
    put(pages, language, "applications-outside", outside);
    let long = vec![owned(LONG, true, Some(LONG), None), owned(HOSTILE, false, Some(HOSTILE), None)];
    put(pages, language, "applications-long", view(long, None));
}

fn existing(name: &str) -> ExistingView {
    ExistingView {
        name: name.to_owned(),
        client_id: "0f1e2d3c4b5a69788796a5b4c3d2e1f0".to_owned(),
        delete: "/account/applications/delete?client_id=x".to_owned(),
        version: 3,
        organization: Some("Acme".to_owned()),
        grants: vec!["authorization_code".to_owned(), "refresh_token".to_owned()],
        signs_in: true,
        confidential: true,
        secret: String::new(),
        enabled: true,
        may_enable: false,
        administered: false,
        created: Timestamp(NOW.0 - 900_000),
        last_used: Some(NOW),
    }
}

fn application(language: Language, pages: &mut Pages) {
    let choices = |count| {
        let choice = |(at, scope): (usize, ScopeView)| ScopeChoiceView { scope, chosen: at % 2 == 0 };
        scopes(count).into_iter().enumerate().map(choice).collect::<Vec<_>>()
    };
    let blank = ApplicationForm { kind: "service".to_owned(), enabled: true, ..ApplicationForm::default() };
    let filled = ApplicationForm {
        name: "Photo Album".to_owned(),
        description: "Where the photos are.".to_owned(),
        redirect_uris: "https://album.example.com/callback\nhttps://album.example.com/second".to_owned(),
        site_url: "https://album.example.com/".to_owned(),
        ..ApplicationForm::default()
    };
    let view = |form: &ApplicationForm, existing: Option<ExistingView>| ApplicationView {
        frame: frame(language, paths::NEW_APPLICATION),
        csrf: "csrf".to_owned(),
        form: form.clone(),
        organizations: organizations(0),
        scopes: choices(6),
        problems: Vec::new(),
        existing,
        notice: None,
    };
    put(pages, language, "application-new", view(&blank, None));
    put(pages, language, "application-new-no-scopes", ApplicationView { scopes: Vec::new(), ..view(&blank, None) });
    let problems = vec![
        FormProblem::Name,
        FormProblem::Description,
        FormProblem::Organization,
        FormProblem::Kind,
        FormProblem::Scope,
        FormProblem::RedirectUri,
        FormProblem::FailureUri,
        FormProblem::SiteUrl,
        FormProblem::LogoUrl,
        FormProblem::TooMany,
        FormProblem::TooManyToday,
    ];
    put(pages, language, "application-new-wrong", ApplicationView { problems, ..view(&blank, None) });
    let known = || Some(existing("Photo Album"));
    let notice = Some(AppNotice::Changed);
    put(pages, language, "application", ApplicationView { notice, ..view(&filled, known()) });
    let problems = vec![FormProblem::Conflict];
    put(pages, language, "application-conflict", ApplicationView { problems, ..view(&filled, known()) });
    let problems = vec![FormProblem::Renewed];
    put(pages, language, "application-renewed-meanwhile", ApplicationView { problems, ..view(&filled, known()) });
    let off = ExistingView { enabled: false, ..existing("Photo Album") };
    put(pages, language, "application-disabled-by-administrator", view(&filled, Some(off.clone())));
    put(pages, language, "application-disabled", view(&filled, Some(ExistingView { may_enable: true, ..off })));
    let kept = ExistingView { administered: true, ..existing("Robot") };
    put(pages, language, "application-administered", view(&filled, Some(kept)));
    let long = ExistingView { organization: Some(LONG.to_owned()), ..existing(HOSTILE) };
    let form = ApplicationForm { name: LONG.to_owned(), description: HOSTILE.to_owned(), ..filled };
    put(pages, language, "application-long", view(&form, Some(long)));
    credentials(language, pages);
}

fn credentials(language: Language, pages: &mut Pages) {
    let secret = |new, before_until, confirmed, secret: &str| SecretView {
        frame: Frame::of_once(&Site::new(ISSUER), language),
        name: "Photo Album".to_owned(),
        client_id: "0f1e2d3c4b5a69788796a5b4c3d2e1f0".to_owned(),
        path: paths::APPLICATION.to_owned(),
        secret: PresentedSecret::new(secret.to_owned()),
        new,
        before_until,
        confirmed,
    };
    let shown = "tsk_0000000000000000000000000000000000000000000_example";
    put(pages, language, "application-made", secret(true, None, true, shown));
    put(pages, language, "application-made-public", secret(true, None, true, ""));
    put(pages, language, "application-secret", secret(false, Some(Timestamp(NOW.0 + 86_400)), true, shown));
    put(pages, language, "application-secret-at-once", secret(false, None, false, shown));
    let view = DeleteView {
        frame: frame(language, paths::DELETE_APPLICATION),
        csrf: "csrf".to_owned(),
        name: LONG.to_owned(),
        client_id: "0f1e2d3c4b5a69788796a5b4c3d2e1f0".to_owned(),
        path: paths::APPLICATION.to_owned(),
    };
    put(pages, language, "application-delete", view);
}
