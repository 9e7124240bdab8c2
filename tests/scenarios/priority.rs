//! Lives here: who goes first when a carrier has everything to catch up with.
//! Never here: the lanes' own tests.

use mnara_loadtest::smsc::Script;
use mnara_smpp::status::CommandStatus;

use crate::world::{Carrier, Plan, World, sms};

const OTP: usize = 10;
const EACH: usize = 60;

#[tokio::test]
async fn otp_goes_first_and_promotional_has_its_small_floor() {
    let away = Script {
        refuse_binds: Some(CommandStatus::ESME_RBINDFAIL.0),
        ..Script::default()
    };
    let plan = Plan::of([Carrier::simulated("vodacom_tz", away)]).unready();
    let world = World::start(plan).await;
    let waves = [("promotional", EACH), ("transactional", EACH), ("otp", OTP)];
    for (class, count) in waves {
        for index in 0..count {
            world
                .client
                .send(&sms("vodacom_tz", index as u64, class, class))
                .await;
        }
    }
    let carrier = world.carrier();
    carrier.smsc.set_script(Script::default());
    carrier.until_submits(OTP + 2 * EACH).await;
    let order: Vec<String> = carrier
        .log
        .snapshot()
        .into_iter()
        .map(|submit| submit.text)
        .collect();
    let places = |class: &str| {
        let at = order.iter().enumerate().filter(|(_, text)| *text == class);
        at.map(|(at, _)| at).collect::<Vec<_>>()
    };
    assert_eq!(places("otp"), (0..OTP).collect::<Vec<_>>(), "{order:?}");
    // One promotional message in twenty-one, while others wait.
    let transactional = places("transactional");
    let last = *transactional.last().unwrap();
    let between = places("promotional")
        .iter()
        .filter(|at| **at < last)
        .count();
    assert!((1..=4).contains(&between), "{between}: {order:?}");
}
