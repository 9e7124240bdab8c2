//! Lives here: tests of the rules of routing and of the plan that brings them.
//! Never here: tests of the rest.

use super::*;

/// [`BASE`] with a second account and these rules.
fn with_rules(rules: &str) -> Result<Config, String> {
    let second = BASE[BASE.find("[[carrier]]").unwrap()..].replacen("vodacom_tz", "second", 1);
    check(&format!("{BASE}{second}{rules}"))
}

#[test]
fn the_shipped_plan_is_a_good_one_over_the_shipped_accounts() {
    let text = SHIPPED.replace("# plan = ", "plan = ");
    assert_ne!(text, SHIPPED);
    let config = parse(&text, Path::new("config/mnara.toml"), []).unwrap();
    let names: Vec<&str> = config
        .routes
        .rules()
        .iter()
        .map(|rule| &*rule.name)
        .collect();
    assert_eq!(
        names,
        ["tz-otp", "tz-campaigns", "ng-bank-alerts", "ng-glo-shared"]
    );
}

#[test]
fn rules_stand_in_the_configuration_before_those_of_the_plan() {
    let folder = tempfile::tempdir().unwrap();
    let rule = |name: &str, class: &str| {
        format!(
            "rule]]\nname = \"{name}\"\nclass = [\"{class}\"]\ntargets = [{{ carrier = \"vodacom_tz\" }}]\n"
        )
    };
    std::fs::write(
        folder.path().join("routes.toml"),
        format!("[[{}", rule("second", "otp")),
    )
    .unwrap();
    let text = format!(
        "{BASE}[routing]\nplan = \"./routes.toml\"\n[[routing.{}",
        rule("first", "promotional")
    );
    let config = parse(&text, &folder.path().join("mnara.toml"), []).unwrap();
    let names: Vec<&str> = config
        .routes
        .rules()
        .iter()
        .map(|rule| &*rule.name)
        .collect();
    assert_eq!(names, ["first", "second"]);
    // An error in the plan is placed there.
    let plan = folder.path().join("routes.toml");
    std::fs::write(&plan, format!("[[{}", rule("second", "sms"))).unwrap();
    let error = parse(&text, &folder.path().join("mnara.toml"), [])
        .unwrap_err()
        .to_string();
    let expected = format!(
        "{}:3:10: a class is otp, transactional or promotional",
        plan.display()
    );
    assert_eq!(error, expected);
}

#[test]
fn wrong_rules_are_refused_with_their_place_and_a_remedy() {
    let one = "[[routing.rule]]\nname = \"one\"\n";
    let to = "targets = [{ carrier = \"vodacom_tz\" }]\n";
    let table = [
        (
            format!("{one}targets = []\n"),
            "33:11: a rule has 1 to 16 targets, not 0",
        ),
        (
            format!("{one}targets = [{{ carrier = \"x\" }}]\n"),
            "33:24: no [[carrier]] has id \"x\"",
        ),
        (
            format!("{one}targets = [{{ carrier = \"second\" }}, {{ carrier = \"second\" }}]\n"),
            "33:48: carrier \"second\" stands twice in the rule",
        ),
        (
            format!("{one}country = \"KE\"\n{to}"),
            "33:11: country \"KE\" is not in the numbering plan",
        ),
        (
            format!("{one}network = \"x\"\n{to}"),
            "33:11: network \"x\" is not in the numbering plan",
        ),
        (
            format!("{one}country = \"NG\"\nnetwork = \"yas_tz\"\n{to}"),
            "34:11: network \"yas_tz\" is of TZ; leave out the rule's country",
        ),
        (
            format!("{one}class = []\n{to}"),
            "33:9: class lists no class",
        ),
        (
            format!("{one}class = [\"sms\"]\n{to}"),
            "33:10: a class is otp",
        ),
        (
            format!("{one}sender = \"A*B\"\n{to}"),
            "33:10: sender is a sender",
        ),
        (
            format!("{one}org = \"acme\"\n{to}"),
            "33:7: org is an organisation's id",
        ),
        (
            format!("{one}strategy = \"best\"\n{to}"),
            "33:12: strategy is one of priority, weighted, least_cost, predictive",
        ),
        (
            format!("{one}strategy = \"least_cost\"\n{to}"),
            "34:12: strategy \"least_cost\" needs the cost_micros of each target",
        ),
        (
            format!("{one}targets = [{{ carrier = \"second\", weight = 2 }}]\n"),
            "33:43: weight means nothing under strategy \"priority\"",
        ),
        (
            format!(
                "{one}strategy = \"weighted\"\ntargets = [{{ carrier = \"second\", weight = 0 }}]\n"
            ),
            "34:11: all weights are 0",
        ),
        (
            format!("{one}{to}{one}{to}"),
            "35:8: rule \"one\" stands twice",
        ),
        (
            format!(
                "{one}country = \"TZ\"\n{to}{}network = \"tigo_tz\"\n{to}",
                one.replace("one", "two")
            ),
            "36:8: rule \"two\" is never reached: \"one\" before it matches all that it does",
        ),
        (
            format!("{one}weigth = 3\n{to}"),
            "33:1: unknown field `weigth`",
        ),
    ];
    for (rules, expected) in table {
        let error = with_rules(&rules).unwrap_err();
        let expected = format!("mnara.toml:{expected}");
        assert!(error.starts_with(&expected), "{error}\n  wanted {expected}");
    }
}
