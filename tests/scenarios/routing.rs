//! Lives here: which network a number belongs to, seen from outside.
//! Never here: the numbering plan's own tests.

use mnara_loadtest::networks::NETWORKS;
use mnara_loadtest::smsc::Script;
use serde_json::json;

use crate::world::{Carrier, Plan, World, sms};

#[tokio::test]
async fn all_eight_networks_are_reached_by_their_prefix() {
    let carriers = NETWORKS.map(|network| Carrier::simulated(network.id, Script::default()));
    let world = World::start(Plan::of(carriers)).await;
    for carrier in world.carriers() {
        let bound = |stats: &mnara_loadtest::smsc::Stats| stats.binds_open == 1;
        assert!(
            carrier.smsc.wait_until(crate::world::LIMIT, bound).await,
            "{}",
            carrier.id
        );
    }
    for (index, network) in (100..).zip(NETWORKS) {
        let id = world
            .client
            .send(&sms(network.id, index, "transactional", network.id))
            .await;
        world.until(id, "delivered").await;
        let submits = world.carrier_of(network.id).log.snapshot();
        assert_eq!(submits.len(), 1, "{}", network.id);
        assert_eq!(submits[0].text, network.id);
        assert_eq!(format!("+{}", submits[0].dest), network.number(index));
    }
}

#[tokio::test]
async fn a_local_number_is_read_in_the_organisations_country() {
    let carriers = ["vodacom_tz", "mtn_ng"].map(|id| Carrier::simulated(id, Script::default()));
    let world = World::start(Plan::of(carriers)).await;
    world
        .ctl(&["org", "create", "Naija", "--country", "NG", "--postpaid"])
        .await;
    let nigerian = world.customer_of("Naija").await;
    let local =
        |to: &str| json!({"to": to, "from": "MNARA", "message": to, "class": "transactional"});

    world.client.send(&local("0753276939")).await;
    nigerian.send(&local("08031234567")).await;
    let tanzania = world.carrier_of("vodacom_tz");
    tanzania.until_submits(1).await;
    assert_eq!(tanzania.log.snapshot()[0].dest, "255753276939");
    let nigeria = world.carrier_of("mtn_ng");
    nigeria.until_submits(1).await;
    assert_eq!(nigeria.log.snapshot()[0].dest, "2348031234567");

    // Eleven digits are no number in Tanzania, and nothing guesses.
    let refused = world.client.try_send(&local("08031234567")).await.unwrap();
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert_eq!(refused.json()["code"], "invalid_number");
}
