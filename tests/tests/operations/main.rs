//! What an operator on call relies on, against real processes: certificates, keys, configuration, telemetry, audit, stops, backups,
//! upgrades. `docs/operations` has a page for each, and its README names the test that shows each sentence.

mod audit;
mod backup;
mod configuration;
mod images;
mod keys;
mod overload;
mod retries;
mod stopping;
mod telemetry;
mod tls;
mod upgrades;
