//! Lives here: carriers that refuse the bind.
//! Never here: what happens on a bound session.

use mnara_loadtest::smsc::{Script, SmscConfig};
use mnara_smpp::status::CommandStatus;

use crate::world::{Carrier, LIMIT, Plan, World, eventually, sms};

#[tokio::test]
async fn a_wrong_password_is_tried_rarely_and_shown_where_operators_look() {
    let smsc = SmscConfig {
        password: Some("another".into()),
        ..SmscConfig::default()
    };
    let plan = Plan::of([Carrier::configured("vodacom_tz", smsc)]).unready();
    let mut world = World::start(plan).await;
    let bind = eventually("the bind backs off", LIMIT, async || {
        let bind = world.ctl(&["binds"]).await["binds"][0].take();
        (bind["state"] == "backing_off").then_some(bind)
    })
    .await;
    assert_eq!(bind["bound"], false);
    assert!(
        bind["last_error"]
            .as_str()
            .unwrap()
            .contains("ESME_RINVPASWD"),
        "{bind}"
    );
    let ready = world.ask_admin("/readyz?verbose").await;
    assert_eq!(ready.status, 503);
    assert!(
        ready.text().contains("vodacom_tz: 0 of 1 binds bound"),
        "{}",
        ready.text()
    );
    assert_eq!(world.ask_admin("/livez").await.status, 200);
    // What is accepted meanwhile waits.
    let id = world
        .client
        .send(&sms("vodacom_tz", 1, "transactional", "waits"))
        .await;
    assert_eq!(world.client.message(id).await["status"], "queued");
    assert_eq!(world.carrier().smsc.stats().binds_refused, 1);
    assert!(world.daemon.lives());
    let error = world
        .daemon
        .log()
        .events()
        .into_iter()
        .any(|event| event["level"] == "ERROR" && event["bind"].is_string());
    assert!(error, "a person is called");
}

#[tokio::test]
async fn a_carrier_that_refuses_binds_and_then_allows_them_is_bound_and_served() {
    let script = Script {
        refuse_binds: Some(CommandStatus::ESME_RBINDFAIL.0),
        ..Script::default()
    };
    let plan = Plan::of([Carrier::simulated("vodacom_tz", script)]).unready();
    let world = World::start(plan).await;
    let id = world
        .client
        .send(&sms("vodacom_tz", 1, "otp", "patience"))
        .await;
    let carrier = world.carrier();
    assert!(
        carrier
            .smsc
            .wait_until(LIMIT, |stats| stats.binds_refused >= 2)
            .await
    );
    assert_eq!(world.ask_admin("/readyz").await.status, 503);
    carrier.smsc.set_script(Script::default());
    world.until_ready().await;
    world.until(id, "delivered").await;
    assert_eq!(carrier.submits_of("patience").len(), 1);
}
