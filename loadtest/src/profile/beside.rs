//! Lives here: two results of one profile beside each other, and what the second reached of the first. Pure.
//! Never here: running them.

use serde_json::{Map, Value};

use super::sheet::Sheet;

/// The rates that are judged, with the names of their ratios.
const JUDGED: [(&str, &str); 2] = [
    ("accepted_per_s", "accepted_ratio"),
    ("delivered_per_s", "delivered_ratio"),
];

/// A result and what tells it from the other: the store, or what was in it.
pub(super) type Named = (&'static str, Sheet);

/// Both results whole, the ratio of every rate, and the judged ones against `least`. Not ok when one of them is not.
pub(super) fn beside(
    profile: &'static str,
    first: Named,
    second: Named,
    least: f64,
) -> Result<Sheet, serde_json::Error> {
    let mut sheet = Sheet::new(profile);
    sheet.ok = first.1.ok && second.1.ok;
    let mut ratios = Map::new();
    for (name, value) in &second.1.figures {
        let of_first = first.1.figures.get(name).and_then(Value::as_f64);
        if let (Some(of_first), Some(of_second)) = (of_first, value.as_f64())
            && name.ends_with("_per_s")
        {
            let ratio = of_second / of_first;
            let judged = JUDGED.iter().find(|(rate, _)| rate == name);
            if let Some((_, judged)) = judged {
                sheet.at_least(judged, ratio, least);
            }
            ratios.insert(name.clone(), ((ratio * 1e3).round() / 1e3).into());
        }
    }
    sheet.note("ratio", Value::Object(ratios));
    for (name, one) in [first, second] {
        sheet.note(name, serde_json::to_value(one)?);
    }
    Ok(sheet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(accepted: f64, delivered: Option<f64>) -> Sheet {
        let mut sheet = Sheet::new("test");
        sheet.figure("accepted_per_s", accepted);
        sheet.note("delivered_per_s", delivered.into());
        sheet.figure("p99_ms", 3.0);
        sheet
    }

    #[test]
    fn every_rate_has_its_ratio_and_the_judged_ones_a_verdict() {
        let pair = |accepted, delivered| {
            let first = ("sqlite", sheet(1000.0, Some(500.0)));
            let second = ("postgres", sheet(accepted, delivered));
            beside("test", first, second, 0.7).unwrap()
        };
        let good = pair(700.0, Some(400.0));
        assert!(good.ok, "{good:?}");
        let json = serde_json::to_value(&good).unwrap();
        assert_eq!(
            json["ratio"],
            serde_json::json!({"accepted_per_s": 0.7, "delivered_per_s": 0.8})
        );
        assert_eq!(json["postgres"]["accepted_per_s"], 700.0);
        assert!(!pair(699.0, Some(400.0)).ok);
        assert!(!pair(700.0, Some(300.0)).ok);
        // A profile without receipts has nothing to judge there.
        assert_eq!(pair(700.0, None).checks.len(), 1);
    }

    #[test]
    fn what_is_not_ok_alone_is_not_ok_beside_another() {
        let mut bad = sheet(1000.0, None);
        bad.at_most("lost", 1.0, 0.0);
        let both = beside("test", ("a", bad), ("b", sheet(1000.0, None)), 0.5).unwrap();
        assert!(!both.ok);
    }
}
