//! Images and compose.
