//! The pages in a real Chromium, as a person sees and uses them: with script and without, in both languages, light and dark, narrow and
//! wide; and what axe-core has to say about every state. `cargo xtask pages` runs these tests alone.
//!
//! `TEST_TESSERA_AXE` names the script of axe-core, the variables of [`tessera_tests::browser`] the browser. Where they are not set these
//! tests say so and pass, except in CI. Pictures of every state are left in `target/pages`.

mod application;
mod gallery;
mod slides;
mod states;
mod walk;
