//! Lives here: putting the parts of received messages together, within limits.
//! Never here: a clock (time is handed in), answering the peer.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::decode::TextProfile;
use super::udh::{Concat, ConcatKind, concat, split_udh};
use crate::pdu::{Address, DataSm, DeliverSm, OctetStr, SubmitSm};
use crate::tlv::{Tlvs, tag};

/// What the bookkeeping of one part counts for: a flood of empty parts is bounded too.
pub const PART_OVERHEAD: usize = 64;

/// The longest expiry; longer ones are taken as this.
const EXPIRY_MAX: Duration = Duration::from_secs(365 * 86_400);

/// What a [`Reassembler`] holds at most. Beyond it the oldest messages are given up, as [`Abandoned`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReassemblyLimits {
    /// Incomplete messages.
    pub messages_max: usize,
    /// Octets of user data of all of them; each part counts [`PART_OVERHEAD`] more.
    pub octets_max: usize,
    /// Parts that one message may have.
    pub parts_max: u8,
    /// How long a message may stay incomplete, counted from its first part; at most a year.
    pub expiry: Duration,
}

impl Default for ReassemblyLimits {
    /// 10,000 messages, 16 MiB, 255 parts, one hour: long enough for a handset that lost its network meanwhile.
    fn default() -> Self {
        Self {
            messages_max: 10_000,
            octets_max: 16 << 20,
            parts_max: u8::MAX,
            expiry: Duration::from_secs(3600),
        }
    }
}

/// A received message, whole or part of one. Made from a PDU with `From`.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    /// Who sent it.
    pub source: &'a Address,
    /// Whom it is for.
    pub dest: &'a Address,
    /// Whether `octets` start with a user data header.
    pub udhi: bool,
    /// How its text is encoded.
    pub data_coding: u8,
    /// The user data: `short_message` or `message_payload`.
    pub octets: &'a [u8],
    /// Where the SAR numbers stand.
    pub tlvs: &'a Tlvs,
}

macro_rules! fragment_from {
    ($pdu:ty) => {
        impl<'a> From<&'a $pdu> for Fragment<'a> {
            fn from(pdu: &'a $pdu) -> Self {
                Self {
                    source: &pdu.source,
                    dest: &pdu.dest,
                    udhi: pdu.has_udh(),
                    data_coding: pdu.data_coding,
                    octets: pdu.message(),
                    tlvs: &pdu.tlvs,
                }
            }
        }
    };
}
fragment_from!(SubmitSm);
fragment_from!(DeliverSm);
fragment_from!(DataSm);

impl Fragment<'_> {
    /// Which part of which message it is; `None` for a message of its own. A user data header outranks the TLVs,
    /// and numbers that contradict each other (part 3 of 2) count as none.
    #[must_use]
    pub fn concat(&self) -> Option<Concat> {
        let in_header = || concat(split_udh(self.octets).0);
        let in_tlvs = || {
            Concat::checked(
                ConcatKind::Sar,
                self.tlvs.get_u16(tag::SAR_MSG_REF_NUM)?,
                self.tlvs.get_u8(tag::SAR_TOTAL_SEGMENTS)?,
                self.tlvs.get_u8(tag::SAR_SEGMENT_SEQNUM)?,
            )
        };
        self.udhi.then(in_header).flatten().or_else(in_tlvs)
    }

    fn part(&self, number: u8) -> Part {
        Part {
            number,
            udhi: self.udhi,
            data_coding: self.data_coding,
            // A copy: a slice of the read buffer would keep all of that buffer for as long as the part waits.
            octets: Bytes::copy_from_slice(self.octets),
        }
    }
}

/// One part that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 1.
    pub number: u8,
    /// Whether `octets` start with a user data header.
    pub udhi: bool,
    /// How its text is encoded.
    pub data_coding: u8,
    /// Its user data, header included.
    pub octets: Bytes,
}

/// A whole message, or what there is of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembled {
    /// Who sent it.
    pub source: Address,
    /// Whom it is for.
    pub dest: Address,
    /// The numbers that its parts have in common; `None` for a message that was no part.
    pub concat: Option<Concat>,
    /// Its parts in order.
    pub parts: Vec<Part>,
}

impl Assembled {
    /// The text of all its parts. Characters divided between two parts are whole; parts in different encodings are
    /// read each by itself; missing parts leave no trace.
    #[must_use]
    pub fn text(&self, profile: &TextProfile) -> String {
        self.parts
            .chunk_by(|one, other| one.data_coding == other.data_coding)
            .map(|run| {
                let parts = run.iter().map(|part| (part.udhi, &part.octets[..]));
                profile.decode_parts(run[0].data_coding, parts)
            })
            .collect()
    }
}

/// What became of an offered fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It is, or completes, this message.
    Complete(Assembled),
    /// It is kept; so many parts are missing still.
    Held {
        /// How many.
        missing: u8,
    },
    /// The same part with the same octets is held already.
    Duplicate,
    /// It was not kept.
    Refused(Refusal),
}

/// Why a fragment was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its message has more parts than [`ReassemblyLimits::parts_max`]; the number is how many.
    TooManyParts(u8),
    /// Its message alone exceeds [`ReassemblyLimits::octets_max`], or no message may be held at all. What had arrived is
    /// among the abandoned, this part included.
    TooLarge,
}

/// An incomplete message that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abandoned {
    /// Why.
    pub reason: AbandonReason,
    /// The parts that had arrived.
    pub partial: Assembled,
}

/// Why a message was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AbandonReason {
    /// Its parts did not arrive within [`ReassemblyLimits::expiry`].
    Expired,
    /// It was the oldest when [`ReassemblyLimits::messages_max`] were held.
    MessagesFull,
    /// It was the oldest when [`ReassemblyLimits::octets_max`] were held.
    OctetsFull,
    /// A part came again with other octets: the sender uses the reference for another message now, which starts
    /// with that part.
    Contradicted,
    /// [`Reassembler::drain`] was called.
    Drained,
}

/// Collects the parts of messages by source, destination, reference, total and kind of numbering.
///
/// Nothing is lost in silence: every fragment offered comes out again in a complete message or in an [`Abandoned`]
/// one, is a duplicate, or is refused.
///
/// A complete message is forgotten: a peer that sends it again, because it saw no answer, makes it complete again, and
/// a single part sent again is held until it expires. Only the owner knows whether the first one was kept.
///
/// ```
/// use std::time::Instant;
///
/// use mnara_smpp::pdu::SubmitSm;
/// use mnara_smpp::text::{
///     Encoding, Fragment, Layout, Method, Offered, Reassembler, ReassemblyLimits, TextProfile,
/// };
///
/// let text = "Habari ya asubuhi! ".repeat(20);
/// let segments = Layout::new(Encoding::GSM7, Method::Udh8(7)).split(&text)?;
/// let mut reassembler = Reassembler::new(ReassemblyLimits::default());
/// let mut abandoned = Vec::new();
/// let mut read = None;
/// // A server does this with each submit_sm that comes, a client with each deliver_sm.
/// for segment in segments.parts.iter().rev() {
///     let mut submit = SubmitSm::default();
///     segment.fill(&mut submit);
///     if let Offered::Complete(whole) =
///         reassembler.offer(Fragment::from(&submit), Instant::now(), &mut abandoned)
///     {
///         read = Some(whole.text(&TextProfile::default()));
///     }
/// }
/// assert_eq!(read, Some(text));
/// # Ok::<(), mnara_smpp::text::TextError>(())
/// ```
#[derive(Debug)]
pub struct Reassembler {
    limits: ReassemblyLimits,
    /// By age: the first is the oldest.
    held: BTreeMap<u64, Held>,
    index: HashMap<Key, u64>,
    next: u64,
    octets: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: Address,
    dest: Address,
    kind: ConcatKind,
    reference: u16,
    total: u8,
}

#[derive(Debug)]
struct Held {
    key: Key,
    deadline: Instant,
    /// Sorted by number; grows as parts arrive, whatever the total claims.
    parts: Vec<Part>,
    octets: usize,
}

impl Reassembler {
    /// An empty one.
    #[must_use]
    pub fn new(limits: ReassemblyLimits) -> Self {
        Self {
            limits,
            held: BTreeMap::new(),
            index: HashMap::new(),
            next: 0,
            octets: 0,
        }
    }

    /// Incomplete messages held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Octets of user data held, [`PART_OVERHEAD`] for each part included.
    #[must_use]
    pub const fn octets(&self) -> usize {
        self.octets
    }

    /// When [`Reassembler::expire`] has something to do next, if nothing arrives.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.held.values().next().map(|held| held.deadline)
    }

    /// Takes a fragment. Messages given up on the way are appended to `abandoned`.
    pub fn offer(
        &mut self,
        fragment: Fragment<'_>,
        now: Instant,
        abandoned: &mut Vec<Abandoned>,
    ) -> Offered {
        self.expire(now, abandoned);
        let Some(concat) = fragment.concat() else {
            return Offered::Complete(Assembled {
                source: fragment.source.clone(),
                dest: fragment.dest.clone(),
                concat: None,
                parts: vec![fragment.part(1)],
            });
        };
        if concat.total > self.limits.parts_max {
            return Offered::Refused(Refusal::TooManyParts(concat.total));
        }
        let key = Key::of(&fragment, &concat);
        let part = fragment.part(concat.part);
        let id = match self.place(&key, &part, abandoned) {
            Place::Duplicate => return Offered::Duplicate,
            Place::In(id) => id,
            Place::New => self.open(key, now),
        };
        let held = self.held.get_mut(&id).expect("found or opened just above");
        let at = held.parts.partition_point(|held| held.number < part.number);
        held.octets += part.octets.len() + PART_OVERHEAD;
        self.octets += part.octets.len() + PART_OVERHEAD;
        held.parts.insert(at, part);
        let missing = usize::from(concat.total) - held.parts.len();
        let outcome = if missing == 0 {
            Offered::Complete(self.remove(id))
        } else {
            self.make_room(id, abandoned).unwrap_or(Offered::Held {
                missing: missing as u8,
            })
        };
        self.check();
        outcome
    }

    /// Gives up the messages whose time is over.
    pub fn expire(&mut self, now: Instant, abandoned: &mut Vec<Abandoned>) {
        while let Some(entry) = self.held.first_entry()
            && entry.get().deadline <= now
        {
            let id = *entry.key();
            self.give_up(id, AbandonReason::Expired, abandoned);
        }
    }

    /// Gives up everything, oldest first: for an owner that stops.
    pub fn drain(&mut self, abandoned: &mut Vec<Abandoned>) {
        while let Some((&id, _)) = self.held.first_key_value() {
            self.give_up(id, AbandonReason::Drained, abandoned);
        }
        self.check();
    }

    /// Where a part belongs; a message that it contradicts is given up.
    fn place(&mut self, key: &Key, part: &Part, abandoned: &mut Vec<Abandoned>) -> Place {
        let Some(&id) = self.index.get(key) else {
            return Place::New;
        };
        let parts = &self.held[&id].parts;
        match parts.iter().find(|held| held.number == part.number) {
            None => Place::In(id),
            Some(held) if held == part => Place::Duplicate,
            Some(_) => {
                self.give_up(id, AbandonReason::Contradicted, abandoned);
                Place::New
            }
        }
    }

    fn open(&mut self, key: Key, now: Instant) -> u64 {
        let id = self.next;
        self.next += 1;
        self.index.insert(key.clone(), id);
        let held = Held {
            key,
            deadline: now + self.limits.expiry.min(EXPIRY_MAX),
            parts: Vec::new(),
            octets: 0,
        };
        self.held.insert(id, held);
        id
    }

    /// Keeps the limits by giving up the oldest others, and the newcomer when that is not enough.
    fn make_room(&mut self, newcomer: u64, abandoned: &mut Vec<Abandoned>) -> Option<Offered> {
        loop {
            let reason = if self.held.len() > self.limits.messages_max {
                AbandonReason::MessagesFull
            } else if self.octets > self.limits.octets_max {
                AbandonReason::OctetsFull
            } else {
                return None;
            };
            let Some(&oldest) = self.held.keys().find(|id| **id != newcomer) else {
                self.give_up(newcomer, reason, abandoned);
                return Some(Offered::Refused(Refusal::TooLarge));
            };
            self.give_up(oldest, reason, abandoned);
        }
    }

    fn give_up(&mut self, id: u64, reason: AbandonReason, abandoned: &mut Vec<Abandoned>) {
        let partial = self.remove(id);
        abandoned.push(Abandoned { reason, partial });
    }

    fn remove(&mut self, id: u64) -> Assembled {
        let held = self
            .held
            .remove(&id)
            .expect("callers pass ids of held messages");
        self.index.remove(&held.key);
        self.octets -= held.octets;
        let first = held.parts.first().map_or(1, |part| part.number);
        let Key {
            source,
            dest,
            kind,
            reference,
            total,
        } = held.key;
        Assembled {
            source,
            dest,
            concat: Concat::checked(kind, reference, total, first),
            parts: held.parts,
        }
    }

    fn check(&self) {
        debug_assert_eq!(self.held.len(), self.index.len());
        debug_assert!(self.held.len() <= self.limits.messages_max);
        debug_assert!(self.octets <= self.limits.octets_max);
    }
}

enum Place {
    In(u64),
    New,
    Duplicate,
}

impl Key {
    fn of(fragment: &Fragment<'_>, concat: &Concat) -> Self {
        // Long addresses share the read buffer: see `Fragment::part`.
        let own = |address: &Address| Address {
            ton: address.ton,
            npi: address.npi,
            addr: OctetStr::copy_from_slice(address.addr.as_bytes()),
        };
        Self {
            source: own(fragment.source),
            dest: own(fragment.dest),
            kind: concat.kind,
            reference: concat.reference,
            total: concat.total,
        }
    }
}
