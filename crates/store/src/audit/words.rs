//! The words of the audit. They are stored and filtered by: none is renamed.

use std::str::FromStr;

use tessera_types::{ClientId, GrantId, KeyId, OrganizationId, Scope, TokenId, UserId};

/// Defines an enum whose variants each have one stable word.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

words! {
    /// What was done, or tried.
    Action {
        /// An administrative call was refused.
        AdministrationRefused = "administration.refuse",
        /// Records were not kept, because there were too many at once.
        AuditDrop = "audit.drop",
        /// A user allowed a client what it asks for, and the client was given a code.
        AuthorizationAllow = "authorization.allow",
        /// A user denied a client what it asks for.
        AuthorizationDeny = "authorization.deny",
        /// A client did not authenticate.
        ClientAuthenticate = "client.authenticate",
        /// A client was registered.
        ClientCreate = "client.create",
        /// A client was removed.
        ClientDelete = "client.delete",
        /// A client was disabled.
        ClientDisable = "client.disable",
        /// A client was enabled.
        ClientEnable = "client.enable",
        /// A secret of a client ended.
        ClientSecretDelete = "client.secret.delete",
        /// A client got a new secret.
        ClientSecretRotate = "client.secret.rotate",
        /// Every token of a client became inactive.
        ClientTokensRevoke = "client.tokens.revoke",
        /// A client was changed.
        ClientUpdate = "client.update",
        /// A user withdrew what they had allowed a client.
        ConsentWithdraw = "consent.withdraw",
        /// The database was said to be restored from a backup: a new epoch began.
        DatabaseRestored = "database.restored",
        /// A grant ended because its code or refresh token was used twice.
        GrantMisuse = "grant.misuse",
        /// A grant was revoked, with its refresh token.
        GrantRevoke = "grant.revoke",
        /// A key was made, or brought along, and published.
        KeyPublish = "key.publish",
        /// A key began to sign.
        KeyPromote = "key.promote",
        /// A key stopped being accepted.
        KeyRetire = "key.retire",
        /// Private keys were sealed under another key-encryption key.
        KeyRewrap = "key.rewrap",
        /// An organization was registered.
        OrganizationCreate = "organization.create",
        /// An organization was removed.
        OrganizationDelete = "organization.delete",
        /// An organization was disabled.
        OrganizationDisable = "organization.disable",
        /// An organization was enabled.
        OrganizationEnable = "organization.enable",
        /// A user became a member of an organization.
        OrganizationMemberAdd = "organization.member.add",
        /// A user's membership of an organization ended.
        OrganizationMemberRemove = "organization.member.remove",
        /// An organization was changed.
        OrganizationUpdate = "organization.update",
        /// A scope was registered.
        ScopeCreate = "scope.create",
        /// A scope was removed.
        ScopeDelete = "scope.delete",
        /// A scope was changed.
        ScopeUpdate = "scope.update",
        /// A session ended.
        SessionEnd = "session.end",
        /// The administrator was made, or its credential replaced, on the issuer's host.
        SetupAdministrator = "setup.administrator",
        /// The introspectors' credential was made, or replaced, on the issuer's host.
        SetupIntrospector = "setup.introspector",
        /// A token was revoked.
        TokenRevoke = "token.revoke",
        /// A user was registered.
        UserCreate = "user.create",
        /// A user was removed.
        UserDelete = "user.delete",
        /// A user was disabled.
        UserDisable = "user.disable",
        /// A user was enabled.
        UserEnable = "user.enable",
        /// Somebody signed in as a user, or failed to.
        UserLogin = "user.login",
        /// A user got a new password.
        UserPasswordSet = "user.password.set",
        /// Every session and token of a user ended.
        UserTokensRevoke = "user.tokens.revoke",
        /// A user was changed.
        UserUpdate = "user.update",
    }
}

words! {
    /// How something ended.
    Outcome {
        /// It was done.
        Ok = "ok",
        /// It was refused.
        Refused = "refused",
    }
}

words! {
    /// What else a record may say.
    Detail {
        /// The client concerned, besides actor and target.
        Client = "client",
        /// The fields that were changed, by name.
        Fields = "fields",
        /// The grant concerned.
        Grant = "grant",
        /// How somebody authenticated.
        Method = "method",
        /// The secret concerned, by its identifier, which opens nothing.
        Secret = "secret",
        /// The session concerned, by its identifier, which opens nothing.
        Session = "session",
        /// How many sessions.
        Sessions = "sessions",
        /// The user concerned, besides actor and target.
        User = "user",
        /// By way of whom: the front end that spoke for the actor.
        Via = "via",
    }
}

/// The text is no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an outcome: ok or refused")]
pub struct UnknownOutcome;

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, UnknownOutcome> {
        Self::ALL.iter().copied().find(|outcome| outcome.as_str() == text).ok_or(UnknownOutcome)
    }
}

/// Who did something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Actor {
    /// Somebody who is not known: whose credentials were refused.
    #[default]
    Unknown,
    /// A client: an administrator, or one that acts for itself.
    Client(ClientId),
    /// A person.
    User(UserId),
    /// The owner of a client certificate, by the name it is mapped to.
    Identity(String),
    /// The issuer itself.
    Issuer,
    /// Whoever ran this command on the issuer's host.
    Host(&'static str),
}

impl Actor {
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Client(_) => "client",
            Self::User(_) => "user",
            Self::Identity(_) => "identity",
            Self::Issuer => "issuer",
            Self::Host(_) => "host",
        }
    }

    /// Which; empty where there is one of the kind, or nobody knows.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Unknown | Self::Issuer => String::new(),
            Self::Client(id) => id.to_string(),
            Self::User(id) => id.to_string(),
            Self::Identity(name) => name.clone(),
            Self::Host(command) => (*command).to_owned(),
        }
    }
}

/// What something was done to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A client.
    Client(ClientId),
    /// A user.
    User(UserId),
    /// An organization.
    Organization(OrganizationId),
    /// A scope.
    Scope(Scope),
    /// A signing key.
    Key(KeyId),
    /// An access token, by its `jti`, which opens nothing.
    Token(TokenId),
    /// A grant.
    Grant(GrantId),
    /// A call, by its path.
    Rpc(String),
}

impl Target {
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Client(_) => "client",
            Self::User(_) => "user",
            Self::Organization(_) => "organization",
            Self::Scope(_) => "scope",
            Self::Key(_) => "key",
            Self::Token(_) => "token",
            Self::Grant(_) => "grant",
            Self::Rpc(_) => "rpc",
        }
    }

    /// Which.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Client(id) => id.to_string(),
            Self::User(id) => id.to_string(),
            Self::Organization(id) => id.to_string(),
            Self::Scope(name) => name.to_string(),
            Self::Key(id) => id.to_string(),
            Self::Token(id) => id.to_string(),
            Self::Grant(id) => id.to_string(),
            Self::Rpc(path) => path.clone(),
        }
    }
}
