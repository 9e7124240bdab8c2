//! Lives here: an answer of ours beside the JSON that seed 003 prints: the same names in the same order,
//! the same types, the same values but for ids and times.
//! Never here: what the seed prints.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

/// An object's members as they stand.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Holds our JSON against the seed's. Ours may have more members; `free` are members whose values
/// differ by settlement (`reference/api.md`).
pub(crate) fn holds(printed: &str, ours: &str, free: &[&str]) {
    compare("", printed, ours, free);
}

fn compare(path: &str, printed: &str, ours: &str, free: &[&str]) {
    let (seed, own): (Value, Value) = (value(printed), value(ours));
    match (&seed, &own) {
        (Value::Object(_), Value::Object(_)) => members(path, printed, ours, free),
        (Value::Array(seed), Value::Array(own)) => {
            assert_eq!(seed, own, "{path}");
        }
        (seed, own) => scalar(path, seed, own, free),
    }
}

fn members(path: &str, printed: &str, ours: &str, free: &[&str]) {
    let (seed, own) = (in_order(printed), in_order(ours));
    let mut last = 0;
    for (name, printed) in &seed {
        let path = format!("{path}/{name}");
        let found = own.iter().position(|(own, _)| own == name);
        let place = found.unwrap_or_else(|| panic!("{path} is not in {ours}"));
        assert!(place >= last, "{path} stands in another place: {ours}");
        last = place;
        compare(&path, printed.get(), own[place].1.get(), free);
    }
}

fn scalar(path: &str, seed: &Value, own: &Value, free: &[&str]) {
    let name = path.rsplit('/').next().unwrap_or_default();
    let same_type = matches!(
        (seed, own),
        (Value::String(_), Value::String(_))
            | (Value::Number(_), Value::Number(_))
            | (Value::Bool(_), Value::Bool(_))
    );
    assert!(same_type, "{path}: {seed} is printed, {own} came");
    if free.contains(&name) {
        return;
    }
    match (seed.as_str(), own.as_str()) {
        (Some(seed), Some(own)) if Uuid::try_parse(seed).is_ok() => {
            assert!(Uuid::try_parse(own).is_ok(), "{path}: {own}");
        }
        (Some(seed), Some(own)) if is_time(seed) => assert!(is_time(own), "{path}: {own}"),
        (Some(seed), Some(own)) if seed.starts_with("evt_") => {
            assert!(own.starts_with("evt_"), "{path}: {own}");
        }
        _ => assert_eq!(seed.as_f64(), own.as_f64(), "{path}: {seed}, {own}"),
    }
    if seed.is_boolean() || (seed.is_string() && !is_id(seed)) {
        assert_eq!(seed, own, "{path}");
    }
}

fn is_id(seed: &Value) -> bool {
    let text = seed.as_str().unwrap_or_default();
    Uuid::try_parse(text).is_ok() || is_time(text) || text.starts_with("evt_")
}

/// RFC 3339 in UTC.
fn is_time(text: &str) -> bool {
    text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok()
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn in_order(json: &str) -> Vec<(String, Box<RawValue>)> {
    serde_json::from_str::<Members>(json).unwrap().0
}
