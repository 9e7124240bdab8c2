//! Lives here: the keys about who calls: trusted proxies, users' tokens.
//! Never here: what is made of them (`api`, `tokens`).

use std::sync::Arc;

use ipnet::IpNet;
use toml::Spanned;

use super::check::{Checked, beside};
use super::file;
use super::place::Source;
use crate::domain::account::network;
use crate::tokens::{Algorithm, Tokens};

/// Proxies at most.
const PROXIES_MAX: usize = 100;

/// The networks of our own proxies.
pub(super) fn proxies(
    typed: Option<&Spanned<Vec<String>>>,
    source: &Source<'_>,
) -> Checked<Vec<IpNet>> {
    let Some(typed) = typed else {
        return Ok(Vec::new());
    };
    let read: Option<Vec<IpNet>> = typed.get_ref().iter().map(|text| network(text)).collect();
    read.filter(|read| read.len() <= PROXIES_MAX)
        .ok_or_else(|| {
            let message = format!(
                "api.trusted_proxies takes at most {PROXIES_MAX} addresses or networks, such as \
             \"10.0.0.0/8\" or \"::1\""
            );
            source.error(Some(typed.span()), message)
        })
}

/// What signs and checks users' tokens, with its key.
pub(super) fn tokens(
    typed: Option<&file::Jwt>,
    source: &Source<'_>,
) -> Checked<Option<Arc<Tokens>>> {
    let Some(typed) = typed else {
        return Ok(None);
    };
    for (name, text) in [("issuer", &typed.issuer), ("audience", &typed.audience)] {
        if text.get_ref().trim().is_empty() {
            let message = format!("api.jwt.{name} is empty; say whose tokens are to be accepted");
            return Err(source.error(Some(text.span()), message));
        }
    }
    let algorithm = Algorithm::parse(typed.algorithm.get_ref()).ok_or_else(|| {
        let message = "api.jwt.algorithm must be EdDSA or HS256";
        source.error(Some(typed.algorithm.span()), message)
    })?;
    let path = typed.key_file.get_ref();
    let wrong = |cause: &dyn std::fmt::Display| {
        let message = format!(
            "the key of [api.jwt] key_file cannot be used: {}: {cause}",
            path.display()
        );
        source.error(Some(typed.key_file.span()), message)
    };
    let key = std::fs::read(beside(path, source)).map_err(|error| wrong(&error))?;
    let ours = (&**typed.issuer.get_ref(), &**typed.audience.get_ref());
    let tokens = Tokens::new(ours, algorithm, &key).map_err(|fault| wrong(&fault))?;
    Ok(Some(Arc::new(tokens)))
}
