//! Lives here: receipts of nobody and attempts in doubt, brought together and settled by what
//! `domain::proof` says of them.
//! Never here: what proves what.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::inbox;
use crate::domain::ids::{CarrierId, MessageSeq, ReceiptKey};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::State;
use crate::domain::phone::Msisdn;
use crate::domain::proof::{self, Doubtful, Orphan};
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::flow::{AttemptRecord, Transition};
use crate::store::batch::Effects;
use crate::store::sqlite::Sqlite;
use crate::store::sqlite::accept::{self, Stored, carrier_text};
use crate::store::sqlite::bulk::Bulk;
use crate::store::{Carriers, StoreError};

/// Where a proof may be found: an account and a recipient.
pub(in crate::store::sqlite) type Recipient = (CarrierId, Msisdn);

/// One attempt in doubt, with its message.
struct Doubt {
    part: u8,
    attempt: u16,
    submitted_at: Timestamp,
    /// The bind and the sequence number on it; 0 = not known any more.
    sent: (Box<str>, u32),
    stored: Stored,
}

/// An attempt that turned out to be with its carrier, by the id that its receipt brought.
struct Proof {
    message: MessageSeq,
    part: u8,
    attempt: u16,
    carrier: CarrierId,
    raw_id: Box<str>,
    normalised: Box<str>,
    key: ReceiptKey,
    at: Timestamp,
}

/// Where proofs may be found now that this batch has put attempts in doubt and parked receipts.
/// Receipts that bring our reference back are looked at once; others must ripen first.
pub(in crate::store::sqlite) fn recipients<'a>(
    records: &[&AttemptRecord],
    parked: impl Iterator<Item = &'a Receipt>,
) -> (HashSet<Recipient>, HashSet<Recipient>) {
    let doubts = records
        .iter()
        .filter(|record| record.state == SegmentState::InDoubt)
        .map(|record| (record.carrier.clone(), record.message.to))
        .collect();
    let orphans = parked
        .filter(|receipt| receipt.evidence.reference.is_some())
        .filter_map(|receipt| Some((receipt.carrier.clone(), receipt.evidence.recipient?)))
        .collect();
    (doubts, orphans)
}

static DOUBTS: std::sync::LazyLock<Bulk> = std::sync::LazyLock::new(|| {
    let tail = format!(
        ") select {}, a.part, a.attempt, a.submitted_at, a.carrier, a.bind, a.sequence \
         from (select distinct carrier, recipient from v) v cross join attempts a indexed by attempts_in_doubt on a.carrier = v.carrier \
         and a.recipient = v.recipient and a.state = 7 \
         join messages m on m.seq = a.message",
        accept::COLUMNS
    );
    Bulk::new(
        "with v (carrier, recipient) as (values",
        "(?,?)",
        Box::leak(tail.into_boxed_str()),
    )
});

static ORPHANS: std::sync::LazyLock<Bulk> = std::sync::LazyLock::new(|| {
    let columns = inbox::COLUMNS
        .split(", ")
        .map(|column| format!("r.{}", column.trim()))
        .collect::<Vec<_>>()
        .join(", ");
    let tail = format!(
        ") select {columns} from (select distinct carrier, recipient from v) v \
         cross join receipt_inbox r \
         indexed by receipt_inbox_recipient on r.carrier = v.carrier \
         and r.recipient = v.recipient where r.quarantined_at is null"
    );
    Bulk::new(
        "with v (carrier, recipient) as (values",
        "(?,?)",
        Box::leak(tail.into_boxed_str()),
    )
});

type ByRecipient<T> = BTreeMap<(Box<str>, Box<str>), Vec<T>>;

async fn doubts(
    conn: &mut SqliteConnection,
    carriers: &Carriers,
    recipients: &[Recipient],
) -> Result<ByRecipient<Doubt>, StoreError> {
    let mut found: ByRecipient<Doubt> = BTreeMap::new();
    for row in DOUBTS
        .fetch(conn, recipients, |query, (carrier, to)| {
            query
                .bind(carrier_text(carrier))
                .bind(to.digits().to_owned())
        })
        .await?
    {
        let stored = accept::message(&row, carriers)?;
        let recipient = (
            row.try_get::<&str, _>(21)?.into(),
            stored.message.to.digits().into(),
        );
        found.entry(recipient).or_default().push(Doubt {
            part: row.try_get(18)?,
            attempt: row.try_get(19)?,
            submitted_at: Timestamp(row.try_get(20)?),
            sent: (row.try_get::<&str, _>(22)?.into(), row.try_get(23)?),
            stored,
        });
    }
    Ok(found)
}

async fn orphans(
    conn: &mut SqliteConnection,
    recipients: &[Recipient],
) -> Result<ByRecipient<Receipt>, StoreError> {
    let mut found: ByRecipient<Receipt> = BTreeMap::new();
    for row in ORPHANS
        .fetch(conn, recipients, |query, (carrier, to)| {
            query
                .bind(carrier_text(carrier))
                .bind(to.digits().to_owned())
        })
        .await?
    {
        let receipt = inbox::receipt(&row)?;
        if let Some(to) = receipt.evidence.recipient {
            let recipient = ((&*receipt.carrier.0).into(), to.digits().into());
            found.entry(recipient).or_default().push(receipt);
        }
    }
    Ok(found)
}

/// The proofs at one recipient.
fn proofs_of(orphans: &[Receipt], doubts: &[Doubt], now: Timestamp) -> Vec<Proof> {
    let loose: Vec<Orphan<'_>> = orphans
        .iter()
        .map(|receipt| Orphan {
            normalised: &receipt.normalised,
            evidence: &receipt.evidence,
            received_at: receipt.received_at,
        })
        .collect();
    let doubtful: Vec<Doubtful<'_>> = doubts.iter().map(doubtful).collect();
    let mut proofs = Vec::new();
    for (orphan, attempt) in proof::proofs(&loose, &doubtful, now) {
        let (receipt, proven) = (&orphans[orphan], &doubts[attempt]);
        let with_it = doubts.iter().filter(|doubt| went_with(doubt, proven));
        for doubt in with_it {
            proofs.push(Proof {
                message: doubt.stored.message.seq,
                part: doubt.part,
                attempt: doubt.attempt,
                carrier: receipt.carrier.clone(),
                raw_id: receipt.raw_id.clone(),
                normalised: receipt.normalised.clone(),
                key: receipt.key,
                at: receipt.received_at,
            });
        }
    }
    proofs
}

/// Whether one submit_sm carried both: itself, or other parts of its message where the carrier
/// divides messages.
fn went_with(doubt: &Doubt, proven: &Doubt) -> bool {
    let of = |doubt: &Doubt| (doubt.stored.message.seq, doubt.attempt);
    of(doubt) == of(proven)
        && (doubt.part == proven.part || (proven.sent.1 != 0 && doubt.sent == proven.sent))
}

fn doubtful(doubt: &Doubt) -> Doubtful<'_> {
    let message = &doubt.stored.message;
    Doubtful {
        message: message.seq,
        part: doubt.part,
        attempt: doubt.attempt,
        reference: message.id.reference(doubt.part),
        sender: message.from.as_str(),
        body: &message.body,
        submitted_at: doubt.submitted_at,
    }
}

static PROVE: Bulk = Bulk::new(
    "with v (message, part, attempt, answered_at, raw_id, normalised, receipt_key) as (values",
    "(?,?,?,?,?,?,?)",
    ") update attempts set state = 0, resolved = 3, answered_at = v.answered_at, \
     carrier_message_id = v.raw_id, normalised = v.normalised, receipt_key = v.receipt_key \
     from v where attempts.message = v.message and attempts.part = v.part \
     and attempts.attempt = v.attempt and attempts.state = 7",
);

/// Gives attempts the ids that their receipts have brought, as their responses would have.
async fn prove(conn: &mut SqliteConnection, proofs: &[Proof]) -> sqlx::Result<()> {
    PROVE
        .execute(conn, proofs, |query, proof| {
            query
                .bind(proof.message.0)
                .bind(i64::from(proof.part))
                .bind(i64::from(proof.attempt))
                .bind(proof.at.0)
                .bind(&*proof.raw_id)
                .bind(&*proof.normalised)
                .bind(proof.key.0)
        })
        .await?;
    Ok(())
}

/// The move of a message of one segment that was in doubt.
fn submitted(stored: Stored, at: Timestamp) -> Option<Transition> {
    let open = matches!(stored.state, State::Queued | State::Uncertain);
    (open && stored.message.segments == 1).then(|| Transition {
        carrier: stored.message.carrier,
        message: Arc::new(stored.message),
        to: State::Submitted,
        at,
        sent_at: Some(at),
        failure: None,
        detail: None,
        possible_duplicate: false,
    })
}

impl Sqlite {
    /// Looks for proofs where attempts have just been put in doubt (`doubted`) and where receipts
    /// of nobody wait (`orphaned`), and applies what it finds as if the responses had come.
    pub(in crate::store::sqlite) async fn prove(
        &mut self,
        (doubted, orphaned): (HashSet<Recipient>, HashSet<Recipient>),
        now: Timestamp,
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        let mut recipients: Vec<Recipient> = orphaned.into_iter().collect();
        if !self.parked.is_empty() && !doubted.is_empty() {
            // Rarely has one of them a receipt in the inbox.
            let doubted: Vec<Recipient> = doubted.into_iter().collect();
            let found = orphans(&mut self.conn, &doubted).await?;
            let has = |(carrier, to): &Recipient| {
                found.contains_key(&((&*carrier.0).into(), to.digits().into()))
            };
            recipients.extend(doubted.into_iter().filter(has));
        }
        if recipients.is_empty() {
            return Ok(());
        }
        let mut doubts = doubts(&mut self.conn, &self.carriers, &recipients).await?;
        recipients.retain(|(carrier, to)| {
            doubts.contains_key(&((&*carrier.0).into(), to.digits().into()))
        });
        if recipients.is_empty() {
            return Ok(());
        }
        let orphans = orphans(&mut self.conn, &recipients).await?;
        let mut proofs: Vec<Proof> = Vec::new();
        let mut messages: HashMap<MessageSeq, (Stored, Timestamp)> = HashMap::new();
        for (recipient, orphans) in &orphans {
            let here = doubts.remove(recipient).unwrap_or_default();
            let proven = proofs_of(orphans, &here, now);
            for doubt in here {
                let seq = doubt.stored.message.seq;
                if let Some(proof) = proven.iter().find(|proof| proof.message == seq) {
                    messages.insert(seq, (doubt.stored, proof.at));
                }
            }
            proofs.extend(proven);
        }
        if proofs.is_empty() {
            return Ok(());
        }
        prove(&mut self.conn, &proofs).await?;
        self.take_proofs(proofs, messages, effects).await
    }

    async fn take_proofs(
        &mut self,
        proofs: Vec<Proof>,
        messages: HashMap<MessageSeq, (Stored, Timestamp)>,
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        let several: HashMap<MessageSeq, Timestamp> = messages
            .iter()
            .filter(|(_, (stored, _))| stored.message.segments > 1)
            .map(|(seq, (_, at))| (*seq, *at))
            .collect();
        let mut moves: Vec<Transition> = messages
            .into_values()
            .filter_map(|(stored, at)| submitted(stored, at))
            .collect();
        moves.extend(super::accepted_late(&mut self.conn, &self.carriers, &several).await?);
        self.transitions(&moves.iter().collect::<Vec<_>>(), effects)
            .await?;
        let keys: Vec<ReceiptKey> = proofs.iter().map(|proof| proof.key).collect();
        let receipts = inbox::unpark(&mut self.conn, &keys).await?;
        let also: Vec<MessageSeq> = several.into_keys().collect();
        let correlated = super::apply(&mut self.conn, &self.carriers, &receipts, &also).await?;
        effects.proven.extend(
            proofs
                .iter()
                .filter_map(|proof| self.carriers.index(&proof.carrier.0)),
        );
        self.correlated(&receipts, receipts.len(), correlated, effects);
        effects.home.extend(keys);
        Ok(())
    }
}
