//! Lives here: messages that share all but recipient and text: what they share is checked once, then
//! each is quoted (nothing is kept, the plan's invitations are not used up), and composed when its
//! time has come.
//! Never here: recipients' texts (`domain::template`), chunks, jobs.

use uuid::Uuid;

use super::{Ingest, Refusal, compose, sandboxed};
use crate::domain::account::Organisation;
use crate::domain::class::Class;
use crate::domain::credits::Credits;
use crate::domain::ids::{MessageId, MessageSeq, OrgId};
use crate::domain::message::{Encoding, Message};
use crate::domain::numbering::Located;
use crate::domain::phone::{Msisdn, Sender};
use crate::domain::route::{Ask, Choice};
use crate::domain::time::Timestamp;
use crate::domain::webhook_url::WebhookUrl;

/// What the messages of a batch share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Whose they are.
    pub org: OrgId,
    /// Of a live key.
    pub live: bool,
    /// The sender, in its registered spelling.
    pub from: Sender,
    /// Their class.
    pub class: Class,
}

/// What one of them would be.
#[derive(Clone, Debug)]
pub struct Quote {
    /// The normalised recipient.
    pub to: Msisdn,
    /// The text's alphabet.
    pub encoding: Encoding,
    /// Number of segments.
    pub segments: u8,
    /// What they cost together.
    pub cost: Credits,
}

impl Ingest {
    /// Checks what messages share.
    ///
    /// # Errors
    /// [`Refusal`]: none of them may be sent.
    pub fn share(
        &self,
        (org, live): (&Organisation, bool),
        from: &str,
        class: Class,
    ) -> Result<Shared, Refusal> {
        Ok(Shared {
            org: org.id,
            live,
            from: self.sender(org, from)?,
            class,
        })
    }

    /// Checks where events are to go.
    ///
    /// # Errors
    /// [`Refusal::WebhookUrl`].
    pub fn check_webhook(&self, url: &str) -> Result<(), Refusal> {
        WebhookUrl::parse(url, self.config.webhooks_to_loopback)?;
        Ok(())
    }

    /// When it is due: no earlier than now.
    ///
    /// # Errors
    /// [`Refusal::Schedule`].
    pub fn due_at(&self, due_at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Refusal> {
        self.due(due_at, now)
    }

    /// What a message would be.
    ///
    /// # Errors
    /// [`Refusal`]: it may not be sent.
    pub fn quote(
        &self,
        shared: &Shared,
        place: Located,
        text: &str,
        now: Timestamp,
    ) -> Result<Quote, Refusal> {
        let choose = |ask: &Ask<'_>| self.routes.foresee(ask, &[], now);
        let to = place.number;
        let (encoding, segments, choice) = self.route(shared, to, text, now, choose)?;
        let ask = asked(shared, to, segments);
        let mut cost = self.price(&ask, (place.country, choice.network));
        if !shared.live {
            sandboxed(to, cost)?;
            cost = Credits::ZERO;
        }
        Ok(Quote {
            to,
            encoding,
            segments,
            cost,
        })
    }

    /// The message, queued from now on, at the price that it was quoted.
    ///
    /// # Errors
    /// [`Refusal`]: it may not be sent any more.
    pub fn compose(
        &self,
        shared: &Shared,
        (to, cost): (Msisdn, Credits),
        text: &str,
        now: Timestamp,
    ) -> Result<Message, Refusal> {
        let choose = |ask: &Ask<'_>| self.routes.choose(ask, &[], now);
        let (encoding, segments, choice) = self.route(shared, to, text, now, choose)?;
        Ok(Message {
            seq: MessageSeq(0),
            id: MessageId(Uuid::now_v7()),
            org: shared.org,
            class: shared.class,
            to,
            from: shared.from.clone(),
            body: text.into(),
            encoding,
            segments,
            carrier: choice.carrier,
            webhook_url: None,
            metadata: None,
            tags: None,
            client_ref: None,
            live: shared.live,
            cost,
            accepted_at: now,
            due_at: now,
            valid_until: now + self.config.validity[shared.class.index()],
        })
    }

    fn route(
        &self,
        shared: &Shared,
        to: Msisdn,
        text: &str,
        now: Timestamp,
        choose: impl FnOnce(&Ask<'_>) -> Option<Choice>,
    ) -> Result<(Encoding, u8, Choice), Refusal> {
        let (encoding, segments) = compose::measure(text, self.config.segments_max)?;
        let ask = asked(shared, to, segments);
        let choice = choose(&ask).ok_or_else(|| self.unroutable(&ask, now))?;
        Ok((encoding, segments, choice))
    }
}

fn asked(shared: &Shared, to: Msisdn, segments: u8) -> Ask<'_> {
    Ask {
        to,
        from: &shared.from,
        class: shared.class,
        org: shared.org,
        segments,
        live: shared.live,
    }
}
