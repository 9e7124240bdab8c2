//! Lives here: tests of `[api.limits]`.
//! Never here: the limits themselves (`api::limits`).

use super::{BASE, SHIPPED, check};
use crate::api::Rates;
use crate::domain::allowance::Quota;

fn with_limits(keys: &str) -> Result<Rates, String> {
    let text = BASE.replacen(
        "[[carrier]]",
        &format!("[api.limits]\n{keys}\n[[carrier]]"),
        1,
    );
    check(&text).map(|config| config.api.limits)
}

#[test]
fn limits_are_numbers_or_none_and_their_defaults_are_those_documented() {
    let rates = with_limits("live = \"unlimited\"\ntest = 7").unwrap();
    assert_eq!(rates.live, Quota::Unlimited);
    assert_eq!(Some(rates.test), Quota::per_minute(7));
    assert_eq!(rates.credits, Rates::default().credits);
    let section = SHIPPED.split("[api.limits]").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let keys = section.lines().filter_map(|line| line.strip_prefix("# "));
    let keys: Vec<&str> = keys.filter(|line| line.contains(" = ")).collect();
    assert_eq!(keys.len(), 4, "{keys:?}");
    assert_eq!(with_limits(&keys.join("\n")).unwrap(), Rates::default());
}

#[test]
fn limits_that_are_none_are_refused_with_the_remedy() {
    for wrong in ["live = 0", "test = \"none\""] {
        let refused = with_limits(wrong).unwrap_err();
        let remedy = "give 1 or more requests in a minute, or \"unlimited\"";
        assert!(refused.contains(remedy), "{refused}");
    }
    assert!(with_limits("lives = 1").unwrap_err().contains("lives"));
}
