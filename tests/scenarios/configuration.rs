//! Lives here: configuration files, good and bad, as an operator meets them.
//! Never here: each key's rule; `config` has its own tests.

use crate::daemon::run;

const GOOD: &str = "[api]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
    [store]\nurl = \"sqlite:DATABASE\"\n[[carrier]]\nid = \"vodacom_tz\"\nnetwork = \"vodacom_tz\"\n\
    max_tps = 10\n[[carrier.bind]]\nhost = \"127.0.0.1\"\nport = 2775\nsystem_id = \"mnara\"\n\
    password = \"secret\"\nmode = \"transceiver\"\n";

#[tokio::test]
async fn a_bad_file_ends_with_64_and_its_place_and_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("mnara.db");
    let good = GOOD.replace("DATABASE", database.to_str().unwrap());
    let table = [
        ("max_tps = 10", "max_tps = 0", ":10:11"),
        ("max_tps = 10", "max_tps = \"ten\"", ":10:11"),
        ("max_tps = 10", "max_tps = 10\nmaximum = 3", ":11:1"),
        (
            "network = \"vodacom_tz\"",
            "network = \"vodaphone\"",
            ":9:11",
        ),
        (
            "password = \"secret\"",
            "password = \"far too long 0123456789012345678901234567890123456789012345678901\"",
            ":15:12",
        ),
        ("[store]", "[store", ":5:7"),
    ];
    for (right, wrong, place) in table {
        let file = folder.path().join("bad.toml");
        std::fs::write(&file, good.replace(right, wrong)).unwrap();
        let path = file.to_str().unwrap();
        for command in ["serve", "check"] {
            let output = run(&[command, "--config", path]).await;
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(64), "{command} {wrong}: {error}");
            assert!(
                error.contains(&format!("{path}{place}")),
                "{command} {wrong}: {error}"
            );
            assert!(!error.contains("far too long"), "{error}");
            assert!(output.stdout.is_empty());
        }
        assert!(!database.exists(), "{wrong}: nothing is opened");
    }
    let output = run(&["serve", "--config", "/nowhere/mnara.toml"]).await;
    assert_eq!(output.status.code(), Some(64));
}

#[tokio::test]
async fn check_finds_a_good_file_good_and_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("mnara.db");
    let file = folder.path().join("good.toml");
    let good = GOOD.replace("DATABASE", database.to_str().unwrap());
    std::fs::write(&file, good).unwrap();
    let output = run(&["check", "--config", file.to_str().unwrap()]).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(!database.exists());
    // The file that is shipped is good as well.
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/mnara.toml");
    assert!(run(&["check", "--config", shipped]).await.status.success());
    let nothing = run(&["serve"]).await;
    assert_eq!(nothing.status.code(), Some(2), "arguments are clap's");
}
