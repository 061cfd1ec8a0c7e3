//! Malformed input at every endpoint and every RPC of both services: each gets the error that its standard names, never a
//! failure of ours, and the processes live on.

mod forms;
mod rpc;
mod tokens;
mod transport;
