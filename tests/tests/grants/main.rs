//! The grants of people, against real processes: every rule through both doors, on both databases where one takes part in it. The
//! numbers in the doc comments are those of the list of requirements; `SECURITY.md` says which attack each test stands for.

mod codes;
mod crashes;
mod guessing;
mod kinds;
mod mangled;
mod races;
mod refreshing;
mod refusals;
mod watermarks;
