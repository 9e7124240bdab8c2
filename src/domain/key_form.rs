//! Lives here: what people type of a key, read: its name, scopes, senders, networks.
//! Never here: who may give which (`account`); the form of the key itself (`api_key`).

use ipnet::IpNet;

use super::account::{LISTED_MAX, network};
use super::phone::Sender;
use super::scope::{Scope, Scopes};

const NAME_MAX: usize = 64;

/// What is wrong with a field, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FormError {
    /// The field.
    pub field: &'static str,
    /// Which of its items, from 0, if it is one of them.
    pub item: Option<usize>,
    /// A sentence.
    pub message: String,
}

/// A name for people, of a key or a person.
///
/// # Errors
/// Over 64 characters, or with one that cannot be printed.
pub fn name(typed: &str) -> Result<Box<str>, FormError> {
    let name = typed.trim();
    if name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        let message = format!("name must have at most {NAME_MAX} printable characters");
        return Err(wrong("name", message));
    }
    Ok(name.into())
}

/// Scopes by their names.
///
/// # Errors
/// None, or one that is not known.
pub fn scopes(typed: &[String]) -> Result<Scopes, FormError> {
    let known = || Scope::ALL.map(Scope::name).join(", ");
    if typed.is_empty() {
        let message = format!("scopes must name at least one of {}", known());
        return Err(wrong("scopes", message));
    }
    let read = typed.iter().enumerate().map(|(at, name)| {
        Scope::parse(name.trim()).ok_or_else(|| {
            let (shown, known) = (said(name), known());
            let message = format!("scopes.{at}: `{shown}` is no scope; there are {known}");
            item("scopes", at, message)
        })
    });
    Ok(Scopes::of(read.collect::<Result<Vec<_>, _>>()?))
}

/// Senders, each once.
///
/// # Errors
/// More than [`LISTED_MAX`], or one that is not well formed.
pub fn senders(typed: &[String]) -> Result<Vec<Box<str>>, FormError> {
    if typed.len() > LISTED_MAX {
        let message = format!("senders must be at most {LISTED_MAX}");
        return Err(wrong("senders", message));
    }
    let mut senders: Vec<Box<str>> = Vec::with_capacity(typed.len());
    for (at, text) in typed.iter().enumerate() {
        let sender = Sender::parse(text).map_err(|error| {
            let message = format!("senders.{at}: `{}`: {error}", said(text));
            item("senders", at, message)
        })?;
        let sender = sender.as_str();
        if !senders
            .iter()
            .any(|known| known.eq_ignore_ascii_case(sender))
        {
            senders.push(sender.into());
        }
    }
    Ok(senders)
}

/// Networks, or single addresses.
///
/// # Errors
/// More than [`LISTED_MAX`], or one that is none.
pub fn networks(typed: &[String]) -> Result<Vec<IpNet>, FormError> {
    if typed.len() > LISTED_MAX {
        let message = format!("ips must be at most {LISTED_MAX} addresses or networks");
        return Err(wrong("ips", message));
    }
    let read = typed.iter().enumerate().map(|(at, text)| {
        network(text).ok_or_else(|| {
            let shown = said(text);
            let message = format!(
                "ips.{at}: `{shown}` is no address or network; give one such as 192.0.2.1 or \
                 192.0.2.0/24"
            );
            item("ips", at, message)
        })
    });
    read.collect()
}

/// What was typed, as it is said again: it may be of any length.
fn said(typed: &str) -> String {
    let shown = typed.chars().take(NAME_MAX);
    shown.flat_map(char::escape_debug).collect()
}

const fn wrong(field: &'static str, message: String) -> FormError {
    FormError {
        field,
        item: None,
        message,
    }
}

const fn item(field: &'static str, item: usize, message: String) -> FormError {
    FormError {
        field,
        item: Some(item),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(typed: &[&str]) -> Vec<String> {
        typed.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn what_is_well_typed_is_read() {
        assert_eq!(&*name("  Till 3 ").unwrap(), "Till 3");
        let read = scopes(&words(&["otp", "sms:send"])).unwrap();
        assert_eq!(read, Scopes::of([Scope::SmsSend, Scope::Otp]));
        let read = senders(&words(&["Duka", "DUKA", "15001"])).unwrap();
        assert_eq!(read, ["Duka".into(), "15001".into()]);
        let read = networks(&words(&["10.1.1.1/8", "::1"])).unwrap();
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn what_is_not_is_told_by_its_field() {
        let many = vec!["192.0.2.1".to_owned(); LISTED_MAX + 1];
        assert_eq!(name(&"x".repeat(65)).unwrap_err().field, "name");
        assert_eq!(name("a\nb").unwrap_err().field, "name");
        for typed in [&[][..], &["sms"], &["otp", "root"]] {
            assert_eq!(scopes(&words(typed)).unwrap_err().field, "scopes");
        }
        assert_eq!(
            senders(&words(&["a sender too long"])).unwrap_err().field,
            "senders"
        );
        assert_eq!(senders(&many).unwrap_err().field, "senders");
        assert_eq!(networks(&words(&["10.0.0.0/33"])).unwrap_err().field, "ips");
        assert_eq!(networks(&many).unwrap_err().field, "ips");
        let error = networks(&words(&["192.0.2.1", "a\0b"])).unwrap_err();
        assert_eq!(error.item, Some(1));
        assert!(
            error.message.starts_with(r"ips.1: `a\0b` is no address"),
            "{error}"
        );
        let error = scopes(&words(&["otp", "root"])).unwrap_err();
        assert!(
            error.message.starts_with("scopes.1: `root` is no scope"),
            "{error}"
        );
        let error = senders(&words(&["a sender too long"])).unwrap_err();
        assert!(
            error
                .message
                .starts_with("senders.0: `a sender too long`: "),
            "{error}"
        );
    }
}
