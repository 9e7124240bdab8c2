//! Lives here: receipts without an attempt, through the listener.
//! Never here: how they are matched (`store::tests`).

use super::*;
use crate::domain::ids::ReceiptKey;
use crate::domain::receipt::{Evidence, Receipt};

#[tokio::test]
async fn receipts_without_an_attempt_are_listed_replayed_and_dropped() {
    let house = House::open(TOKEN).await;
    let carrier = CarrierId("one".into());
    let receipt = Receipt {
        key: ReceiptKey::new(&carrier, "10"),
        carrier,
        normalised: "10".into(),
        raw_id: "0A".into(),
        state: None,
        stat: "ENROUTE".into(),
        err: "000".into(),
        failure: None,
        done_date: "2601010101".into(),
        done_at: None,
        evidence: Evidence::default(),
        received_at: request::now(),
    };
    house.store.receipts(vec![receipt]).await.unwrap();
    let (_, told) = house
        .json("GET", "/admin/v1/receipts?carrier=one&parked=true", "")
        .await;
    assert_eq!(told["receipts"][0]["raw_id"], "0A", "{told}");
    let (_, told) = house
        .json("GET", "/admin/v1/receipts?carrier=two&parked=true", "")
        .await;
    assert_eq!(told, json!({"receipts": []}));
    let replay = json!({"carrier": "one", "dry_run": true});
    let (status, told) = house
        .json("POST", "/admin/v1/receipts/replay", &replay)
        .await;
    assert_eq!(
        (status, &told["matched"], &told["unmatched"]),
        (200, &json!(0), &json!(1))
    );
    let away = json!({"carrier": "one", "older_than_s": 60, "reason": "old"});
    let (status, told) = house.json("POST", "/admin/v1/receipts/drop", &away).await;
    assert_eq!(status, 200, "{told}");
    for (path, body, status) in [
        ("replay", json!({"carrier": "six"}), 404),
        ("replay", json!({"carrier": "one", "limit": 0}), 400),
        ("drop", json!({"carrier": "one", "older_than_s": 60}), 400),
    ] {
        let (found, told) = house
            .json("POST", &format!("/admin/v1/receipts/{path}"), &body)
            .await;
        assert_eq!(found, status, "{told}");
    }
    assert_eq!(
        house.json("GET", "/admin/v1/receipts?limit=0", "").await.0,
        400
    );
    let (status, told) = house
        .json("GET", "/admin/v1/carriers/learn-ids?carrier=one", "")
        .await;
    assert_eq!(
        (status, &told["lesson"], &told["rules"]),
        (200, &json!("unclear"), &Value::Null),
        "{told}"
    );
    house.close().await;
}
