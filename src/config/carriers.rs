//! Lives here: what `[[carrier]]` and its binds must be, and what they become.
//! Never here: the rest of the file (`check`), the file's shape (`file`).

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mnara_smpp::pdu::LONG_CREDENTIAL_MAX;
use mnara_smpp::transport::{Roots, TlsClient};
use secrecy::ExposeSecret;
use toml::Spanned;

use super::check::{Checked, beside, millis, or, seconds, secret_file};
use super::place::Source;
use super::{file, profile};
use crate::carrier::profile::Profile;
use crate::carrier::{AccountConfig, BindConfig, Mode, WINDOW_MAX};
use crate::domain::class::{Class, ClassSet};
use crate::domain::ids::{CarrierId, NetworkId};
use crate::domain::numbering::Plan;
use crate::domain::sandbox;

/// Every account, in order.
pub(super) fn accounts(
    typed: &[Spanned<file::Carrier>],
    plan: &Plan,
    source: &Source<'_>,
) -> Checked<Vec<AccountConfig>> {
    let mut accounts = Vec::new();
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
        if id == sandbox::ACCOUNT {
            return Err(source.error(
                Some(carrier.id.span()),
                "carrier.id \"sandbox\" is where test keys' messages go; give the account another",
            ));
        }
        if !ids.insert(id.clone()) {
            return Err(source.error(
                Some(carrier.id.span()),
                format!("carrier.id \"{id}\" stands twice"),
            ));
        }
        let network = plan.network(carrier.network.get_ref()).ok_or_else(|| {
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
        let network = plan.networks()[network].id.clone();
        accounts.push(account(carrier, network, source)?);
    }
    Ok(accounts)
}

fn account(
    typed: &file::Carrier,
    network: NetworkId,
    source: &Source<'_>,
) -> Checked<AccountConfig> {
    let profile = Arc::new(profile_of(typed, &network, source)?);
    let max_tps = or(1, Some(&typed.max_tps), 1..=1_000_000, source)?;
    Ok(AccountConfig {
        id: CarrierId(typed.id.get_ref().as_str().into()),
        network,
        max_tps,
        burst: burst(typed.burst.as_ref(), max_tps, source)?,
        window: typed
            .window
            .as_ref()
            .map(|window| or(1, Some(window), 1..=1_000_000, source))
            .transpose()?,
        binds_max: typed
            .binds_max
            .as_ref()
            .map(|most| or(1, Some(most), 1..=1_000, source))
            .transpose()?,
        profile,
        binds: typed
            .bind
            .iter()
            .map(|one| bind(one, source))
            .collect::<Checked<_>>()?,
    })
}

/// The carrier's profile with the account's own keys over it.
fn profile_of(typed: &file::Carrier, network: &NetworkId, source: &Source<'_>) -> Checked<Profile> {
    let mut profile = profile::resolve(typed.profile.as_ref(), network, source)?;
    let ids = &mut profile.ids;
    if let Some(rule) = profile::rule(typed.response_ids.as_ref(), source)? {
        ids.response = rule;
    }
    if let Some(rule) = profile::rule(typed.receipt_ids.as_ref(), source)? {
        ids.receipt = rule;
    }
    if let Some(request) = typed.receipts {
        profile.receipts.request = request;
    }
    if let Some(told) = typed.validity_period {
        profile.submit.validity_period = told;
    }
    Ok(profile)
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
    let window = or(10, typed.window.as_ref(), 1..=WINDOW_MAX, source)?;
    let max_tps = typed
        .max_tps
        .as_ref()
        .map(|tps| or(1, Some(tps), 1..=1_000_000, source))
        .transpose()?;
    let burst = match (max_tps, &typed.burst) {
        (None, Some(burst)) => {
            let message =
                "burst of a bind goes with its max_tps; give both, or burst of the carrier";
            return Err(source.error(Some(burst.span()), message));
        }
        (None, None) => None,
        (Some(max_tps), typed) => burst(typed.as_ref(), max_tps, source)?,
    };
    Ok(BindConfig {
        hosts: hosts(typed, source)?,
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
        max_tps,
        burst,
        classes: classes(typed.classes.as_ref(), source)?,
        warm_up: seconds(typed.warm_up_s.as_ref(), 0..=3_600, source)?.unwrap_or_default(),
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

/// The host and those that stand in for it.
fn hosts(typed: &file::Bind, source: &Source<'_>) -> Checked<Vec<(String, u16)>> {
    if typed.host.get_ref().is_empty() || typed.port == 0 {
        return Err(source.error(
            Some(typed.host.span()),
            "give host and a port from 1 to 65535",
        ));
    }
    let mut hosts = vec![(typed.host.get_ref().clone(), typed.port)];
    for fallback in &typed.fallback_hosts {
        let text = fallback.get_ref();
        let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
        match port.parse() {
            Ok(port) if port > 0 && !host.is_empty() => hosts.push((host.to_owned(), port)),
            _ => {
                let message = format!("\"{text}\" is not host:port, as \"smpp2.example:2775\"");
                return Err(source.error(Some(fallback.span()), message));
            }
        }
    }
    Ok(hosts)
}

/// Segments that may leave at once, of so many a second.
fn burst(typed: Option<&Spanned<u32>>, max_tps: u32, source: &Source<'_>) -> Checked<Option<u32>> {
    match typed {
        None => Ok(None),
        Some(burst) if (1..=max_tps).contains(burst.get_ref()) => Ok(Some(*burst.get_ref())),
        Some(burst) => Err(source.error(
            Some(burst.span()),
            format!("burst is part of max_tps; give 1 to {max_tps}"),
        )),
    }
}

fn classes(typed: Option<&Spanned<Vec<String>>>, source: &Source<'_>) -> Checked<ClassSet> {
    let Some(typed) = typed else {
        return Ok(ClassSet::ALL);
    };
    let classes: Option<Vec<Class>> = typed
        .get_ref()
        .iter()
        .map(|name| Class::parse(name))
        .collect();
    classes
        .map(ClassSet::of)
        .filter(|classes| !classes.is_empty())
        .ok_or_else(|| {
            let message =
                "classes is a list of otp, transactional and promotional, or left out for all";
            source.error(Some(typed.span()), message)
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
