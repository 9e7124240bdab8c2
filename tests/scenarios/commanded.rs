//! Lives here: binds that an operator takes down, brings up and slows, while messages wait.
//! Never here: what a bind does in each state (`carrier`).

use serde_json::Value;

use crate::world::{LIMIT, Plan, World, eventually};

async fn until(world: &World, field: &str, value: impl Into<Value>) {
    let value = value.into();
    eventually(&format!("{field} is {value}"), LIMIT, async || {
        let binds = world.ctl(&["binds"]).await;
        (binds["binds"][0][field] == value).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_bind_stays_down_until_it_is_told_up_and_keeps_the_pace_it_is_given() {
    let world = World::start(Plan::simple()).await;
    world.ctl(&["binds", "set-tps", "vodacom_tz/1", "7"]).await;
    until(&world, "tps_limit", 7).await;
    world.ctl(&["binds", "down", "vodacom_tz/1"]).await;
    until(&world, "state", "down").await;
    until(&world, "until_restart", "down, tps 7").await;
    let sms = world.sms("vodacom_tz", 1, "transactional", "waits for its bind");
    let id = world.client.send(&sms).await;
    let told = world.ctl(&["messages", "trace", &id.to_string()]).await;
    assert_eq!(told["state"], "queued", "{told}");
    world.ctl(&["binds", "up", "vodacom_tz/1"]).await;
    world.until(id, "delivered").await;
    let audit = world.ctl(&["audit"]).await;
    let actions = audit["audit"].as_array().unwrap().iter().take(3);
    let actions: Vec<&Value> = actions.map(|line| &line["action"]).collect();
    assert_eq!(actions, ["binds.up", "binds.down", "binds.set-tps"]);
}
