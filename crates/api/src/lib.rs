//! The contracts of `proto/` as Rust types, and the mapping from errors to gRPC statuses. Nothing else.

pub mod redacted;
pub mod status;

/// Generated code carries the comments of the proto files.
macro_rules! generated {
    ($package:literal) => {
        #[allow(
            clippy::all,
            clippy::pedantic,
            missing_docs,
            unreachable_pub,
            clippy::allow_attributes_without_reason,
            reason = "generated from proto/, where every element is documented"
        )]
        mod generated {
            tonic::include_proto!($package);
        }
        pub use generated::*;
    };
}

/// Issuing and revoking tokens.
pub mod oauth {
    /// Version 1.
    pub mod v1 {
        generated!("tessera.oauth.v1");
    }
}

/// Introspection.
pub mod introspection {
    /// Version 1.
    pub mod v1 {
        generated!("tessera.introspection.v1");
    }
}

/// Administration.
pub mod admin {
    /// Version 1.
    pub mod v1 {
        generated!("tessera.admin.v1");
    }
}

/// The feed of the revocation log.
pub mod sync {
    /// Version 1.
    pub mod v1 {
        generated!("tessera.sync.v1");
    }
}

/// The encoded `FileDescriptorSet` of all contracts with their imports and comments, for reflection. The error-detail types
/// are in [`tonic_types::pb::FILE_DESCRIPTOR_SET`].
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
