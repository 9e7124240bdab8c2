//! Lives here: the file as typed, unknown keys refused, and the environment's overlay.
//! Never here: what the values mean (`check`).

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::DeTable;

use super::ConfigError;
use super::place::Source;

/// Variables of this form overlay the file.
const PREFIX: &str = "MNARA__";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) api: Api,
    pub(super) admin: Admin,
    pub(super) store: Store,
    #[serde(default)]
    pub(super) message: Message,
    #[serde(default)]
    pub(super) scheduler: Scheduler,
    #[serde(default)]
    pub(super) failover: Failover,
    #[serde(default)]
    pub(super) receipts: Receipts,
    #[serde(default)]
    pub(super) retention: Retention,
    #[serde(default)]
    pub(super) webhooks: Webhooks,
    #[serde(default)]
    pub(super) routing: Routing,
    #[serde(default)]
    pub(super) log: Log,
    #[serde(default)]
    pub(super) shutdown: Shutdown,
    #[serde(default)]
    pub(super) carrier: Vec<Spanned<Carrier>>,
}

/// What `ctl` needs of the file; the rest may be wrong.
#[derive(Deserialize)]
pub(super) struct Reach {
    pub(super) admin: Admin,
    pub(super) store: StorePlace,
}

/// The sections that have it, as typed.
#[derive(Deserialize, Serialize)]
struct Sections {
    admin: toml::Table,
    store: toml::Table,
}

#[derive(Deserialize)]
pub(super) struct StorePlace {
    pub(super) url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Api {
    pub(super) listen: SocketAddr,
    pub(super) body_max_bytes: Option<Spanned<usize>>,
    pub(super) request_timeout_ms: Option<Spanned<u64>>,
    pub(super) connections_max: Option<Spanned<usize>>,
    pub(super) trusted_proxies: Option<Spanned<Vec<String>>>,
    pub(super) jwt: Option<Jwt>,
    #[serde(default)]
    pub(super) limits: Limits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Jwt {
    pub(super) issuer: Spanned<String>,
    pub(super) audience: Spanned<String>,
    pub(super) algorithm: Spanned<String>,
    pub(super) key_file: Spanned<PathBuf>,
}

/// Requests in a minute.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) live: Option<Spanned<Rate>>,
    pub(super) test: Option<Spanned<Rate>>,
    pub(super) credits: Option<Spanned<Rate>>,
    pub(super) failures_per_ip: Option<Spanned<Rate>>,
}

/// A number, or a word.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Rate {
    PerMinute(u32),
    Word(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) listen: Spanned<SocketAddr>,
    pub(super) token: Option<SecretString>,
    pub(super) token_file: Option<Spanned<PathBuf>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Store {
    pub(super) url: Spanned<String>,
    pub(super) password_file: Option<Spanned<PathBuf>>,
    pub(super) readers: Option<Spanned<u32>>,
    pub(super) queue: Option<Spanned<usize>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Message {
    pub(super) otp_validity_s: Option<Spanned<u64>>,
    pub(super) transactional_validity_s: Option<Spanned<u64>>,
    pub(super) promotional_validity_s: Option<Spanned<u64>>,
    pub(super) segments_max: Option<Spanned<u8>>,
    pub(super) grace_s: Option<Spanned<u64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Scheduler {
    pub(super) ready_max: Option<Spanned<usize>>,
    pub(super) returns_max: Option<Spanned<usize>>,
    pub(super) promotional_floor: Option<Spanned<u32>>,
    pub(super) connects_per_s: Option<Spanned<u32>>,
    pub(super) otp_reserve_percent: Option<Spanned<u8>>,
    pub(super) attempts_max: Option<Spanned<u8>>,
    pub(super) otp_resend_after_s: Option<Spanned<u64>>,
    pub(super) transactional_resend_after_s: Option<Spanned<u64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Failover {
    pub(super) otp_after_s: Option<Spanned<Patience>>,
    pub(super) transactional_after_s: Option<Spanned<Patience>>,
    pub(super) promotional_after_s: Option<Spanned<Patience>>,
    pub(super) bind_grace_ms: Option<Spanned<u64>>,
    pub(super) start_grace_s: Option<Spanned<u64>>,
    pub(super) window_s: Option<Spanned<u64>>,
    pub(super) samples_min: Option<Spanned<u32>>,
    pub(super) bad_percent: Option<Spanned<u32>>,
    pub(super) bad_run: Option<Spanned<u32>>,
    pub(super) slow_floor_ms: Option<Spanned<u64>>,
    pub(super) slow_factor: Option<Spanned<u32>>,
    pub(super) slow_for_s: Option<Spanned<u64>>,
    pub(super) stall_ms: Option<Spanned<u64>>,
    pub(super) delivery_window_s: Option<Spanned<u64>>,
    pub(super) delivery_floor_percent: Option<Spanned<u32>>,
    pub(super) cool_down_ms: Option<Spanned<u64>>,
    pub(super) cool_down_max_s: Option<Spanned<u64>>,
    pub(super) quiet_s: Option<Spanned<u64>>,
    pub(super) probes: Option<Spanned<u32>>,
    pub(super) probe_percent: Option<Spanned<u32>>,
    pub(super) probe_timeout_ms: Option<Spanned<u64>>,
}

/// A number of seconds, or a word.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Patience {
    Seconds(u64),
    Word(String),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Receipts {
    pub(super) parked_max: Option<Spanned<u32>>,
    pub(super) parked_ttl_s: Option<Spanned<u64>>,
    pub(super) quarantine_max: Option<Spanned<u32>>,
    pub(super) quarantine_ttl_s: Option<Spanned<u64>>,
    pub(super) unmatched_alarm_percent: Option<Spanned<u32>>,
    pub(super) unanswered_max: Option<Spanned<usize>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Retention {
    pub(super) messages_days: Option<Spanned<Days>>,
    pub(super) bodies_days: Option<Spanned<Days>>,
    pub(super) clock_leap_days_max: Option<Spanned<Days>>,
}

/// A number of days, or a word.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Days {
    Number(i64),
    Word(String),
    /// Neither, to be refused with what may be given.
    Other(IgnoredAny),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Webhooks {
    #[serde(default)]
    pub(super) allow_loopback: bool,
    pub(super) timeout_ms: Option<Spanned<u64>>,
    pub(super) concurrency: Option<Spanned<usize>>,
    pub(super) per_host: Option<Spanned<usize>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Routing {
    pub(super) numbering: Option<Spanned<PathBuf>>,
    pub(super) ported: Option<Spanned<PathBuf>>,
    pub(super) plan: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(super) unknown_network: Vec<UnknownNetwork>,
    #[serde(default)]
    pub(super) rule: Vec<Spanned<Rule>>,
}

/// The file that `routing.plan` names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanFile {
    #[serde(default)]
    pub(super) rule: Vec<Spanned<Rule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) name: Spanned<String>,
    pub(super) country: Option<Spanned<String>>,
    pub(super) network: Option<Spanned<String>>,
    pub(super) class: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) sender: Option<Spanned<String>>,
    pub(super) org: Option<Spanned<String>>,
    pub(super) strategy: Option<Spanned<String>>,
    pub(super) targets: Spanned<Vec<Spanned<Target>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    pub(super) carrier: Spanned<String>,
    pub(super) weight: Option<Spanned<u32>>,
    pub(super) cost_micros: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnknownNetwork {
    pub(super) country: Spanned<String>,
    pub(super) carrier: Spanned<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    pub(super) level: Option<Spanned<String>>,
    pub(super) format: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Shutdown {
    pub(super) drain_s: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Carrier {
    pub(super) id: Spanned<String>,
    pub(super) network: Spanned<String>,
    pub(super) max_tps: Spanned<u32>,
    pub(super) burst: Option<Spanned<u32>>,
    pub(super) window: Option<Spanned<usize>>,
    pub(super) binds_max: Option<Spanned<u32>>,
    pub(super) profile: Option<Spanned<String>>,
    pub(super) receipts: Option<bool>,
    pub(super) validity_period: Option<bool>,
    pub(super) response_ids: Option<Spanned<String>>,
    pub(super) receipt_ids: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) bind: Vec<Spanned<Bind>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bind {
    pub(super) host: Spanned<String>,
    pub(super) port: u16,
    #[serde(default)]
    pub(super) fallback_hosts: Vec<Spanned<String>>,
    pub(super) system_id: Spanned<String>,
    pub(super) password: Option<Spanned<SecretString>>,
    pub(super) password_file: Option<Spanned<PathBuf>>,
    pub(super) system_type: Option<Spanned<String>>,
    pub(super) mode: Spanned<Mode>,
    pub(super) count: Option<Spanned<u32>>,
    pub(super) window: Option<Spanned<usize>>,
    pub(super) max_tps: Option<Spanned<u32>>,
    pub(super) burst: Option<Spanned<u32>>,
    pub(super) classes: Option<Spanned<Vec<String>>>,
    pub(super) warm_up_s: Option<Spanned<u64>>,
    pub(super) response_timeout_ms: Option<Spanned<u64>>,
    pub(super) enquire_link_s: Option<Spanned<u64>>,
    pub(super) connect_timeout_ms: Option<Spanned<u64>>,
    #[serde(default)]
    pub(super) tls: bool,
    pub(super) tls_ca_file: Option<Spanned<PathBuf>>,
    pub(super) tls_cert_file: Option<Spanned<PathBuf>>,
    pub(super) tls_key_file: Option<Spanned<PathBuf>>,
    pub(super) tls_server_name: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    Transmitter,
    Receiver,
    Transceiver,
}

/// Reads the file's shape; a wrong type or an unknown key has its place.
pub(super) fn read(source: &Source<'_>) -> Result<File, ConfigError> {
    toml::from_str(source.text).map_err(|error| source.error(error.span(), error.message()))
}

/// What `ctl` needs of the file.
pub(super) fn read_reach(source: &Source<'_>) -> Result<Reach, ConfigError> {
    toml::from_str(source.text).map_err(|error| source.error(error.span(), error.message()))
}

/// The sections that `ctl` needs, of a file that is no TOML as a whole; `None` = it is.
pub(super) fn salvage(source: &Source<'_>) -> Option<String> {
    let (table, errors) = DeTable::parse_recoverable(source.text);
    if errors.is_empty() {
        return None;
    }
    let needed = Sections::deserialize(toml::Deserializer::from(table)).ok()?;
    toml::to_string(&needed).ok()
}

/// Whether a variable of the environment sets something that `ctl` needs.
pub(super) fn is_reach(variable: &str) -> bool {
    let key = variable.strip_prefix(PREFIX).unwrap_or_default();
    let key = key.to_ascii_lowercase();
    key.starts_with("admin__") || key == "store__url"
}

/// The file with the environment's values put over it. Without any the text is left as it is,
/// so that places stay true.
pub(super) fn overlay(
    source: &Source<'_>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<String, ConfigError> {
    let mut table: Option<toml::Table> = None;
    for (name, value) in environment {
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let table =
            match &mut table {
                Some(table) => table,
                none => none.insert(source.text.parse().map_err(|error: toml::de::Error| {
                    source.error(error.span(), error.message())
                })?),
            };
        set(table, &path.to_ascii_lowercase(), &value)
            .map_err(|message| source.error(None, format!("environment {name}: {message}")))?;
    }
    match table {
        None => Ok(source.text.to_owned()),
        Some(table) => {
            toml::to_string(&table).map_err(|error| source.error(None, error.to_string()))
        }
    }
}

fn set(table: &mut toml::Table, path: &str, value: &str) -> Result<(), &'static str> {
    let mut keys: Vec<&str> = path.split("__").collect();
    let last = keys
        .pop()
        .filter(|key| !key.is_empty())
        .ok_or("names no key")?;
    let mut table = table;
    for key in keys {
        table = table
            .entry(key)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            .as_table_mut()
            .ok_or("lists such as [[carrier]] cannot be overlaid; use password_file for secrets")?;
    }
    // A value that reads as a number or truth value is one; everything else is text.
    let value = match value.parse::<i64>() {
        Ok(number) => toml::Value::Integer(number),
        Err(_) => value
            .parse::<bool>()
            .map_or_else(|_| value.into(), toml::Value::Boolean),
    };
    table.insert(last.to_owned(), value);
    Ok(())
}
