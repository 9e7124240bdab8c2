//! Lives here: `mnara demo`: a whole world on this machine, the real daemon in the middle.
//! Never here: anything the daemon needs to run without it.

mod client;
mod show;
mod world;

use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use self::world::World;
use crate::telemetry::logging;

/// Runs the demo: until Ctrl-C, or with `once` until one message of each class to each network
/// has been delivered. Says whether all went well.
///
/// # Errors
/// When the world cannot be started.
pub async fn run(once: bool) -> anyhow::Result<bool> {
    logging::start(&logging::Config {
        level: "warn".into(),
        json: false,
    })?;
    let mut world = World::start(once).await?;
    let well = if once {
        show::once(&world).await?
    } else {
        show::addresses(&world)?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let interrupted = tokio::signal::ctrl_c();
        tokio::pin!(interrupted);
        loop {
            tokio::select! {
                done = &mut interrupted => break done.context("Ctrl-C cannot be waited for").map(|()| true)?,
                _ = terminate.recv() => break true,
                _ = hang_up.recv() => break true,
                () = world.daemon.failed() => anyhow::bail!("a task of the daemon ended by itself"),
                () = tokio::time::sleep(Duration::from_millis(50)) => show::news(&mut world),
            }
        }
    };
    world.stop().await?;
    Ok(well)
}
