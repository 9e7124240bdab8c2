//! Lives here: the one owner of a shared connection: writes what handles ask for, hands out what comes.
//! Never here: protocol rules (session), what handles see.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{Semaphore, mpsc};

use super::incoming::{Due, Event, PeerRequest, Reply, Responder, not_now};
use super::{Answer, Caller, Command, NoAnswer, Outcome, Shared, Stand, Ticket};
use crate::pdu::{Pdu, Violations};
use crate::session::{Action, CloseReason, Input, Refused, Role};
use crate::status::CommandStatus;
use crate::tlv::Tlv;
use crate::transport::Connection;

/// Commands taken between two looks at the socket; their octets leave in one write.
const BATCH_MAX: usize = 1_024;
/// `Limits::requests_octets_max` is counted in these.
const KIB: usize = 1 << 10;
/// And lies between these: one request with the longest payload, and what a semaphore can count.
const ROOM_MIN: usize = 128 << 10;
const ROOM_MAX: usize = 1 << 30;

/// Owns a shared connection; spawn [`Driver::run`] and await it.
///
/// Dropping it closes the socket at once: outstanding requests are in doubt, waiting ones refused.
pub struct Driver {
    connection: Connection<Ticket>,
    commands: mpsc::Receiver<Command>,
    /// For responders; weak, so that the last handle's end is noticed.
    to_self: mpsc::WeakSender<Command>,
    shared: Arc<Shared>,
    callers: Callers,
    /// Places for requests of the peer that have no answer yet.
    asked: Arc<Semaphore>,
    /// And KiB for them.
    room: Arc<Semaphore>,
    role: Role,
    actions: Vec<Action<Ticket>>,
    unbinding: bool,
    closed: Option<CloseReason>,
}

/// Those who wait for outcomes. As many places as there ever were requests outstanding at once.
#[derive(Default)]
struct Callers {
    places: Vec<Option<Caller>>,
    free: Vec<u32>,
}

impl Callers {
    fn insert(&mut self, caller: Caller) -> Ticket {
        let number = caller.number;
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            u32::try_from(self.places.len() - 1).expect("the window is at most 65 536")
        });
        self.places[place as usize] = Some(caller);
        Ticket { number, place }
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Caller> {
        let place = self.places.get_mut(ticket.place as usize)?;
        let caller = place.take_if(|caller| caller.number == ticket.number)?;
        self.free.push(ticket.place);
        Some(caller)
    }
}

impl Caller {
    /// The slot is free before the caller knows.
    fn tell(self, outcome: Outcome, shared: &Shared) {
        drop(self.slot);
        if let Err(outcome) = self.reply.send(outcome) {
            shared.orphan(self.number, outcome);
        }
    }
}

impl Driver {
    pub(super) fn new(
        mut connection: Connection<Ticket>,
        commands: mpsc::Receiver<Command>,
        to_self: mpsc::WeakSender<Command>,
        shared: Arc<Shared>,
        requests_max: usize,
        requests_octets_max: usize,
    ) -> Self {
        let room = requests_octets_max.clamp(ROOM_MIN, ROOM_MAX) / KIB;
        Self {
            role: connection.session().config().role,
            connection,
            commands,
            to_self,
            shared,
            callers: Callers::default(),
            asked: Arc::new(Semaphore::new(requests_max)),
            room: Arc::new(Semaphore::new(room)),
            actions: Vec::new(),
            unbinding: false,
            closed: None,
        }
    }

    /// Runs the connection to its end; tells why it ended.
    pub async fn run(mut self) -> CloseReason {
        let shared = Arc::clone(&self.shared);
        let mut batch = Vec::new();
        let mut handles_left = true;
        loop {
            // All three may be dropped: `drive` keeps octets and actions, `recv_many` has taken nothing, and whether
            // an unbind was asked for is written down.
            tokio::select! {
                biased;
                () = self.connection.drive(&mut self.actions) => {}
                count = self.commands.recv_many(&mut batch, BATCH_MAX), if handles_left => {
                    handles_left = count > 0;
                }
                () = shared.unbind.notified(), if !self.unbinding => {}
            }
            self.act();
            // A peer that never falls silent must not keep our own commands waiting.
            while batch.len() < BATCH_MAX
                && let Ok(command) = self.commands.try_recv()
            {
                batch.push(command);
            }
            for command in batch.drain(..) {
                self.command(command);
            }
            // A closed session has refused them, and what comes behind is refused as the driver is dropped.
            if let Some(reason) = self.closed {
                return reason;
            }
            let over = !handles_left || shared.unbind_asked.load(Ordering::Acquire);
            if over && !self.unbinding {
                self.unbind();
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Request { pdu, caller } => self.request(&pdu, caller),
            Command::Notify { pdu, reply, .. } => {
                let input = Input::Notify { pdu: &pdu };
                // Whoever has gone does not want to know.
                let _ = reply.send(self.connection.send(input, &mut self.actions));
            }
            Command::Reply { answer, reply } => self.reply(&answer, &reply),
        }
    }

    fn request(&mut self, pdu: &Pdu, caller: Caller) {
        let token = self.callers.insert(caller);
        let input = Input::Request { pdu, token };
        if let Err(refused) = self.connection.send(input, &mut self.actions) {
            self.settle(token, Err(NoAnswer::Refused(refused)));
        }
    }

    fn reply(&mut self, due: &Due, reply: &Reply) {
        let Due {
            sequence, command, ..
        } = *due;
        let decline = |status| Input::Decline {
            sequence,
            command,
            status,
        };
        let input = match &reply.pdu {
            Some(pdu) if pdu.command().answers(command) => Input::Respond {
                sequence,
                status: reply.status,
                pdu,
            },
            // Another operation's response would leave the peer without its own.
            Some(_) => decline(CommandStatus::ESME_RSYSERR),
            None => decline(reply.status),
        };
        let answered = self.connection.send(input, &mut self.actions);
        if let Err(Refused::NotPermitted | Refused::Encode(_)) = answered {
            let input = decline(CommandStatus::ESME_RSYSERR);
            let answered = self.connection.send(input, &mut self.actions);
            debug_assert!(
                answered.is_ok(),
                "only requests that were handed out are answered"
            );
        }
    }

    /// No request is taken any more; the session sends its unbind when nothing is outstanding.
    fn unbind(&mut self) {
        self.unbinding = true;
        self.shared.leave();
        // Refused only when the session is over.
        let _ = self.connection.send(Input::Unbind, &mut self.actions);
    }

    fn act(&mut self) {
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            self.take(action);
        }
        // Declining may have led to actions of its own; the vector is kept for its room.
        actions.append(&mut self.actions);
        self.actions = actions;
    }

    fn take(&mut self, action: Action<Ticket>) {
        match action {
            Action::Response {
                token,
                sequence,
                status,
                pdu,
                rtt,
            } => {
                let answer = Answer {
                    sequence,
                    status,
                    pdu,
                    rtt,
                };
                self.settle(token, Ok(answer));
            }
            Action::Expired { token, sequence } => {
                self.settle(token, Err(NoAnswer::Expired { sequence }));
            }
            Action::InDoubt { token, .. } => self.settle(token, Err(NoAnswer::InDoubt)),
            Action::Late {
                token,
                sequence,
                status,
                pdu,
            } => {
                let answer = Answer {
                    sequence,
                    status,
                    pdu,
                    rtt: std::time::Duration::ZERO,
                };
                self.shared.orphan(token.number, Ok(answer));
            }
            Action::Request {
                sequence,
                pdu,
                violations,
            } => self.asked(sequence, pdu, violations),
            Action::Notified { pdu, .. } => {
                if self.shared.events.try_send(Event::Notified(pdu)).is_err() {
                    self.count_notice();
                }
            }
            Action::PeerUnbinding => self.shared.leave(),
            Action::Congestion { state } => {
                self.shared.congestion.store(state, Ordering::Relaxed);
            }
            Action::Notice(_) => self.count_notice(),
            Action::Closed { reason } => self.closed = Some(reason),
            Action::Bound { .. } | Action::BindRejected { .. } | Action::BindRequested { .. } => {}
        }
    }

    fn count_notice(&self) {
        self.shared.notices.fetch_add(1, Ordering::Relaxed);
    }

    fn settle(&mut self, token: Ticket, outcome: Outcome) {
        if let Some(caller) = self.callers.remove(token) {
            caller.tell(outcome, &self.shared);
        }
    }

    /// Hands a request of the peer out, or declines it where too many wait.
    fn asked(&mut self, sequence: u32, pdu: Pdu, violations: Violations) {
        let command = pdu.command();
        let place = Arc::clone(&self.asked).try_acquire_owned();
        let room = Arc::clone(&self.room).try_acquire_many_owned(kib_of(&pdu));
        if let (Ok(place), Ok(room), Some(to_self)) = (place, room, self.to_self.upgrade()) {
            let due = Due {
                sequence,
                command,
                role: self.role,
                _place: place,
                _room: room,
            };
            let request = PeerRequest {
                pdu,
                violations,
                responder: Responder::new(due, to_self),
            };
            // An event that finds no room is dropped here, and its responder declines.
            let _ = self.shared.events.try_send(Event::Request(request));
            return;
        }
        let input = Input::Decline {
            sequence,
            command,
            status: not_now(self.role),
        };
        // Refused only when the session is over.
        let _ = self.connection.send(input, &mut self.actions);
    }
}

/// What a request takes, in KiB and at least one: its message, and each TLV with what keeping it costs.
fn kib_of(pdu: &Pdu) -> u32 {
    let tlvs = pdu.tlvs().into_iter().flatten();
    let tlvs: usize = tlvs.map(|tlv| size_of::<Tlv>() + tlv.value.len()).sum();
    let octets = pdu.short_message_len() + tlvs;
    // A PDU has at most 16 MiB.
    1 + (octets / KIB) as u32
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.leave();
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Request { caller, .. } => {
                    caller.tell(Err(Refused::NotBound.into()), &self.shared);
                }
                Command::Notify { reply, .. } => {
                    // Whoever has gone does not want to know.
                    let _ = reply.send(Err(Refused::NotBound));
                }
                Command::Reply { .. } => {}
            }
        }
        for caller in self.callers.places.drain(..).flatten() {
            caller.tell(Err(NoAnswer::InDoubt), &self.shared);
        }
        let reason = self.closed.unwrap_or(CloseReason::Aborted);
        self.shared.stand.send_replace(Stand::Over(reason));
    }
}
