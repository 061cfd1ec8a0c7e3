//! Health and stops.

mod load;
mod order;
