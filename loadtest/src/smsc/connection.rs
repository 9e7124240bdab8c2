//! Lives here: the task of one connection to the simulator. Never here: what the script decides.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use mnara_smpp::{
    pdu::{Bind, BindKind, OctetStr, Pdu, SubmitSm, SubmitSmResp},
    session::{Action, Input},
    status::CommandStatus,
    tlv::Tlvs,
    transport::Connection,
};
use rand::{SeedableRng, rngs::StdRng};
use tokio::{sync::watch, time::sleep_until};

use super::{
    Control, Shared,
    account::Account,
    delivery::{RECEIPT_RETRY, wants_receipt},
    due::Due,
    observer::{Fate, Submit},
    receipts::{ReceiptJob, Renderer, unix_minute, write_id},
    script::{Live, Presence, Stat, Subject, Then},
    segment,
};

/// How a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Go,
    /// Cut it.
    Close,
    /// Keep it open, without reading or writing.
    Hang,
}

/// A receipt in flight carries itself.
pub(super) type Token = Arc<ReceiptJob>;

/// One connection's own state.
pub(super) struct Peer {
    pub(super) shared: Arc<Shared>,
    pub(super) live: Arc<Live>,
    version: u64,
    pub(super) rng: StdRng,
    pub(super) account: Option<Arc<Account>>,
    system_id: String,
    pub(super) receives: bool,
    /// Answers held back by the response delay.
    answers: Due<HeldAnswer>,
    /// Receipts decided on in this batch, with the tick they are due at.
    pub(super) fresh: Vec<(u64, Token)>,
    pub(super) ready: Vec<Token>,
    due_answers: Vec<HeldAnswer>,
    pub(super) next_receipt: Option<u64>,
    pub(super) renderer: Renderer,
    id_text: String,
    pub(super) now: Instant,
    pub(super) minute: u64,
}

struct HeldAnswer {
    sequence: u32,
    id: u64,
    status: CommandStatus,
    /// When the request was read.
    since: Instant,
}

/// Serves one connection until either side ends it.
pub(super) async fn serve(
    mut connection: Connection<Token>,
    shared: Arc<Shared>,
    mut control: watch::Receiver<Control>,
    number: u64,
) {
    let mut peer = Peer::new(shared, number);
    let mut actions = Vec::new();
    let mut sleep = std::pin::pin!(sleep_until(peer.now.into()));
    let mut flow = match peer.live.script.presence {
        Presence::Up => Flow::Go,
        Presence::Hung => Flow::Hang,
        Presence::Down => Flow::Close,
    };
    let mut hung = false;
    while flow != Flow::Close {
        hung = flow == Flow::Hang;
        if hung {
            flow = hang(&mut control).await;
            continue;
        }
        let deadline = peer.deadline();
        if let Some(at) = deadline
            && sleep.deadline() != at.into()
        {
            sleep.as_mut().reset(at.into());
        }
        let listens = connection.session().window_free() > 0;
        // Every branch may be dropped halfway: drive keeps its octets, a lost notification goes to another bind, and
        // the timer and the command are looked at again.
        tokio::select! {
            () = connection.drive(&mut actions) => {}
            () = sleep.as_mut(), if deadline.is_some() => {}
            () = peer.woken(), if listens => {}
            commanded = control.changed() => {
                flow = match commanded.map(|()| *control.borrow_and_update()) {
                    Ok(Control::Run) => Flow::Go,
                    Ok(Control::HalfOpen) => Flow::Hang,
                    Ok(Control::Disconnect | Control::Down | Control::Stop) | Err(_) => Flow::Close,
                };
            }
        }
        if flow == Flow::Go {
            flow = peer.batch(&mut connection, &mut actions);
        }
    }
    if !hung {
        // Answers given before the cut were given; a peer that is gone already is no error.
        let _ = connection.flush().await;
    }
    peer.end(&mut connection, &mut actions);
}

/// Waits for the command that ends the silence one way or the other.
async fn hang(control: &mut watch::Receiver<Control>) -> Flow {
    while control.changed().await.is_ok() {
        match *control.borrow_and_update() {
            Control::Run => return Flow::Go,
            Control::HalfOpen => {}
            Control::Disconnect | Control::Down | Control::Stop => return Flow::Close,
        }
    }
    Flow::Close
}

impl Peer {
    fn new(shared: Arc<Shared>, number: u64) -> Self {
        // The version is read first: a change in between is then seen again, and not missed.
        let version = shared.version.load(Ordering::Acquire);
        let live = Arc::clone(&shared.live.read().unwrap_or_else(PoisonError::into_inner));
        Self {
            rng: StdRng::seed_from_u64(shared.config.seed.wrapping_add(number)),
            live,
            version,
            account: None,
            system_id: String::new(),
            receives: false,
            answers: Due::new(),
            fresh: Vec::new(),
            ready: Vec::new(),
            due_answers: Vec::new(),
            next_receipt: None,
            renderer: Renderer::new(),
            id_text: String::new(),
            now: Instant::now(),
            minute: unix_minute(),
            shared,
        }
    }

    /// When the connection has something to do without an event.
    fn deadline(&self) -> Option<Instant> {
        let tick = match (self.answers.next(), self.next_receipt) {
            (Some(answer), Some(receipt)) => Some(answer.min(receipt)),
            (answer, receipt) => answer.or(receipt),
        };
        tick.map(|tick| self.shared.epoch + Duration::from_millis(tick))
    }

    /// Another bind of the account has receipts that it cannot carry.
    async fn woken(&self) {
        match &self.account {
            Some(account) if self.receives => account.wake.notified().await,
            _ => std::future::pending().await,
        }
    }

    /// Handles what came in, then sends what is due.
    fn batch(
        &mut self,
        connection: &mut Connection<Token>,
        actions: &mut Vec<Action<Token>>,
    ) -> Flow {
        self.now = Instant::now();
        self.minute = unix_minute();
        let version = self.shared.version.load(Ordering::Acquire);
        if version != self.version {
            self.live = Arc::clone(
                &self
                    .shared
                    .live
                    .read()
                    .unwrap_or_else(PoisonError::into_inner),
            );
            self.version = version;
        }
        let mut flow = Flow::Go;
        let mut more = Vec::new();
        while !actions.is_empty() && flow == Flow::Go {
            for action in actions.drain(..) {
                if flow == Flow::Go {
                    flow = self.take(connection, action, &mut more);
                } else {
                    self.keep(action);
                }
            }
            std::mem::swap(actions, &mut more);
        }
        if flow == Flow::Go {
            self.answer_due(connection, actions);
        }
        self.store_receipts();
        if flow == Flow::Go {
            self.send_receipts(connection, actions);
        }
        self.shared.changed.notify_waiters();
        flow
    }

    /// An action after the one that ended the connection: only the fate of our own receipts still counts.
    fn keep(&mut self, action: Action<Token>) {
        if let Action::InDoubt { token, .. } | Action::Expired { token, .. } = action {
            self.receipt_in_doubt(token, self.now);
        }
    }

    fn take(
        &mut self,
        connection: &mut Connection<Token>,
        action: Action<Token>,
        more: &mut Vec<Action<Token>>,
    ) -> Flow {
        match action {
            Action::BindRequested { sequence, bind } => {
                self.bind(connection, sequence, &bind, more);
            }
            Action::Request {
                sequence,
                pdu: Pdu::SubmitSm(submit),
                ..
            } => {
                return self.submit(connection, sequence, &submit, more);
            }
            Action::Request { sequence, pdu, .. } => {
                let input = Input::Decline {
                    sequence,
                    command: pdu.command(),
                    status: CommandStatus::ESME_RINVCMDID,
                };
                let _ = connection.send(input, more);
            }
            Action::Response { token, status, .. } => self.receipt_answered(token, status),
            Action::Expired { token, .. } => self.receipt_in_doubt(token, self.now + RECEIPT_RETRY),
            Action::InDoubt { token, .. } => self.receipt_in_doubt(token, self.now),
            Action::Notice(_) => add(&self.shared.counters.notices),
            Action::Closed { .. } => return Flow::Close,
            Action::Bound { .. }
            | Action::BindRejected { .. }
            | Action::Late { .. }
            | Action::Notified { .. }
            | Action::PeerUnbinding
            | Action::Congestion { .. } => {}
        }
        Flow::Go
    }

    fn bind(
        &mut self,
        connection: &mut Connection<Token>,
        sequence: u32,
        bind: &Bind,
        more: &mut Vec<Action<Token>>,
    ) {
        let status = self.bind_status(bind);
        let counters = &self.shared.counters;
        if status.is_ok() {
            add(&counters.binds);
            self.system_id = bind.system_id.to_str_lossy().into_owned();
            self.receives = bind.kind != BindKind::Transmitter;
            let account = self.shared.account(&self.system_id);
            // Receipts of an earlier bind may have waited for this one.
            self.next_receipt = self.receives.then_some(0);
            self.account = Some(account);
        } else {
            add(&counters.binds_refused);
        }
        let name = OctetStr::from(self.shared.config.name.as_str());
        let answer = Input::AnswerBind {
            sequence,
            status,
            system_id: &name,
        };
        // Refused only when our own name is too long or the peer is gone; both end the connection by themselves.
        let _ = connection.send(answer, more);
    }

    fn bind_status(&self, bind: &Bind) -> CommandStatus {
        let config = &self.shared.config;
        let fits = |wanted: &Option<String>, got: &OctetStr| {
            wanted
                .as_ref()
                .is_none_or(|wanted| wanted.as_bytes() == got.as_bytes())
        };
        if let Some(status) = self.live.script.refuse_binds {
            return CommandStatus(status);
        }
        if !fits(&config.system_id, &bind.system_id) {
            return CommandStatus::ESME_RINVSYSID;
        }
        if !fits(&config.password, &bind.password) {
            return CommandStatus::ESME_RINVPASWD;
        }
        let limit = u64::try_from(config.binds_max).unwrap_or(u64::MAX);
        let open = &self.shared.counters.binds_open;
        let taken = open.fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| {
            (open < limit).then_some(open + 1)
        });
        if taken.is_ok() {
            CommandStatus::ESME_ROK
        } else {
            CommandStatus::ESME_RALYBND
        }
    }

    fn submit(
        &mut self,
        connection: &mut Connection<Token>,
        sequence: u32,
        submit: &SubmitSm,
        more: &mut Vec<Action<Token>>,
    ) -> Flow {
        let segment = segment::of(submit);
        let then = self.decide(submit, segment.text);
        let (fate, stat, flow) = self.fate(then);
        let accepted = fate == Fate::Accepted;
        let id = if accepted {
            self.shared.next_id.fetch_add(1, Ordering::Relaxed)
        } else {
            0
        };
        self.id_text.clear();
        if accepted {
            write_id(&mut self.id_text, self.shared.config.id_style, id, false);
        }
        let tag = self.shared.config.observer.as_ref().map_or(0, |observer| {
            observer.submit(&Submit {
                system_id: &self.system_id,
                source: submit.source.addr.as_bytes(),
                dest: submit.dest.addr.as_bytes(),
                text: segment.text,
                data_coding: submit.data_coding,
                reference: segment.reference,
                part: segment.part,
                parts: segment.parts,
                registered_delivery: submit.registered_delivery,
                message_id: &self.id_text,
                fate,
                at: self.now,
            })
        });
        let mut delay = self.live.script.response_delay_ms.draw(&mut self.rng);
        if let Some(stat) = stat
            && wants_receipt(submit.registered_delivery, stat)
        {
            let job = self.job(id, submit, segment.text, stat, tag);
            delay = self.plan_receipt(connection, job, delay, more);
        }
        let status = match fate {
            Fate::Accepted => CommandStatus::ESME_ROK,
            Fate::Refused(status) => status,
            Fate::Dropped | Fate::Disconnected | Fate::HalfOpen => return flow,
        };
        if delay.is_zero() {
            self.answer(connection, sequence, status, more);
        } else {
            let tick = self.shared.tick_after(self.now + delay);
            self.answers.push(
                tick,
                HeldAnswer {
                    sequence,
                    id,
                    status,
                    since: self.now,
                },
            );
        }
        flow
    }

    fn decide(&mut self, submit: &SubmitSm, text: &[u8]) -> Option<Then> {
        add(&self.shared.counters.submits);
        let script = &self.live.script;
        if let Some(rate) = script.throttle_per_s {
            let (throttle, now) = (&self.shared.throttle, self.now - self.shared.epoch);
            let allowed = match script.throttle_window_ms {
                Some(ms) => throttle.allows_in_window(rate, Duration::from_millis(ms.into()), now),
                None => {
                    let burst = script.throttle_burst_ms.unwrap_or(100);
                    throttle.allows(rate, Duration::from_millis(burst.into()), now)
                }
            };
            if !allowed {
                return None;
            }
        }
        if self.live.script.rules.is_empty() {
            return Some(Then::Accept);
        }
        let subject = Subject {
            source: submit.source.addr.as_bytes(),
            dest: submit.dest.addr.as_bytes(),
            data_coding: submit.data_coding,
            text,
        };
        Some(self.live.decide(&subject, &mut self.rng))
    }

    /// What becomes of a message, the state of its receipt, and how the connection goes on. `None` is the throttle.
    fn fate(&mut self, then: Option<Then>) -> (Fate, Option<Stat>, Flow) {
        let counters = &self.shared.counters;
        let Some(then) = then else {
            add(&counters.throttled);
            let status = self.live.script.throttle_status.map(CommandStatus);
            let status = status.unwrap_or(CommandStatus::ESME_RTHROTTLED);
            return (Fate::Refused(status), None, Flow::Go);
        };
        let counter = match then {
            Then::Status(0) | Then::Accept | Then::Receipt(_) | Then::NoReceipt => {
                &counters.accepted
            }
            Then::Status(_) => &counters.refused,
            Then::Drop | Then::Disconnect | Then::HalfOpen => &counters.unanswered,
        };
        add(counter);
        match then {
            Then::Accept | Then::Status(0) => {
                (Fate::Accepted, self.live.draw_stat(&mut self.rng), Flow::Go)
            }
            Then::Receipt(stat) => (Fate::Accepted, Some(stat), Flow::Go),
            Then::NoReceipt => (Fate::Accepted, None, Flow::Go),
            Then::Status(status) => (Fate::Refused(CommandStatus(status)), None, Flow::Go),
            Then::Drop => (Fate::Dropped, None, Flow::Go),
            Then::Disconnect => (Fate::Disconnected, None, Flow::Close),
            Then::HalfOpen => (Fate::HalfOpen, None, Flow::Hang),
        }
    }

    fn answer(
        &mut self,
        connection: &mut Connection<Token>,
        sequence: u32,
        status: CommandStatus,
        more: &mut Vec<Action<Token>>,
    ) {
        let message_id = OctetStr::from(self.id_text.as_str());
        let pdu = Pdu::SubmitSmResp(SubmitSmResp {
            message_id,
            tlvs: Tlvs::new(),
        });
        // Refused only when the peer is gone; the close is reported by the next drive.
        let _ = connection.send(
            Input::Respond {
                sequence,
                status,
                pdu: &pdu,
            },
            more,
        );
    }

    fn answer_due(&mut self, connection: &mut Connection<Token>, more: &mut Vec<Action<Token>>) {
        if self.answers.len() == 0 {
            return;
        }
        let mut due = std::mem::take(&mut self.due_answers);
        self.answers
            .pop(self.shared.tick(self.now), usize::MAX, &mut due);
        let counters = &self.shared.counters;
        counters.held.fetch_add(due.len() as u64, Ordering::Relaxed);
        let held_us: u64 = due
            .iter()
            .map(|held| u64::try_from((self.now - held.since).as_micros()).unwrap_or(u64::MAX))
            .sum();
        counters.held_us.fetch_add(held_us, Ordering::Relaxed);
        for held in due.drain(..) {
            self.id_text.clear();
            if held.status.is_ok() {
                write_id(
                    &mut self.id_text,
                    self.shared.config.id_style,
                    held.id,
                    false,
                );
            }
            self.answer(connection, held.sequence, held.status, more);
        }
        self.due_answers = due;
    }

    /// The connection is over: its unacknowledged receipts go back to the account.
    fn end(&mut self, connection: &mut Connection<Token>, actions: &mut Vec<Action<Token>>) {
        // A session that is closed already has handed out its tokens.
        let _ = connection.send(Input::Eof, actions);
        for action in std::mem::take(actions) {
            self.keep(action);
        }
        self.store_receipts();
        if let Some(account) = &self.account {
            self.shared
                .counters
                .binds_open
                .fetch_sub(1, Ordering::AcqRel);
            account.wake.notify_one();
        }
        self.shared.changed.notify_waiters();
    }
}

pub(super) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
