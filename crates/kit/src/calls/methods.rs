//! The methods that there are: what is not among them gets no name, no metric and no span of its own. Callers choose paths freely.

use std::sync::LazyLock;

use hashbrown::HashMap;
use prost::Message as _;
use prost_types::FileDescriptorSet;

/// What a path is called that is none of them.
const UNKNOWN: &str = "unknown";

static KNOWN: LazyLock<Known> = LazyLock::new(Known::read);

struct Known {
    names: Vec<String>,
    by_path: HashMap<String, usize>,
}

/// An RPC's method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Method(usize);

impl Method {
    /// How many there are, with the one that stands for all others.
    pub(super) fn count() -> usize {
        KNOWN.names.len()
    }

    /// From a request's path: `/package.Service/Method`.
    pub(super) fn of(path: &str) -> Self {
        Self(KNOWN.by_path.get(path).copied().unwrap_or_default())
    }

    pub(super) fn index(self) -> usize {
        self.0
    }

    /// `package.Service/Method`.
    pub(super) fn name(self) -> &'static str {
        KNOWN.names.get(self.0).map_or(UNKNOWN, String::as_str)
    }
}

impl Known {
    fn read() -> Self {
        let sets = [
            tessera_api::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let mut known = Self { names: vec![UNKNOWN.to_owned()], by_path: HashMap::new() };
        // They are compiled in; reflection refuses to start with broken ones.
        for set in sets.iter().filter_map(|set| FileDescriptorSet::decode(*set).ok()) {
            for file in &set.file {
                for service in &file.service {
                    for method in &service.method {
                        known.add(format!("{}.{}/{}", file.package(), service.name(), method.name()));
                    }
                }
            }
        }
        known
    }

    fn add(&mut self, name: String) {
        let next = self.names.len();
        if *self.by_path.entry(format!("/{name}")).or_insert(next) == next {
            self.names.push(name);
        }
    }
}

/// An HTTP method as labels have it: callers make up others.
pub(super) fn verb(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "_OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_known_and_others_are_not() {
        let known = Method::of("/tessera.introspection.v1.IntrospectionService/Introspect");
        assert_eq!(known.name(), "tessera.introspection.v1.IntrospectionService/Introspect");
        assert_eq!(Method::of("/grpc.health.v1.Health/Check").name(), "grpc.health.v1.Health/Check");
        for made_up in ["/", "", "/tessera.introspection.v1.IntrospectionService/Guess", "/secret"] {
            assert_eq!(Method::of(made_up).name(), UNKNOWN, "{made_up}");
        }
        assert!(Method::count() > 30);
        assert_eq!(verb(&http::Method::from_bytes(b"CANARY").expect("a method")), "_OTHER");
    }
}
