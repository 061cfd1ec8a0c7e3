//! What depends on what, as `cargo metadata` tells it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// The packages and their dependencies, resolved for the whole workspace.
#[derive(Debug)]
pub(super) struct Graph {
    names: HashMap<String, String>,
    members: BTreeMap<String, Member>,
    nodes: HashMap<String, Vec<Edge>>,
}

/// A crate of the workspace.
#[derive(Debug)]
pub(super) struct Member {
    id: String,
    /// What its `Cargo.toml` names, whatever it is for.
    pub(super) declared: BTreeSet<Dependency>,
}

/// A dependency as declared.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Dependency {
    /// The package's name.
    pub(super) name: String,
    /// Whether only its tests and benches see it.
    pub(super) for_tests: bool,
}

#[derive(Debug)]
struct Edge {
    to: String,
    only_for_tests: bool,
}

impl Graph {
    /// Reads the answer of `cargo metadata --format-version 1`.
    pub(super) fn read(json: &str) -> Result<Self> {
        let metadata: Metadata = serde_json::from_str(json).context("cargo metadata answered something unexpected")?;
        let resolve = metadata.resolve.context("cargo metadata answered without a resolved graph")?;
        let ours: BTreeSet<_> = metadata.workspace_members.iter().collect();
        let mut names = HashMap::new();
        let mut members = BTreeMap::new();
        for package in metadata.packages {
            if ours.contains(&package.id) {
                let declared = package.dependencies.into_iter().map(Dependency::from).collect();
                members.insert(package.name.clone(), Member { id: package.id.clone(), declared });
            }
            names.insert(package.id, package.name);
        }
        let nodes = resolve.nodes.into_iter().map(|node| (node.id, node.deps.into_iter().map(Edge::from).collect()));
        Ok(Self { names, members, nodes: nodes.collect() })
    }

    /// The crates of the workspace, by name.
    pub(super) fn members(&self) -> &BTreeMap<String, Member> {
        &self.members
    }

    /// How a member comes to depend on each package of its tree, tests aside: the package's name, and the names on a
    /// shortest way to it.
    pub(super) fn tree(&self, member: &Member) -> BTreeMap<String, Vec<String>> {
        let mut found = BTreeMap::new();
        let mut seen = BTreeSet::from([member.id.as_str()]);
        let mut front = vec![(member.id.as_str(), vec![self.name(&member.id)])];
        while !front.is_empty() {
            let mut next = Vec::new();
            for (id, way) in front {
                for edge in self.nodes.get(id).into_iter().flatten().filter(|edge| !edge.only_for_tests) {
                    if seen.insert(&edge.to) {
                        let mut way = way.clone();
                        way.push(self.name(&edge.to));
                        found.insert(self.name(&edge.to), way.clone());
                        next.push((edge.to.as_str(), way));
                    }
                }
            }
            front = next;
        }
        found
    }

    fn name(&self, id: &str) -> String {
        self.names.get(id).cloned().unwrap_or_else(|| id.to_owned())
    }
}

impl From<DeclaredDependency> for Dependency {
    fn from(declared: DeclaredDependency) -> Self {
        Self { name: declared.name, for_tests: declared.kind.as_deref() == Some("dev") }
    }
}

impl From<NodeDependency> for Edge {
    fn from(dependency: NodeDependency) -> Self {
        let only_for_tests = dependency.dep_kinds.iter().all(|kind| kind.kind.as_deref() == Some("dev"));
        Self { to: dependency.pkg, only_for_tests }
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Option<Resolve>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    id: String,
    dependencies: Vec<DeclaredDependency>,
}

#[derive(Deserialize)]
struct DeclaredDependency {
    name: String,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDependency>,
}

#[derive(Deserialize)]
struct NodeDependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}
