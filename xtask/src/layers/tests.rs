use serde_json::{Value, json};

use super::graph::Graph;
use super::rules::{Violation, violations};

/// A workspace of these crates and arrows: `(from, to, kind)`, where the kind is `""`, `"build"` or `"dev"`.
fn graph(members: &[&str], arrows: &[(&str, &str, &str)]) -> Graph {
    let mut names: Vec<&str> = members.to_vec();
    for (from, to, _) in arrows {
        for name in [from, to] {
            if !names.contains(name) {
                names.push(name);
            }
        }
    }
    let kind = |kind: &str| if kind.is_empty() { Value::Null } else { Value::from(kind) };
    let of = |name: &str| arrows.iter().filter(move |(from, ..)| *from == name).copied().collect::<Vec<_>>();
    let packages: Vec<_> = names
        .iter()
        .map(|name| {
            let dependencies: Vec<_> =
                of(name).into_iter().map(|(_, to, k)| json!({ "name": to, "kind": kind(k) })).collect();
            json!({ "id": format!("{name}#1"), "name": name, "dependencies": dependencies })
        })
        .collect();
    let nodes: Vec<_> = names
        .iter()
        .map(|name| {
            let deps: Vec<_> = of(name)
                .into_iter()
                .map(|(_, to, k)| json!({ "pkg": format!("{to}#1"), "dep_kinds": [{ "kind": kind(k) }] }))
                .collect();
            json!({ "id": format!("{name}#1"), "deps": deps })
        })
        .collect();
    let members: Vec<_> = members.iter().map(|name| format!("{name}#1")).collect();
    let metadata = json!({ "packages": packages, "workspace_members": members, "resolve": { "nodes": nodes } });
    Graph::read(&metadata.to_string()).expect("the metadata is well formed")
}

fn said(graph: &Graph) -> Vec<String> {
    violations(graph).iter().map(ToString::to_string).collect()
}

#[test]
fn arrows_that_point_down_are_fine() {
    let graph = graph(
        &["tessera-types", "tessera-keys", "tessera-store", "tessera-ledger", "tessera-issuer"],
        &[
            ("tessera-keys", "tessera-types", ""),
            ("tessera-store", "tessera-ledger", ""),
            ("tessera-store", "sea-orm", ""),
            ("tessera-issuer", "tessera-store", ""),
            ("tessera-issuer", "tonic", ""),
        ],
    );
    assert_eq!(violations(&graph), []);
}

#[test]
fn an_arrow_that_points_up_is_named() {
    let graph = graph(&["tessera-types", "tessera-keys"], &[("tessera-types", "tessera-keys", "")]);
    assert_eq!(said(&graph), ["tessera-types must not depend on tessera-keys"]);
}

#[test]
fn the_services_never_depend_on_each_other_even_in_tests() {
    for kind in ["", "build", "dev"] {
        for (from, to) in [("tessera-issuer", "tessera-introspector"), ("tessera-introspector", "tessera-issuer")] {
            let wrong = Violation::WrongDirection { from: from.to_owned(), to: to.to_owned() };
            assert!(violations(&graph(&[from, to], &[(from, to, kind)])).contains(&wrong), "{from} {to} {kind}");
        }
    }
}

#[test]
fn a_database_driver_deep_in_the_introspectors_tree_is_found_with_the_way_to_it() {
    let graph = graph(
        &["tessera-introspector", "tessera-kit"],
        &[
            ("tessera-introspector", "tessera-kit", ""),
            ("tessera-kit", "innocent", ""),
            ("innocent", "libsqlite3-sys", "build"),
        ],
    );
    let way = "tessera-introspector -> tessera-kit -> innocent -> libsqlite3-sys";
    assert_eq!(said(&graph), [format!("tessera-introspector must not bring in {way}")]);
}

#[test]
fn the_introspectors_tests_may_have_a_database_driver_in_their_tree() {
    let graph = graph(
        &["tessera-introspector", "tessera-testkit"],
        &[("tessera-introspector", "tessera-testkit", "dev"), ("tessera-testkit", "libsqlite3-sys", "")],
    );
    assert_eq!(violations(&graph), []);
}

#[test]
fn only_the_store_and_the_migrations_name_the_database_library() {
    let allowed = [("tessera-store", "sea-orm", ""), ("tessera-migrations", "sea-orm-migration", "")];
    assert_eq!(violations(&graph(&["tessera-store", "tessera-migrations"], &allowed)), []);
    for (from, to) in [("tessera-issuer", "sea-orm"), ("tessera-cli", "sea-orm-migration"), ("tessera-kit", "sqlx")] {
        assert_eq!(said(&graph(&[from], &[(from, to, "")])), [format!("{from} must not name {to}")]);
    }
}

#[test]
fn only_the_edges_name_tonic() {
    for from in ["tessera-types", "tessera-ledger", "tessera-check", "tessera-store", "tessera-keys"] {
        for to in ["tonic", "tonic-types"] {
            assert_eq!(said(&graph(&[from], &[(from, to, "")])), [format!("{from} must not name {to}")]);
        }
    }
    assert_eq!(violations(&graph(&["tessera-kit"], &[("tessera-kit", "tonic-health", "")])), []);
}

#[test]
fn a_name_that_only_begins_alike_is_something_else() {
    assert_eq!(violations(&graph(&["tessera-kit"], &[("tessera-kit", "sqlxml", "")])), []);
}

#[test]
fn a_crate_nobody_placed_is_refused() {
    let said = said(&graph(&["tessera-novelty"], &[]));
    assert_eq!(said, ["tessera-novelty is new: say in xtask/src/layers/rules.rs what it may use"]);
}

#[test]
fn metadata_of_another_shape_is_an_error() {
    assert!(Graph::read("{}").is_err());
    assert!(Graph::read(r#"{"packages":[],"workspace_members":[],"resolve":null}"#).is_err());
}
