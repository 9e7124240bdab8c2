//! Lives here: random histories of a store: what accepting, binds, settling, receipts, webhooks and
//! operators may ask of it, legal or not, in rounds of what reaches the writer at once.
//! Never here: what comes of it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use mnara_smpp::receipt::{IdDialect, IdRule};
use uuid::Uuid;

use super::super::dice::Dice;
use super::customers;
use crate::domain::class::Class;
use crate::domain::credits::Credits;
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{CarrierId, CarrierIndex, MessageId, MessageSeq, OrgId, ReceiptKey};
use crate::domain::lifecycle::{SegmentState, failure_of};
use crate::domain::message::{Encoding, FailureCode, Message, State};
use crate::domain::phone::{Msisdn, Sender};
use crate::domain::price::Price;
use crate::domain::receipt::{Evidence, Receipt, Words};
use crate::domain::time::Timestamp;
use crate::flow::health::Hold;
use crate::store::inbox::{Keeping, Replay};
use crate::store::jobs::{Campaign, Order};
use crate::store::memo::Memo;
use crate::store::people::PeopleWork;
use crate::store::till::Purchase;
use crate::store::{AuditEntry, HoldRow};

/// The configured accounts.
pub(super) const ACCOUNTS: [&str; 2] = ["mtn_ng", "glo_ng"];
/// One that is configured no more: operators may still move messages there, and from there.
const GONE: &str = "etisalat";
const RECIPIENTS: [&str; 3] = ["2348031234567", "2348031234568", "255754000001"];
/// Few, so that messages are alike now and then.
const BODIES: [&str; 3] = [
    "hujambo",
    "Your code is 123456",
    "habari ya asubuhi \u{1F600}, karibu",
];
/// The days since 1970 on which histories happen: from an hour before a midnight in 2026.
pub(super) const DAYS: Range<i64> = 20_457..20_467;
const BEGIN: i64 = DAYS.start * 86_400_000 + 23 * 3_600_000;

/// What somebody asks of the store. Messages are named by their number in the history; intents,
/// events and bookmarks, which are the store's to give, by a number of which the player takes the
/// remainder.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// By a request that names itself, if there is a memo.
    Accept(Box<Message>, Option<Arc<Memo>>),
    Intend {
        bind: usize,
        at: Timestamp,
        messages: Vec<usize>,
        again: bool,
    },
    Settle {
        answers: Vec<Answer>,
        closes: Option<usize>,
    },
    Receive(Vec<Receipt>),
    ReleaseDue(Timestamp, u32),
    EndOverdue {
        queued_before: Timestamp,
        open_before: Timestamp,
        at: Timestamp,
    },
    Claim(Timestamp),
    Leave(usize, Timestamp),
    Deliver {
        event: usize,
        at: Timestamp,
        status: Option<u16>,
        retry_at: Option<Timestamp>,
    },
    GiveUp(Timestamp),
    Sweep {
        carrier: &'static str,
        class: Class,
        org: Option<OrgId>,
        accepted_before: Option<Timestamp>,
        /// Where the last sweep ended.
        go_on: bool,
        to: Option<&'static str>,
        audit: AuditEntry,
    },
    Cancel(usize, bool, AuditEntry),
    Resend(usize, AuditEntry),
    Hold(HoldRow, AuditEntry),
    Free(CarrierId, AuditEntry),
    Note(AuditEntry),
    Buy(Purchase, AuditEntry),
    Price(Price, AuditEntry),
    /// A request that names itself is refused.
    Refuse(Memo),
    DropAnswers(Timestamp),
    Keep(Keeping),
    Prove(Timestamp, Timestamp),
    Replay(Replay, AuditEntry),
    Discard(CarrierId, Timestamp, AuditEntry),
    People(PeopleWork, Option<AuditEntry>),
    MakeEndpoint(Endpoint),
    Order(Box<Order>),
    Draft(Campaign),
    /// Reads of every kind, about a message and a lane.
    Look {
        message: usize,
        lane: (CarrierIndex, Class),
        org: OrgId,
        now: Timestamp,
        limit: u32,
    },
    Restart(Ending),
}

impl Deed {
    /// It changes what waits behind the lanes' back.
    pub(super) const fn is_operators(&self) -> bool {
        matches!(
            self,
            Self::Sweep { .. } | Self::Cancel(..) | Self::Resend(..)
        )
    }

    /// It is several steps: what it comes to depends on what else is under way.
    pub(super) const fn stands_alone(&self) -> bool {
        matches!(
            self,
            Self::Replay(..) | Self::Look { .. } | Self::Restart(_)
        )
    }
}

/// How a run ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// By itself, with every outcome told.
    Orderly,
    /// By itself, but something else of the daemon has not.
    Unsure,
    /// Killed.
    Crash,
}

/// What a carrier has answered of one message, or the clock or the scheduler has decided.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) message: usize,
    /// Part, where it stands now, and the carrier's id.
    pub(super) parts: Vec<(u8, SegmentState, Option<Box<str>>)>,
    pub(super) attempt: u16,
    pub(super) account: CarrierIndex,
    pub(super) at: Timestamp,
    pub(super) to: Option<State>,
    pub(super) failure: Option<FailureCode>,
    pub(super) marked: bool,
    pub(super) reroute: Option<CarrierIndex>,
}

/// A history with this many rounds; the same for the same seed.
pub(super) fn history(seed: u64, rounds: usize) -> Vec<Vec<Deed>> {
    let mut teller = Teller {
        dice: Dice::new(seed),
        now: Timestamp(BEGIN),
        messages: Vec::new(),
        attempts: Vec::new(),
        ids: 0,
        given: Vec::new(),
        people: (0, 0),
    };
    (0..rounds).map(|_| teller.round()).collect()
}

/// The account at an index.
pub(super) fn account_at(index: CarrierIndex) -> CarrierId {
    CarrierId(ACCOUNTS[index.index()].into())
}

struct Teller {
    dice: Dice,
    now: Timestamp,
    messages: Vec<Message>,
    /// Of each message.
    attempts: Vec<u16>,
    /// Ids that carriers have given, how many; and the messages and accounts of each.
    ids: usize,
    given: Vec<(Box<str>, usize, CarrierIndex)>,
    /// How often an organisation was created, and a key.
    people: (u8, u8),
}

impl Teller {
    fn round(&mut self) -> Vec<Deed> {
        let pause = match self.dice.below(20) {
            0 => 3_600_000,
            1..=3 => 60_000,
            _ => 900,
        };
        self.now.0 += i64::try_from(1 + self.dice.below(pause)).expect("an hour");
        let together = match self.dice.below(4) {
            0 => 1 + self.dice.below(6),
            _ => 1,
        };
        let mut deeds: Vec<Deed> = (0..together).map(|_| self.deed()).collect();
        if together > 1 {
            deeds.retain(|deed| !deed.stands_alone());
        }
        // A message takes its number in the history with its accept: what names it comes later.
        deeds.sort_by_key(|deed| !matches!(deed, Deed::Accept(..)));
        deeds
    }

    /// No two deeds have the same time: which of two rows is the older one is nobody's promise.
    fn deed(&mut self) -> Deed {
        self.now.0 += 1;
        if self.messages.len() < 3 {
            return self.accept();
        }
        match self.dice.below(100) {
            0..17 => self.accept(),
            17..27 => self.intend(),
            27..52 => self.settle(),
            52..68 => self.receive(),
            68..73 => self.clock(),
            73..81 => self.webhooks(),
            81..88 => self.operator(),
            88..92 => self.inbox(),
            92..93 => {
                let audit = self.audit();
                customers::people(&mut self.dice, audit, &mut self.people)
            }
            93..95 => {
                let audit = self.audit();
                customers::money(&mut self.dice, self.now, audit)
            }
            95..97 => self.look(),
            97..98 => customers::requests(&mut self.dice, self.now),
            _ => Deed::Restart(
                self.dice
                    .one_of(&[Ending::Orderly, Ending::Unsure, Ending::Crash]),
            ),
        }
    }

    fn accept(&mut self) -> Deed {
        let dice = &mut self.dice;
        let scheduled = dice.percent(15);
        let due = if scheduled { 1 + dice.below(90_000) } else { 0 };
        let valid = dice.one_of(&[5_000, 120_000, 4_000_000, 200_000_000]);
        let time = u128::try_from(self.now.0).expect("after 1970") << 80;
        let random = u128::from(dice.roll()) >> 2;
        let optional = |dice: &mut Dice, text: &str| dice.percent(60).then(|| text.into());
        let message = Message {
            seq: MessageSeq(0),
            id: MessageId(Uuid::from_u128(time | 0x7000_8000 << 48 | random)),
            org: org(dice.below(ORGS)),
            class: dice.one_of(&Class::ALL),
            to: Msisdn::from_digits(dice.one_of(&RECIPIENTS)).expect("a number"),
            from: Sender::parse(dice.one_of(&["MNARA", "15055"])).expect("a sender"),
            body: dice.one_of(&BODIES).into(),
            encoding: dice.one_of(&[Encoding::Gsm7, Encoding::Ucs2]),
            segments: dice.one_of(&[1, 1, 1, 2, 3]),
            carrier: CarrierIndex(dice.one_of(&[0, 0, 1])),
            webhook_url: optional(dice, "https://example.com/hook"),
            metadata: optional(dice, "{\"a\":1}"),
            tags: optional(dice, "[\"x\",\"\u{e9}\"]"),
            client_ref: optional(dice, "order-7"),
            live: dice.percent(80),
            cost: Credits(dice.one_of(&[0, 1_000, 2_500])),
            accepted_at: self.now,
            due_at: self.now + Duration::from_millis(due as u64),
            valid_until: self.now + Duration::from_millis(valid),
        };
        self.messages.push(message.clone());
        self.attempts.push(0);
        let memo = dice.percent(20).then(|| customers::answer(&message));
        Deed::Accept(Box::new(message), memo)
    }

    /// A message, rather a new one.
    fn pick(&mut self) -> usize {
        let all = self.messages.len();
        let span = if self.dice.percent(80) {
            6.min(all)
        } else {
            all
        };
        all - 1 - self.dice.below(span)
    }

    fn intend(&mut self) -> Deed {
        let several = 1 + self.dice.below(4);
        let mut messages: Vec<usize> = (0..several).map(|_| self.pick()).collect();
        messages.sort_unstable();
        messages.dedup();
        Deed::Intend {
            bind: self.dice.below(3),
            at: self.now,
            messages,
            again: self.dice.percent(20),
        }
    }

    fn settle(&mut self) -> Deed {
        let several = self.dice.one_of(&[1, 1, 1, 2, 4]);
        Deed::Settle {
            answers: (0..several).map(|_| self.answer()).collect(),
            closes: self.dice.percent(50).then(|| self.dice.below(8)),
        }
    }

    fn answer(&mut self) -> Answer {
        self.now.0 += 1;
        let message = self.pick();
        let of = &self.messages[message];
        let (parts, segments) = (1..=of.segments, of.segments);
        let account = if self.dice.percent(85) {
            of.carrier
        } else {
            CarrierIndex(1 - of.carrier.0)
        };
        let attempt = match self.attempts[message] {
            0 => 1,
            last if self.dice.percent(50) => last,
            last => last + 1,
        };
        self.attempts[message] = attempt;
        let one = 1 + u8::try_from(self.dice.below(segments.into())).expect("few");
        let kind = self.dice.below(100);
        let id = |teller: &mut Self| Some(teller.response_id(message, account));
        let (parts, to) = match kind {
            // All are taken, in one submit or in several; or one of them.
            0..30 => {
                let shared = self
                    .dice
                    .percent(20)
                    .then(|| self.response_id(message, account));
                let taken = parts.map(|part| {
                    let id = shared.clone().or_else(|| id(self));
                    (part, SegmentState::Submitted, id)
                });
                (taken.collect(), Some(State::Submitted))
            }
            30..42 => (vec![(one, SegmentState::Submitted, id(self))], None),
            42..45 => (vec![(one, SegmentState::Submitted, None)], None),
            // In doubt, all of it or a part.
            45..58 => {
                let doubted = parts.map(|part| (part, SegmentState::InDoubt, None));
                (doubted.collect(), Some(State::Uncertain))
            }
            58..65 => (
                vec![(one, SegmentState::InDoubt, None)],
                Some(State::Uncertain),
            ),
            // Refused, for good or for now.
            65..73 => (
                vec![(one, SegmentState::Refused, None)],
                Some(State::Rejected),
            ),
            73..78 => (vec![(one, SegmentState::Refused, None)], None),
            78..88 => (Vec::new(), Some(State::Queued)),
            88..92 => (Vec::new(), Some(State::Expired)),
            _ => (Vec::new(), Some(self.dice.one_of(&State::ALL))),
        };
        let moves = matches!(kind, 65..88) && self.dice.percent(60);
        Answer {
            message,
            parts,
            attempt,
            account,
            at: self.now,
            to,
            failure: to.and_then(failure_of),
            marked: self.dice.percent(15),
            reroute: moves.then(|| CarrierIndex(self.dice.one_of(&[0, 1]))),
        }
    }

    /// The id of a response: in hex, a new one or, with carriers that count anew, an old one.
    fn response_id(&mut self, message: usize, account: CarrierIndex) -> Box<str> {
        let number = if self.ids > 0 && self.dice.percent(7) {
            self.dice.below(self.ids)
        } else {
            self.ids += 1;
            self.ids - 1
        };
        let id = id_text(number, true);
        self.given.push((id.clone(), message, account));
        id
    }

    fn receive(&mut self) -> Deed {
        let several = self.dice.one_of(&[1, 1, 2, 4]);
        let mut receipts: Vec<Receipt> = (0..several).map(|_| self.receipt()).collect();
        if self.dice.percent(10) {
            receipts.push(receipts[0].clone());
        }
        Deed::Receive(receipts)
    }

    fn receipt(&mut self) -> Receipt {
        self.now.0 += 1;
        let recent = self.given.len().min(12);
        let (normalised, about, account) = if recent > 0 && self.dice.percent(70) {
            self.given[self.given.len() - 1 - self.dice.below(recent)].clone()
        } else {
            // One that outruns its response, that is nobody's, or that is spelt otherwise.
            let about = self.pick();
            let known = (self.ids + 2).min(8);
            let id = id_text(self.ids + 1 - self.dice.below(known), self.dice.percent(50));
            (id, about, CarrierIndex(self.dice.one_of(&[0, 1])))
        };
        let account = account_at(account);
        let message = self.messages[about].clone();
        let dice = &mut self.dice;
        let state = match dice.below(10) {
            0..2 => None,
            2..7 => Some(SegmentState::Delivered),
            7 => Some(SegmentState::Undelivered),
            8 => Some(SegmentState::Expired),
            _ => Some(SegmentState::Rejected),
        };
        let says = dice.percent(60);
        let evidence = Evidence {
            recipient: dice.percent(70).then_some(message.to),
            sender: if says {
                message.from.as_str().into()
            } else {
                "".into()
            },
            words: Words(if says {
                words(&message.body)
            } else {
                "".into()
            }),
            submitted_at: dice.percent(50).then_some(self.now),
            reference: dice.percent(15).then(|| message.id.reference(1)),
        };
        Receipt {
            key: ReceiptKey::new(&account, &normalised),
            carrier: account,
            raw_id: normalised.clone(),
            normalised,
            state,
            stat: state.map_or("ENROUTE", SegmentState::name).into(),
            err: dice.one_of(&["000", "034"]).into(),
            failure: dice.percent(10).then_some(FailureCode::BlockedDnd),
            done_date: dice.one_of(&["2601050101", "2601050102"]).into(),
            done_at: dice.percent(50).then_some(self.now),
            evidence,
            received_at: self.now,
        }
    }

    fn clock(&mut self) -> Deed {
        if self.dice.percent(50) {
            return Deed::ReleaseDue(self.now, self.dice.one_of(&[1, 3, 100]));
        }
        let grace = self.dice.one_of(&[0, 60_000, 3_600_000]);
        Deed::EndOverdue {
            queued_before: self.now,
            open_before: Timestamp(self.now.0 - grace),
            at: self.now,
        }
    }

    fn webhooks(&mut self) -> Deed {
        let retry = self.dice.percent(50);
        match self.dice.below(10) {
            0..3 => Deed::Claim(self.now),
            3..5 => Deed::Leave(self.dice.below(32), Timestamp(self.now.0 + 1_000)),
            5..9 => Deed::Deliver {
                event: self.dice.below(32),
                at: self.now,
                status: self.dice.one_of(&[None, Some(200), Some(500)]),
                retry_at: retry.then_some(Timestamp(self.now.0 + 5_000)),
            },
            _ => Deed::GiveUp(Timestamp(self.now.0 - 600_000)),
        }
    }

    fn operator(&mut self) -> Deed {
        let (about, audit) = (self.pick(), self.audit());
        let account = CarrierId(self.dice.one_of(&ACCOUNTS).into());
        match self.dice.below(15) {
            0..5 => Deed::Sweep {
                carrier: self
                    .dice
                    .one_of(&[ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[1], GONE]),
                class: self.messages[about].class,
                org: self.dice.percent(30).then(|| org(self.dice.below(3))),
                accepted_before: self.dice.percent(40).then(|| Timestamp(self.now.0 - 5_000)),
                go_on: self.dice.percent(40),
                to: self
                    .dice
                    .one_of(&[None, Some(ACCOUNTS[1]), Some(ACCOUNTS[0]), Some(GONE)]),
                audit,
            },
            5..7 => Deed::Cancel(about, self.dice.percent(50), audit),
            7..9 => Deed::Resend(about, audit),
            9 => Deed::Note(audit),
            10 => Deed::Free(account, audit),
            _ => {
                let hold = HoldRow {
                    carrier: account,
                    hold: self.dice.one_of(&[Hold::Paused, Hold::Draining]),
                    reason: "works".into(),
                    actor: "amina".into(),
                    at: self.now,
                    until: self.dice.percent(50).then_some(self.now),
                };
                Deed::Hold(hold, audit)
            }
        }
    }

    fn inbox(&mut self) -> Deed {
        let account = CarrierId(self.dice.one_of(&ACCOUNTS).into());
        match self.dice.below(10) {
            0..4 => Deed::Keep(Keeping {
                at: self.now,
                parked_ttl: Duration::from_secs(self.dice.one_of(&[5, 60])),
                parked_max: self.dice.one_of(&[2, 100]),
                quarantine_ttl: Duration::from_secs(self.dice.one_of(&[60, 86_400])),
                quarantine_max: self.dice.one_of(&[2, 100]),
            }),
            4..7 => Deed::Prove(Timestamp(self.now.0 - 600_000), self.now),
            7..9 => {
                let audit = self.audit();
                Deed::Replay(self.replay(account), audit)
            }
            _ => Deed::Discard(account, self.now, self.audit()),
        }
    }

    /// What some receipts bring in decimal the responses said in hex.
    fn replay(&mut self, carrier: CarrierId) -> Replay {
        Replay {
            carrier,
            ids: IdDialect {
                response: IdRule::HexToDecimal,
                receipt: IdRule::Decimal,
            },
            since: Timestamp(0),
            limit: self.dice.one_of(&[2, 1000]),
            dry_run: self.dice.percent(30),
        }
    }

    fn look(&mut self) -> Deed {
        Deed::Look {
            message: self.pick(),
            lane: (
                CarrierIndex(self.dice.one_of(&[0, 1])),
                self.dice.one_of(&Class::ALL),
            ),
            org: org(self.dice.below(3)),
            now: self.now,
            limit: self.dice.one_of(&[1, 5, 1000]),
        }
    }

    fn audit(&mut self) -> AuditEntry {
        AuditEntry {
            at: self.now,
            actor: "amina (admin token)".into(),
            action: "queue.purge".into(),
            subject: self.dice.one_of(&ACCOUNTS).into(),
            detail: "{\"reason\":\"test\"}".into(),
            outcome: "done".into(),
        }
    }
}

/// Organisations that send: those of the first numbers.
pub(super) const ORGS: usize = 3;

/// The organisation of this number.
pub(super) fn org(number: usize) -> OrgId {
    OrgId(Uuid::from_u128(0x7_0000 + number as u128))
}

/// Ids differ from themselves in decimal: all have a letter in hex.
fn id_text(number: usize, hex: bool) -> Box<str> {
    let value = 0xA00 + number;
    if hex {
        format!("{value:X}").into()
    } else {
        value.to_string().into()
    }
}

/// What a receipt quotes of a text.
fn words(body: &str) -> Box<str> {
    body.chars().take(20).collect::<String>().into()
}
