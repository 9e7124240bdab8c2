//! Lives here: what the configured URL of a database says, and what is refused in it. Whatever is
//! said of it never shows it: it may hold a password.
//! Never here: connecting.

use std::fs;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use crate::store::StoreError;

/// What a URL may say. sqlx would ignore the rest with a line in the log that tells its value, be
/// it a password whose key was misspelt.
const PARAMETERS: [&str; 20] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "statement-cache-capacity",
    "options",
    "options[search_path]",
    "options[role]",
];

/// Those that name files.
const FILES: [&str; 7] = [
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
];

/// What a URL names.
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    /// What this URL names.
    pub(super) fn of(url: &str) -> Result<Self, StoreError> {
        let why = if let Some(path) = url.strip_prefix("sqlite:") {
            // A path begins with two slashes at most, and no scheme.
            if !path.contains("://") {
                return Ok(Self::Sqlite);
            }
            "after sqlite: comes a file's path; the URL of a server begins with postgres://"
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres);
        } else {
            "it begins neither with sqlite: nor with postgres://"
        };
        Err(StoreError::Url { why: why.into() })
    }
}

/// A server's URL, taken apart.
pub(super) struct Named {
    pub(super) options: PgConnectOptions,
    /// How it may be shown.
    pub(super) shown: String,
    /// Whether it holds a password.
    pub(super) has_password: bool,
}

/// Takes a server's URL apart.
pub(super) fn parse(url: &str) -> Result<Named, StoreError> {
    let refuse = |why: String| Err(StoreError::Url { why });
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let (_, rest) = path.split_once("://").unwrap_or(("", path));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    // Both would end the password, and what follows would be taken for something that is shown.
    if path.contains('@') || url.contains('#') {
        return refuse(
            "the name of its database holds an @, or it has a #; in a password, / is written %2F, \
             @ %40 and # %23"
                .into(),
        );
    }
    let pairs = || {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    };
    if pairs().any(|(key, _)| !PARAMETERS.contains(&key)) {
        return refuse(format!(
            "it has a parameter that is none of {}; in a password, ? is written %3F",
            PARAMETERS.join(", ")
        ));
    }
    // What sqlx says of a URL that it cannot read names the part, not its text.
    let options = PgConnectOptions::from_str(url).map_err(|error| StoreError::Url {
        why: format!("{error}; it looks like postgres://USER:PASSWORD@HOST:PORT/DATABASE"),
    })?;
    let options = tidied(options);
    let host = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None if options.get_host().contains(':') => format!("[{}]", options.get_host()),
        None => options.get_host().to_owned(),
    };
    let shown = format!(
        "postgres://{}@{host}:{}/{}",
        options.get_username(),
        options.get_port(),
        options.get_database().unwrap_or_default()
    );
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    Ok(Named {
        options,
        shown,
        has_password: user.contains(':') || pairs().any(|(key, _)| key == "password"),
    })
}

/// Whether the files that the URL names can be read; of those written with %XX opening tells.
pub(super) fn check_files(url: &str) -> Result<(), StoreError> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let files = pairs.filter(|(key, path)| FILES.contains(key) && !path.contains(['%', '+']));
    for (key, path) in files {
        fs::read(path).map_err(|error| StoreError::Url {
            why: format!("{key} names {path}, which cannot be read: {error}"),
        })?;
    }
    Ok(())
}

/// A literal IPv6 address without the brackets that a URL has around it, since the resolver knows
/// none; a database's name without the slash at its end.
fn tidied(options: PgConnectOptions) -> PgConnectOptions {
    let host = options.get_host();
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let options = match bare.map(str::to_owned) {
        Some(bare) if options.get_socket().is_none() => options.host(&bare),
        Some(_) | None => options,
    };
    let name = options
        .get_database()
        .and_then(|name| name.strip_suffix('/'));
    match name.map(str::to_owned) {
        Some(name) => options.database(&name),
        None => options,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ipv6_goes_to_the_resolver_without_brackets_and_is_shown_with_them() {
        let named = parse("postgres://mnara@[::1]:25877/m2/").unwrap();
        assert_eq!(named.options.get_host(), "::1");
        assert_eq!(named.options.get_database(), Some("m2"));
        assert_eq!(named.shown, "postgres://mnara@[::1]:25877/m2");
    }

    #[test]
    fn a_password_is_found_wherever_it_is() {
        for (url, has) in [
            ("postgres://u@h/d", false),
            ("postgres://u@[::1]:1/d?sslmode=disable", false),
            ("postgres://u:p@h/d", true),
            ("postgres://u@h/d?sslmode=disable&password=p", true),
        ] {
            assert_eq!(parse(url).unwrap().has_password, has, "{url}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = check_files("postgres://u@h/d?sslrootcert=/nowhere/ca.pem").unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("sslrootcert names /nowhere/ca.pem, which cannot be read: No such"),
            "{error}"
        );
    }
}
