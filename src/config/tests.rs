//! Lives here: what the shipped configuration means, and what is said of wrong ones.
//! Never here: anything but tests.

use std::path::Path;

use super::*;

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
            "url = \"sqlite:data/mnara.db\"",
            "url = \"mysql:x\"",
            "mnara.toml:6:7: store.url must be sqlite:",
        ),
        (
            "listen = \"127.0.0.1:9090\"",
            "listen = \"0.0.0.0:9090\"",
            "mnara.toml:4:10: an admin listener beyond loopback needs",
        ),
        ("[admin]", "[admin", "mnara.toml:3:"),
    ];
    for (from, to, expected) in table {
        let error = check(&BASE.replacen(from, to, 1)).unwrap_err();
        assert!(error.starts_with(expected), "{error}\n  wanted {expected}");
    }
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
    assert!(
        error.starts_with("mnara.toml:11:11: ./nowhere.toml: "),
        "{error}"
    );
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
