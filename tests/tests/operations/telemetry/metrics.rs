//! The dashboard, the alert rules and the page about telemetry are held against what the services export.

mod promql;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tessera_testkit::pair::{Backend, Options};
use tessera_tests::{World, eventually, post, world_with};

use promql::{Use, uses};

use crate::tls::setting::Setting;

/// What a service exports: each metric's labels, by its name.
type Exported = BTreeMap<String, BTreeSet<String>>;

/// What Prometheus itself adds to every metric.
const OF_THE_SCRAPE: [&str; 2] = ["instance", "job"];

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(repository(path)).with_context(|| path.to_owned())
}

/// Does everything once that something counts.
async fn used() -> Result<World> {
    let options = Options { issuer: "[cleanup]\ninterval = \"1s\"\n".to_owned(), ..Options::default() };
    let world = world_with(Backend::Sqlite, options).await?.context("SQLite is always there")?;
    let ports = world.pair.ports;
    let token = world.token().await?;
    ensure!(world.is_active(&token).await?);
    post(ports.issuer_http, "/oauth2/token", Some(&world.service), &[("grant_type", "client_credentials")]).await?;
    for at in [ports.issuer_http, ports.introspector_http] {
        post(at, "/oauth2/introspect", Some(&world.resource), &[("token", &token)]).await?;
    }
    world.revoke(&token).await?;
    let swept = async || Ok(world.pair.issuer.metrics().await?.contains("tessera_cleanup_deleted_total").then_some(()));
    eventually("the first sweep", swept).await?;
    Ok(world)
}

/// The samples of an exposition.
fn exported(exposition: &str, into: &mut Exported) {
    for line in exposition.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (series, _) = line.rsplit_once(' ').unwrap_or((line, ""));
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let names = promql::matchers(labels.trim_end_matches('}'));
        into.entry(name.to_owned()).or_default().extend(names);
    }
}

/// The name without what a histogram adds.
fn family<'a>(name: &'a str, all: &Exported) -> &'a str {
    let parts = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    parts.filter(|base| all.contains_key(&format!("{base}_bucket"))).unwrap_or(name)
}

fn hold(expression: &str, all: &Exported) -> Result<()> {
    let Use { metrics, groupings } = uses(expression).with_context(|| expression.to_owned())?;
    ensure!(!metrics.is_empty(), "{expression} asks for nothing");
    let mut known: BTreeSet<String> = OF_THE_SCRAPE.map(str::to_owned).into();
    for (metric, labels) in &metrics {
        // Prometheus's own.
        let own = BTreeSet::new();
        let has = if metric == "up" { Some(&own) } else { all.get(metric) };
        let has = has.with_context(|| format!("{metric} is not exported: {expression}"))?;
        known.extend(has.iter().cloned());
        for label in labels {
            let there = has.contains(label) || OF_THE_SCRAPE.contains(&label.as_str());
            ensure!(there, "{metric} has no label {label}: {expression}");
        }
    }
    for label in groupings {
        ensure!(known.contains(&label), "nothing has the label {label}: {expression}");
    }
    Ok(())
}

fn dashboard() -> Result<Vec<String>> {
    let board: Value = serde_json::from_str(&read("deploy/grafana/tessera.json")?)?;
    let panels = board["panels"].as_array().context("panels")?;
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    Ok(targets.filter_map(|target| target["expr"].as_str()).map(str::to_owned).collect())
}

/// The value of each line that has a key.
fn values<'a>(yaml: &'a str, key: &str) -> Vec<&'a str> {
    let key = format!("{key}: ");
    yaml.lines().filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix(&key)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboard_alerts_and_page_speak_of_what_is_exported_and_of_nothing_else() -> Result<()> {
    let world = used().await?;
    // What is told of certificates, where there are any.
    let encrypted = Setting::start(Backend::Sqlite).await?.context("SQLite is always there")?;
    let mut all = Exported::new();
    for service in [&world.pair.issuer, &world.pair.introspector, &encrypted.issuer, &encrypted.introspector] {
        exported(&service.metrics().await?, &mut all);
    }
    let (boards, rules) = (dashboard()?, read("deploy/prometheus/alerts.yml")?);
    ensure!(boards.len() > 20, "{} expressions", boards.len());
    let rules = values(&rules, "expr");
    ensure!(rules.len() > 10, "{} rules", rules.len());
    for expression in boards.iter().map(String::as_str).chain(rules) {
        hold(expression, &all)?;
    }
    documented(&all)
}

/// Each exported metric has a row on the page, with its labels, and each row is about one.
fn documented(all: &Exported) -> Result<()> {
    let page = read("docs/operations/telemetry.md")?;
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| `tessera_") || line.starts_with("| `rpc_") || line.starts_with("| `http_"));
    let mut written = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, unit, labels, meaning, _] = cells[..] else { anyhow::bail!("four cells: {row}") };
        ensure!(!unit.is_empty() && !meaning.is_empty(), "{row}");
        let labels: BTreeSet<String> = labels.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        written.insert(name.trim_matches('`').to_owned(), labels);
    }
    let mut real: Exported = BTreeMap::new();
    for (name, labels) in all {
        let labels = labels.iter().filter(|label| *label != "le").cloned();
        real.entry(family(name, all).to_owned()).or_default().extend(labels);
    }
    ensure!(written == real, "docs/operations/telemetry.md has\n{written:#?}\nand the services export\n{real:#?}");
    Ok(())
}

/// What callers must take as a refusal is counted, whatever failed: here it is that nobody can be asked who they are.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_issuer_a_new_caller_is_an_introspection_unanswered() -> Result<()> {
    let mut world = tessera_tests::world(Backend::Sqlite).await?.context("SQLite is always there")?;
    let token = world.token().await?;
    world.pair.issuer.terminate().await?;
    let (at, fields) = (world.pair.ports.introspector_http, [("token", &*token)]);
    let answer = post(at, "/oauth2/introspect", Some(&world.resource), &fields).await?;
    ensure!(answer.status == 503, "{}: {}", answer.status, answer.body);
    let metrics = world.pair.introspector.metrics().await?;
    let line = "tessera_introspections_total{result=\"error\",source=\"none\"} 1";
    ensure!(metrics.lines().any(|found| found == line), "{metrics}");
    Ok(())
}

#[test]
fn every_alert_has_a_runbook_that_exists() -> Result<()> {
    let rules = read("deploy/prometheus/alerts.yml")?;
    let (alerts, books) = (values(&rules, "alert"), values(&rules, "runbook_url"));
    ensure!(alerts.len() == books.len() && alerts.len() == values(&rules, "expr").len(), "{alerts:?} {books:?}");
    for (alert, book) in alerts.iter().zip(books) {
        let (page, heading) = book.split_once('#').context("a heading")?;
        let page = read(page)?;
        let headings = page.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_lowercase);
        ensure!(headings.into_iter().any(|found| found == heading), "{alert}: there is no heading {heading}");
        ensure!(*heading == alert.to_lowercase(), "{alert} points to {heading}");
    }
    Ok(())
}
