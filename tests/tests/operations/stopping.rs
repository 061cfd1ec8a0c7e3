//! Health and stops.
