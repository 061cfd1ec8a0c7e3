//! Every state of every page that a person can bring about, looked at.

use anyhow::{Result, ensure};
use tessera_tests::browser::{Browser, Look, Programs};
use tessera_tests::cast::{PASSWORD, REDIRECT_URI, application, ask, signed_in, user, user_with};
use tessera_tests::person::Person;
use tessera_tests::shared::shared;
use tessera_tests::{World, create_client};

use crate::application::Door;
use crate::gallery::Gallery;

const LONG: &str = "The Extraordinarily Long-Winded Association of Amateur Astronomers and Photographers of the Northern \
                    Hemisphere, Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverordnung";

/// A browser going round in one language.
struct Tour {
    world: &'static World,
    browser: Browser,
    gallery: Gallery,
    language: &'static str,
}

impl Tour {
    async fn start(language: &'static str) -> Result<Option<Self>> {
        let (Some(programs), Some(gallery)) = (Programs::find()?, Gallery::open()?) else { return Ok(None) };
        let world = shared().await?;
        let browser = Browser::start(&programs, language).await?;
        Ok(Some(Self { world, browser, gallery, language }))
    }

    /// A name that the other language's tour does not use.
    fn own(&self, name: &str) -> String {
        format!("{name}-{}", self.language)
    }

    /// Names of clients are taken once: each language has its own.
    fn either(&self, english: &'static str, french: &'static str) -> &'static str {
        if self.language == "fr" { french } else { english }
    }

    async fn open(&self, path: &str) -> Result<()> {
        self.browser.open(&format!("{}{path}", self.world.pair.ports.issuer_url())).await
    }

    async fn see(&mut self, name: &str) -> Result<()> {
        let language = self.browser.script("return document.documentElement.lang", &[]).await?;
        ensure!(language == self.language, "{name} is in {language}");
        let name = self.own(name);
        self.gallery.see(&self.browser, &name).await
    }

    async fn sign_in(&self, username: &str, password: &str) -> Result<()> {
        self.browser.fill("#username", username).await?;
        self.browser.fill("#password", password).await?;
        self.browser.follow("button[type=submit]").await
    }

    async fn logins(&mut self) -> Result<()> {
        let (app, person) = (self.own("tour-login"), self.own("tour-login-user"));
        application(self.world, &app)?;
        self.world.pair.tessera_json(&["client", "update", &app, "--name", self.either("Print Shop", "Tirages")])?;
        user(self.world, &person)?;
        self.open("/login").await?;
        self.see("login-alone").await?;
        self.open(&ask(&app, &[])).await?;
        self.see("login").await?;
        self.sign_in(&person, "a wrong password").await?;
        self.see("login-wrong").await?;
        self.browser.script("document.querySelector('[name=csrf]').value = 'x'", &[]).await?;
        self.sign_in(&person, PASSWORD).await?;
        self.see("login-expired").await?;
        let forgetful = self.own("tour-forgetful");
        let mut hasty = Person::new(self.world.pair.ports.issuer_http);
        hasty.open("/login").await?;
        for _ in 0..10 {
            hasty.login(&forgetful, "a wrong password").await?;
        }
        self.sign_in(&forgetful, "a wrong password").await?;
        self.see("login-throttled").await?;
        self.open("/login").await?;
        self.sign_in(&person, PASSWORD).await?;
        self.browser.follow("form[action$='/logout'] button").await?;
        self.see("login-signed-out").await
    }

    async fn consents(&mut self) -> Result<()> {
        let person = self.own("tour-consenting");
        user_with(self.world, &person, &["--name", "Ada Lovelace", "--email", &format!("{person}@example.test")])?;
        let usual = self.own("tour-consent");
        let site = Door::open().await?;
        let (site_url, logo_url) = (site.url("/"), site.url("/logo.svg?v=1"));
        site.stay_open();
        let seen = ["--site-url", &site_url, "--logo-url", &logo_url];
        let named = |id: &str, name: &str| self.world.pair.tessera_json(&["client", "update", id, "--name", name]);
        let scope = |name: &str, texts: &[&str]| {
            let texts: Vec<&str> = texts.iter().flat_map(|text| ["--description", text]).collect();
            self.world.pair.tessera_json(&[&["scope", "create", name][..], &texts].concat())
        };
        let (photos, albums, bare) =
            (self.own("photos"), self.own("albums"), self.own("a.very-long-scope-without-any-description"));
        scope(&photos, &["en=See your photos", "fr=Voir vos photos"])?;
        let much = format!("en={LONG}: see, change and remove it.");
        scope(
            &albums,
            &[&much, "fr=Créer, modifier et supprimer vos albums, y compris ceux que d’autres partagent avec vous"],
        )?;
        scope(&bare, &[])?;
        let grant = ["--public", "--grant", "authorization_code", "--redirect-uri", REDIRECT_URI];
        create_client(&self.world.pair, &usual, &[&grant[..], &["--scope", &photos, &albums], &seen].concat())?;
        named(&usual, self.either("Photo Album", "Album photo"))?;
        let long = self.own("tour-long");
        create_client(&self.world.pair, &long, &[&grant[..], &["--scope", &photos, &albums, &bare]].concat())?;
        named(&long, &format!("{LONG} ({})", self.language))?;
        let least = self.own("tour-least");
        create_client(&self.world.pair, &least, &grant)?;
        named(&least, self.either("معرض الصور", "متجر الصور"))?;

        let all = format!("{photos} {albums} {bare}");
        self.open(&ask(&long, &[("scope", &all)])).await?;
        self.see("login-long").await?;
        self.sign_in(&person, PASSWORD).await?;
        self.see("consent-long").await?;
        self.browser.follow("button[value=allow]").await?;
        self.open(&ask(&usual, &[("scope", &format!("{photos} {albums}"))])).await?;
        let shown =
            "const logo = document.querySelector('.tile img'); return logo.complete && logo.naturalWidth === 88";
        ensure!(self.browser.script(shown, &[]).await? == true, "the policy lets the logo in");
        ensure!(self.browser.sees(&format!("main a[href='{site_url}']")).await?, "its site is a link");
        self.see("consent").await?;
        self.open(&ask(&least, &[("scope", "")])).await?;
        self.see("consent-nothing").await?;
        // Its own account, with two apps and several sessions.
        self.open(&ask(&usual, &[("scope", &photos)])).await?;
        self.browser.follow("button[value=allow]").await?;
        signed_in(self.world, &person).await?;
        signed_in(self.world, &person).await?;
        self.open("/account").await?;
        self.see("account").await?;
        self.browser.follow("form[action$='/account/apps/remove'] button").await?;
        self.see("account-app-removed").await?;
        self.browser.follow("form[action$='/account/sessions/end-others'] button").await?;
        self.see("account-sessions-ended").await
    }

    async fn accounts(&mut self) -> Result<()> {
        let person = self.own("tour-newcomer");
        user(self.world, &person)?;
        self.browser.follow("form[action$='/logout'] button").await?;
        self.sign_in(&person, PASSWORD).await?;
        self.see("account-empty").await
    }

    /// What an owner makes of their own: `cargo run --example pages` has the other states.
    async fn applications(&mut self) -> Result<()> {
        let person = self.own("tour-owner");
        user(self.world, &person)?;
        let organization = self.own("tour-organization");
        self.browser.follow("form[action$='/logout'] button").await?;
        self.sign_in(&person, PASSWORD).await?;
        self.open("/account/applications").await?;
        self.see("applications-outside").await?;
        self.world.pair.tessera_json(&["org", "create", &organization])?;
        self.world.pair.tessera_json(&["org", "member", "add", &organization, &person])?;
        self.open("/account/applications").await?;
        self.see("applications-empty").await?;
        self.browser.follow("a.button").await?;
        self.see("application-new").await?;
        self.browser.fill("#name", self.either("Night job", "Tâche nocturne")).await?;
        self.browser.fill("#site_url", "nowhere").await?;
        self.browser.follow("main form button[type=submit]").await?;
        self.see("application-new-wrong").await?;
        self.browser.script("document.getElementById('site_url').value = ''", &[]).await?;
        self.browser.follow("main form button[type=submit]").await?;
        self.see("application-made").await?;
        self.browser.follow("main .card a").await?;
        self.see("application").await?;
        self.browser.follow("form[action$='/switch'] button").await?;
        self.see("application-disabled").await?;
        self.browser.follow("form[action$='/secret'] button").await?;
        self.see("application-secret").await?;
        self.open("/account/applications").await?;
        self.see("applications").await?;
        self.browser.follow("main .rows h2 a").await?;
        self.browser.follow("a[href*='/applications/delete']").await?;
        self.see("application-delete").await?;
        self.browser.follow("main form button[type=submit]").await?;
        self.see("applications-deleted").await
    }

    async fn errors(&mut self) -> Result<()> {
        let app = self.own("tour-errors");
        application(self.world, &app)?;
        let evil = ask(&app, &[("redirect_uri", "https://evil.example/")]);
        for (name, path) in [
            ("error-unknown-client", ask("tour-nobody", &[]).as_str()),
            ("error-wrong-redirect", &evil),
            ("error-malformed", "/consent"),
            ("error-expired", "/consent?request=x"),
            ("error-not-found", "/acount"),
            ("error-wrong-method", "/logout"),
        ] {
            self.open(path).await?;
            self.see(name).await?;
        }
        self.open("/account").await?;
        self.browser.script("for (const field of document.getElementsByName('csrf')) field.value = 'x'", &[]).await?;
        self.browser.follow("form[action$='/logout'] button").await?;
        self.see("error-stale-form").await
    }

    async fn go_round(mut self) -> Result<()> {
        self.logins().await?;
        self.consents().await?;
        self.accounts().await?;
        self.applications().await?;
        self.errors().await?;
        self.gallery.close()
    }
}

#[tokio::test]
async fn axe_finds_nothing_on_any_page_in_any_state_in_english() -> Result<()> {
    let Some(tour) = Tour::start("en").await? else { return Ok(()) };
    tour.go_round().await
}

#[tokio::test]
async fn axe_finds_nothing_on_any_page_in_any_state_in_french() -> Result<()> {
    let Some(tour) = Tour::start("fr").await? else { return Ok(()) };
    tour.go_round().await
}

/// What looks for faults sees them.
#[tokio::test]
async fn axe_finds_a_label_that_is_gone_and_a_text_that_is_too_pale() -> Result<()> {
    let Some(mut tour) = Tour::start("en").await? else { return Ok(()) };
    tour.open("/login").await?;
    let spoil = "document.querySelector('label').remove(); document.querySelector('h1').style.color = '#ccc';
        document.querySelector('.primary').style.width = '1400px';";
    tour.browser.script(spoil, &[]).await?;
    tour.gallery.examine(&tour.browser, "spoiled", Look { width: 360, dark: false }).await?;
    let faults = tour.gallery.faults().join("\n");
    for fault in ["label: ", "color-contrast: ", "wider than the window"] {
        assert!(faults.contains(fault), "{fault}: {faults}");
    }
    Ok(())
}
