//! What the log says: events, the facts they leave behind, and places in it.

use tessera_types::{
    Algorithm, Audience, ClientId, Epoch, GrantId, KeyId, KeyState, Revision, Timestamp, TokenId, UserId,
};

/// The hash of a place in the log, chained over every place before it (SHA-256).
pub type ChainHash = [u8; 32];

/// One fact of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An access token was revoked.
    TokenRevoked {
        /// The token's `jti`.
        token: TokenId,
        /// When it expires by itself.
        expires: Timestamp,
    },
    /// A grant was revoked, with every token that came of it.
    GrantRevoked {
        /// The grant.
        grant: GrantId,
        /// When its last access token expires.
        expires: Timestamp,
    },
    /// Everything of a subject whose `rev` is below this event's revision died.
    WatermarkRaised(Subject),
    /// A client was made or changed (`Some`), or deleted (`None`). The higher revision wins.
    ClientChanged {
        /// The client.
        client: ClientId,
        /// Its state from now on.
        state: Option<ClientState>,
    },
    /// A signing key was added or changed its state. The higher revision wins.
    KeyChanged(KeyFact),
    /// The floor rose: what expired before it is inactive, and entries below it may be forgotten.
    ExpiredBefore(Timestamp),
    /// The database was restored from a backup, and what follows is another log. Of the former one everything up to the place before
    /// this event is in it; what had come after that is lost.
    EpochBegan {
        /// The log before.
        former: Epoch,
    },
}

/// Whose tokens a watermark is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A client's.
    Client(ClientId),
    /// A user's, by the user's id.
    User(Box<str>),
    /// An organization's, by its id.
    Organization(Box<str>),
    /// What a user allowed a client.
    Consent {
        /// The user's id.
        user: Box<str>,
        /// The client.
        client: ClientId,
    },
    /// Every token there is.
    Everything,
}

/// What replicas know of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientState {
    /// Whether it may be used, and its tokens be active: it is enabled, and so are its organization and its owner.
    pub enabled: bool,
    /// The audiences it issues for.
    pub audiences: Vec<Audience>,
    /// The audiences whose tokens it may introspect.
    pub resources: Vec<Audience>,
    /// The user it acts for by client credentials, where there is one.
    pub owner: Option<UserId>,
}

/// What replicas know of a signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFact {
    /// The key.
    pub key: KeyId,
    /// The only algorithm it is used with.
    pub algorithm: Algorithm,
    /// The public key as a JWK (RFC 7517), JSON.
    pub public_jwk: Box<str>,
    /// Where it stands.
    pub state: KeyState,
}

/// A place in a log, with its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which log.
    pub epoch: Epoch,
    /// How many events came up to here.
    pub revision: u64,
    /// The chained hash at this place; zeros at revision 0.
    pub hash: ChainHash,
}

impl Position {
    /// The place as callers see it.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision { epoch: self.epoch, number: self.revision }
    }
}

/// An event at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The place: one more than the entry's before it.
    pub revision: u64,
    /// The chained hash at this place.
    pub hash: ChainHash,
    /// What happened.
    pub event: Event,
}

/// The latest event about one thing, and where it stands: what remains of the log when it is compacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The place of the event.
    pub revision: u64,
    /// The event.
    pub event: Event,
}

/// The whole state at one position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Where it was read.
    pub position: Position,
    /// The facts, in any order; none about the same thing twice.
    pub facts: Vec<Fact>,
}

impl Event {
    /// What the event is about. Of two events about the same thing the later one says all; for revocations and watermarks
    /// they only differ in their place.
    #[must_use]
    pub fn about(&self) -> String {
        match self {
            Self::TokenRevoked { token, .. } => format!("token:{token}"),
            Self::GrantRevoked { grant, .. } => format!("grant:{grant}"),
            Self::WatermarkRaised(subject) => format!("watermark:{}", subject.key()),
            Self::ClientChanged { client, .. } => format!("client:{client}"),
            Self::KeyChanged(fact) => format!("key:{}", fact.key),
            Self::ExpiredBefore(_) => "floor".to_owned(),
            Self::EpochBegan { former } => format!("epoch:{former}"),
        }
    }

    /// When the fact stops mattering, where it does: after the floor has passed this moment it may be forgotten.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        match self {
            Self::TokenRevoked { expires, .. } | Self::GrantRevoked { expires, .. } => Some(*expires),
            _ => None,
        }
    }
}

impl Subject {
    /// The subject as a key. A length stands before a user's id, so that no two consents share a key.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Client(client) => format!("client:{client}"),
            Self::User(user) => format!("user:{user}"),
            Self::Organization(organization) => format!("organization:{organization}"),
            Self::Consent { user, client } => format!("consent:{}:{user}:{client}", user.len()),
            Self::Everything => "everything".to_owned(),
        }
    }
}
