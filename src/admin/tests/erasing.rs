//! Lives here: what is asked of whoever erases a number, and what is said of it.
//! Never here: what is erased (`store::tests::retention`).

use super::*;

#[tokio::test]
async fn a_number_is_erased_only_as_it_is_known_worldwide_and_for_a_reason() {
    let house = House::open(TOKEN).await;
    let erase = async |body: Value| house.json("POST", "/admin/v1/erase", body).await;
    for (body, remedy) in [
        (
            json!({"to": "0712345678", "reason": "asked"}),
            "with its country code",
        ),
        (json!({"to": "255", "reason": "asked"}), "7 to 15"),
        (json!({"to": "", "reason": "asked"}), "the number is empty"),
        (
            json!({"to": "+255712345678", "reason": ""}),
            "reason must have",
        ),
        (json!({"to": "+255712345678"}), "missing field `reason`"),
        (
            json!({"to": "+255712345678", "reason": "asked by 0712 345-678 himself"}),
            "the reason names the number",
        ),
        (
            json!({"to": "+255712345678", "reason": "asked", "after": "7"}),
            "`after` is not",
        ),
    ] {
        let (status, told) = erase(body).await;
        assert_eq!(status, 400, "{told}");
        let message = told["message"].as_str().unwrap();
        assert!(message.contains(remedy), "{message}");
    }
    let (status, told) = erase(json!({"to": "+255712345678", "reason": "asked"})).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(
        told["outcome"],
        "+2557***678 erased from messages: 0, from receipts: 0, from jobs and campaigns: 0, \
         from answers: 0"
    );
    let (_, audit) = house.json("GET", "/admin/v1/audit", "").await;
    assert_eq!(audit["audit"][0]["subject"], "+2557***678", "{audit}");
    house.close().await;
}
