//! The claims of an access token: the one place that knows their shape, written and read.
//!
//! Two profiles (RFC 9068, and what shop systems expect); both carry `client_id`, `jti` and `rev`. Reading is strict: a claim
//! of the wrong type refuses the token, since a reader that skips what it does not understand checks nothing (RFC 8725
//! section 3.11).

use serde::Serialize;
use serde_json::{Map, Value};
use tessera_keys::{SignError, SigningKey, json, jws};
use tessera_types::{Audience, ClaimsProfile, ClientId, GrantId, Revision, Scope, ScopeSet, Timestamp, TokenId};

/// The claims of an access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// Which shape they have on the wire.
    pub profile: ClaimsProfile,
    /// `iss`: the issuer's URL.
    pub issuer: String,
    /// `sub`: a user's id, or the client's own id where it acts for itself. Never empty here; the legacy profile writes the
    /// latter as an empty text, as shop systems do.
    pub subject: String,
    /// `aud`: whom the token is meant for. In the legacy profile, whose `aud` is the client's id, that is `resource`, one at most;
    /// without it the token is meant for every audience of the client's.
    pub audience: Vec<Audience>,
    /// `client_id`: whom the token was issued to.
    pub client: ClientId,
    /// `scope`: what it allows.
    pub scopes: ScopeSet,
    /// `iat`.
    pub issued: Timestamp,
    /// `nbf`.
    pub not_before: Timestamp,
    /// `exp`.
    pub expires: Timestamp,
    /// `jti`.
    pub token: TokenId,
    /// `rev`: what its issuer had applied before it checked anything.
    pub rev: Revision,
    /// `gid`: the grant it came of, where there is one.
    pub grant: Option<GrantId>,
    /// `username`: of the user it acts for.
    pub username: Option<String>,
}

/// The bytes are not an access token's claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClaims {
    /// Not a JSON object, or a member stands twice.
    #[error("the claims are not a JSON object without repeated members")]
    Json,
    /// A claim is missing, of the wrong type, or holds no value of its kind.
    #[error("the claim {0} is missing or malformed")]
    Claim(&'static str),
}

/// The profile that a token's `typ` stands for: `at+jwt` or `application/at+jwt` (RFC 9068 section 4), or `JWT`, in any case
/// (RFC 7515 section 4.1.9). Without a `typ`, or with another, a signed thing is no access token.
#[must_use]
pub fn profile_of(typ: Option<&str>) -> Option<ClaimsProfile> {
    let typ = typ?;
    if typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt") {
        Some(ClaimsProfile::Rfc9068)
    } else if typ.eq_ignore_ascii_case("JWT") {
        Some(ClaimsProfile::Legacy)
    } else {
        None
    }
}

impl AccessClaims {
    /// The user the token acts for; none where the client acts for itself (RFC 9068 section 2.2).
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        (self.subject != self.client.as_str()).then_some(&*self.subject)
    }

    /// The `aud` claim's values, as they stand in the token.
    pub fn aud(&self) -> impl Iterator<Item = &str> {
        let legacy = (self.profile == ClaimsProfile::Legacy).then_some(self.client.as_str());
        let own = if legacy.is_some() { &[] } else { &self.audience[..] };
        legacy.into_iter().chain(own.iter().map(Audience::as_str))
    }

    /// The header's `typ`.
    #[must_use]
    pub fn typ(&self) -> &'static str {
        match self.profile {
            ClaimsProfile::Rfc9068 => "at+jwt",
            ClaimsProfile::Legacy => "JWT",
        }
    }

    /// Signs the claims into an access token.
    pub fn sign(&self, key: &SigningKey) -> Result<String, SignError> {
        jws::sign_compact(&jws::header_json(self.typ(), key), &self.to_json(), key)
    }

    /// The claims as JSON, in the shape of their profile. One audience is written as a text, several as a list.
    #[must_use]
    pub fn to_json(&self) -> String {
        let legacy = self.profile == ClaimsProfile::Legacy;
        let aud = match &self.audience[..] {
            _ if legacy => OneOrMany::One(self.client.as_str()),
            [one] => OneOrMany::One(one.as_str()),
            many => OneOrMany::Many(many.iter().map(Audience::as_str).collect()),
        };
        let wire = WireClaims {
            iss: &self.issuer,
            sub: if legacy { self.user().unwrap_or_default() } else { &self.subject },
            aud,
            resource: if legacy { self.audience.first().map(Audience::as_str) } else { None },
            client_id: self.client.as_str(),
            scope: self.scopes.to_string(),
            scopes: legacy.then(|| self.scopes.iter().map(Scope::as_str).collect()),
            iat: self.issued.0,
            nbf: self.not_before.0,
            exp: self.expires.0,
            jti: self.token.to_string(),
            rev: self.rev.to_string(),
            gid: self.grant.map(|grant| grant.to_string()),
            username: self.username.as_deref(),
        };
        // Texts, numbers and lists of texts always serialize.
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// Reads claims in the shape of a profile.
    pub fn parse(profile: ClaimsProfile, bytes: &[u8]) -> Result<Self, InvalidClaims> {
        let members = Members(json::object(bytes).map_err(|_| InvalidClaims::Json)?);
        let client: ClientId = members.parsed("client_id")?;
        let (subject, audience, scopes) = match profile {
            ClaimsProfile::Rfc9068 => (members.text("sub")?, members.audience()?, members.scope()?.unwrap_or_default()),
            ClaimsProfile::Legacy => members.legacy(&client)?,
        };
        if subject.is_empty() {
            return Err(InvalidClaims::Claim("sub"));
        }
        Ok(Self {
            profile,
            issuer: members.text("iss")?.to_owned(),
            subject: subject.to_owned(),
            audience,
            scopes,
            issued: members.time("iat")?,
            not_before: members.time("nbf")?,
            expires: members.time("exp")?,
            token: members.parsed("jti")?,
            rev: members.parsed("rev")?,
            grant: members.optional("gid")?.map(str::parse).transpose().map_err(|_| InvalidClaims::Claim("gid"))?,
            username: members.optional("username")?.map(str::to_owned),
            client,
        })
    }
}

#[derive(Serialize)]
struct WireClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: OneOrMany<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    client_id: &'a str,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<&'a str>>,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    rev: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OneOrMany<'a> {
    One(&'a str),
    Many(Vec<&'a str>),
}

/// The members of a claims object, read by name and type.
struct Members(Map<String, Value>);

impl Members {
    fn optional(&self, name: &'static str) -> Result<Option<&str>, InvalidClaims> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(InvalidClaims::Claim(name)),
        }
    }

    fn text(&self, name: &'static str) -> Result<&str, InvalidClaims> {
        self.optional(name)?.ok_or(InvalidClaims::Claim(name))
    }

    fn parsed<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, InvalidClaims> {
        self.text(name)?.parse().map_err(|_| InvalidClaims::Claim(name))
    }

    /// A `NumericDate` (RFC 7519 section 2), which of ours is always a whole number: a fraction or a text is not one.
    fn time(&self, name: &'static str) -> Result<Timestamp, InvalidClaims> {
        let seconds = self.0.get(name).and_then(Value::as_i64).filter(|seconds| *seconds >= 0);
        seconds.map(Timestamp).ok_or(InvalidClaims::Claim(name))
    }

    fn texts(&self, name: &'static str) -> Result<Vec<&str>, InvalidClaims> {
        let bad = InvalidClaims::Claim(name);
        let list = self.0.get(name).and_then(Value::as_array).ok_or(bad)?;
        list.iter().map(|item| item.as_str().ok_or(bad)).collect()
    }

    /// One text or a list of them, not empty (RFC 7519 section 4.1.3).
    fn audience(&self) -> Result<Vec<Audience>, InvalidClaims> {
        let bad = InvalidClaims::Claim("aud");
        let texts = match self.0.get("aud") {
            Some(Value::String(one)) => vec![&**one],
            _ => self.texts("aud")?,
        };
        if texts.is_empty() {
            return Err(bad);
        }
        texts.iter().map(|text| text.parse().map_err(|_| bad)).collect()
    }

    fn scope(&self) -> Result<Option<ScopeSet>, InvalidClaims> {
        let scope = self.optional("scope")?;
        scope.map(str::parse).transpose().map_err(|_| InvalidClaims::Claim("scope"))
    }

    /// What the legacy profile writes otherwise: `sub` empty for a client itself, `aud` the client's id as one text, `scopes` a
    /// list that says what `scope` says. All three are demanded, so that nothing else with `typ: JWT` passes for a token.
    fn legacy(&self, client: &ClientId) -> Result<(&str, Vec<Audience>, ScopeSet), InvalidClaims> {
        if self.text("aud")? != client.as_str() {
            return Err(InvalidClaims::Claim("aud"));
        }
        let bad = InvalidClaims::Claim("scopes");
        let scopes: Result<ScopeSet, _> = self.texts("scopes")?.iter().map(|text| text.parse::<Scope>()).collect();
        let scopes = scopes.map_err(|_| bad)?;
        if self.scope()?.as_ref() != Some(&scopes) {
            return Err(bad);
        }
        let subject = self.text("sub")?;
        let resource = self.optional("resource")?.map(str::parse).transpose();
        let audience = resource.map_err(|_| InvalidClaims::Claim("resource"))?.into_iter().collect();
        Ok((if subject.is_empty() { self.text("client_id")? } else { subject }, audience, scopes))
    }
}

#[cfg(test)]
mod tests;
