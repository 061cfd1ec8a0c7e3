//! The directions themselves.

use std::fmt;

use crate::layers::graph::{Graph, Member};

/// Which crates of the workspace each crate may build on. What tests may use beside it is `FOR_TESTS`.
const MAY_USE: &[(&str, &[&str])] = &[
    ("tessera-types", &[]),
    ("tessera-api", &["tessera-types"]),
    ("tessera-keys", &["tessera-types"]),
    ("tessera-ledger", &["tessera-types", "tessera-api"]),
    ("tessera-migrations", &[]),
    ("tessera-store", &["tessera-types", "tessera-ledger", "tessera-migrations"]),
    ("tessera-check", &["tessera-types", "tessera-keys", "tessera-ledger"]),
    ("tessera-kit", &["tessera-types", "tessera-api"]),
    (
        "tessera-issuer",
        &[
            "tessera-types",
            "tessera-api",
            "tessera-keys",
            "tessera-ledger",
            "tessera-store",
            "tessera-check",
            "tessera-kit",
        ],
    ),
    (
        "tessera-introspector",
        &["tessera-types", "tessera-api", "tessera-keys", "tessera-ledger", "tessera-check", "tessera-kit"],
    ),
    (
        "tessera-cli",
        &[
            "tessera-types",
            "tessera-api",
            "tessera-keys",
            "tessera-store",
            "tessera-kit",
            "tessera-issuer",
            "tessera-introspector",
        ],
    ),
    ("tessera-testkit", &["tessera-types"]),
    // The store, since a forger in the tests needs a real signing key, and no interface gives it out.
    ("tessera-tests", &["tessera-types", "tessera-api", "tessera-keys", "tessera-store", "tessera-testkit"]),
    (
        "tessera-benches",
        &["tessera-types", "tessera-api", "tessera-keys", "tessera-ledger", "tessera-check", "tessera-testkit"],
    ),
    (
        "tessera-fuzz",
        &["tessera-types", "tessera-api", "tessera-keys", "tessera-ledger", "tessera-check", "tessera-kit"],
    ),
    ("xtask", &[]),
];

/// What the tests of any crate may use.
const FOR_TESTS: &[&str] = &["tessera-testkit"];

/// Packages that only some crates may name, by the beginning of the package's name.
const NAMED_ONLY_BY: &[(&str, &[&str])] = &[
    ("sea-orm", &["tessera-store", "tessera-migrations"]),
    ("sqlx", &["tessera-store", "tessera-migrations"]),
    (
        "tonic",
        &[
            "tessera-api",
            "tessera-kit",
            "tessera-issuer",
            "tessera-introspector",
            "tessera-cli",
            "tessera-benches",
            "tessera-tests",
        ],
    ),
];

/// Packages that must not be anywhere in a crate's tree, by the beginning of the package's name.
const NEVER_IN_TREE: &[(&str, &[&str])] = &[
    ("tessera-introspector", &["sea-orm", "sqlx", "libsqlite3-sys", "tessera-store", "tessera-issuer"]),
    ("tessera-issuer", &["tessera-introspector"]),
];

/// A dependency that must not be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Violation {
    /// The crate is not in the table.
    UnknownMember { member: String },
    /// An arrow between two crates of the workspace that the layers do not have.
    WrongDirection { from: String, to: String },
    /// A crate names a package that is others' business.
    NotItsBusiness { member: String, package: String },
    /// A package is somewhere in a tree where it must not be.
    InTree { member: String, way: Vec<String> },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownMember { member } => {
                write!(f, "{member} is new: say in xtask/src/layers/rules.rs what it may use")
            }
            Self::WrongDirection { from, to } => write!(f, "{from} must not depend on {to}"),
            Self::NotItsBusiness { member, package } => write!(f, "{member} must not name {package}"),
            Self::InTree { member, way } => write!(f, "{member} must not bring in {}", way.join(" -> ")),
        }
    }
}

/// Every violation there is.
pub(super) fn violations(graph: &Graph) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, member) in graph.members() {
        directions(graph, name, member, &mut found);
        business(name, member, &mut found);
        tree(graph, name, member, &mut found);
    }
    found
}

fn directions(graph: &Graph, name: &str, member: &Member, found: &mut Vec<Violation>) {
    let Some((_, may_use)) = MAY_USE.iter().find(|(of, _)| *of == name) else {
        found.push(Violation::UnknownMember { member: name.to_owned() });
        return;
    };
    for dependency in member.declared.iter().filter(|dependency| graph.members().contains_key(&dependency.name)) {
        let to = dependency.name.as_str();
        let for_tests = dependency.for_tests && FOR_TESTS.contains(&to);
        if !may_use.contains(&to) && !for_tests {
            found.push(Violation::WrongDirection { from: name.to_owned(), to: to.to_owned() });
        }
    }
}

fn business(name: &str, member: &Member, found: &mut Vec<Violation>) {
    for dependency in &member.declared {
        let others =
            NAMED_ONLY_BY.iter().any(|(package, by)| is_of_family(&dependency.name, package) && !by.contains(&name));
        if others {
            found.push(Violation::NotItsBusiness { member: name.to_owned(), package: dependency.name.clone() });
        }
    }
}

fn tree(graph: &Graph, name: &str, member: &Member, found: &mut Vec<Violation>) {
    for (_, packages) in NEVER_IN_TREE.iter().filter(|(of, _)| *of == name) {
        for (package, way) in graph.tree(member) {
            if packages.iter().any(|family| is_of_family(&package, family)) {
                found.push(Violation::InTree { member: name.to_owned(), way });
            }
        }
    }
}

/// Whether a package is `family` itself or one of its parts, as `sqlx-core` is of `sqlx`.
fn is_of_family(package: &str, family: &str) -> bool {
    package.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}
