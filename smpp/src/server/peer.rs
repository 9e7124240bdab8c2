//! Lives here: one connection of a server: its bind, its requests, its end.
//! Never here: accepting (`server`), protocol rules (session).

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::tally::Place;
use super::{BindRequest, House, Peer, Reject, Service};
use crate::pdu::{Bind, OctetStr};
use crate::session::{Action, CloseReason, Input};
use crate::status::CommandStatus;
use crate::transport::{Connection, Event, Incoming, Limits, Ticket};

/// The terms of an accepted bind.
struct Admitted {
    bind: Bind,
    limits: Limits,
    /// Held while it is bound.
    place: Place<OctetStr>,
}

/// Serves a connection to its end.
pub(super) async fn serve<S: Service>(
    mut connection: Connection<Ticket>,
    address: SocketAddr,
    house: Arc<House<S>>,
    mut stop: watch::Receiver<bool>,
) {
    let admitted = tokio::select! {
        admitted = admit(&mut connection, address, &house) => admitted,
        // Who has not bound yet loses nothing.
        _ = stop.wait_for(|stop| *stop) => return,
    };
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(told) => return house.service.turned_away(address, told),
    };
    let version = connection.session().version();
    let (handle, driver, incoming) = connection.split(&admitted.limits);
    let peer = Arc::new(Peer {
        system_id: admitted.bind.system_id.clone(),
        kind: admitted.bind.kind,
        address,
        version,
        handle,
    });
    house.service.bound(&peer);
    let requests_max = admitted.limits.requests_max.max(1);
    let place = admitted.place;
    // A peer that has lost its connection may come back while requests of the old one are still under way.
    let driving = async move {
        let reason = driver.run().await;
        drop(place);
        reason
    };
    let reason = run(driving, incoming, &peer, &house, requests_max, stop).await;
    house.service.ended(&peer, reason);
}

/// Waits for the bind and answers it.
///
/// # Errors
/// There is none in time, it was refused, or the peer has gone: the status it was told, if any.
async fn admit<S: Service>(
    connection: &mut Connection<Ticket>,
    address: SocketAddr,
    house: &Arc<House<S>>,
) -> Result<Admitted, Option<CommandStatus>> {
    let (sequence, bind) = asked(connection).await.ok_or(None)?;
    let request = BindRequest { bind, address };
    let verdict = {
        let mut deciding = pin!(house.service.authenticate(&request));
        let mut actions = Vec::new();
        loop {
            // `deciding` is pinned outside, and `drive` keeps what it has.
            tokio::select! {
                biased;
                verdict = &mut deciding => break verdict,
                () = connection.drive(&mut actions) => {
                    // Before the bind's answer nothing but notices comes, or the end, which may also have come
                    // together with the bind.
                    actions.clear();
                    if connection.session().state().is_closed() {
                        return Err(None);
                    }
                }
            }
        }
    };
    let bind = request.bind;
    let verdict = verdict.and_then(|terms| {
        let most = terms.binds_max.unwrap_or(house.config.binds_per_system_max);
        let place = house.systems.take(&bind.system_id, most);
        let place = place.ok_or(Reject::TooManyBinds)?;
        let limits = terms.limits.unwrap_or_else(|| house.config.limits.clone());
        Ok((limits, place))
    });
    let status = verdict
        .as_ref()
        .map_or_else(|reject| reject.status(), |_| CommandStatus::ESME_ROK);
    let mut actions = Vec::new();
    let answer = Input::AnswerBind {
        sequence,
        status,
        system_id: &house.config.system_id,
    };
    let answered = connection.send(answer, &mut actions);
    match verdict {
        // Refused only if our own name is too long or the peer has gone this instant.
        Ok((limits, place)) if answered.is_ok() => Ok(Admitted {
            bind,
            limits,
            place,
        }),
        Ok(_) => Err(None),
        Err(_) => {
            // Writes the refusal; the session is closed already.
            connection.drive(&mut actions).await;
            Err(Some(status))
        }
    }
}

/// The peer's bind and its number; `None` when the connection ends before.
async fn asked(connection: &mut Connection<Ticket>) -> Option<(u32, Bind)> {
    let mut actions = Vec::new();
    loop {
        connection.drive(&mut actions).await;
        for action in actions.drain(..) {
            match action {
                Action::BindRequested { sequence, bind } => return Some((sequence, bind)),
                Action::Closed { .. } => return None,
                Action::Bound { .. }
                | Action::BindRejected { .. }
                | Action::Response { .. }
                | Action::Expired { .. }
                | Action::Late { .. }
                | Action::Request { .. }
                | Action::Notified { .. }
                | Action::PeerUnbinding
                | Action::Congestion { .. }
                | Action::Notice(_)
                | Action::InDoubt { .. } => {}
            }
        }
    }
}

/// Runs a bound connection, and each request of the peer in a task, until both are done.
async fn run<S: Service>(
    driver: impl Future<Output = CloseReason> + Send + 'static,
    mut incoming: Incoming,
    peer: &Arc<Peer>,
    house: &Arc<House<S>>,
    requests_max: usize,
    mut stop: watch::Receiver<bool>,
) -> CloseReason {
    // In a task of its own: a peer that floods keeps it busy for as long as it likes, and what it hands out, and a
    // stop, must not wait for that.
    let mut driving = JoinSet::new();
    driving.spawn(driver);
    let mut tasks = JoinSet::new();
    let mut reason = None;
    let mut events_left = true;
    let mut stopping = false;
    loop {
        if let Some(reason) = reason
            && tasks.is_empty()
        {
            // The last tasks may have let go of pushes behind the end.
            while let Some(event) = incoming.next().await {
                if let Event::Orphan(orphan) = event {
                    house.service.orphan(peer, orphan);
                }
            }
            return reason;
        }
        // `next`, `join_next` and `wait_for` are cancel-safe.
        tokio::select! {
            biased;
            Some(ended) = driving.join_next() => reason = Some(ended.unwrap_or(CloseReason::Aborted)),
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            _ = stop.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                peer.handle.start_unbind();
            }
            event = incoming.next(), if events_left && tasks.len() < requests_max => match event {
                // Nobody is left to hear the answer: it will be sent again.
                Some(Event::Request(_)) if reason.is_some() => {}
                Some(Event::Request(request)) => {
                    let (peer, house) = (Arc::clone(peer), Arc::clone(house));
                    tasks.spawn(async move { house.service.request(&peer, request).await });
                }
                Some(Event::Orphan(orphan)) => house.service.orphan(peer, orphan),
                // Only a server sends these.
                Some(Event::Notified(_)) => {}
                None => events_left = false,
            },
        }
    }
}
