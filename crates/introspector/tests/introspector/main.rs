//! A running introspector against an issuer's feed kept in memory: real sockets, real tokens, real streams; time stands still
//! until a test moves it.

mod callers;
mod feed;
mod grpc;
mod http;
mod issuer;
mod operations;
mod setting;
