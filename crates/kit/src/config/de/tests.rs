use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::super::{ConfigErrors, Listen, Log, Sources, load, load_checked, load_with_origins};
use super::*;
use crate::logs::Format;

#[derive(Debug, Deserialize)]
struct Config {
    issuer_url: String,
    #[serde(default)]
    listen: Listen<1, 2, 3>,
    #[serde(default)]
    log: Log,
    #[serde(default)]
    tokens: Tokens,
    sync: Option<Sync>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    #[serde(with = "crate::config::duration")]
    access_ttl: Duration,
    #[serde(with = "crate::config::duration::option")]
    grace: Option<Duration>,
    audiences: Vec<String>,
    count: u8,
    open: bool,
}

#[derive(Debug, Deserialize)]
struct Sync {
    client_id: String,
    client_secret: Option<String>,
    client_secret_file: Option<PathBuf>,
    key: Option<String>,
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }
}

fn from_text(text: &str) -> Result<Config, ConfigErrors> {
    let files = Files::new();
    load(&Sources::new().file(files.write("tessera.toml", text)))
}

fn variables(pairs: &[(&str, &str)]) -> Sources {
    Sources::new().variables(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())))
}

/// The errors without the folder.
fn errors(text: &str) -> Vec<String> {
    let ConfigErrors(errors) = from_text(text).expect_err("mistakes");
    let short =
        |e: &ConfigError| e.to_string().rsplit_once("tessera.toml").map_or(e.to_string(), |(_, rest)| rest.to_owned());
    errors.iter().map(short).collect()
}

#[test]
fn a_file_is_read_and_the_rest_has_defaults() {
    let config = from_text(
        "issuer_url = 'http://a'\n[listen]\ngrpc = '0.0.0.0:7'\n[log]\nformat = 'json'\n[tokens]\naccess_ttl = '15m'\ngrace = 10\n",
    )
    .expect("valid");
    assert_eq!(config.issuer_url, "http://a");
    assert_eq!(config.listen.grpc, SocketAddr::from(([0, 0, 0, 0], 7)));
    assert_eq!(config.listen.http, SocketAddr::from(([127, 0, 0, 1], 1)));
    assert_eq!(config.log, Log { format: Format::Json, level: "info".to_owned() });
    assert_eq!(config.tokens.access_ttl, Duration::from_mins(15));
    assert_eq!(config.tokens.grace, Some(Duration::from_secs(10)));
    assert!(config.sync.is_none());
}

#[test]
fn the_environment_wins_over_the_file_and_becomes_what_its_key_wants() {
    let files = Files::new();
    let path = files.write("tessera.toml", "issuer_url = 'http://file'\n[tokens]\ncount = 1\nopen = false\n");
    let sources = variables(&[
        ("TESSERA_ISSUER_URL", "http://environment"),
        ("TESSERA_TOKENS__COUNT", "7"),
        ("TESSERA_TOKENS__OPEN", "true"),
        ("TESSERA_TOKENS__ACCESS_TTL", "90"),
        ("TESSERA_TOKENS__AUDIENCES", "a, b"),
        ("TESSERA_LISTEN__OPS", "127.0.0.1:9"),
        ("PATH", "/bin"),
        ("TESSERA_CLIENT_ID", "the command line's"),
    ]);
    let config: Config = load(&sources.file(path)).expect("valid");
    assert_eq!(config.issuer_url, "http://environment");
    assert_eq!((config.tokens.count, config.tokens.open), (7, true));
    assert_eq!(config.tokens.access_ttl, Duration::from_secs(90));
    assert_eq!(config.tokens.audiences, ["a", "b"]);
    assert_eq!(config.listen.ops.port(), 9);
}

#[test]
fn a_variable_may_name_a_file_that_holds_the_value() {
    let files = Files::new();
    let path = files.write("secret", "hunter2\n");
    let path = path.to_str().expect("a text");
    let set = [("TESSERA_ISSUER_URL", "http://a"), ("TESSERA_SYNC__CLIENT_ID", "i"), ("TESSERA_SYNC__KEY_FILE", path)];
    let sync = load::<Config>(&variables(&set)).expect("valid").sync.expect("present");
    assert_eq!(sync.key.as_deref(), Some("hunter2"));
    assert_eq!(sync.client_id, "i");
}

#[test]
fn what_kubernetes_sets_for_services_of_our_name_is_ignored() {
    let injected = [
        ("TESSERA_SERVICE_HOST", "10.0.0.1"),
        ("TESSERA_PORT", "tcp://10.0.0.1:6400"),
        ("TESSERA_ISSUER_SERVICE_HOST", "10.0.0.1"),
        ("TESSERA_ISSUER_SERVICE_PORT", "6400"),
        ("TESSERA_ISSUER_SERVICE_PORT_GRPC_WEB", "6401"),
        ("TESSERA_ISSUER_PORT", "tcp://10.0.0.1:6400"),
        ("TESSERA_ISSUER_PORT_6400_TCP", "tcp://10.0.0.1:6400"),
        ("TESSERA_ISSUER_PORT_6400_TCP_PROTO", "tcp"),
        ("TESSERA_ISSUER_PORT_6400_TCP_PORT", "6400"),
        ("TESSERA_ISSUER_PORT_6400_TCP_ADDR", "10.0.0.1"),
    ];
    let set = [&injected[..], &[("TESSERA_ISSUER_URL", "http://a"), ("TESSERA_LISTEN__OPS", "127.0.0.1:9")]].concat();
    let config = load::<Config>(&variables(&set)).expect("valid");
    assert_eq!(config.listen.ops.port(), 9, "a key of ours counts");
}

#[test]
fn what_only_resembles_it_is_still_a_mistake() {
    for name in ["TESSERA_LISTEN_PORT", "TESSERA_LISTEN__PORT", "TESSERA_LISTEN__SERVICE_HOST", "TESSERA_PORT_X_TCP"] {
        let error = load::<Config>(&variables(&[("TESSERA_ISSUER_URL", "http://a"), (name, "6400")]));
        let error = error.expect_err(name).to_string();
        assert!(error.contains("there is no such key"), "{name}: {error}");
    }
    let shown = errors("issuer_url = 'x'\nissuer_service_host = 'x'\n");
    assert!(shown[0].contains("there is no such key"), "in a file nobody injects: {shown:?}");
}

#[test]
fn a_key_that_ends_in_file_itself_is_that_key() {
    let set =
        [("TESSERA_ISSUER_URL", "a"), ("TESSERA_SYNC__CLIENT_ID", "i"), ("TESSERA_SYNC__CLIENT_SECRET_FILE", "/x")];
    let sync = load::<Config>(&variables(&set)).expect("valid").sync.expect("present");
    assert_eq!(sync.client_secret_file, Some(PathBuf::from("/x")));
    assert_eq!(sync.client_secret, None);
}

#[test]
fn a_variable_and_its_file_form_together_are_an_error() {
    let set = [
        ("TESSERA_ISSUER_URL", "a"),
        ("TESSERA_SYNC__CLIENT_ID", "i"),
        ("TESSERA_SYNC__KEY", "one"),
        ("TESSERA_SYNC__KEY_FILE", "/other"),
    ];
    let error = load::<Config>(&variables(&set)).expect_err("both").to_string();
    assert!(error.contains("sync.key: the variable and its _FILE form are both set"), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let set = [("TESSERA_ISSUER_URL_FILE", "/does/not/exist")];
    let error = load::<Config>(&variables(&set)).expect_err("missing").to_string();
    assert!(error.contains("TESSERA_ISSUER_URL_FILE: issuer_url: /does/not/exist cannot be read"), "{error}");
    let error = load::<Config>(&Sources::new().file("/does/not/exist.toml")).expect_err("missing").to_string();
    assert!(error.contains("/does/not/exist.toml: cannot be read"), "{error}");
}

#[test]
fn every_mistake_is_reported_at_once_with_its_line() {
    let text = "isuer_url = 'x'\n[listen]\nhttp = 'nowhere'\ngrcp = '127.0.0.1:1'\n[tokens]\naccess_ttl = 'soon'\ncount = 300\nopen = 'yes'\n[surprise]\na = 1\n";
    insta::assert_snapshot!(errors(text).join("\n"), @r#"
    :3: listen.http: invalid socket address syntax
    :6: tokens.access_ttl: not a duration: write 90, "90s", "15m" or "24h"
    :7: tokens.count: invalid value: integer `300`, expected u8
    :8: tokens.open: invalid type: string "yes", expected a boolean
    : issuer_url: is missing and has no default
    :1: isuer_url: there is no such key; did you mean issuer_url?
    :4: listen.grcp: there is no such key; did you mean grpc?
    :9: surprise: there is no such key; there are issuer_url, listen, log, tokens, sync
    "#);
}

#[test]
fn broken_toml_names_the_line() {
    let shown = errors("issuer_url = 'x'\n[listen\n");
    assert!(shown[0].starts_with(":2: "), "{shown:?}");
}

#[test]
fn a_section_that_lacks_a_key_is_reported_once() {
    assert_eq!(errors("issuer_url = 'x'\n[sync]\n"), [":2: sync.client_id: is missing and has no default"]);
}

#[test]
fn a_secret_is_never_shown_in_an_error() {
    let shown = errors("issuer_url = 'x'\n[sync]\nclient_id = 'i'\nclient_secret = 424242\n");
    assert_eq!(shown, [":4: sync.client_secret: is not valid"]);
}

#[test]
fn origins_are_known() {
    let files = Files::new();
    let path = files.write("tessera.toml", "issuer_url = 'a'\n\n[log]\nlevel = 'warn'\n");
    let sources = variables(&[("TESSERA_LISTEN__HTTP", "127.0.0.1:8")]).file(&path);
    let loaded = load_with_origins::<Config>(&sources).expect("valid");
    assert_eq!(loaded.origins["log.level"], format!("{}:4", path.display()));
    assert_eq!(loaded.origins["listen.http"], "environment variable TESSERA_LISTEN__HTTP");
}

#[test]
fn what_a_check_finds_stands_where_the_key_was_set_and_is_told_with_the_rest() {
    let files = Files::new();
    let file =
        files.write("tessera.toml", "issuer_url = \"a\"\nlevel = 1\n[tokens]\ncount = 300\naccess_ttl = \"1s\"\n");
    let url = files.write("url", "b\n");
    let variables = [("TESSERA_ISSUER_URL_FILE".to_owned(), url.display().to_string())];
    let sources = Sources::new().file(&file).variables(variables);
    let found = |key: &str| ConfigError { origin: String::new(), key: key.to_owned(), message: "bad".to_owned() };
    let ConfigErrors(errors) = load_checked(&sources, |config: &Config| {
        assert_eq!(
            (config.issuer_url.as_str(), config.tokens.count),
            ("b", 0),
            "the default stands in for what is wrong"
        );
        let twice = [found("tokens.access_ttl"), found("tokens.access_ttl")];
        [&twice[..], &[found("issuer_url"), found("tokens.count"), found("tokens.open")]].concat()
    })
    .expect_err("mistakes");
    let at = |key: &str| errors.iter().filter(|error| error.key == key).map(|e| e.origin.as_str()).collect::<Vec<_>>();
    assert!(at("level")[0].ends_with(":2"), "{errors:?}");
    assert!(at("issuer_url")[0].contains(&url.display().to_string()), "{errors:?}");
    assert_eq!(at("tokens.count").len(), 1, "once: {errors:?}");
    assert!(at("tokens.access_ttl")[0].ends_with(":5"), "{errors:?}");
    assert_eq!(at("tokens.access_ttl").len(), 2, "two mistakes with one key are two: {errors:?}");
    assert_eq!(at("tokens.open"), [""], "{errors:?}");
}

#[derive(Debug, Deserialize)]
struct Listed {
    #[serde(default)]
    tls: crate::config::Tls,
}

#[test]
fn mistakes_in_a_list_are_told_for_each_of_its_items() {
    let files = Files::new();
    let file = files.write(
        "tessera.toml",
        "[[tls.identities]]\nname = 'nobody'\nnaem = 'a'\n[[tls.identities]]\nname = 'no one'\nnaem = 'b'\nscopes = 1\n",
    );
    let check = |config: &Listed| config.tls.identities(|_| Ok(())).1;
    let ConfigErrors(errors) = load_checked(&Sources::new().file(&file), check).expect_err("mistakes");
    let keys: Vec<_> = errors.iter().map(|error| error.key.as_str()).collect();
    let expected = [
        "tls.identities[1].scopes",
        "tls.identities[0].naem",
        "tls.identities[1].naem",
        "tls.identities[0]",
        "tls.identities[1]",
    ];
    assert_eq!(keys, expected, "{errors:#?}");
    assert!(errors.iter().all(|error| error.origin.contains("tessera.toml:")), "{errors:#?}");
}
