//! Lives here: which keys of the file have which value, as hashes: enough to say which have changed.
//! Never here: the values; some are secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use toml::Value;

/// The section that a reload puts in force; all others need a restart.
const LIVE: &str = "routing";
/// The list whose blocks are told apart by their id.
const CARRIERS: &str = "carrier";

/// Every key outside `[routing]` with a hash of its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(BTreeMap<String, u64>);

impl Keys {
    /// The keys of a file that has been read well.
    pub(super) fn of(text: &str) -> Self {
        let mut keys = Self::default();
        for (key, value) in text.parse::<toml::Table>().unwrap_or_default() {
            if key != LIVE {
                keys.add(key, &value);
            }
        }
        keys
    }

    fn add(&mut self, path: String, value: &Value) {
        match value {
            Value::Table(table) => {
                for (key, value) in table {
                    self.add(format!("{path}.{key}"), value);
                }
            }
            Value::Array(list) if list.iter().any(Value::is_table) => {
                for (value, n) in list.iter().zip(1..) {
                    let id = value.get("id").and_then(Value::as_str);
                    let name = id.map_or_else(|| n.to_string(), str::to_owned);
                    self.add(format!("{path}.{name}"), value);
                }
            }
            value => {
                let mut hash = DefaultHasher::new();
                value.to_string().hash(&mut hash);
                self.0.insert(path, hash.finish());
            }
        }
    }

    /// The keys that differ in a newer file, in words, a line each. A `[[carrier]]` that has come
    /// or gone is one line.
    pub fn changed(&self, newer: &Self) -> Vec<String> {
        let (mine, theirs) = (self.carriers(), newer.carriers());
        let mut lines: Vec<String> = Vec::new();
        let mut whole = |ids: &mut dyn Iterator<Item = &&str>, what: &str| {
            for id in ids {
                lines.push(format!("carrier.{id} {what}: needs a restart"));
            }
        };
        whole(&mut theirs.difference(&mine), "added");
        whole(&mut mine.difference(&theirs), "removed");
        let both: BTreeSet<&String> = self.0.keys().chain(newer.0.keys()).collect();
        for key in both {
            let one_sided =
                carrier(key).is_some_and(|id| !mine.contains(id) || !theirs.contains(id));
            let what = match (self.0.get(key), newer.0.get(key)) {
                (Some(mine), Some(theirs)) if mine == theirs => continue,
                (Some(_), Some(_)) => "changed",
                (None, _) => "added",
                (_, None) => "removed",
            };
            if !one_sided {
                lines.push(format!("{key} {what}: needs a restart"));
            }
        }
        lines
    }

    fn carriers(&self) -> BTreeSet<&str> {
        self.0.keys().filter_map(|key| carrier(key)).collect()
    }
}

/// The account whose key this is. An id may have dots in it: it ends before the last part, or
/// before its `bind`.
fn carrier(key: &str) -> Option<&str> {
    let rest = key.strip_prefix(CARRIERS)?.strip_prefix('.')?;
    let end = rest.find(".bind.").or_else(|| rest.rfind('.'))?;
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"
[api]
listen = "127.0.0.1:8080"
[routing]
plan = "a"
[[carrier]]
id = "one"
max_tps = 5
[[carrier.bind]]
password = "old"
[[carrier]]
id = "two"
max_tps = 5
"#;

    #[test]
    fn what_needs_a_restart_is_named_and_no_value_is_shown() {
        let new = OLD
            .replace("8080", "8081")
            .replace("plan = \"a\"", "plan = \"b\"")
            .replace("\"old\"", "\"new\"")
            .replace("id = \"two\"", "id = \"three\"")
            .replace("[api]", "[log]\nlevel = \"debug\"\n[api]");
        let lines = Keys::of(OLD).changed(&Keys::of(&new));
        assert_eq!(
            lines,
            [
                "carrier.three added: needs a restart",
                "carrier.two removed: needs a restart",
                "api.listen changed: needs a restart",
                "carrier.one.bind.1.password changed: needs a restart",
                "log.level added: needs a restart",
            ]
        );
        assert!(Keys::of(OLD).changed(&Keys::of(OLD)).is_empty());
    }
}
