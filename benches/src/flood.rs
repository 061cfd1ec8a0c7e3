//! Measures whether a flood of wrong logins takes anything from clients that get tokens for themselves.
//!
//! One issuer on one core; load from another. First how many client credentials tokens a second it gives out at most; then half of
//! that, at a steady pace, once in peace and once while wrong passwords are tried without a pause, in turns. Times count from when a
//! call was due, not from when it was sent: a call that waited for its turn waited.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tessera_api::oauth::v1::issue_token_request::Grant;
use tessera_api::oauth::v1::token_service_client::TokenServiceClient;
use tessera_api::oauth::v1::{ClientCredentialsGrant, IssueTokenRequest, PasswordGrant};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::Channel;

use crate::call::connect;
use crate::pair::RunningIssuer;
use crate::sample::median;

/// How many calls are in flight while the most is looked for.
const AT_ONCE: usize = 32;
/// How many guess at once.
const GUESSERS: usize = 64;

/// What to measure, and with what.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the built programs.
    pub programs: PathBuf,
    /// How many pairs: in peace, then under the flood.
    pub pairs: u32,
    /// How long each run takes.
    pub run: Duration,
}

/// One run at half the issuer's capacity.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Tokens a second.
    pub throughput: f64,
    /// The median time, in milliseconds.
    pub p50: f64,
    /// What 99 of 100 stay below, in milliseconds.
    pub p99: f64,
    /// Guesses a second that got an answer.
    pub guesses: f64,
}

/// What was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Tokens a second at most.
    pub capacity: f64,
    /// The runs: in peace, and under the flood.
    pub pairs: Vec<(Run, Run)>,
}

/// Measures.
pub async fn measure(options: &Options) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let issuer = RunningIssuer::start(&options.programs, &folder.path().join("issuer")).await?;
    let clients = Clients { port: issuer.grpc, service: issuer.service.clone(), app: issuer.app.clone() };
    clients.most(Duration::from_secs(1)).await?;
    let capacity = clients.most(options.run).await?;
    let mut pairs = Vec::new();
    for number in 1..=options.pairs {
        let peace = clients.at(capacity / 2.0, options.run, false).await?;
        let flood = clients.at(capacity / 2.0, options.run, true).await?;
        eprintln!("pair {number}: p99 {:.2} ms, under the flood {:.2} ms", peace.p99, flood.p99);
        pairs.push((peace, flood));
    }
    Ok(Report { capacity, pairs })
}

struct Clients {
    port: u16,
    service: (String, String),
    app: (String, String),
}

impl Clients {
    /// Tokens a second, as fast as they come.
    async fn most(&self, run: Duration) -> Result<f64> {
        let until = Instant::now() + run;
        let mut workers = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (mut client, request) = (self.client().await?, self.token());
            workers.spawn(async move {
                let mut issued = 0_u32;
                while Instant::now() < until {
                    client.issue_token(request.clone()).await?;
                    issued += 1;
                }
                Ok::<_, tonic::Status>(issued)
            });
        }
        let mut issued = 0;
        while let Some(done) = workers.join_next().await {
            issued += done??;
        }
        Ok(f64::from(issued) / run.as_secs_f64())
    }

    /// Tokens at a steady pace, with a flood beside it or without.
    async fn at(&self, per_second: f64, run: Duration, flood: bool) -> Result<Run> {
        let flood = if flood { Some(self.flood().await?) } else { None };
        let began = Instant::now();
        let pace = Duration::from_secs_f64(1.0 / per_second);
        let mut lanes = Vec::new();
        for _ in 0..8 {
            lanes.push(self.client().await?);
        }
        let (mut calls, mut number) = (JoinSet::new(), 0_u32);
        while began + pace * number < began + run {
            let due = began + pace * number;
            tokio::time::sleep_until(due).await;
            let (mut client, request) = (lanes[number as usize % lanes.len()].clone(), self.token());
            calls.spawn(async move {
                client.issue_token(request).await?;
                Ok::<_, tonic::Status>(due.elapsed())
            });
            number += 1;
        }
        let mut times = Histogram::<u64>::new(3)?;
        while let Some(done) = calls.join_next().await {
            times.record(u64::try_from(done??.as_micros())?)?;
        }
        let took = began.elapsed().as_secs_f64();
        let guesses = match flood {
            Some(flood) => flood.stop().await? / took,
            None => 0.0,
        };
        let millis = |quantile| Duration::from_micros(times.value_at_quantile(quantile)).as_secs_f64() * 1e3;
        Ok(Run { throughput: f64::from(number) / took, p50: millis(0.5), p99: millis(0.99), guesses })
    }

    /// Begins a flood: each guess at another user, so that no throttle ends it.
    async fn flood(&self) -> Result<Flood> {
        let flood = Flood { over: Arc::default(), answered: Arc::default(), guessers: JoinSet::new() };
        let Flood { over, answered, mut guessers } = flood;
        for guesser in 0..GUESSERS {
            let mut client = self.client().await?;
            let (over, answered, app) = (Arc::clone(&over), Arc::clone(&answered), self.app.clone());
            guessers.spawn(async move {
                for number in 0.. {
                    if over.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    let guess = PasswordGrant {
                        username: format!("user-{guesser}-{number}"),
                        password: "a wrong password".to_owned(),
                    };
                    let status = client.issue_token(message(&app, Grant::Password(guess))).await.err();
                    match status.as_ref().map(tonic::Status::code) {
                        Some(Code::FailedPrecondition) => drop(answered.fetch_add(1, Ordering::Relaxed)),
                        // Turned away: the queue is full.
                        Some(Code::Unavailable | Code::ResourceExhausted) => {}
                        other => anyhow::bail!("a wrong login was answered {other:?}"),
                    }
                }
                Ok(())
            });
        }
        Ok(Flood { over, answered, guessers })
    }

    async fn client(&self) -> Result<TokenServiceClient<Channel>> {
        Ok(TokenServiceClient::new(connect(self.port).await?))
    }

    fn token(&self) -> IssueTokenRequest {
        message(&self.service, Grant::ClientCredentials(ClientCredentialsGrant {}))
    }
}

struct Flood {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    guessers: JoinSet<Result<()>>,
}

impl Flood {
    #[allow(clippy::cast_precision_loss, reason = "fewer than 2^52 guesses")]
    async fn stop(mut self) -> Result<f64> {
        self.over.store(true, Ordering::Relaxed);
        while let Some(done) = self.guessers.join_next().await {
            done??;
        }
        Ok(self.answered.load(Ordering::Relaxed) as f64)
    }
}

fn message((client_id, client_secret): &(String, String), grant: Grant) -> IssueTokenRequest {
    IssueTokenRequest {
        client_id: client_id.clone(),
        client_secret: client_secret.clone(),
        grant: Some(grant),
        ..IssueTokenRequest::default()
    }
}

impl Report {
    fn median(&self, of: impl Fn(&(Run, Run)) -> f64) -> f64 {
        median(self.pairs.iter().map(of))
    }

    /// The throughput under the flood, as a part of that in peace.
    #[must_use]
    pub fn throughput_ratio(&self) -> f64 {
        self.median(|(peace, flood)| flood.throughput / peace.throughput)
    }

    /// The p99 under the flood, as a multiple of that in peace.
    #[must_use]
    pub fn p99_ratio(&self) -> f64 {
        self.median(|(peace, flood)| flood.p99 / peace.p99)
    }

    /// Writes the report to a folder, as text and as JSON.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        fs::write(folder.join("logins.txt"), self.to_string())?;
        fs::write(folder.join("logins.json"), serde_json::to_string_pretty(self)?)?;
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "client_credentials at half of {:.0} tokens/s, one issuer on one core; {} pairs",
            self.capacity,
            self.pairs.len()
        )?;
        for (name, of) in [("in peace", 0), ("under wrong logins", 1)] {
            let run = |pair: &(Run, Run)| if of == 0 { pair.0 } else { pair.1 };
            writeln!(
                f,
                "{name:18}  {:6.0} tokens/s  p50 {:6.2} ms  p99 {:6.2} ms  {:5.1} guesses/s",
                self.median(|pair| run(pair).throughput),
                self.median(|pair| run(pair).p50),
                self.median(|pair| run(pair).p99),
                self.median(|pair| run(pair).guesses),
            )?;
        }
        write!(f, "ratios: throughput {:.2}, p99 {:.2}", self.throughput_ratio(), self.p99_ratio())
    }
}
