//! Lives here: what the file's values must be, and what they become.
//! Never here: the file's shape (`file`), defaults (they stand with the parts).

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use toml::Spanned;

use super::file::{self, File, Rate};
use super::place::Source;
use super::retention::{Others, retention};
use super::{Admin, Config, ConfigError, Keys, callers, carriers, failover, routing};
use crate::domain::allowance::Quota;
use crate::telemetry::logging;
use crate::{api, carrier, inbound, ingest, scheduler, store, webhooks};

/// How the URL of a file begins; every other is a server's.
const SQLITE: &str = "sqlite:";

pub(super) type Checked<T> = Result<T, ConfigError>;

/// Checks everything and builds the parts' configurations.
pub(super) fn check(file: &File, source: &Source<'_>) -> Checked<Config> {
    let plan = routing::numbering(&file.routing, source)?;
    let accounts = carriers::accounts(&file.carrier, &plan, source)?;
    let ported = file.routing.ported.as_ref();
    let ported = ported.map(|path| beside(path.get_ref(), source));
    let routes = routing::table(&file.routing, plan, &accounts, source)?;
    let carrier = carrier_config(file, source)?;
    let drain = carrier.drain_timeout;
    let api = api_config(&file.api, source)?;
    let request_timeout = api.request_timeout;
    if api.listen == *file.admin.listen.get_ref() && api.listen.port() != 0 {
        let message = "admin.listen is the same as api.listen; give it another port";
        return Err(source.error(Some(file.admin.listen.span()), message));
    }
    let ingest = ingest_config(&file.message, file.webhooks.allow_loopback, source)?;
    let scheduler = scheduler_config(file, &accounts, source)?;
    let receipts = receipts_config(&file.receipts, source)?;
    let others = Others {
        ingest: &ingest,
        scheduler: &scheduler,
        receipts: &receipts,
    };
    let retention = retention(&file.retention, &others, source)?;
    Ok(Config {
        api,
        admin: admin(&file.admin, file.store.url.get_ref(), source)?,
        store: store::Config {
            kept_days: retention.messages_days,
            ..store_config(&file.store, source)?
        },
        ingest,
        scheduler,
        carrier,
        receipts,
        retention,
        webhooks: webhook_config(&file.webhooks, source)?,
        log: log(&file.log, source)?,
        // The requests that run, the drain, and the webhook attempts and commits after it; the
        // unit's TimeoutStopSec must be longer.
        shutdown_timeout: request_timeout + drain + Duration::from_secs(15),
        path: source.path.to_owned(),
        keys: Keys::of(source.text),
        routes,
        ported,
        accounts,
    })
}

/// What the accounts share.
fn carrier_config(file: &File, source: &Source<'_>) -> Checked<carrier::Config> {
    let shared = carrier::Config::default();
    let drain = seconds(file.shutdown.drain_s.as_ref(), 1..=600, source)?;
    Ok(carrier::Config {
        otp_reserve_percent: or(
            shared.otp_reserve_percent,
            file.scheduler.otp_reserve_percent.as_ref(),
            0..=90,
            source,
        )?,
        promotional_floor: or(
            shared.promotional_floor,
            file.scheduler.promotional_floor.as_ref(),
            0..=10_000,
            source,
        )?,
        connects_per_s: or(
            shared.connects_per_s,
            file.scheduler.connects_per_s.as_ref(),
            1..=10_000,
            source,
        )?,
        receipts_max: or(
            shared.receipts_max,
            file.receipts.unanswered_max.as_ref(),
            1..=100_000,
            source,
        )?,
        drain_timeout: drain.unwrap_or(shared.drain_timeout),
    })
}

/// A number within its range, or the default.
pub(super) fn or<T>(
    default: T,
    typed: Option<&Spanned<T>>,
    range: std::ops::RangeInclusive<T>,
    source: &Source<'_>,
) -> Checked<T>
where
    T: PartialOrd + Copy + std::fmt::Display,
{
    match typed {
        None => Ok(default),
        Some(typed) if range.contains(typed.get_ref()) => Ok(*typed.get_ref()),
        Some(typed) => Err(source.error(
            Some(typed.span()),
            format!(
                "{} is out of range; give {} to {}",
                typed.get_ref(),
                range.start(),
                range.end()
            ),
        )),
    }
}

pub(super) fn seconds(
    typed: Option<&Spanned<u64>>,
    range: std::ops::RangeInclusive<u64>,
    source: &Source<'_>,
) -> Checked<Option<Duration>> {
    typed
        .map(|typed| or(0, Some(typed), range, source).map(Duration::from_secs))
        .transpose()
}

pub(super) fn millis(
    default: Duration,
    typed: Option<&Spanned<u64>>,
    range: std::ops::RangeInclusive<u64>,
    source: &Source<'_>,
) -> Checked<Duration> {
    typed.map_or(Ok(default), |typed| {
        or(0, Some(typed), range, source).map(Duration::from_millis)
    })
}

fn rates(typed: &file::Limits, default: api::Rates, source: &Source<'_>) -> Checked<api::Rates> {
    let rate = |default, typed: &Option<Spanned<Rate>>| {
        let Some(typed) = typed else {
            return Ok(default);
        };
        let quota = match typed.get_ref() {
            Rate::PerMinute(requests) => Quota::per_minute(*requests),
            Rate::Word(word) => (word == "unlimited").then_some(Quota::Unlimited),
        };
        let message = "give 1 or more requests in a minute, or \"unlimited\"";
        quota.ok_or_else(|| source.error(Some(typed.span()), message))
    };
    Ok(api::Rates {
        live: rate(default.live, &typed.live)?,
        test: rate(default.test, &typed.test)?,
        credits: rate(default.credits, &typed.credits)?,
        failures: rate(default.failures, &typed.failures_per_ip)?,
    })
}

fn api_config(typed: &file::Api, source: &Source<'_>) -> Checked<api::Config> {
    let default = api::Config::default();
    Ok(api::Config {
        listen: typed.listen,
        body_max: or(
            default.body_max,
            typed.body_max_bytes.as_ref(),
            1024..=64 * 1024 * 1024,
            source,
        )?,
        request_timeout: millis(
            default.request_timeout,
            typed.request_timeout_ms.as_ref(),
            100..=600_000,
            source,
        )?,
        connections_max: or(
            default.connections_max,
            typed.connections_max.as_ref(),
            1..=1_000_000,
            source,
        )?,
        proxies: callers::proxies(typed.trusted_proxies.as_ref(), source)?,
        tokens: callers::tokens(typed.jwt.as_ref(), source)?,
        limits: rates(&typed.limits, default.limits, source)?,
        ..default
    })
}

/// `url` is the store's: a made token is kept beside it.
pub(super) fn admin(typed: &file::Admin, url: &str, source: &Source<'_>) -> Checked<Admin> {
    let token = match (&typed.token, &typed.token_file) {
        (Some(_), Some(second)) => {
            return Err(source.error(Some(second.span()), "give token or token_file, not both"));
        }
        (Some(token), None) => Some(token.clone()),
        (None, Some(path)) => Some(secret_file(path, source)?),
        (None, None) => None,
    };
    if let Some(token) = &token
        && token.expose_secret().len() < 16
    {
        return Err(source.error(
            Some(typed.listen.span()),
            "admin.token is too short; give at least 16 characters",
        ));
    }
    if token.is_none() && !typed.listen.get_ref().ip().is_loopback() {
        return Err(source.error(
            Some(typed.listen.span()),
            "an admin listener beyond loopback needs admin.token or admin.token_file",
        ));
    }
    Ok(Admin {
        listen: *typed.listen.get_ref(),
        token,
        token_path: beside_database(url).join("admin.token"),
    })
}

/// The folder of an SQLite file; where the default one is if the database is a server's.
fn beside_database(url: &str) -> &Path {
    match url.strip_prefix(SQLITE) {
        Some(path) => Path::new(path.trim_start_matches("//"))
            .parent()
            .unwrap_or_else(|| Path::new("")),
        None => Path::new("data"),
    }
}

fn store_config(typed: &file::Store, source: &Source<'_>) -> Checked<store::Config> {
    let default = store::Config::default();
    let url = typed.url.get_ref();
    let place = Some(typed.url.span());
    if let Some(path) = url.strip_prefix(SQLITE)
        && (path.is_empty() || path.contains(":memory:") || path.contains("mode=memory"))
    {
        return Err(source.error(
            place,
            "store.url must be sqlite: and a file's path, for example \"sqlite:data/mnara.db\"",
        ));
    }
    store::check_url(url).map_err(|error| source.error(place, error.to_string()))?;
    let password_file = match &typed.password_file {
        None => None,
        Some(path) if url.starts_with(SQLITE) => {
            let message = "store.password_file goes with a postgres:// url; remove it";
            return Err(source.error(Some(path.span()), message));
        }
        Some(path) if store::has_password(url) => {
            let message =
                "store.url holds a password and store.password_file names one; give one of them";
            return Err(source.error(Some(path.span()), message));
        }
        Some(path) => {
            let file = store::PasswordFile::new(beside(path.get_ref(), source));
            let failed =
                |error: store::StoreError| source.error(Some(path.span()), error.to_string());
            file.read().map_err(failed)?;
            Some(file)
        }
    };
    Ok(store::Config {
        url: url.clone(),
        password_file,
        readers: or(default.readers, typed.readers.as_ref(), 1..=64, source)?,
        queue: or(default.queue, typed.queue.as_ref(), 16..=1_000_000, source)?,
        ..default
    })
}

fn ingest_config(
    typed: &file::Message,
    loopback: bool,
    source: &Source<'_>,
) -> Checked<ingest::Config> {
    let default = ingest::Config::default();
    let mut validity = default.validity;
    let each = [
        &typed.otp_validity_s,
        &typed.transactional_validity_s,
        &typed.promotional_validity_s,
    ];
    for (place, typed) in validity.iter_mut().zip(each) {
        *place = seconds(typed.as_ref(), 30..=7 * 86_400, source)?.unwrap_or(*place);
    }
    Ok(ingest::Config {
        validity,
        segments_max: or(
            default.segments_max,
            typed.segments_max.as_ref(),
            1..=10,
            source,
        )?,
        webhooks_to_loopback: loopback,
        ..default
    })
}

fn scheduler_config(
    file: &File,
    accounts: &[carrier::AccountConfig],
    source: &Source<'_>,
) -> Checked<scheduler::Config> {
    let default = scheduler::Config::default();
    let typed = &file.scheduler;
    Ok(scheduler::Config {
        ready_max: or(
            default.ready_max,
            typed.ready_max.as_ref(),
            1..=1_000_000,
            source,
        )?,
        returns_max: or(
            default.returns_max,
            typed.returns_max.as_ref(),
            1..=1_000_000,
            source,
        )?,
        attempts_max: or(
            default.attempts_max,
            typed.attempts_max.as_ref(),
            1..=20,
            source,
        )?,
        resend_after: [
            seconds(typed.otp_resend_after_s.as_ref(), 1..=300, source)?
                .or(default.resend_after[0]),
            seconds(
                typed.transactional_resend_after_s.as_ref(),
                1..=86_400,
                source,
            )?
            .or(default.resend_after[1]),
            default.resend_after[2],
        ],
        grace: seconds(file.message.grace_s.as_ref(), 0..=7 * 86_400, source)?
            .unwrap_or(default.grace),
        answer_max: accounts
            .iter()
            .flat_map(|account| &account.binds)
            .map(|bind| bind.response_timeout)
            .max()
            .unwrap_or_default(),
        patience: failover::patience(&file.failover, default.patience, source)?,
        breaker: failover::limits(&file.failover, source)?,
    })
}

fn receipts_config(typed: &file::Receipts, source: &Source<'_>) -> Checked<inbound::Config> {
    let default = inbound::Config::default();
    let number =
        |default, typed: &Option<Spanned<u32>>, range| or(default, typed.as_ref(), range, source);
    let parked_ttl = seconds(typed.parked_ttl_s.as_ref(), 60..=30 * 86_400, source)?;
    let quarantine_ttl = seconds(typed.quarantine_ttl_s.as_ref(), 60..=90 * 86_400, source)?;
    Ok(inbound::Config {
        parked_ttl: parked_ttl.unwrap_or(default.parked_ttl),
        parked_max: number(default.parked_max, &typed.parked_max, 1..=10_000_000)?,
        quarantine_ttl: quarantine_ttl.unwrap_or(default.quarantine_ttl),
        quarantine_max: number(
            default.quarantine_max,
            &typed.quarantine_max,
            1..=10_000_000,
        )?,
        unmatched_alarm_percent: number(
            default.unmatched_alarm_percent,
            &typed.unmatched_alarm_percent,
            0..=100,
        )?,
    })
}

fn webhook_config(typed: &file::Webhooks, source: &Source<'_>) -> Checked<webhooks::Config> {
    let default = webhooks::Config::default();
    Ok(webhooks::Config {
        allow_loopback: typed.allow_loopback,
        timeout: millis(
            default.timeout,
            typed.timeout_ms.as_ref(),
            100..=60_000,
            source,
        )?,
        concurrency: or(
            default.concurrency,
            typed.concurrency.as_ref(),
            1..=10_000,
            source,
        )?,
        per_host: or(default.per_host, typed.per_host.as_ref(), 1..=1_000, source)?,
        ..default
    })
}

fn log(typed: &file::Log, source: &Source<'_>) -> Checked<logging::Config> {
    let default = logging::Config::default();
    let json = match typed
        .format
        .as_ref()
        .map(|format| (format.get_ref().as_str(), format.span()))
    {
        None | Some(("json", _)) => true,
        Some(("text", _)) => false,
        Some((_, span)) => {
            return Err(source.error(Some(span), "log.format is \"json\" or \"text\""));
        }
    };
    let level = typed
        .level
        .as_ref()
        .map_or(default.level, |level| level.get_ref().clone());
    let config = logging::Config { level, json };
    let span = typed.level.as_ref().map(Spanned::span);
    logging::check(&config).map_err(|error| source.error(span, error.to_string()))?;
    Ok(config)
}

/// Paths in the configuration are relative to its own folder when they begin with a dot;
/// otherwise to the working directory, as everywhere.
pub(super) fn beside(path: &Path, source: &Source<'_>) -> PathBuf {
    match source.path.parent() {
        Some(folder) if path.starts_with(".") || path.starts_with("..") => {
            folder.join(path.strip_prefix(".").unwrap_or(path))
        }
        _ => path.to_owned(),
    }
}

/// A secret from a file: its first line.
pub(super) fn secret_file(path: &Spanned<PathBuf>, source: &Source<'_>) -> Checked<SecretString> {
    let text = std::fs::read_to_string(beside(path.get_ref(), source)).map_err(|error| {
        source.error(
            Some(path.span()),
            format!("{}: {error}", path.get_ref().display()),
        )
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned().into())
}
