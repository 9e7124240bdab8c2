//! Lives here: the admin token: configured, or made once and kept beside the database (where the
//! default one would be, if the database is a server's).
//! Never here: who asks for it (`admin`, `ctl`).

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::Context;
use secrecy::SecretString;

use crate::config::Admin;

/// The configured token, or the one beside the database, made now if it is not there.
pub(super) fn of_daemon(admin: &Admin) -> anyhow::Result<SecretString> {
    if let Some(token) = &admin.token {
        return Ok(token.clone());
    }
    if let Some(token) = kept_token(&admin.token_path) {
        return Ok(token);
    }
    let token: String = (0..32)
        .map(|_| format!("{:02x}", rand::random::<u8>()))
        .collect();
    let path = admin.token_path.display();
    if let Some(folder) = admin.token_path.parent() {
        // The database's own is there already; with a server nobody else makes one.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("the admin token cannot be kept in {path}"))?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&admin.token_path)
        .with_context(|| format!("the admin token cannot be kept in {path}"))?;
    writeln!(file, "{token}")
        .with_context(|| format!("the admin token cannot be kept in {path}"))?;
    Ok(token.into())
}

/// The token a daemon has made, if it has.
fn kept_token(path: &Path) -> Option<SecretString> {
    let text = std::fs::read_to_string(path).ok()?;
    let token = text.trim();
    (!token.is_empty()).then(|| token.to_owned().into())
}

/// The token that reaches a daemon with this configuration.
///
/// # Errors
/// When there is none to be read, with the file's whole path and what to do.
pub fn for_ctl(admin: &Admin) -> anyhow::Result<SecretString> {
    if let Some(token) = admin
        .token
        .clone()
        .or_else(|| kept_token(&admin.token_path))
    {
        return Ok(token);
    }
    let path = std::path::absolute(&admin.token_path).unwrap_or_else(|_| admin.token_path.clone());
    let why = match std::fs::read(&path) {
        Ok(_) => "it is empty".to_owned(),
        Err(error) => error.to_string(),
    };
    anyhow::bail!(
        "no admin token in {} ({why}); run ctl as the daemon's user, from its working folder, after \
         it has been started",
        path.display()
    )
}
