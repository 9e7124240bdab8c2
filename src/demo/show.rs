//! Lives here: what the demo prints.
//! Never here: starting or stopping anything.
#![allow(
    clippy::print_stdout,
    reason = "somebody looks at it; where nobody does it may end"
)]

use std::time::{Duration, Instant};

use mnara_loadtest::networks::NETWORKS;
use serde_json::{Value, json};

use super::world::World;
use crate::domain::class::Class;

/// How long `--once` waits for everything to be delivered.
const DEADLINE: Duration = Duration::from_secs(30);

/// The addresses, the key and a ready command line.
pub(super) fn addresses(world: &World) -> anyhow::Result<()> {
    let (api, admin) = (world.daemon.api, world.daemon.admin);
    let hook = world.hook.url();
    println!("Mnara runs, with eight simulated carriers over SMPP on loopback.\n");
    println!("  API       http://{api}");
    println!("  admin     http://{admin}   (/metrics /livez /readyz)");
    println!("  webhooks  {hook}");
    println!("  key       {}", world.key);
    let program = std::env::current_exe()?;
    let config = world.config_path.display();
    println!(
        "  ctl       {} ctl --config {config} --admin {admin} binds\n",
        program.display()
    );
    println!("Send a message:\n");
    println!("  curl -X POST http://{api}/v1/sms/send \\");
    println!("    -H \"Authorization: Bearer {}\" \\", world.key);
    println!("    -H \"Content-Type: application/json\" \\");
    println!(
        "    -d '{{\"to\": \"{}\", \"from\": \"MojaWave\", \"message\": \"Hello from Mnara!\", \"class\": \"otp\", \"webhook_url\": \"{hook}\"}}'\n",
        NETWORKS[0].number(3_276_939)
    );
    println!("Messages appear below as they move. Ctrl-C ends it.\n");
    Ok(())
}

/// What has happened since the last look: submits at the carriers, events at the listener.
pub(super) fn news(world: &mut World) {
    for carrier in &mut world.carriers {
        let submits = carrier.log.snapshot();
        for submit in submits.iter().skip(carrier.shown) {
            println!(
                "{:<14} submit_sm to {} from {}  id {}",
                carrier.network,
                masked(&submit.dest),
                submit.source,
                submit.message_id
            );
        }
        carrier.shown = submits.len();
    }
    let events = world.hook.events();
    for event in events.iter().skip(world.events_shown) {
        let message = event
            .message_id
            .map(|id| id.to_string())
            .unwrap_or_default();
        let signed = match event.signature_ok {
            Some(true) => "signature good",
            Some(false) | None => "signature WRONG",
        };
        println!("{:<14} {:<18} {message}  {signed}", "webhook", event.kind);
    }
    world.events_shown = events.len();
}

fn masked(digits: &str) -> String {
    let head = digits.get(..4).unwrap_or(digits);
    let tail = digits
        .get(digits.len().saturating_sub(3)..)
        .unwrap_or_default();
    format!("+{head}***{tail}")
}

/// One line of the table.
struct Row {
    network: &'static str,
    class: Class,
    id: String,
    sent_at: Instant,
    /// How long until the delivered webhook had come.
    took: Option<Duration>,
}

/// One message of each class to each network, and what became of it.
pub(super) async fn once(world: &World) -> anyhow::Result<bool> {
    let mut rows = Vec::new();
    for (index, network) in (0u64..).zip(NETWORKS) {
        for class in Class::ALL {
            let body = message(&network.number(1_000_000 + index), class, &world.hook.url());
            let sent_at = Instant::now();
            let id = world.api.send(&body).await?;
            rows.push(Row {
                network: network.id,
                class,
                id,
                sent_at,
                took: None,
            });
        }
    }
    let begun = Instant::now();
    while begun.elapsed() < DEADLINE && rows.iter().any(|row| row.took.is_none()) {
        // The hook wakes us at each event; the limit only bounds a single wait.
        let before = world.hook.counts().requests;
        for row in rows.iter_mut().filter(|row| row.took.is_none()) {
            let seen = row.id.parse().map(|id| world.hook.seen(id));
            if seen.is_ok_and(|seen| seen.sent && seen.delivered) {
                row.took = Some(row.sent_at.elapsed());
            }
        }
        let more = |hook: &mnara_loadtest::hook::Receiver| hook.counts().requests > before;
        if rows.iter().any(|row| row.took.is_none()) {
            world
                .hook
                .wait_until(Duration::from_millis(500), more)
                .await;
        }
    }
    let counts = world.hook.counts();
    let mut well = counts.bad_signatures == 0 && counts.failed == 0;
    println!(
        "{:<14} {:<14} {:<38} {:<10} DELIVERED WEBHOOK AFTER",
        "NETWORK", "CLASS", "MESSAGE", "STATUS"
    );
    for row in &rows {
        let status = world.api.status(&row.id).await?;
        let took = row.took.map_or_else(
            || "never".to_owned(),
            |took| format!("{} ms", took.as_millis()),
        );
        println!(
            "{:<14} {:<14} {:<38} {status:<10} {took}",
            row.network,
            row.class.name(),
            row.id
        );
        well &= status == "delivered" && row.took.is_some();
    }
    println!(
        "\n{} messages, {} sent and {} delivered webhooks, {} wrong signatures: {}",
        rows.len(),
        counts.sent,
        counts.delivered,
        counts.bad_signatures,
        if well { "all well" } else { "NOT all well" }
    );
    Ok(well)
}

fn message(to: &str, class: Class, hook: &str) -> Value {
    json!({
        "to": to,
        "from": "MojaWave",
        "message": format!("Hujambo from Mnara, class {class}."),
        "class": class.name(),
        "webhook_url": hook,
    })
}
