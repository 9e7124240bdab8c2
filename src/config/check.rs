//! Lives here: what the file's values must be, and what they become.
//! Never here: the file's shape (`file`), defaults (they stand with the parts).

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mnara_smpp::pdu::LONG_CREDENTIAL_MAX;
use mnara_smpp::receipt::{IdDialect, IdRule};
use mnara_smpp::transport::{Roots, TlsClient};
use secrecy::{ExposeSecret, SecretString};
use toml::Spanned;

use super::file::{self, File};
use super::place::Source;
use super::{Admin, Config, ConfigError};
use crate::carrier::{AccountConfig, BindConfig, Mode};
use crate::domain::ids::{CarrierId, CarrierIndex, NetworkId};
use crate::ingest::plan::{self, Loaded, PlanFileError};
use crate::telemetry::logging;
use crate::{api, carrier, ingest, scheduler, store, webhooks};

type Checked<T> = Result<T, ConfigError>;

/// Checks everything and builds the parts' configurations.
pub(super) fn check(file: &File, source: &Source<'_>) -> Checked<Config> {
    let loaded = numbering(file.routing.numbering.as_ref(), source)?;
    let (accounts, networks) = accounts(&file.carrier, &loaded, source)?;
    let fallback = fallback(&file.routing.unknown_network, &loaded, &accounts, source)?;
    let drain = seconds(file.shutdown.drain_s.as_ref(), 1..=600, source)?;
    let shared = carrier::Config::default();
    let api = api_config(&file.api, source)?;
    let request_timeout = api.request_timeout;
    if api.listen == *file.admin.listen.get_ref() && api.listen.port() != 0 {
        let message = "admin.listen is the same as api.listen; give it another port";
        return Err(source.error(Some(file.admin.listen.span()), message));
    }
    Ok(Config {
        api,
        admin: admin(&file.admin, &file.store, source)?,
        store: store_config(&file.store, source)?,
        ingest: ingest_config(&file.message, file.webhooks.allow_loopback, source)?,
        scheduler: scheduler_config(file, source)?,
        carrier: carrier::Config {
            otp_reserve_percent: or(
                shared.otp_reserve_percent,
                file.scheduler.otp_reserve_percent.as_ref(),
                0..=90,
                source,
            )?,
            receipts_max: or(
                shared.receipts_max,
                file.receipts.unanswered_max.as_ref(),
                1..=100_000,
                source,
            )?,
            drain_timeout: drain.unwrap_or(shared.drain_timeout),
        },
        webhooks: webhook_config(&file.webhooks, source)?,
        log: log(&file.log, source)?,
        // The requests that run, the drain, and the webhook attempts and commits after it; the
        // unit's TimeoutStopSec must be longer.
        shutdown_timeout: request_timeout
            + drain.unwrap_or(shared.drain_timeout)
            + Duration::from_secs(15),
        plan: loaded.plan,
        accounts,
        networks,
        fallback,
    })
}

/// A number within its range, or the default.
fn or<T>(
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

fn seconds(
    typed: Option<&Spanned<u64>>,
    range: std::ops::RangeInclusive<u64>,
    source: &Source<'_>,
) -> Checked<Option<Duration>> {
    typed
        .map(|typed| or(0, Some(typed), range, source).map(Duration::from_secs))
        .transpose()
}

fn millis(
    default: Duration,
    typed: Option<&Spanned<u64>>,
    range: std::ops::RangeInclusive<u64>,
    source: &Source<'_>,
) -> Checked<Duration> {
    typed.map_or(Ok(default), |typed| {
        or(0, Some(typed), range, source).map(Duration::from_millis)
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
        ..default
    })
}

fn admin(typed: &file::Admin, store: &file::Store, source: &Source<'_>) -> Checked<Admin> {
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
    let database = store
        .url
        .get_ref()
        .trim_start_matches("sqlite:")
        .trim_start_matches("//");
    let folder = Path::new(database)
        .parent()
        .unwrap_or_else(|| Path::new(""));
    Ok(Admin {
        listen: *typed.listen.get_ref(),
        token,
        token_path: folder.join("admin.token"),
    })
}

fn store_config(typed: &file::Store, source: &Source<'_>) -> Checked<store::Config> {
    let default = store::Config::default();
    let url = typed.url.get_ref();
    let path = url.strip_prefix("sqlite:").unwrap_or_default();
    if path.is_empty() || path.contains(":memory:") || path.contains("mode=memory") {
        return Err(source.error(
            Some(typed.url.span()),
            "store.url must be sqlite: and a file's path, for example \"sqlite:data/mnara.db\"",
        ));
    }
    Ok(store::Config {
        url: url.clone(),
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

fn scheduler_config(file: &File, source: &Source<'_>) -> Checked<scheduler::Config> {
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
        promotional_floor: or(
            default.promotional_floor,
            typed.promotional_floor.as_ref(),
            0..=10_000,
            source,
        )?,
        attempts_max: or(
            default.attempts_max,
            typed.attempts_max.as_ref(),
            1..=20,
            source,
        )?,
        grace: seconds(file.message.grace_s.as_ref(), 0..=7 * 86_400, source)?
            .unwrap_or(default.grace),
        receipt_ttl: seconds(file.receipts.parked_ttl_s.as_ref(), 1..=30 * 86_400, source)?
            .unwrap_or(default.receipt_ttl),
        receipt_parked_max: or(
            default.receipt_parked_max,
            file.receipts.parked_max.as_ref(),
            1..=10_000_000,
            source,
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

fn numbering(typed: Option<&Spanned<PathBuf>>, source: &Source<'_>) -> Checked<Loaded> {
    let Some(typed) = typed else {
        return plan::parse(plan::BUILT_IN)
            .map_err(|error| source.error(None, format!("built-in numbering plan: {error}")));
    };
    let path = beside(typed.get_ref(), source);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        source.error(Some(typed.span()), format!("{}: {error}", path.display()))
    })?;
    plan::parse(&text).map_err(|error| {
        let file = Source::new(&text, &path);
        match &error {
            PlanFileError::Toml(toml) => file.error(toml.span(), toml.message()),
            _ => file.error(None, error.to_string()),
        }
    })
}

/// Paths in the configuration are relative to its own folder when they begin with a dot;
/// otherwise to the working directory, as everywhere.
fn beside(path: &Path, source: &Source<'_>) -> PathBuf {
    match source.path.parent() {
        Some(folder) if path.starts_with(".") || path.starts_with("..") => folder.join(path),
        _ => path.to_owned(),
    }
}

fn fallback(
    typed: &[file::UnknownNetwork],
    loaded: &Loaded,
    accounts: &[AccountConfig],
    source: &Source<'_>,
) -> Checked<Vec<Option<CarrierIndex>>> {
    let mut fallback = vec![None; loaded.plan.countries().len()];
    for row in typed {
        let country = loaded.plan.country(row.country.get_ref()).ok_or_else(|| {
            let message = format!(
                "country \"{}\" is not in the numbering plan",
                row.country.get_ref()
            );
            source.error(Some(row.country.span()), message)
        })?;
        let carrier = accounts
            .iter()
            .position(|account| *account.id.0 == **row.carrier.get_ref())
            .ok_or_else(|| {
                let message = format!("no [[carrier]] has id \"{}\"", row.carrier.get_ref());
                source.error(Some(row.carrier.span()), message)
            })?;
        fallback[country] = Some(CarrierIndex(carrier as u16));
    }
    Ok(fallback)
}

fn accounts(
    typed: &[Spanned<file::Carrier>],
    loaded: &Loaded,
    source: &Source<'_>,
) -> Checked<(Vec<AccountConfig>, Vec<NetworkId>)> {
    let (mut accounts, mut networks) = (Vec::new(), Vec::new());
    let mut ids = HashSet::new();
    if typed.is_empty() {
        return Err(source.error(None, "no [[carrier]]: add at least one account"));
    }
    if typed.len() > 1_000 {
        return Err(source.error(None, "more than 1,000 [[carrier]] accounts"));
    }
    for carrier in typed {
        let span = carrier.span();
        let carrier = carrier.get_ref();
        let id = carrier.id.get_ref();
        let shaped = |id: &str| {
            id.bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"_-.".contains(&octet))
        };
        if id.is_empty() || id.len() > 32 || !shaped(id) {
            return Err(source.error(
                Some(carrier.id.span()),
                "carrier.id is 1 to 32 letters, digits, _ - or .",
            ));
        }
        if !ids.insert(id.clone()) {
            return Err(source.error(
                Some(carrier.id.span()),
                format!("carrier.id \"{id}\" stands twice"),
            ));
        }
        let network = loaded.network(carrier.network.get_ref()).ok_or_else(|| {
            let message = format!(
                "network \"{}\" is not in the numbering plan",
                carrier.network.get_ref()
            );
            source.error(Some(carrier.network.span()), message)
        })?;
        if carrier.bind.is_empty() {
            return Err(source.error(
                Some(span),
                format!("carrier \"{id}\" has no [[carrier.bind]]"),
            ));
        }
        networks.push(network);
        accounts.push(account(carrier, source)?);
    }
    Ok((accounts, networks))
}

fn account(typed: &file::Carrier, source: &Source<'_>) -> Checked<AccountConfig> {
    let rule = |typed: Option<&Spanned<String>>| match typed {
        None => Ok(IdRule::Raw),
        Some(typed) => IdRule::parse(typed.get_ref())
            .map_err(|error| source.error(Some(typed.span()), error.to_string())),
    };
    Ok(AccountConfig {
        id: CarrierId(typed.id.get_ref().as_str().into()),
        max_tps: or(1, Some(&typed.max_tps), 1..=1_000_000, source)?,
        ids: IdDialect {
            response: rule(typed.response_ids.as_ref())?,
            receipt: rule(typed.receipt_ids.as_ref())?,
        },
        receipts: typed.receipts,
        validity_period: typed.validity_period,
        binds: typed
            .bind
            .iter()
            .map(|one| bind(one, source))
            .collect::<Checked<_>>()?,
    })
}

fn bind(typed: &Spanned<file::Bind>, source: &Source<'_>) -> Checked<BindConfig> {
    let span = typed.span();
    let typed = typed.get_ref();
    let password = match (&typed.password, &typed.password_file) {
        (Some(password), None) => password.get_ref().clone(),
        (None, Some(path)) => secret_file(path, source)?,
        (Some(_), Some(second)) => {
            return Err(source.error(
                Some(second.span()),
                "give password or password_file, not both",
            ));
        }
        (None, None) => {
            return Err(source.error(
                Some(span),
                "the bind has neither password nor password_file",
            ));
        }
    };
    // Enforced here because nothing could be bound with more. SMPP 4.1.1 has lower limits (a password of 8 octets)
    // and carriers that do not keep to them.
    let most = LONG_CREDENTIAL_MAX;
    let limited = |text: &Spanned<String>, name: &str| {
        let fits = text.get_ref().len() <= most && !text.get_ref().contains('\0');
        let message = format!("{name} has at most {most} octets and no NUL");
        if fits {
            Ok(text.get_ref().clone())
        } else {
            Err(source.error(Some(text.span()), message))
        }
    };
    if password.expose_secret().len() > most || password.expose_secret().contains('\0') {
        let at = typed
            .password
            .as_ref()
            .map(Spanned::span)
            .or_else(|| typed.password_file.as_ref().map(Spanned::span));
        return Err(source.error(at, format!("password has at most {most} octets and no NUL")));
    }
    if typed.host.get_ref().is_empty() || typed.port == 0 {
        return Err(source.error(
            Some(typed.host.span()),
            "give host and a port from 1 to 65535",
        ));
    }
    let window = or(10, typed.window.as_ref(), 1..=10_000, source)?;
    Ok(BindConfig {
        host: typed.host.get_ref().clone(),
        port: typed.port,
        tls: tls(typed, source)?,
        system_id: limited(&typed.system_id, "system_id")?,
        password,
        system_type: typed
            .system_type
            .as_ref()
            .map_or(Ok(String::new()), |text| limited(text, "system_type"))?,
        mode: match typed.mode.get_ref() {
            file::Mode::Transmitter => Mode::Transmitter,
            file::Mode::Receiver => Mode::Receiver,
            file::Mode::Transceiver => Mode::Transceiver,
        },
        count: or(1, typed.count.as_ref(), 1..=100, source)?,
        window,
        max_tps: typed
            .max_tps
            .as_ref()
            .map(|tps| or(1, Some(tps), 1..=1_000_000, source))
            .transpose()?,
        response_timeout: millis(
            Duration::from_secs(30),
            typed.response_timeout_ms.as_ref(),
            10..=600_000,
            source,
        )?,
        enquire_link_interval: seconds(typed.enquire_link_s.as_ref(), 1..=3_600, source)?
            .unwrap_or(Duration::from_secs(30)),
        connect_timeout: millis(
            Duration::from_secs(10),
            typed.connect_timeout_ms.as_ref(),
            10..=120_000,
            source,
        )?,
    })
}

fn tls(typed: &file::Bind, source: &Source<'_>) -> Checked<Option<TlsClient>> {
    let files = [
        &typed.tls_ca_file,
        &typed.tls_cert_file,
        &typed.tls_key_file,
    ];
    if !typed.tls {
        return match files.into_iter().flatten().next() {
            Some(stray) => Err(source.error(Some(stray.span()), "set tls = true to use this file")),
            None => Ok(None),
        };
    }
    let read = |path: &Option<Spanned<PathBuf>>| {
        let read = |path: &Spanned<PathBuf>| {
            std::fs::read(beside(path.get_ref(), source)).map_err(|error| {
                source.error(
                    Some(path.span()),
                    format!("{}: {error}", path.get_ref().display()),
                )
            })
        };
        path.as_ref().map(read).transpose()
    };
    let roots = read(&typed.tls_ca_file)?;
    let identity = match (read(&typed.tls_cert_file)?, read(&typed.tls_key_file)?) {
        (Some(chain), Some(key)) => Some((chain, key)),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(source.error(
                Some(typed.host.span()),
                "tls_cert_file and tls_key_file go together",
            ));
        }
    };
    let roots = roots.as_deref().map_or(Roots::WebPki, Roots::Pem);
    let identity = identity.as_ref().map(|(chain, key)| (&chain[..], &key[..]));
    TlsClient::new(roots, identity, typed.tls_server_name.as_deref())
        .map(Some)
        .map_err(|error| source.error(Some(typed.host.span()), error.to_string()))
}

/// A secret from a file: its first line.
fn secret_file(path: &Spanned<PathBuf>, source: &Source<'_>) -> Checked<SecretString> {
    let text = std::fs::read_to_string(beside(path.get_ref(), source)).map_err(|error| {
        source.error(
            Some(path.span()),
            format!("{}: {error}", path.get_ref().display()),
        )
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned().into())
}
