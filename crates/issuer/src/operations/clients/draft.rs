//! What somebody wants a client to be, and whether it may be so.

use std::time::Duration;

use tessera_store::Client;
use tessera_types::{
    Audience, ClaimsProfile, ClientId, ClientType, ErrorCode, Failure, GrantType, OrganizationId, RedirectUri,
    ScopeSet, UserId, WebUrl,
};
use tessera_types::{random, user};

use crate::context::Context;

/// The longest name, in characters.
pub(super) const NAME_MAX: usize = 255;
/// The longest description, in characters: what the systems that people move from allow.
pub(super) const DESCRIPTION_MAX: usize = 21_844;
/// The longest life of an access token.
pub(in crate::operations) const LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The most entries of a list.
pub(super) const LIST_MAX: usize = 256;

/// A client to register.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The identifier; none lets the server choose.
    pub id: Option<ClientId>,
    /// See [`Client`].
    pub kind: ClientType,
    /// Whether it may be used at once.
    pub enabled: bool,
    /// What can be changed later, too.
    pub rest: Patch,
}

/// What to change of a client: what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// The name people see.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The grants it may use.
    pub grants: Option<Vec<GrantType>>,
    /// The scopes it may ask for.
    pub scopes: Option<ScopeSet>,
    /// The scopes it gets where it asks for none.
    pub default_scopes: Option<ScopeSet>,
    /// The audiences it issues for; empty means the server's default.
    pub audiences: Option<Vec<Audience>>,
    /// The audiences whose tokens it may introspect.
    pub resources: Option<Vec<Audience>>,
    /// Where authorization answers may be sent.
    pub redirect_uris: Option<Vec<RedirectUri>>,
    /// How long its access tokens live; `Some(None)` means the server's default.
    pub access_ttl: Option<Option<Duration>>,
    /// The shape of its tokens' claims; `Some(None)` leaves it to the endpoint.
    pub claims_profile: Option<Option<ClaimsProfile>>,
    /// The organization it belongs to; `Some(None)` means none.
    pub organization: Option<Option<OrganizationId>>,
    /// The user it belongs to; `Some(None)` means nobody.
    pub owner: Option<Option<UserId>>,
    /// The site it is of.
    pub site_url: Option<Option<WebUrl>>,
    /// Its logo.
    pub logo_url: Option<Option<WebUrl>>,
    /// Where authorization errors may be sent.
    pub failure_uri: Option<Option<RedirectUri>>,
    /// The scopes it gets besides.
    pub implicit_scopes: Option<ScopeSet>,
}

/// The fields in which two states of a client differ, as callers name them.
pub(super) fn changed_fields(before: &Client, after: &Client) -> Vec<&'static str> {
    let differs = [
        ("name", before.name != after.name),
        ("description", before.description != after.description),
        ("grant_types", before.grants != after.grants),
        ("scopes", before.scopes != after.scopes),
        ("default_scopes", before.default_scopes != after.default_scopes),
        ("audiences", before.audiences != after.audiences),
        ("resources", before.resources != after.resources),
        ("redirect_uris", before.redirect_uris != after.redirect_uris),
        ("access_token_lifetime", before.access_ttl != after.access_ttl),
        ("claims_profile", before.claims_profile != after.claims_profile),
        ("organization_id", before.organization != after.organization),
        ("owner_id", before.owner != after.owner),
        ("site_url", before.site_url != after.site_url),
        ("logo_url", before.logo_url != after.logo_url),
        ("failure_uri", before.failure_uri != after.failure_uri),
        ("implicit_scopes", before.implicit_scopes != after.implicit_scopes),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field).collect()
}

/// Why a client may not be so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The name is empty or too long, or has control characters.
    #[error("name out of bounds")]
    Name,
    /// The description is too long.
    #[error("description out of bounds")]
    Description,
    /// Neither grants nor resources: such a client could do nothing.
    #[error("no grant and no resource")]
    NoGrant,
    /// A public client with a grant that needs a secret.
    #[error("client credentials for a public client")]
    PublicClientCredentials,
    /// A scope is not registered.
    #[error("a scope is not registered")]
    UnknownScope,
    /// A default scope is not among the scopes.
    #[error("a default scope is not among the scopes")]
    DefaultScope,
    /// A reserved scope for a client that cannot get it: it comes by client credentials only.
    #[error("a reserved scope without client credentials")]
    ReservedScope,
    /// The lifetime is out of bounds.
    #[error("lifetime out of bounds")]
    Lifetime,
    /// Its tokens would be alive when their key is accepted no more.
    #[error("a lifetime longer than keys are accepted")]
    OutlivesKeys,
    /// A list is too long.
    #[error("a list is too long")]
    TooMany,
    /// A secret for a client that has none.
    #[error("a secret for a public client")]
    SecretOfPublicClient,
    /// A secret that is empty or too long, or has control characters.
    #[error("secret out of bounds")]
    Secret,
    /// An overlap or expiry of a secret that is out of bounds.
    #[error("overlap out of bounds")]
    Overlap,
    /// An identifier of the shape that users' have: a token's `sub` must tell them apart.
    #[error("an identifier of a user's shape")]
    IdOfAUser,
    /// Another set of grants for a client of an organization: they are fixed.
    #[error("the grants of an organization's client")]
    GrantsFixed,
    /// A client of an organization without a grant.
    #[error("a client of an organization without a grant")]
    NoGrantInOrganization,
    /// A client of an organization that acts for nobody.
    #[error("client credentials in an organization without an owner")]
    NoOwner,
    /// There is no such organization.
    #[error("no such organization")]
    UnknownOrganization,
    /// There is no such user.
    #[error("no such owner")]
    UnknownOwner,
    /// The owner is a member of neither the organization nor a global one.
    #[error("the owner is not of the organization")]
    OwnerNotOfOrganization,
    /// An implicit scope is reserved.
    #[error("a reserved scope is implicit")]
    ImplicitReserved,
    /// The authorization code grant without anywhere to send the answer.
    #[error("authorization codes without a redirect URI")]
    NoRedirectUri,
}

impl DraftError {
    /// Every one, with what a caller is told: code, field, reason, advice.
    const fn told(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Name => {
                ("name", "NAME_OUT_OF_BOUNDS", "A name has 1 to 255 characters, none of them a control character.")
            }
            Self::Description => {
                ("description", "DESCRIPTION_OUT_OF_BOUNDS", "A description has at most 21844 characters.")
            }
            Self::NoGrant => {
                ("grant_types", "NO_GRANT", "A client needs at least one grant, or a resource to introspect for.")
            }
            Self::PublicClientCredentials => {
                ("grant_types", "PUBLIC_CLIENT", "A public client cannot use client_credentials. Make it confidential.")
            }
            Self::UnknownScope => ("scopes", "UNKNOWN_SCOPE", "A scope is not registered. Create the scope first."),
            Self::DefaultScope => ("default_scopes", "DEFAULT_SCOPE", "The default scopes must be among the scopes."),
            Self::ReservedScope => (
                "scopes",
                "RESERVED_SCOPE",
                "Reserved scopes come by client_credentials only. Give the client that grant.",
            ),
            Self::Lifetime => ("access_token_lifetime", "LIFETIME_OUT_OF_BOUNDS", "A lifetime is 1 s to 24 h."),
            Self::OutlivesKeys => (
                "access_token_lifetime",
                "LIFETIME_OUTLIVES_KEYS",
                "No token lives longer than its key is accepted ([keys] retire_after). Choose a shorter lifetime, or have that raised.",
            ),
            Self::TooMany => ("client", "TOO_MANY", "A list has at most 256 entries."),
            Self::SecretOfPublicClient => ("client_secret", "PUBLIC_CLIENT", "A public client has no secret."),
            Self::Secret => (
                "client_secret",
                "SECRET_OUT_OF_BOUNDS",
                "An imported secret has 1 to 255 characters, none of them a control character.",
            ),
            Self::IdOfAUser => {
                ("client_id", "ID_OF_A_USER", "Identifiers beginning with usr_ are users'. Choose another client id.")
            }
            Self::NoRedirectUri => {
                ("redirect_uris", "NO_REDIRECT_URI", "A client with the grant authorization_code needs a redirect URI.")
            }
            Self::GrantsFixed => (
                "grant_types",
                "GRANTS_FIXED",
                "The grants of an organization's client are fixed. Create another client.",
            ),
            Self::NoGrantInOrganization => ("grant_types", "NO_GRANT", "A client of an organization needs a grant."),
            Self::NoOwner => (
                "owner_id",
                "NO_OWNER",
                "In an organization a client with client_credentials acts for an owner. Name one.",
            ),
            Self::UnknownOrganization => (
                "organization_id",
                "UNKNOWN_ORGANIZATION",
                "There is no such organization. List them to see which there are.",
            ),
            Self::UnknownOwner => {
                ("owner_id", "UNKNOWN_OWNER", "There is no such user. List the users to see which there are.")
            }
            Self::OwnerNotOfOrganization => (
                "owner_id",
                "OWNER_NOT_OF_ORGANIZATION",
                "The owner must be a member of the organization or of a global one. Add them first.",
            ),
            Self::ImplicitReserved => {
                ("implicit_scopes", "RESERVED_SCOPE", "A reserved scope cannot be implicit. Put it among the scopes.")
            }
            Self::Overlap => {
                ("overlap", "OVERLAP_OUT_OF_BOUNDS", "An overlap is 0 s to 30 days, and an expiry lies in the future.")
            }
        }
    }
}

impl Failure for DraftError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownScope | Self::DefaultScope | Self::ReservedScope => ErrorCode::InvalidScope,
            _ => ErrorCode::InvalidRequest,
        }
    }

    fn field(&self) -> Option<&'static str> {
        Some(self.told().0)
    }

    fn reason(&self) -> &'static str {
        self.told().1
    }

    fn advice(&self) -> &'static str {
        self.told().2
    }
}

impl Draft {
    /// The client this becomes.
    ///
    /// # Errors
    /// See [`DraftError`].
    pub fn into_client(self, cx: &Context) -> Result<Client, DraftError> {
        let now = cx.clock.now();
        let id = self.id.unwrap_or_else(|| generated_id(cx));
        if id.as_str().starts_with(user::ID_PREFIX) {
            return Err(DraftError::IdOfAUser);
        }
        let name = self.rest.name.clone().filter(|n| !n.is_empty()).unwrap_or_else(|| id.to_string());
        let blank = Client {
            id,
            name,
            description: String::new(),
            kind: self.kind,
            enabled: self.enabled,
            owner_disabled: false,
            grants: Vec::new(),
            scopes: ScopeSet::empty(),
            default_scopes: ScopeSet::empty(),
            audiences: vec![cx.policy.default_audience.clone()],
            resources: Vec::new(),
            redirect_uris: Vec::new(),
            access_ttl: None,
            claims_profile: None,
            organization: None,
            owner: None,
            site_url: None,
            logo_url: None,
            failure_uri: None,
            implicit_scopes: ScopeSet::empty(),
            last_used: None,
            created: now,
            updated: now,
            version: 1,
        };
        Patch { name: None, ..self.rest }.apply(cx, &blank)
    }
}

impl Patch {
    /// The client with the changes.
    ///
    /// # Errors
    /// See [`DraftError`].
    pub fn apply(self, cx: &Context, before: &Client) -> Result<Client, DraftError> {
        let audiences = match self.audiences {
            Some(list) if list.is_empty() => vec![cx.policy.default_audience.clone()],
            Some(list) => distinct(list),
            None => before.audiences.clone(),
        };
        let after = Client {
            name: self.name.unwrap_or_else(|| before.name.clone()),
            description: self.description.unwrap_or_else(|| before.description.clone()),
            grants: self.grants.map_or_else(|| before.grants.clone(), distinct),
            scopes: self.scopes.unwrap_or_else(|| before.scopes.clone()),
            default_scopes: self.default_scopes.unwrap_or_else(|| before.default_scopes.clone()),
            audiences,
            resources: self.resources.map_or_else(|| before.resources.clone(), distinct),
            redirect_uris: self.redirect_uris.map_or_else(|| before.redirect_uris.clone(), distinct),
            access_ttl: self.access_ttl.unwrap_or(before.access_ttl),
            claims_profile: self.claims_profile.unwrap_or(before.claims_profile),
            organization: self.organization.unwrap_or(before.organization),
            owner: self.owner.unwrap_or(before.owner),
            site_url: self.site_url.unwrap_or_else(|| before.site_url.clone()),
            logo_url: self.logo_url.unwrap_or_else(|| before.logo_url.clone()),
            failure_uri: self.failure_uri.unwrap_or_else(|| before.failure_uri.clone()),
            implicit_scopes: self.implicit_scopes.unwrap_or_else(|| before.implicit_scopes.clone()),
            updated: cx.clock.now(),
            ..before.clone()
        };
        validate(&after)?;
        // One that was longer before the configuration changed may stay: its tokens are made shorter, and the start has said so.
        let longest = cx.policy.keys.schedule.retire_after;
        if after.access_ttl != before.access_ttl && after.access_ttl.is_some_and(|ttl| ttl > longest) {
            return Err(DraftError::OutlivesKeys);
        }
        let regranted = before.grants.len() != after.grants.len()
            || before.grants.iter().any(|grant| !after.grants.contains(grant));
        if before.organization.is_some() && regranted { Err(DraftError::GrantsFixed) } else { Ok(after) }
    }
}

fn validate(client: &Client) -> Result<(), DraftError> {
    let longest = [
        client.scopes.len(),
        client.implicit_scopes.len(),
        client.audiences.len(),
        client.resources.len(),
        client.redirect_uris.len(),
    ];
    let secretless = client.kind == ClientType::Public && client.grants.contains(&GrantType::ClientCredentials);
    let reserved = client.scopes.iter().any(tessera_types::Scope::is_reserved);
    let name_len = client.name.chars().count();
    let rules = [
        (name_len == 0 || name_len > NAME_MAX || client.name.chars().any(char::is_control), DraftError::Name),
        (client.description.chars().count() > DESCRIPTION_MAX, DraftError::Description),
        (client.grants.is_empty() && client.organization.is_some(), DraftError::NoGrantInOrganization),
        (client.grants.is_empty() && client.resources.is_empty(), DraftError::NoGrant),
        (
            client.organization.is_some()
                && client.owner.is_none()
                && client.grants.contains(&GrantType::ClientCredentials),
            DraftError::NoOwner,
        ),
        (client.implicit_scopes.iter().any(tessera_types::Scope::is_reserved), DraftError::ImplicitReserved),
        (secretless, DraftError::PublicClientCredentials),
        (
            client.grants.contains(&GrantType::AuthorizationCode) && client.redirect_uris.is_empty(),
            DraftError::NoRedirectUri,
        ),
        (!client.default_scopes.is_subset(&client.scopes), DraftError::DefaultScope),
        (reserved && !client.grants.contains(&GrantType::ClientCredentials), DraftError::ReservedScope),
        (client.access_ttl.is_some_and(|ttl| ttl < Duration::from_secs(1) || ttl > LIFETIME_MAX), DraftError::Lifetime),
        (longest.iter().any(|len| *len > LIST_MAX), DraftError::TooMany),
    ];
    rules.into_iter().find(|(broken, _)| *broken).map_or(Ok(()), |(_, error)| Err(error))
}

fn distinct<T: PartialEq>(list: Vec<T>) -> Vec<T> {
    let mut kept: Vec<T> = Vec::with_capacity(list.len());
    for item in list {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

/// 128 random bits are unique enough; hexadecimal needs no escaping anywhere.
fn generated_id(cx: &Context) -> ClientId {
    let bits = u128::from_be_bytes(random::bytes(&*cx.random));
    format!("{bits:032x}").parse().unwrap_or_else(|_| unreachable!("hexadecimal digits are a client id"))
}
