//! Lives here: an ESME and an SMSC session joined by two wires on a virtual clock, for tests.
//! Never here: assertions about the protocol.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use smallvec::{SmallVec, smallvec};

use crate::codec::{CommandId, Header};
use crate::pdu::{Bind, BindKind, DeliverSm, DeliverSmResp, OctetStr, Pdu, SubmitSm, SubmitSmResp};
use crate::session::{Action, CloseReason, Input, Refused, Session, SessionConfig};
use crate::status::CommandStatus;

/// Which end; as a direction: the end that sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Esme,
    Smsc,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Esme => Self::Smsc,
            Self::Smsc => Self::Esme,
        }
    }
}

/// When each copy of a PDU arrives, counted from its sending; none at all when it is lost.
pub(super) type Delays = SmallVec<[Duration; 2]>;
type Fate = Box<dyn FnMut(Side, &Header) -> Delays>;

pub(super) struct End {
    pub(super) session: Session<u32>,
    pub(super) actions: Vec<Action<u32>>,
}

impl End {
    fn new(config: SessionConfig, now: Instant) -> Self {
        Self {
            session: Session::new(config, now),
            actions: Vec::new(),
        }
    }

    /// What has happened since the last call.
    pub(super) fn take(&mut self) -> Vec<Action<u32>> {
        std::mem::take(&mut self.actions)
    }
}

pub(super) struct Pair {
    pub(super) esme: End,
    pub(super) smsc: End,
    pub(super) now: Instant,
    wire: BTreeMap<(Instant, u64), (Side, Bytes)>,
    order: u64,
    fate: Fate,
}

impl Pair {
    /// Connected, not bound; wires without delay or loss.
    pub(super) fn new(esme: SessionConfig, smsc: SessionConfig) -> Self {
        let now = Instant::now();
        Self {
            esme: End::new(esme, now),
            smsc: End::new(smsc, now),
            now,
            wire: BTreeMap::new(),
            order: 0,
            fate: Box::new(|_, _| smallvec![Duration::ZERO]),
        }
    }

    /// Bound with the default configurations; the actions of the bind are taken.
    pub(super) fn bound(kind: BindKind) -> Self {
        Self::bound_with(kind, SessionConfig::esme(), SessionConfig::smsc())
    }

    pub(super) fn bound_with(kind: BindKind, esme: SessionConfig, smsc: SessionConfig) -> Self {
        let mut pair = Self::new(esme, smsc);
        pair.input(Side::Esme, Input::Bind(&bind(kind))).unwrap();
        pair.settle();
        let sequence = match &pair.smsc.take()[..] {
            [Action::BindRequested { sequence, .. }] => *sequence,
            other => panic!("{other:?}"),
        };
        pair.answer_bind(sequence, CommandStatus::ESME_ROK);
        pair.settle();
        assert!(pair.esme.session.state().is_bound() && pair.smsc.session.state().is_bound());
        pair.esme.take();
        pair.smsc.take();
        pair
    }

    /// From now on each PDU arrives as `fate` says.
    pub(super) fn set_fate(&mut self, fate: impl FnMut(Side, &Header) -> Delays + 'static) {
        self.fate = Box::new(fate);
    }

    /// From now on nothing that `side` sends arrives.
    pub(super) fn mute(&mut self, side: Side) {
        self.set_fate(move |from, _| {
            if from == side {
                smallvec![]
            } else {
                smallvec![Duration::ZERO]
            }
        });
    }

    pub(super) fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Esme => &mut self.esme,
            Side::Smsc => &mut self.smsc,
        }
    }

    pub(super) fn input(&mut self, side: Side, input: Input<'_, u32>) -> Result<(), Refused> {
        let now = self.now;
        let end = self.end(side);
        end.session.handle(input, now, &mut end.actions)
    }

    pub(super) fn answer_bind(&mut self, sequence: u32, status: CommandStatus) {
        let system_id = OctetStr::from("smsc");
        let answer = Input::AnswerBind {
            sequence,
            status,
            system_id: &system_id,
        };
        self.input(Side::Smsc, answer).unwrap();
    }

    pub(super) fn submit(&mut self, token: u32) -> Result<(), Refused> {
        self.input(
            Side::Esme,
            Input::Request {
                pdu: &submit_sm(),
                token,
            },
        )
    }

    pub(super) fn abort(&mut self, side: Side, reason: CloseReason) {
        let end = self.end(side);
        end.session.abort(reason, &mut end.actions);
    }

    /// Carries octets until both are silent, without passing of time.
    pub(super) fn settle(&mut self) {
        self.advance(Duration::ZERO);
    }

    /// Lets time pass; both ends tick at their deadlines.
    pub(super) fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while self.step(end) {}
        self.now = end;
    }

    /// Does the next thing that is due by `end`; false when nothing is. Octets come before timers.
    pub(super) fn step(&mut self, end: Instant) -> bool {
        self.ship(Side::Esme);
        self.ship(Side::Smsc);
        let arrival = self.wire.keys().next().map(|(at, _)| *at);
        let timer = self.esme.session.next_deadline().into_iter();
        let timer = timer.chain(self.smsc.session.next_deadline()).min();
        let Some(at) = arrival
            .into_iter()
            .chain(timer)
            .min()
            .filter(|at| *at <= end)
        else {
            return false;
        };
        self.now = self.now.max(at);
        if arrival.is_some_and(|arrival| arrival <= self.now) {
            if let Some((_, (from, octets))) = self.wire.pop_first() {
                self.input(from.other(), Input::Received(&octets)).unwrap();
            }
        } else {
            for side in [Side::Esme, Side::Smsc] {
                self.input(side, Input::Tick).unwrap();
            }
        }
        true
    }

    fn ship(&mut self, from: Side) {
        while let Some(pdu) = next_pdu(self.end(from).session.output()) {
            let header = Header::parse(&pdu).unwrap();
            for delay in (self.fate)(from, &header) {
                self.order += 1;
                self.wire
                    .insert((self.now + delay, self.order), (from, pdu.clone()));
            }
        }
    }
}

/// Cuts the next PDU off what a session has written.
pub(super) fn next_pdu(output: &mut BytesMut) -> Option<Bytes> {
    let header = Header::parse(output)?;
    Some(output.split_to(header.length as usize).freeze())
}

/// The headers of all that a session has written.
pub(super) fn written(session: &mut Session<u32>) -> Vec<(CommandId, CommandStatus, u32)> {
    let mut output = session.output().split();
    let mut headers = Vec::new();
    while let Some(header) = Header::parse(&output) {
        output.advance(header.length as usize);
        headers.push((header.command, header.status, header.sequence));
    }
    assert!(output.is_empty());
    headers
}

/// A PDU's octets as a peer would send them.
pub(super) fn octets(pdu: &Pdu, status: CommandStatus, sequence: u32) -> Vec<u8> {
    let mut out = BytesMut::new();
    pdu.encode(status, sequence, &mut out).unwrap();
    out.to_vec()
}

/// A PDU made by hand, its length right.
pub(super) fn raw(command: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap();
    let mut out: Vec<u8> = [length, command, status, sequence]
        .iter()
        .flat_map(|field| field.to_be_bytes())
        .collect();
    out.extend_from_slice(body);
    out
}

pub(super) fn bind(kind: BindKind) -> Bind {
    Bind {
        kind,
        system_id: OctetStr::from("esme"),
        password: OctetStr::from("secret"),
        ..Bind::default()
    }
}

pub(super) fn submit_sm() -> Pdu {
    Pdu::SubmitSm(SubmitSm {
        short_message: Bytes::from_static(b"hujambo"),
        ..SubmitSm::default()
    })
}

pub(super) fn submit_sm_resp(id: &'static str) -> Pdu {
    Pdu::SubmitSmResp(SubmitSmResp {
        message_id: OctetStr::from(id),
        tlvs: Default::default(),
    })
}

pub(super) fn deliver_sm() -> Pdu {
    Pdu::DeliverSm(DeliverSm {
        short_message: Bytes::from_static(b"jambo"),
        ..DeliverSm::default()
    })
}

pub(super) fn deliver_sm_resp() -> Pdu {
    Pdu::DeliverSmResp(DeliverSmResp::default())
}
