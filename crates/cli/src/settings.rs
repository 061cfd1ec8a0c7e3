//! What a command works with: flag, else environment, else context, else default.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tessera_types::{ClientId, PresentedSecret};

use crate::args::Global;
use crate::contexts::{Context, Contexts};
use crate::credential::{self, Caller, Credential};
use crate::endpoint::Endpoint;
use crate::environment::Environment;
use crate::problem::Problem;

/// The issuer of `tessera dev`.
pub const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:6401";
/// The introspector of `tessera dev`.
pub const DEFAULT_INTROSPECTOR: &str = "http://127.0.0.1:6501";

/// A fixture of `tessera dev`: a client whose secret everybody knows.
#[derive(Clone, Copy, Debug)]
pub enum Fixture {
    /// The administrator.
    Admin,
    /// The resource server.
    Resource,
    /// The service that asks for tokens.
    Service,
    /// The first-party application.
    App,
    /// The web application: public, it has no secret.
    Web,
}

impl Fixture {
    /// Its credential.
    ///
    /// # Errors
    /// Internal; the fixtures are well formed, and nobody asks for the secret of the one that has none.
    pub fn credential(self) -> Result<Credential, Problem> {
        self.caller()?.credential().ok_or_else(|| Problem::internal("FIXTURE", "a fixture without a secret"))
    }

    /// Its id, and its secret where it has one.
    fn caller(self) -> Result<Caller, Problem> {
        let id = match self {
            Self::Admin => "dev-admin",
            Self::Resource => "demo-resource",
            Self::Service => "demo-service",
            Self::App => "demo-app",
            Self::Web => "demo-web",
        };
        let client_id = id.parse().map_err(|_| Problem::internal("FIXTURE", "bad fixture"))?;
        let secret = match self {
            Self::Web => None,
            _ => Some(credential::accept("dev-secret", "the fixtures")?),
        };
        Ok(Caller { client_id, secret })
    }

    /// Its credential for a server, and only for one on this machine.
    ///
    /// # Errors
    /// Denied, where the server is elsewhere: everybody knows the secret.
    pub fn towards(self, server: &Endpoint) -> Result<Credential, Problem> {
        Self::permit(server)?;
        self.credential()
    }

    fn permit(server: &Endpoint) -> Result<(), Problem> {
        if server.is_loopback() {
            return Ok(());
        }
        Err(Problem::denied("NO_CREDENTIAL", format!("there is no client to be at {server}"))
            .hint("tessera context add NAME --endpoint URL --client-id ID, or set TESSERA_CLIENT_ID and TESSERA_CLIENT_SECRET_FILE"))
    }
}

/// Everything but the credential is settled; that one depends on where it goes.
pub struct Settings {
    /// The context in use.
    pub context_name: Option<String>,
    /// The issuer.
    pub issuer: Endpoint,
    /// The introspector.
    pub introspector: Endpoint,
    /// Whether a flag, the environment or a context names a server, so that nothing else will do.
    pub names_servers: bool,
    /// The authority that signs the servers' certificates, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// A certificate of one's own and its key, for servers that ask.
    pub own_certificate: Option<(PathBuf, PathBuf)>,
    /// How long a call may take.
    pub timeout: Duration,
    from_environment: Given,
    from_context: Given,
}

/// What one source says of the client to be.
#[derive(Clone, Default)]
pub struct Given {
    /// Its id.
    pub client_id: Option<ClientId>,
    /// Its secret.
    pub secret: Option<PresentedSecret>,
}

impl Settings {
    /// Settles flags, environment, contexts file and defaults.
    ///
    /// # Errors
    /// Usage, where one of them is not right; not found, where the context does not exist.
    pub fn resolve(global: &Global, environment: &Environment) -> Result<Self, Problem> {
        let contexts = match environment.contexts_file() {
            Some(path) => Contexts::load(&path)?,
            None => Contexts::default(),
        };
        let named = global.context.as_deref().or_else(|| environment.var("TESSERA_CONTEXT"));
        let context_name = named.map(str::to_owned).or_else(|| contexts.current.clone());
        let context = match &context_name {
            Some(name) => contexts.find(name)?.clone(),
            None => Context::default(),
        };
        let names_servers = [&global.endpoint, &global.introspector, &context.endpoint, &context.introspector]
            .iter()
            .any(|named| named.is_some())
            || environment.var("TESSERA_ENDPOINT").is_some()
            || environment.var("TESSERA_INTROSPECTOR_ENDPOINT").is_some();
        let pick = |flag: &Option<String>, variable: &str, own: &Option<String>, default: &str| {
            let above = flag.as_deref().or_else(|| environment.var(variable));
            // Leave to speak in plain text is the context's, and so only for the context's own endpoints.
            let insecure = above.is_none() && own.is_some() && context.insecure;
            Endpoint::parse(above.or(own.as_deref()).unwrap_or(default))?.permit(insecure)
        };
        let file = |flag: &Option<PathBuf>, variable: &str, own: Option<PathBuf>| {
            flag.clone().or_else(|| environment.var(variable).map(PathBuf::from)).or(own)
        };
        let own_certificate = both(
            file(&global.cert_file, "TESSERA_CERT_FILE", context.cert_file.clone()),
            file(&global.key_file, "TESSERA_KEY_FILE", context.key_file.clone()),
        )?;
        Ok(Self {
            issuer: pick(&global.endpoint, "TESSERA_ENDPOINT", &context.endpoint, DEFAULT_ENDPOINT)?,
            introspector: pick(
                &global.introspector,
                "TESSERA_INTROSPECTOR_ENDPOINT",
                &context.introspector,
                DEFAULT_INTROSPECTOR,
            )?,
            from_environment: from_environment(environment)?,
            from_context: Given { client_id: context.client_id()?, secret: context.secret()? },
            context_name,
            names_servers,
            ca_file: file(&global.ca_file, "TESSERA_CA_FILE", context.ca_file.clone()),
            own_certificate,
            timeout: global.timeout,
        })
    }

    /// Whether one is known to a server by a certificate alone: there is one, the server can ask for it, and nothing names a client or a
    /// secret.
    #[must_use]
    pub fn is_by_certificate(&self, flags: &Given, towards: &Endpoint) -> bool {
        let layers = [flags, &self.from_environment, &self.from_context];
        let unnamed = layers.iter().all(|given| given.client_id.is_none() && given.secret.is_none());
        self.own_certificate.is_some() && towards.is_encrypted() && unnamed
    }

    /// The client to be towards a server: the flags', else the environment's, else the context's, else a fixture of `dev`, and
    /// that one only where the server is on this machine.
    ///
    /// A secret is only ever used with the id it was given for; one that came alone goes with the id of the next layer.
    ///
    /// # Errors
    /// Usage, where a secret has no client or a client no secret; denied, where there is none at all.
    pub fn credential(&self, flags: &Given, towards: &Endpoint, fixture: Fixture) -> Result<Credential, Problem> {
        let caller = self.caller(flags, towards, fixture)?;
        caller.credential().ok_or_else(|| {
            Problem::usage("NO_SECRET", format!("there is no secret for the client `{}`", caller.client_id)).hint(
                "pass --secret-stdin or --secret-file, or set TESSERA_CLIENT_SECRET or TESSERA_CLIENT_SECRET_FILE",
            )
        })
    }

    /// As [`Self::credential`], where the client may be one without a secret.
    ///
    /// # Errors
    /// Usage, where a secret has no client; denied, where there is no client at all.
    pub fn caller(&self, flags: &Given, towards: &Endpoint, fixture: Fixture) -> Result<Caller, Problem> {
        let layers = [flags, &self.from_environment, &self.from_context];
        let Some(client_id) = layers.iter().find_map(|given| given.client_id.clone()) else {
            if layers.iter().any(|given| given.secret.is_some()) {
                return Err(Problem::usage("SECRET_WITHOUT_CLIENT", "there is a secret, but no client it belongs to")
                    .hint("set TESSERA_CLIENT_ID, pass --client-id, or name a client_id in the context"));
            }
            Fixture::permit(towards)?;
            return fixture.caller();
        };
        let goes_with = |given: &&&Given| given.client_id.as_ref().is_none_or(|id| *id == client_id);
        let secret = layers.iter().filter(goes_with).find_map(|given| given.secret.clone());
        Ok(Caller { client_id, secret })
    }
}

/// A certificate and its key.
///
/// # Errors
/// Usage, where one is there without the other.
pub(crate) fn both(certificate: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<(PathBuf, PathBuf)>, Problem> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        _ => Err(Problem::usage("CERTIFICATE_WITHOUT_KEY", "a certificate needs its key, and a key its certificate")
            .hint("give both --cert-file and --key-file, or TESSERA_CERT_FILE and TESSERA_KEY_FILE, or neither")),
    }
}

fn from_environment(environment: &Environment) -> Result<Given, Problem> {
    let client_id = environment.var("TESSERA_CLIENT_ID").map(str::parse).transpose();
    let client_id =
        client_id.map_err(|error| Problem::usage("BAD_CLIENT_ID", format!("TESSERA_CLIENT_ID: {error}")))?;
    let secret = match (environment.var("TESSERA_CLIENT_SECRET"), environment.var("TESSERA_CLIENT_SECRET_FILE")) {
        (Some(_), Some(_)) => {
            let both = "TESSERA_CLIENT_SECRET and TESSERA_CLIENT_SECRET_FILE are both set";
            return Err(Problem::usage("SECRET_GIVEN_TWICE", both).hint("unset one of them"));
        }
        (Some(secret), None) => Some(credential::accept(secret, "TESSERA_CLIENT_SECRET")?),
        (None, Some(path)) => Some(credential::from_file(Path::new(path))?),
        (None, None) => None,
    };
    Ok(Given { client_id, secret })
}

#[cfg(test)]
mod tests;
