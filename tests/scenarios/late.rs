//! Lives here: answers that come after their timer: proof, and no second message.
//! Never here: answers that never come because the line is gone (`doubt`).

use mnara_loadtest::smsc::{Rule, Script, Span, Then, When};

use crate::world::{Carrier, Plan, World, sms};

#[tokio::test]
async fn a_late_answer_resolves_the_doubt_without_a_resend_and_silence_does_not() {
    let silent = When {
        text_contains: Some("silent".into()),
        first: Some(1),
        ..When::default()
    };
    let script = Script {
        response_delay_ms: Span::fixed(1200),
        rules: vec![Rule::when(silent, Then::Drop)],
        ..Script::default()
    };
    let carrier =
        Carrier::simulated("vodacom_tz", script).bind("window = 50\nresponse_timeout_ms = 300");
    let world = World::start(Plan::of([carrier])).await;
    let late = world
        .client
        .send(&sms("vodacom_tz", 1, "otp", "late"))
        .await;
    world.until(late, "uncertain").await;
    let message = world.until(late, "delivered").await;
    assert_eq!(message["possible_duplicate"], false, "{message}");

    let held = world
        .client
        .send(&sms("vodacom_tz", 2, "promotional", "late promotion"))
        .await;
    world.until(held, "uncertain").await;
    world.until(held, "delivered").await;

    // Its resend comes five seconds after its doubt: by then the first one's time is over too.
    let silent = world
        .client
        .send(&sms("vodacom_tz", 3, "otp", "silent"))
        .await;
    world.until(silent, "uncertain").await;
    let message = world.until(silent, "delivered").await;
    assert_eq!(message["possible_duplicate"], true, "{message}");
    let submits = |text: &str| world.carrier().submits_of(text).len();
    assert_eq!((submits("silent"), submits("late")), (2, 1));
    assert_eq!(submits("late promotion"), 1);
    // Three answers came late in all: the resend's, too, after 1.2 s on a timer of 0.3 s.
    let doubts = world
        .metric("mnara_bind_submit_total", &["\"in_doubt\""])
        .await;
    assert_eq!(doubts, 4.0);
}
