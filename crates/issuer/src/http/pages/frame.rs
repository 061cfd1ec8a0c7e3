//! What every page has round it.

use std::sync::Arc;

use super::assets;
use super::language::Language;
use super::texts::Texts;

/// The paths that pages link and post to, below the issuer's own path.
pub mod paths {
    /// GET: the login page. POST: `username`, `password`, `csrf`, `lang` and, in a transaction, `request`.
    pub const LOGIN: &str = "/login";
    /// GET: the consent page. POST: `decision` (`allow` or `deny`), `csrf`, `lang`, `request`.
    pub const CONSENT: &str = "/consent";
    /// POST: `csrf`, `lang` and, where the person shall come back to a transaction, `request`.
    pub const LOGOUT: &str = "/logout";
    /// GET: the account page.
    pub const ACCOUNT: &str = "/account";
    /// POST: `client_id`, `csrf`, `lang`.
    pub const REMOVE_APP: &str = "/account/apps/remove";
    /// POST: `session`, `csrf`, `lang`.
    pub const END_SESSION: &str = "/account/sessions/end";
    /// POST: `csrf`, `lang`. Every session but the caller's.
    pub const END_OTHER_SESSIONS: &str = "/account/sessions/end-others";
    /// GET: the person's own applications: `name`, `organization`, `status` (`enabled` or `disabled`) and `after` narrow them.
    pub const APPLICATIONS: &str = "/account/applications";
    /// GET: the form of a new application. POST: what it says, `csrf`, `lang`.
    pub const NEW_APPLICATION: &str = "/account/applications/new";
    /// GET: an application, by `client_id`.
    pub const APPLICATION: &str = "/account/applications/application";
    /// POST: `client_id`, `version`, what the form says, `csrf`, `lang`.
    pub const CHANGE_APPLICATION: &str = "/account/applications/change";
    /// POST: `client_id`, `enabled` (`yes` or `no`), `csrf`, `lang`.
    pub const SWITCH_APPLICATION: &str = "/account/applications/switch";
    /// POST: `client_id`, `secret` (the name of the newest), `at_once`, `csrf`, `lang`.
    pub const RENEW_SECRET: &str = "/account/applications/secret";
    /// GET: asks whether an application shall be deleted. POST: `client_id`, `csrf`, `lang`.
    pub const DELETE_APPLICATION: &str = "/account/applications/delete";
}

/// The issuer as its pages show it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Site {
    name: Arc<str>,
    base: Arc<str>,
    https: bool,
}

impl Site {
    /// From the issuer's URL: its host is the name, its path comes before every path on the pages.
    #[must_use]
    pub fn new(issuer_url: &str) -> Self {
        let rest = issuer_url.split_once("://").map_or(issuer_url, |(_, rest)| rest);
        let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        Self { name: host.into(), base: path.trim_end_matches('/').into(), https: issuer_url.starts_with("https://") }
    }

    /// Whether browsers reach it over HTTPS.
    pub(super) const fn is_https(&self) -> bool {
        self.https
    }

    /// A path of the issuer's as a browser must ask for it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// What every page has round it: whose it is, its language, and where it is.
#[derive(Clone, Debug)]
pub struct Frame {
    site: Site,
    language: Language,
    here: Option<String>,
}

impl Frame {
    /// `here` is the path and query at which GET shows this page again, below the issuer's path and without `lang`; the links to
    /// the other language lead there, so that a transaction outlives the change. It is one of [`paths`], with a query that the
    /// server wrote: never the caller's.
    #[must_use]
    pub fn new(site: &Site, language: Language, here: impl Into<String>) -> Self {
        Self { site: site.clone(), language, here: Some(here.into()) }
    }

    /// Round a page that cannot be shown again, such as what an error says: it has no links to the other language, which would lead
    /// somewhere else.
    #[must_use]
    pub fn of_once(site: &Site, language: Language) -> Self {
        Self { site: site.clone(), language, here: None }
    }

    /// The page's language.
    #[must_use]
    pub fn language(&self) -> Language {
        self.language
    }

    pub(super) fn texts(&self) -> &'static Texts {
        Texts::of(self.language)
    }

    pub(super) fn site_name(&self) -> &str {
        &self.site.name
    }

    pub(super) fn url(&self, path: &str) -> String {
        self.site.url(path)
    }

    pub(super) fn style_url(&self) -> String {
        self.site.url(assets::STYLE.path())
    }

    pub(super) fn script_url(&self) -> String {
        self.site.url(assets::SCRIPT.path())
    }

    /// This page in each language, and whether it is in that one now; nothing where it has no place.
    pub(super) fn links(&self) -> Option<[(Language, String, bool); Language::ALL.len()]> {
        let here = self.here.as_deref()?;
        Some(Language::ALL.map(|language| (language, self.in_language(here, language), language == self.language)))
    }

    fn in_language(&self, here: &str, language: Language) -> String {
        let separator = if here.contains('?') { '&' } else { '?' };
        format!("{}{separator}lang={}", self.site.url(here), language.tag())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stand_below_the_issuers_own() {
        for (issuer, login) in [
            ("https://id.example", "/login"),
            ("https://id.example/", "/login"),
            ("https://id.example/a/b", "/a/b/login"),
            ("http://127.0.0.1:8080/a/", "/a/login"),
        ] {
            assert_eq!(Site::new(issuer).url(paths::LOGIN), login, "{issuer}");
        }
        assert_eq!(&*Site::new("http://127.0.0.1:8080/a").name, "127.0.0.1:8080");
    }

    #[test]
    fn a_change_of_language_keeps_the_transaction() {
        let site = Site::new("https://id.example/a");
        let urls = |frame: &Frame| frame.links().map(|links| links.map(|(_, url, _)| url));
        let login = Frame::new(&site, Language::En, "/login?request=r1");
        assert_eq!(urls(&login), Some(["en", "fr"].map(|lang| format!("/a/login?request=r1&lang={lang}"))));
        let account = Frame::new(&site, Language::Fr, paths::ACCOUNT);
        assert_eq!(urls(&account), Some(["en", "fr"].map(|lang| format!("/a/account?lang={lang}"))));
        assert_eq!(urls(&Frame::of_once(&site, Language::En)), None);
    }
}
