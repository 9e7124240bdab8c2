//! Lives here: the file that holds a database server's password.
//! Never here: when it is read (`sql`).

use std::fs;
use std::path::PathBuf;

use secrecy::SecretString;

use super::StoreError;

/// A file whose first line is the password of a database server's role. It is read whenever the
/// password is needed, so that a password may be changed while the daemon runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordFile(PathBuf);

impl PasswordFile {
    /// The file at this path.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Reads the password.
    ///
    /// # Errors
    /// [`StoreError::Password`]: the file cannot be read, or its first line is empty.
    pub fn read(&self) -> Result<SecretString, StoreError> {
        let failed = |why| StoreError::Password {
            path: self.0.display().to_string(),
            why,
        };
        let text = fs::read_to_string(&self.0).map_err(|error| failed(error.to_string()))?;
        match text.lines().next() {
            Some(line) if !line.is_empty() => Ok(line.to_owned().into()),
            Some(_) | None => Err(failed(
                "its first line is empty; it should be the password".into(),
            )),
        }
    }
}
