//! The secrets of clients.
