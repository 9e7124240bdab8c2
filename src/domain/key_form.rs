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
    let read: Option<Vec<Scope>> = typed.iter().map(|name| Scope::parse(name.trim())).collect();
    read.filter(|read| !read.is_empty())
        .map(Scopes::of)
        .ok_or_else(|| {
            let known = Scope::ALL.map(Scope::name).join(", ");
            wrong(
                "scopes",
                format!("scopes must name at least one of {known}"),
            )
        })
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
    for text in typed {
        let sender = Sender::parse(text).map_err(|error| wrong("senders", error.to_string()))?;
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
    let read: Option<Vec<IpNet>> = typed.iter().map(|text| network(text)).collect();
    read.filter(|read| read.len() <= LISTED_MAX).ok_or_else(|| {
        let message =
            format!("ips must be at most {LISTED_MAX} addresses or networks, such as 192.0.2.0/24");
        wrong("ips", message)
    })
}

const fn wrong(field: &'static str, message: String) -> FormError {
    FormError { field, message }
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
    }
}
