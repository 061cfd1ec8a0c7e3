//! TLS and certificates.
