//! The clients, users and the organization of `tessera dev` and `tessera try`. Documented, and so for development only: the development server binds loopback.

use tessera_store::{
    Action, Actor, Client, NewRecord, Organization, ScopeRecord, StoredSecret, Target, Transaction, User, Users,
};
use tessera_types::random;
use tessera_types::{
    Audience, ClaimsProfile, ClientType, Email, LoginKey, OrganizationId, PasswordHash, PresentedSecret, ScopeSet,
    SecretHash, UserId, Username,
};
use uuid::Uuid;

use super::Setup;
use super::administrator::CredentialError;
use crate::operations::clients::changed_in;
use crate::passwords::{PasswordError, Passwords};

/// The secret of every fixture that has one, but for the imported integration.
pub const SECRET: &str = "dev-secret";

/// Seed 002's integration and its secret.
pub const INTEGRATION: (&str, &str) =
    ("SWIABXZIEHRJVNJPZVNKUNI5EA", "REJzWnlLQmRCUVZ3YjA3c0hSWXBOdlRmZUdqRTltaDR3QWx4dFI");

/// The audience every fixture issues for, but for the administrator.
pub const AUDIENCE: &str = "demo-resource";

/// Somebody who signs in.
struct Person {
    username: &'static str,
    email: &'static str,
    name: &'static str,
    password: &'static str,
}

const PEOPLE: &[Person] = &[
    Person { username: "ada", email: "ada@example.test", name: "Ada Lovelace", password: "dev-password" },
    // What the shop's own development has.
    Person { username: "admin", email: "admin@example.test", name: "Administrator", password: "shopware" },
];

/// The organization of the fixtures, and its members.
const ORGANIZATION: (&str, &[&str]) = ("Acme", &["ada", "admin"]);

const SCOPES: &[(&str, &str, &str)] = &[
    ("orders:read", "See your orders", "Voir vos commandes"),
    ("orders:write", "Change your orders", "Modifier vos commandes"),
    ("profile", "See your name and e-mail address", "Voir votre nom et votre adresse e-mail"),
    ("write", "Change data", "Modifier les données"),
    ("is_authenticated", "Know that you are signed in", "Savoir que vous êtes connecté"),
    ("api_client_read", "See API clients", "Voir les clients API"),
    ("api_client_write", "Change API clients", "Modifier les clients API"),
    ("customer_group_read", "See customer groups", "Voir les groupes de clients"),
    ("customer_group_write", "Change customer groups", "Modifier les groupes de clients"),
];

struct Fixture {
    id: &'static str,
    name: &'static str,
    secret: Option<&'static str>,
    grants: &'static [&'static str],
    scopes: &'static str,
    default_scopes: &'static str,
    resources: &'static [&'static str],
    redirect: bool,
    profile: ClaimsProfile,
    /// Whether it belongs to the organization.
    organization: bool,
    owner: Option<&'static str>,
}

const BLANK: Fixture = Fixture {
    id: "",
    name: "",
    secret: Some(SECRET),
    grants: &[],
    scopes: "",
    default_scopes: "",
    resources: &[],
    redirect: false,
    profile: ClaimsProfile::Rfc9068,
    organization: false,
    owner: None,
};

const FIXTURES: &[Fixture] = &[
    Fixture {
        id: "demo-service",
        name: "Demo service",
        grants: &["client_credentials"],
        scopes: "orders:read orders:write",
        default_scopes: "orders:read orders:write",
        ..BLANK
    },
    Fixture {
        id: "demo-web",
        name: "Demo web application",
        secret: None,
        grants: &["authorization_code", "refresh_token"],
        scopes: "orders:read orders:write profile",
        default_scopes: "orders:read orders:write profile",
        redirect: true,
        ..BLANK
    },
    Fixture {
        id: "demo-app",
        name: "Demo first-party application",
        grants: &["authorization_code", "password", "refresh_token", "client_credentials"],
        scopes: "orders:read profile",
        default_scopes: "orders:read profile",
        redirect: true,
        ..BLANK
    },
    Fixture {
        id: "demo-resource",
        name: "Demo resource server",
        grants: &["client_credentials"],
        scopes: "introspect",
        default_scopes: "introspect",
        resources: &[AUDIENCE],
        ..BLANK
    },
    Fixture {
        id: "dev-admin",
        name: "Development administrator",
        grants: &["client_credentials"],
        scopes: "tessera.admin",
        default_scopes: "tessera.admin",
        ..BLANK
    },
    Fixture {
        id: "administration",
        name: "Shopware administration",
        secret: None,
        grants: &["password", "refresh_token"],
        scopes: "write",
        profile: ClaimsProfile::Legacy,
        ..BLANK
    },
    Fixture {
        id: INTEGRATION.0,
        name: "Shopware integration",
        secret: Some(INTEGRATION.1),
        grants: &["client_credentials"],
        scopes: "write",
        profile: ClaimsProfile::Legacy,
        ..BLANK
    },
    Fixture {
        id: "prestashop-api-client",
        name: "PrestaShop API client",
        grants: &["client_credentials"],
        scopes: "api_client_read api_client_write customer_group_read customer_group_write",
        profile: ClaimsProfile::Legacy,
        ..BLANK
    },
    Fixture {
        id: "oro-app",
        name: "Oro application",
        grants: &["client_credentials"],
        profile: ClaimsProfile::Legacy,
        organization: true,
        owner: Some("admin"),
        ..BLANK
    },
    Fixture {
        id: "oro-user-app",
        name: "Oro user application",
        grants: &["password", "refresh_token"],
        profile: ClaimsProfile::Legacy,
        organization: true,
        ..BLANK
    },
];

/// Why the fixtures could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FixtureError {
    /// A client or scope could not be written.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The database.
    #[error(transparent)]
    Store(#[from] tessera_store::StoreError),
    /// A secret could not be hashed.
    #[error(transparent)]
    Passwords(#[from] PasswordError),
    /// A built-in name is not valid.
    #[error("a built-in fixture is not valid: {0}")]
    Name(&'static str),
}

impl Setup<'_> {
    /// Makes the fixtures that are not there. Those that are stay as somebody may have changed them.
    ///
    /// # Errors
    /// `Store`.
    pub async fn fixtures(
        &self,
        issuer: &Audience,
        introspection: &Audience,
        passwords: &Passwords,
    ) -> Result<(), FixtureError> {
        // All at once, on as many threads as the pool has.
        let (shared, imported, people) = futures::try_join!(
            self.hash(passwords, SECRET),
            self.hash(passwords, INTEGRATION.1),
            self.missing_people(passwords)
        )?;
        let mut tx = self.store.begin().await?;
        tx.exclusive().await?;
        for (name, en, fr) in SCOPES {
            let name = word(name)?;
            if tx.scopes().find(&name).await?.is_none() {
                let descriptions = [("en".to_owned(), (*en).to_owned()), ("fr".to_owned(), (*fr).to_owned())].into();
                let record = ScopeRecord { name, descriptions, reserved: false, created: self.clock.now() };
                tx.scopes().insert(&record).await?;
            }
        }
        self.write_people(&tx, people).await?;
        let organization = self.organization(&tx).await?;
        for fixture in FIXTURES {
            let client = self.client(fixture, issuer, introspection)?;
            if tx.clients().find(&client.id).await?.is_some() {
                continue;
            }
            let owner = match fixture.owner {
                Some(owner) => member(&tx.users(), owner).await?,
                None => None,
            };
            let client = Client { organization: fixture.organization.then_some(organization), owner, ..client };
            tx.clients().insert(&client).await?;
            if let Some(secret) = fixture.secret {
                let hash = if secret == SECRET { shared.clone() } else { imported.clone() };
                tx.clients().insert_secret(&client.id, &self.stored(hash)).await?;
            }
            let event = changed_in(&tx, &client).await?;
            tx.record(event);
            let record = NewRecord::done(self.clock.now(), Actor::Host("tessera dev"), Action::ClientCreate);
            tx.audit(record.to(Target::Client(client.id)));
        }
        tx.commit().await?;
        Ok(())
    }

    /// The users that are not there, with the hashes of their passwords: nothing is hashed for those that are.
    async fn missing_people(&self, passwords: &Passwords) -> Result<Vec<(User, &'static Person)>, FixtureError> {
        let mut missing = Vec::new();
        for person in PEOPLE {
            if !is_taken(&self.store.users(), person).await? {
                missing.push(person);
            }
        }
        let made = missing.into_iter().map(async |person| {
            let hash = passwords.hash_password(&secret(person.password)?, self.random).await?;
            Ok::<_, FixtureError>((self.user(person, hash)?, person))
        });
        futures::future::try_join_all(made).await
    }

    async fn write_people(&self, tx: &Transaction, people: Vec<(User, &'static Person)>) -> Result<(), FixtureError> {
        for (user, person) in people {
            // Looked at again: somebody else may have taken the name while the password was hashed.
            if !is_taken(&tx.users(), person).await? {
                tx.users().insert(&user).await?;
            }
        }
        Ok(())
    }

    /// The organization, made with its members where it is not there.
    async fn organization(&self, tx: &Transaction) -> Result<OrganizationId, FixtureError> {
        let (name, members) = ORGANIZATION;
        if let Some(organization) = tx.organizations().find_by_name(name).await? {
            return Ok(organization.id);
        }
        let now = self.clock.now();
        let organization = Organization {
            id: OrganizationId::generate(self.random),
            name: name.to_owned(),
            global: false,
            enabled: true,
            created: now,
            updated: now,
            version: 1,
        };
        tx.organizations().insert(&organization).await?;
        for username in members {
            if let Some(user) = member(&tx.users(), username).await? {
                tx.organizations().add_member(organization.id, user, now).await?;
            }
        }
        Ok(organization.id)
    }

    fn user(&self, person: &'static Person, password: PasswordHash) -> Result<User, FixtureError> {
        let now = self.clock.now();
        Ok(User {
            id: UserId::generate(self.random),
            username: word(person.username)?,
            name: person.name.to_owned(),
            email: Some(word(person.email)?),
            password: Some(password),
            enabled: true,
            created: now,
            updated: now,
            version: 1,
        })
    }

    fn client(&self, fixture: &Fixture, issuer: &Audience, introspection: &Audience) -> Result<Client, FixtureError> {
        let now = self.clock.now();
        let demo: Audience = word(AUDIENCE)?;
        let audiences = match fixture.id {
            "dev-admin" => vec![issuer.clone()],
            "demo-resource" => vec![demo, introspection.clone()],
            _ => vec![demo],
        };
        Ok(Client {
            id: word(fixture.id)?,
            name: fixture.name.to_owned(),
            description: "For development.".to_owned(),
            kind: if fixture.secret.is_some() { ClientType::Confidential } else { ClientType::Public },
            enabled: true,
            owner_disabled: false,
            grants: fixture.grants.iter().map(|g| word(g)).collect::<Result<_, _>>()?,
            scopes: word(fixture.scopes)?,
            default_scopes: word(fixture.default_scopes)?,
            audiences,
            resources: fixture.resources.iter().map(|r| word(r)).collect::<Result<_, _>>()?,
            redirect_uris: if fixture.redirect { vec![word("http://127.0.0.1/callback")?] } else { Vec::new() },
            access_ttl: None,
            claims_profile: Some(fixture.profile),
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
        })
    }

    async fn hash(&self, passwords: &Passwords, secret: &'static str) -> Result<SecretHash, FixtureError> {
        Ok(passwords.hash(&self::secret(secret)?, self.random).await?)
    }

    fn stored(&self, hash: SecretHash) -> StoredSecret {
        let id = Uuid::from_bytes(random::bytes(self.random));
        StoredSecret { id, hash, created: self.clock.now(), expires: None, generated: false, last_used: None }
    }
}

/// Whether somebody signs in with the person's username or e-mail address already.
async fn is_taken(users: &Users<'_>, person: &'static Person) -> Result<bool, FixtureError> {
    let username: Username = word(person.username)?;
    let email: Email = word(person.email)?;
    for key in [LoginKey::Username(username.key()), LoginKey::Email(email.key())] {
        if users.find_by_login(&key).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The user of a username.
async fn member(users: &Users<'_>, username: &'static str) -> Result<Option<UserId>, FixtureError> {
    let username: Username = word(username)?;
    Ok(users.find_by_login(&LoginKey::Username(username.key())).await?.map(|user| user.id))
}

fn secret(text: &'static str) -> Result<PresentedSecret, FixtureError> {
    PresentedSecret::new(text.to_owned()).ok_or(FixtureError::Name("secret"))
}

fn word<T: std::str::FromStr>(text: &'static str) -> Result<T, FixtureError> {
    text.parse().map_err(|_| FixtureError::Name(text))
}
