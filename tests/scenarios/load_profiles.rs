//! Lives here: a load profile in its smallest form, whole and with its protection taken away: so
//! that the profiles do not rot, and their checks do not sleep.
//! Never here: figures; those need the release build and a quiet machine.

use std::path::PathBuf;

use mnara_loadtest::profile::{self, Options, Profile, Sheet};

async fn run(profile: Profile, sabotage: bool) -> Sheet {
    let options = Options {
        messages: Some(400),
        rate: Some(400.0),
        sabotage,
        daemon: Some(PathBuf::from(env!("CARGO_BIN_EXE_mnara"))),
        ..Options::default()
    };
    profile::run(profile, &options, &|_| {}).await.unwrap()
}

/// The value of a check.
fn value(sheet: &Sheet, name: &str) -> f64 {
    let found = sheet.checks.iter().find(|check| check.name == name);
    found.map(|check| check.value).unwrap()
}

#[tokio::test]
async fn receipts_as_bad_as_they_come_all_find_their_message() {
    let sheet = run(Profile::ReceiptDirt, false).await;
    assert!(sheet.ok, "{sheet:?}");
    assert_eq!(value(&sheet, "matched"), 1.0);
}

#[tokio::test]
async fn without_the_carriers_id_rules_the_profile_is_red() {
    let sheet = run(Profile::ReceiptDirt, true).await;
    assert!(!sheet.ok, "{sheet:?}");
    // Two of the four carriers write an id the same way both times.
    assert!(value(&sheet, "matched") < 0.6, "{sheet:?}");
}
