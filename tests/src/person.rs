//! A person at the issuer's pages, by plain HTTP: cookies are kept, redirects followed, and forms sent back as they came.
//!
//! ```ignore
//! let mut ada = Person::new(world.pair.ports.issuer_http);
//! ada.open(&authorization_url).await?;
//! ada.login("ada", password).await?;
//! let back = ada.allow().await?;
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use url::Url;

use crate::{Answer, FORM, form_encode, request};

/// More redirects than any flow has.
const REDIRECTS: usize = 10;

/// A person and their browser. They stay at the issuer: a redirect that leads elsewhere is where they land, and nobody asks there.
#[derive(Clone, Debug)]
pub struct Person {
    issuer: SocketAddr,
    cookies: BTreeMap<String, String>,
    languages: Option<String>,
    at: Option<Landing>,
}

/// Where a browser ends up.
#[derive(Clone, Debug)]
pub enum Landing {
    /// On a page of the issuer's.
    Page(Page),
    /// At this URL, which is not the issuer's.
    Away(String),
}

/// A page, good or bad.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it is.
    pub url: Url,
    /// The answer it came with.
    pub answer: Answer,
}

/// A form, as it came.
#[derive(Clone, Debug)]
pub struct Form {
    /// Where it is posted.
    pub action: Url,
    /// Its hidden fields.
    pub hidden: Vec<(String, String)>,
}

impl Person {
    /// Somebody with a fresh browser, and the issuer's HTTP.
    #[must_use]
    pub fn new(issuer: SocketAddr) -> Self {
        Self { issuer, cookies: BTreeMap::new(), languages: None, at: None }
    }

    /// As [`new`](Self::new), for who reads these languages (`Accept-Language`).
    #[must_use]
    pub fn reading(issuer: SocketAddr, languages: &str) -> Self {
        Self { languages: Some(languages.to_owned()), ..Self::new(issuer) }
    }

    /// Opens a URL of the issuer's, or a path.
    pub async fn open(&mut self, url: &str) -> Result<&Landing> {
        let url = Url::parse(&format!("http://{}", self.issuer))?.join(url)?;
        ensure!(self.is_issuers(&url), "{url} is not the issuer's");
        self.go(url, None).await
    }

    /// Signs in on the page they are at.
    pub async fn login(&mut self, username: &str, password: &str) -> Result<&Landing> {
        self.submit("/login", &[("username", username), ("password", password)]).await
    }

    /// Signs out on the page they are at.
    pub async fn logout(&mut self) -> Result<&Landing> {
        self.submit("/logout", &[]).await
    }

    /// Allows what the page asks; where they are sent.
    pub async fn allow(&mut self) -> Result<String> {
        self.submit("/consent", &[("decision", "allow")]).await?.away()
    }

    /// Denies what the page asks; where they are sent.
    pub async fn deny(&mut self) -> Result<String> {
        self.submit("/consent", &[("decision", "deny")]).await?.away()
    }

    /// Opens an authorization request and does whatever is asked, signing in or deciding; where they are sent.
    pub async fn authorize(&mut self, url: &str, username: &str, password: &str, allow: bool) -> Result<String> {
        self.open(url).await?;
        if self.sees("/login") {
            self.login(username, password).await?;
        }
        if self.sees("/consent") {
            return if allow { self.allow().await } else { self.deny().await };
        }
        self.landing()?.away()
    }

    /// Sends the first form of the page that is posted to this path below the issuer, with more fields than its hidden ones.
    pub async fn submit(&mut self, path: &str, more: &[(&str, &str)]) -> Result<&Landing> {
        let form = self.page()?.form(path)?;
        self.send(&form, more).await
    }

    /// Sends a form, which may have been changed or be another page's.
    pub async fn send(&mut self, form: &Form, more: &[(&str, &str)]) -> Result<&Landing> {
        let hidden = form.hidden.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let fields: Vec<(&str, &str)> = hidden.chain(more.iter().copied()).collect();
        self.go(form.action.clone(), Some(crate::form(&fields))).await
    }

    /// Where they are.
    pub fn landing(&self) -> Result<&Landing> {
        self.at.as_ref().context("nothing was opened yet")
    }

    /// The page they are at.
    pub fn page(&self) -> Result<&Page> {
        self.landing()?.page()
    }

    /// Whether they are at a page with a form that is posted to this path.
    #[must_use]
    pub fn sees(&self, path: &str) -> bool {
        self.page().is_ok_and(|page| page.form(path).is_ok())
    }

    /// The cookies of the browser, to be looked at or changed.
    pub fn cookies(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.cookies
    }

    async fn go(&mut self, url: Url, form: Option<String>) -> Result<&Landing> {
        let (mut url, mut form) = (url, form);
        for _ in 0..REDIRECTS {
            let answer = self.ask(&url, form.take()).await?;
            let Some(location) = answer.header("location") else {
                return Ok(self.at.insert(Landing::Page(Page { url, answer })));
            };
            // Another status might have a browser post the password once more.
            ensure!(answer.status == 303, "a redirect with another status than 303: {}", answer.head);
            let next = url.join(location)?;
            if !self.is_issuers(&next) {
                return Ok(self.at.insert(Landing::Away(location.to_owned())));
            }
            url = next;
        }
        bail!("{url} is redirected for ever")
    }

    async fn ask(&mut self, url: &Url, form: Option<String>) -> Result<Answer> {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = Vec::new();
        if !cookies.is_empty() {
            headers.push(("cookie", cookies.as_str()));
        }
        if let Some(languages) = &self.languages {
            headers.push(("accept-language", languages));
        }
        if form.is_some() {
            headers.push(FORM);
        }
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let method = if form.is_some() { "POST" } else { "GET" };
        let answer = request(self.issuer, method, path, &headers, form.unwrap_or_default()).await?;
        self.keep_cookies(&answer);
        Ok(answer)
    }

    fn keep_cookies(&mut self, answer: &Answer) {
        for line in answer.head.lines().skip(1) {
            let Some((header, cookie)) = line.split_once(':') else { continue };
            let mut parts = cookie.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            if !header.eq_ignore_ascii_case("set-cookie") {
                continue;
            }
            if parts.any(|attribute| attribute.eq_ignore_ascii_case("max-age=0")) {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    fn is_issuers(&self, url: &Url) -> bool {
        let is_host = url.host_str().is_some_and(|host| host == self.issuer.ip().to_string());
        url.scheme() == "http" && is_host && url.port_or_known_default() == Some(self.issuer.port())
    }
}

impl Landing {
    /// The page; an error where they are elsewhere.
    pub fn page(&self) -> Result<&Page> {
        match self {
            Self::Page(page) => Ok(page),
            Self::Away(url) => bail!("they were sent to {url}"),
        }
    }

    /// The URL outside of the issuer; an error where they are still there.
    pub fn away(&self) -> Result<String> {
        match self {
            Self::Page(page) => bail!("still at {}: {}\n\n{}", page.url, page.answer.head, page.answer.body),
            Self::Away(url) => Ok(url.clone()),
        }
    }
}

impl Page {
    /// The first form that is posted to this path below the issuer.
    pub fn form(&self, path: &str) -> Result<Form> {
        let forms = elements(&self.answer.body, "form");
        let mut forms = forms.into_iter().filter(|form| form.value("action").is_some_and(|to| to.ends_with(path)));
        let form =
            forms.next().with_context(|| format!("no form for {path} at {}:\n{}", self.url, self.answer.body))?;
        ensure!(form.value("method").as_deref() == Some("post"), "the form for {path} is not posted");
        let inside = form.rest.split("</form>").next().unwrap_or_default();
        let inputs = elements(inside, "input");
        let hidden = inputs.iter().filter(|input| input.value("type").as_deref() == Some("hidden"));
        let hidden = hidden.filter_map(|input| Some((input.value("name")?, input.value("value")?))).collect();
        let action = self.url.join(&form.value("action").unwrap_or_default())?;
        Ok(Form { action, hidden })
    }
}

impl Form {
    /// A hidden field.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.hidden.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Changes a hidden field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.hidden.retain(|(field, _)| field != name);
        self.hidden.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The URL of an authorization request: an endpoint and parameters.
#[must_use]
pub fn authorization_url(endpoint: &str, parameters: &[(&str, &str)]) -> String {
    let query: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", form_encode(name), form_encode(value))).collect();
    format!("{endpoint}?{}", query.join("&"))
}

/// A parameter of a URL's query, where it is there once.
#[must_use]
pub fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let mut found = url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// A tag of our own pages, whose attributes are all in double quotes, and what follows it.
struct Element<'a> {
    tag: &'a str,
    rest: &'a str,
}

fn elements<'a>(html: &'a str, name: &str) -> Vec<Element<'a>> {
    let start = format!("<{name} ");
    html.match_indices(&start)
        .filter_map(|(at, _)| html[at + start.len()..].split_once('>'))
        .map(|(tag, rest)| Element { tag, rest })
        .collect()
}

impl Element<'_> {
    fn value(&self, attribute: &str) -> Option<String> {
        let (_, rest) = self.tag.split_once(&format!("{attribute}=\""))?;
        rest.split_once('"').map(|(value, _)| unescape(value))
    }
}

/// Takes back what templates escape.
fn unescape(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'")]
        .into_iter()
        .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
        .replace("&#38;", "&")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTML: &str = r#"<form method="post" action="/a/login"><input type="hidden" name="csrf" value="x&#38;y">
        <input id="username" name="username" type="text" value="ada"></form>
        <form method="post" action="/a/consent"><input type="hidden" name="request" value="r"></form>"#;

    #[test]
    fn a_form_has_its_own_hidden_fields_and_no_other() -> Result<()> {
        let answer = Answer { status: 200, head: String::new(), body: HTML.to_owned() };
        let page = Page { url: Url::parse("http://127.0.0.1:1/a/login?request=r")?, answer };
        let form = page.form("/login")?;
        assert_eq!(form.hidden, [("csrf".to_owned(), "x&y".to_owned())]);
        assert_eq!(form.action.as_str(), "http://127.0.0.1:1/a/login");
        assert_eq!(page.form("/consent")?.value("request"), Some("r"));
        assert!(page.form("/logout").is_err());
        Ok(())
    }

    #[test]
    fn only_the_issuers_own_address_is_the_issuers() -> Result<()> {
        let person = Person::new("127.0.0.1:80".parse()?);
        for (url, expected) in [
            ("http://127.0.0.1/login", true),
            ("http://127.0.0.1:81/", false),
            ("https://127.0.0.1:80/", false),
            ("app.example:/callback", false),
        ] {
            assert_eq!(person.is_issuers(&Url::parse(url)?), expected, "{url}");
        }
        Ok(())
    }

    #[test]
    fn a_parameter_that_is_there_twice_is_not_one() {
        assert_eq!(parameter("https://client.test/?iss=a%20b", "iss").as_deref(), Some("a b"));
        assert_eq!(parameter("https://client.test/?iss=a&iss=b", "iss"), None);
    }
}
