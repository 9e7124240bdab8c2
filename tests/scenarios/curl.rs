//! Lives here: the first thing a new customer does: the seed's curl line.
//! Never here: other clients.

use serde_json::Value;
use tokio::process::Command;

use crate::world::{Plan, World};

/// Seed 003, "Send your first SMS", as printed.
const SEED_CURL: &str = r#"curl -X POST https://api.mojawave.com/v1/sms/send \
  -H "Authorization: Bearer sk_live_mw_8472910" \
  -H "Content-Type: application/json" \
  -d '{
    "to": "+255753276939",
    "from": "MojaWave",
    "message": "Hello from Mojawave! Your verification code is 1234."
  }'"#;

#[tokio::test]
async fn the_seeds_curl_works_with_only_host_and_key_changed() {
    let world = World::start(Plan::simple()).await;
    let host = format!("http://{}", world.client.api);
    let line = SEED_CURL
        .replace("https://api.mojawave.com", &host)
        .replace("sk_live_mw_8472910", &world.client.key);
    let output = Command::new("sh")
        .args(["-c", &line])
        .output()
        .await
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "this scenario runs curl; is it installed? {error}"
    );
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["success"], true, "{answer}");
    let data = &answer["data"];
    assert_eq!(
        (&data["type"], &data["status"]),
        (&"sms".into(), &"queued".into())
    );
    assert_eq!(data["to"], "+255753276939");
    assert_eq!(data["from"], "MojaWave");
    let id = data["id"].as_str().unwrap().parse().unwrap();
    world.until(id, "delivered").await;
    let submits = world.carrier().log.snapshot();
    assert_eq!(
        submits[0].text,
        "Hello from Mojawave! Your verification code is 1234."
    );
}
