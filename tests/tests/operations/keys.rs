//! Signing keys and key-encryption keys.
