//! Lives here: what the shipped configuration means, and what is said of wrong ones.
//! Never here: anything but tests.

use std::path::Path;

use super::*;
use crate::domain::class::{Class, ClassSet};

mod callers;
mod limits;
mod routing;
mod server;

const SHIPPED: &str = include_str!("../../config/mnara.toml");

fn check(text: &str) -> Result<Config, String> {
    parse(text, Path::new("mnara.toml"), []).map_err(|error| error.to_string())
}

const BASE: &str = r#"[api]
listen = "127.0.0.1:8080"
[admin]
listen = "127.0.0.1:9090"
[store]
url = "sqlite:data/mnara.db"
[[carrier]]
id = "vodacom_tz"
network = "vodacom_tz"
max_tps = 500
[[carrier.bind]]
host = "127.0.0.1"
port = 2775
system_id = "mnara"
password = "secret"
mode = "transceiver"
count = 2
window = 100
"#;

#[test]
fn the_shipped_file_is_a_good_one_with_all_eight_networks() {
    let config = check(SHIPPED).unwrap();
    assert_eq!(config.accounts.len(), 8);
}

#[test]
fn the_issue_s_shape_is_read_as_written() {
    let config = check(BASE).unwrap();
    assert_eq!(config.accounts[0].max_tps, 500);
    assert_eq!(
        (
            config.accounts[0].binds[0].count,
            config.accounts[0].binds[0].window
        ),
        (2, 100)
    );
    assert_eq!(config.admin.token_path, Path::new("data/admin.token"));
}

#[test]
fn no_account_has_the_name_of_the_sandbox() {
    let text = BASE.replacen("id = \"vodacom_tz\"", "id = \"sandbox\"", 1);
    let refused = check(&text).unwrap_err();
    assert!(
        refused.contains("where test keys' messages go"),
        "{refused}"
    );
}

#[test]
fn ctl_reaches_the_daemon_whatever_else_is_wrong() {
    let reach = |text: &str, environment: &[(&str, &str)]| {
        let environment = environment.iter();
        let environment = environment.map(|(name, value)| ((*name).into(), (*value).into()));
        parse_admin(
            text,
            Path::new("mnara.toml"),
            environment.collect::<Vec<_>>(),
        )
        .map(|admin| (admin.listen.to_string(), admin.token_path))
        .map_err(|error| error.to_string())
    };
    let right = Ok(("127.0.0.1:9090".to_owned(), "data/admin.token".into()));
    for (from, to) in [
        ("max_tps = 500", "max_tsp = 500"),
        ("max_tps = 500", "max_tps = "),
        ("network = \"vodacom_tz\"", "network = \"vodacom_tz"),
        ("[[carrier.bind]]", "[[carrier.bind"),
        ("[api]", "[apis]"),
        ("[store]", "[store]\nreaders = 0"),
    ] {
        let text = BASE.replacen(from, to, 1);
        assert!(check(&text).is_err(), "{to}");
        assert_eq!(reach(&text, &[]), right, "{to}");
        let other = [("MNARA__ADMIN__LISTEN", "127.0.0.1:1"), ("MNARA__ODD", "1")];
        assert_eq!(reach(&text, &other).unwrap().0, "127.0.0.1:1", "{to}");
    }
    let wrong = BASE.replace("127.0.0.1:9090", "9090");
    assert!(
        reach(&wrong, &[])
            .unwrap_err()
            .starts_with("mnara.toml:4:10: ")
    );
}

#[test]
fn wrong_files_are_refused_with_their_place() {
    let table = [
        (
            "max_tps = 500",
            "max_tsp = 500",
            "mnara.toml:10:1: unknown field `max_tsp`",
        ),
        (
            "max_tps = 500",
            "max_tps = 0",
            "mnara.toml:10:11: 0 is out of range; give 1 to 1000000",
        ),
        (
            "network = \"vodacom_tz\"",
            "network = \"voda\"",
            "mnara.toml:9:11: network \"voda\" is not in the numbering plan",
        ),
        (
            "window = 100",
            "window = \"x\"",
            "mnara.toml:18:10: invalid type: string \"x\"",
        ),
        (
            "port = 2775",
            "port = 99999",
            "mnara.toml:13:8: invalid value: integer `99999`",
        ),
        (
            "password = \"secret\"",
            "password = \"0123456789012345678901234567890123456789012345678901234567890123x\"",
            "mnara.toml:15:12: password has at most 64 octets",
        ),
        (
            "password = \"secret\"",
            "",
            "mnara.toml:11:1: the bind has neither password nor password_file",
        ),
        (
            "mode = \"transceiver\"",
            "mode = \"both\"",
            "mnara.toml:16:8: unknown variant `both`",
        ),
        (
            "listen = \"127.0.0.1:9090\"",
            "listen = \"0.0.0.0:9090\"",
            "mnara.toml:4:10: an admin listener beyond loopback needs",
        ),
        (
            "max_tps = 500",
            "max_tps = 500\nburst = 501",
            "mnara.toml:11:9: burst is part of max_tps; give 1 to 500",
        ),
        (
            "window = 100",
            "burst = 2",
            "mnara.toml:18:9: burst of a bind goes with its max_tps",
        ),
        (
            "window = 100",
            "classes = [\"otp\", \"bulk\"]",
            "mnara.toml:18:11: classes is a list of otp, transactional and promotional",
        ),
        (
            "window = 100",
            "fallback_hosts = [\"b.example\"]",
            "mnara.toml:18:19: \"b.example\" is not host:port",
        ),
        (
            "max_tps = 500",
            "max_tps = 500\nbinds_max = 0",
            "mnara.toml:11:13: 0 is out of range; give 1 to 1000",
        ),
        ("[admin]", "[admin", "mnara.toml:3:"),
    ];
    for (from, to, expected) in table {
        let error = check(&BASE.replacen(from, to, 1)).unwrap_err();
        assert!(error.starts_with(expected), "{error}\n  wanted {expected}");
        assert!(!error.contains("hidden"), "{error}");
    }
}

#[test]
fn an_account_carries_the_classes_that_its_binds_do() {
    let text = BASE.replacen("count = 2", "count = 2\nclasses = [\"otp\"]", 1);
    let config = check(&text).unwrap();
    let carried = |config: &Config| config.routes.accounts()[0].classes;
    assert_eq!(carried(&config), ClassSet::of([Class::Otp]));
    assert_eq!(carried(&check(BASE).unwrap()), ClassSet::ALL);
}

#[test]
fn ported_numbers_are_refused_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{BASE}[routing]\nported = \"./ported.csv\"\n");
    let config = parse(&text, &folder.path().join("mnara.toml"), []).unwrap();
    let path = folder.path().join("ported.csv");
    let missing = config.read_ported().unwrap_err().to_string();
    assert!(
        missing.starts_with(&format!("{}: cannot be read", path.display())),
        "{missing}"
    );
    std::fs::write(&path, "msisdn,network\n255753276939,voda\n").unwrap();
    let wrong = config.read_ported().unwrap_err().to_string();
    assert!(
        wrong.starts_with(&format!("{}:2: network \"voda\"", path.display())),
        "{wrong}"
    );
    std::fs::write(&path, "msisdn,network\n255753276939,tigo_tz\n").unwrap();
    assert_eq!(config.read_ported().unwrap().overlay.len(), 1);
}

#[test]
fn an_account_has_its_network_s_profile_with_its_own_keys_over_it() {
    let offset = |config: &Config| {
        let zone = &config.accounts[0].profile.receipts.timezone;
        zone.to_offset(jiff::Timestamp::UNIX_EPOCH)
    };
    let with = |keys: &str| {
        let text = BASE.replacen("max_tps = 500", &format!("max_tps = 500\n{keys}"), 1);
        check(&text)
    };
    assert_eq!(offset(&check(BASE).unwrap()), jiff::tz::offset(3));
    assert_eq!(
        offset(&with("profile = \"mtn_ng\"").unwrap()),
        jiff::tz::offset(1)
    );
    let config = with(
        "profile = \"default\"\nreceipts = false\nvalidity_period = false\nresponse_ids = \"hex\"",
    )
    .unwrap();
    let profile = &config.accounts[0].profile;
    assert_eq!(offset(&config), jiff::tz::Offset::UTC);
    assert_eq!(profile.registered_delivery(), 0);
    assert!(!profile.submit.validity_period);
    assert_eq!(profile.ids.response.name(), "hex");
    let error = with("profile = \"vodafone\"").unwrap_err();
    let expected =
        "mnara.toml:11:11: no profile \"vodafone\" is built in; give one of default, vodacom_tz";
    assert!(error.starts_with(expected), "{error}");
    let error = with("profile = \"./nowhere.toml\"").unwrap_err();
    let at_its_place = error.starts_with("mnara.toml:11:11: ");
    assert!(at_its_place && error.contains("nowhere.toml: "), "{error}");
}

#[test]
fn a_profile_of_one_s_own_stands_beside_the_configuration_and_names_its_own_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mnara.toml");
    let text = BASE.replacen(
        "max_tps = 500",
        "max_tps = 500\nprofile = \"./mine.toml\"",
        1,
    );
    let read = |profile: &str| {
        std::fs::write(folder.path().join("mine.toml"), profile).unwrap();
        parse(&text, &path, [])
    };
    let config = read("[text]\nparts_max = 3\n").unwrap();
    assert_eq!(config.accounts[0].profile.capability.parts_max, 3);
    let error = read("[text]\nparts_min = 3\n").unwrap_err().to_string();
    assert!(
        error.contains("mine.toml:2:1: unknown field `parts_min`"),
        "{error}"
    );
}

#[test]
fn what_becomes_of_receipts_without_a_message_is_configured() {
    let with = |keys: &str| {
        let section = format!("[receipts]\n{keys}\n[[carrier]]");
        check(&BASE.replacen("[[carrier]]", &section, 1))
    };
    let receipts = with("").unwrap().receipts;
    assert_eq!(receipts.parked_ttl.as_secs(), 600);
    assert_eq!(receipts.unmatched_alarm_percent, 1);
    let keys = "quarantine_ttl_s = 3600\nquarantine_max = 7\nunmatched_alarm_percent = 0";
    let receipts = with(keys).unwrap().receipts;
    assert_eq!(receipts.quarantine_ttl.as_secs(), 3600);
    assert_eq!(
        (receipts.quarantine_max, receipts.unmatched_alarm_percent),
        (7, 0)
    );
    let refused = with("unmatched_alarm_percent = 101").unwrap_err();
    assert!(
        refused.contains("101 is out of range; give 0 to 100"),
        "{refused}"
    );
}

#[test]
fn secrets_never_show_in_debug() {
    let shown = format!("{:?}", check(BASE).unwrap());
    assert!(!shown.contains("secret\""), "{shown}");
}

#[test]
fn the_environment_overlays_the_file() {
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let environment = [
        set("MNARA__API__LISTEN", "127.0.0.1:1234"),
        set("HOME", "/root"),
    ];
    let config = parse(BASE, Path::new("mnara.toml"), environment).unwrap();
    assert_eq!(config.api.listen.port(), 1234);
    let wrong = parse(
        BASE,
        Path::new("mnara.toml"),
        [set("MNARA__API__LISTN", "x")],
    );
    assert!(wrong.unwrap_err().to_string().contains("listn"));
}

fn with_failover(keys: &str) -> Result<Config, String> {
    check(&BASE.replacen(
        "[[carrier]]",
        &format!("[failover]\n{keys}\n[[carrier]]"),
        1,
    ))
}

#[test]
fn failover_is_read_and_its_defaults_are_those_documented() {
    let typed = "otp_after_s = 1\ntransactional_after_s = \"never\"\ncool_down_ms = 250";
    let scheduler = with_failover(typed).unwrap().scheduler;
    assert_eq!(
        scheduler.patience,
        [Some(Duration::from_secs(1)), None, None]
    );
    assert_eq!(scheduler.breaker.cool_down_min, Duration::from_millis(250));
    // The shipped file's comments, taken for keys, change nothing.
    let section = SHIPPED.split("[failover]").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let keys: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.contains(" = "))
        .collect();
    assert_eq!(keys.len(), 21);
    let typed = with_failover(&keys.join("\n")).unwrap().scheduler;
    let default = check(BASE).unwrap().scheduler;
    assert_eq!(typed.breaker, default.breaker);
    assert_eq!(typed.patience, default.patience);
}

#[test]
fn wrong_failover_is_refused_with_what_to_do() {
    let table = [
        (
            "otp_after_s = \"soon\"",
            "give 0 to 86400 seconds, or \"never\"",
        ),
        ("bad_percent = 0", "0 is out of range; give 1 to 100"),
        (
            "cool_down_ms = 5000\ncool_down_max_s = 2",
            "failover.cool_down_ms is longer than failover.cool_down_max_s",
        ),
        ("probs = 3", "unknown field `probs`"),
    ];
    for (typed, expected) in table {
        let error = with_failover(typed).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(error.starts_with("mnara.toml:8:"), "{error}");
    }
}

#[test]
fn what_is_queued_is_not_ended_while_the_slowest_bind_may_await_its_answer() {
    assert_eq!(check(BASE).unwrap().scheduler.answer_max.as_secs(), 30);
    let config = check(&format!("{BASE}response_timeout_ms = 90000\n")).unwrap();
    assert_eq!(config.scheduler.answer_max.as_secs(), 90);
}

fn with_retention(keys: &str) -> Result<Config, String> {
    let sections = format!("[retention]\n{keys}\n[[carrier]]");
    check(&BASE.replacen("[[carrier]]", &sections, 1))
}

#[test]
fn retention_is_in_whole_days_or_never() {
    let retention = |keys: &str| {
        let retention = with_retention(keys).unwrap().retention;
        (retention.messages_days, retention.bodies_days)
    };
    assert_eq!(retention(""), (Some(90), Some(30)));
    let typed = "messages_days = 400\nbodies_days = 8";
    assert_eq!(retention(typed), (Some(400), Some(8)));
    assert_eq!(retention("messages_days = 10"), (Some(10), Some(10)));
    assert_eq!(retention("messages_days = \"never\""), (None, Some(30)));
    let typed = "messages_days = \"never\"\nbodies_days = \"never\"";
    assert_eq!(retention(typed), (None, None));
    let leap = |keys: &str| with_retention(keys).unwrap().retention.clock_leap_days_max;
    assert_eq!(leap(""), Some(3));
    assert_eq!(leap("clock_leap_days_max = 30"), Some(30));
    assert_eq!(leap("clock_leap_days_max = \"any\""), None);
}

#[test]
fn wrong_retention_is_refused_with_what_to_do() {
    let table = [
        ("messages_days = 6", "give 7 to 3660 days, or \"never\""),
        ("messages_days = -1", "give 7 to 3660 days"),
        ("messages_days = \"90d\"", "give 7 to 3660 days"),
        ("bodies_days = 0", "give 1 to 3660 days"),
        (
            "bodies_days = 91",
            "retention.bodies_days is longer than retention.messages_days; give 1 to 90",
        ),
        (
            "bodies_days = \"never\"",
            "retention.bodies_days is longer than retention.messages_days",
        ),
        (
            "bodies_days = 7",
            "for 8 days, longer than retention keeps texts; shorten receipts.parked_ttl_s and \
             receipts.quarantine_ttl_s to 7 days together",
        ),
        ("clock_leap_days_max = 0", "give 1 to 3660 days, or \"any\""),
        (
            "clock_leap_days_max = \"never\"",
            "give 1 to 3660 days, or \"any\"",
        ),
        ("bodys_days = 3", "unknown field `bodys_days`"),
    ];
    for (typed, expected) in table {
        let error = with_retention(typed).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(error.starts_with("mnara.toml:8:"), "{error}");
    }
    let longer = "messages_days = 7\nbodies_days = 1\n[receipts]\nquarantine_ttl_s = 3600\n\
                  [message]\ngrace_s = 172800";
    let error = with_retention(longer).unwrap_err();
    assert!(error.contains("give 8 to 3660 days"), "{error}");
}
