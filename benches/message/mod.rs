//! Lives here: the message that the benches move.
//! Never here: measuring.

use std::time::Duration;

use mnara::domain::class::Class;
use mnara::domain::ids::{CarrierIndex, MessageId, MessageSeq, OrgId};
use mnara::domain::message::{Encoding, Message};
use mnara::domain::phone::{Msisdn, Sender};
use mnara::domain::time::Timestamp;
use uuid::Uuid;

/// A fresh message of one segment.
pub(crate) fn message(class: Class) -> Message {
    let now = Timestamp(1_775_390_584_485);
    Message {
        seq: MessageSeq(0),
        id: MessageId(Uuid::now_v7()),
        org: OrgId(Uuid::from_u128(7)),
        class,
        to: Msisdn::from_digits("255753276939").expect("a well-formed number"),
        from: Sender::parse("MNARA").expect("a well-formed sender"),
        body: "Your parcel has arrived at the Kariakoo office; bring your code. Asante sana!"
            .into(),
        encoding: Encoding::Gsm7,
        segments: 1,
        carrier: CarrierIndex(0),
        webhook_url: None,
        metadata: None,
        tags: None,
        client_ref: None,
        live: true,
        cost: Default::default(),
        accepted_at: now,
        due_at: now,
        valid_until: now + Duration::from_secs(86_400),
    }
}
