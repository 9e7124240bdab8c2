//! Lives here: the one way in for every door: check, compose, route, make durable.
//! Never here: HTTP, JSON of a dialect, lanes; what happens after the commit.

pub mod batch;
mod compose;
pub mod explain;
pub mod plan;
pub mod ported;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use self::explain::{Explanation, Told};
use crate::domain::account::Organisation;
use crate::domain::capability;
use crate::domain::class::Class;
use crate::domain::credits::Credits;
use crate::domain::ids::{CarrierId, CarrierIndex, MessageId, MessageSeq, NetworkId};
use crate::domain::ledger::Shortfall;
use crate::domain::message::{Encoding, Message, State};
use crate::domain::numbering::{Located, PlanError};
use crate::domain::phone::{Msisdn, MsisdnError, Sender, SenderError};
use crate::domain::route::{Ask, Choice, Unfit};
use crate::domain::sandbox::{Magic, Refused};
use crate::domain::time::Timestamp;
use crate::domain::webhook_url::{UrlError, WebhookUrl};
use crate::flow::routes::Routes;
use crate::store::memo::{Memo, Repeat};
use crate::store::{Store, StoreError};
use crate::telemetry::metrics::api as meter;

/// Ingest's own configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a message of each class may wait and travel, in the order of [`Class::ALL`].
    pub validity: [Duration; 3],
    /// Segments of one message at most, 1 to 10.
    pub segments_max: u8,
    /// How far ahead a message may be scheduled.
    pub schedule_max: Duration,
    /// Whether webhooks may go to this machine (tests and the demo only).
    pub webhooks_to_loopback: bool,
}

impl Default for Config {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 3600);
        Self {
            validity: [Duration::from_secs(600), day, day],
            segments_max: 10,
            schedule_max: day * 90,
            webhooks_to_loopback: false,
        }
    }
}

/// What a door hands in, still as text.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// Recipient as typed.
    pub to: &'a str,
    /// Sender as typed.
    pub from: &'a str,
    /// The text.
    pub message: &'a str,
    /// The class.
    pub class: Class,
    /// Where its events go.
    pub webhook_url: Option<&'a str>,
    /// Not before this.
    pub due_at: Option<Timestamp>,
    /// A JSON object's text, checked by the door.
    pub metadata: Option<&'a str>,
    /// A JSON array's text, checked by the door.
    pub tags: Option<&'a str>,
    /// The client's own name for it, checked by the door.
    pub client_ref: Option<&'a str>,
    /// How long it may wait and travel, if that is to be less than its class may.
    pub validity: Option<Duration>,
    /// Whether the caller's key is a live one. Others meet the sandbox, and pay nothing.
    pub live: bool,
}

/// A durable message, as far as the answer needs it.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its public id.
    pub id: MessageId,
    /// Normalised recipient.
    pub to: Msisdn,
    /// The sender, in its registered spelling.
    pub from: Sender,
    /// Queued or scheduled.
    pub state: State,
    /// Number of segments.
    pub segments: u8,
    /// What they cost together.
    pub cost: Credits,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it is due, if scheduled.
    pub due_at: Timestamp,
    /// After this it is not sent any more.
    pub valid_until: Timestamp,
}

/// What would become of a submission. Nothing was kept; the id is of no message.
#[derive(Debug)]
pub struct DryRun {
    /// What the answer would say.
    pub accepted: Accepted,
    /// The text's alphabet.
    pub encoding: Encoding,
    /// Where it would go now, and why.
    pub route: Explanation,
}

/// Why a submission is refused. Nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The recipient is not a number.
    #[error("{0}")]
    Number(#[from] MsisdnError),
    /// The recipient is a number that the plan cannot place.
    #[error("{0}")]
    Place(#[from] PlanError),
    /// No configured account carries the recipient's network.
    #[error("no carrier account serves this number's network")]
    Unroutable,
    /// The sender is not one.
    #[error("{0}")]
    Sender(#[from] SenderError),
    /// No account to the recipient's network takes this sender.
    #[error(
        "no carrier account to this number takes this sender ({0}); use one that is registered there"
    )]
    SenderNotCarried(&'static str),
    /// The organisation may not use this sender.
    #[error("the sender is not approved for this organisation; ask for its registration")]
    SenderNotApproved,
    /// No text.
    #[error("the message is empty")]
    EmptyMessage,
    /// Too much text.
    #[error("the message needs {segments} segments; at most {max} are allowed")]
    MessageTooLong {
        /// What it would take.
        segments: usize,
        /// What is allowed.
        max: u8,
    },
    /// The webhook's address is not one we call.
    #[error("{0}")]
    WebhookUrl(#[from] UrlError),
    /// Scheduled too far ahead or in the past.
    #[error("schedule_at must lie between one minute ago and 90 days ahead")]
    Schedule,
    /// The organisation has not the credits.
    #[error(
        "the balance of {} credits does not reach for this message, which costs {}; buy {} more",
        .0.balance, .0.required, .0.missing()
    )]
    Balance(Shortfall),
    /// The test key's recipient stands for too many requests.
    #[error("this test number stands for a rate limit; try again in {} s", .0.as_secs())]
    TooMany(Duration),
    /// The test key's recipient stands for a fault of ours.
    #[error("this test number stands for a fault on our side")]
    Fault,
    /// The store would not take it now.
    #[error("{0}")]
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Short(short) => Self::Balance(short),
            error => Self::Store(error),
        }
    }
}

impl Refusal {
    /// The code in the API's error catalogue (`reference/api.md`).
    pub fn code(&self) -> &'static str {
        match self {
            Self::Number(_) | Self::Place(_) => "invalid_number",
            Self::Unroutable => "unroutable_number",
            Self::Sender(_) | Self::SenderNotCarried(_) => "sender_invalid",
            Self::SenderNotApproved => "sender_not_approved",
            Self::EmptyMessage | Self::WebhookUrl(_) => "unprocessable",
            Self::MessageTooLong { .. } => "message_too_long",
            Self::Schedule => "schedule_invalid",
            Self::Balance(_) => "insufficient_balance",
            Self::TooMany(_) => "rate_limit_exceeded",
            Self::Fault => "server_error",
            Self::Store(error) if error.refused() => "overloaded",
            Self::Store(_) => "server_error",
        }
    }

    /// The field at fault, by the name the core gives it.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::Number(_) | Self::Place(_) | Self::Unroutable => Some("to"),
            Self::Sender(_) | Self::SenderNotCarried(_) | Self::SenderNotApproved => Some("from"),
            Self::EmptyMessage | Self::MessageTooLong { .. } => Some("message"),
            Self::WebhookUrl(_) => Some("webhook_url"),
            Self::Schedule => Some("schedule_at"),
            Self::Balance(_) | Self::TooMany(_) | Self::Fault | Self::Store(_) => None,
        }
    }
}

/// The way in. Cheap to share.
pub struct Ingest {
    config: Config,
    store: Store,
    routes: Arc<Routes>,
}

impl Ingest {
    /// The way into `store`, over these routes.
    pub fn new(config: Config, store: Store, routes: Arc<Routes>) -> Self {
        Self {
            config,
            store,
            routes,
        }
    }

    /// Checks a submission as [`Ingest::accept`] does and says what would become of it. Keeps,
    /// charges and counts nothing.
    ///
    /// # Errors
    /// The [`Refusal`] that `accept` would answer.
    pub fn dry_run(
        &self,
        org: &Organisation,
        submission: Submission<'_>,
        now: Timestamp,
    ) -> Result<DryRun, Refusal> {
        let foresee = |ask: &Ask<'_>| self.routes.foresee(ask, &[], now);
        let message = self.admit(org, submission, now, foresee)?;
        let route = explain::explain(&self.routes, &Ask::from(&message), &[], now, Told::Customer);
        Ok(DryRun {
            route: route.ok_or(Refusal::Unroutable)?,
            encoding: message.encoding,
            accepted: accepted(&message),
        })
    }

    /// Where the plan in force has a message go now, and why; `None`: it has no place for its number
    /// any more.
    pub fn explain(&self, message: &Message, now: Timestamp) -> Option<Explanation> {
        explain::explain(&self.routes, &Ask::from(message), &[], now, Told::Customer)
    }

    /// The id of the network that a number is of, as the plan in force has it.
    pub fn network(&self, number: Msisdn) -> Option<NetworkId> {
        let table = self.routes.table();
        let place = table.plan().place(number, table.ported())?;
        let network = table.plan().networks().get(place.network?)?;
        Some(network.id.clone())
    }

    /// The id of the network with this id or alias.
    pub fn network_named(&self, name: &str) -> Option<NetworkId> {
        let table = self.routes.table();
        let index = table.plan().network(name)?;
        Some(table.plan().networks()[index].id.clone())
    }

    /// The number that a client means by what it has typed.
    ///
    /// # Errors
    /// [`Refusal::Number`], [`Refusal::Place`].
    pub fn number(&self, org: &Organisation, typed: &str) -> Result<Msisdn, Refusal> {
        Ok(self.place(org, typed)?.number)
    }

    /// Places a number as typed.
    ///
    /// # Errors
    /// [`Refusal::Number`], [`Refusal::Place`].
    pub fn place(&self, org: &Organisation, typed: &str) -> Result<Located, Refusal> {
        let typed = Msisdn::parse(typed)?;
        let table = self.routes.table();
        let home = table.plan().country(&org.country);
        Ok(table.plan().locate(typed, home)?)
    }

    /// The id of an account; `None`: it is configured no more.
    pub fn account(&self, carrier: CarrierIndex) -> Option<CarrierId> {
        let table = self.routes.table();
        let account = table.accounts().get(carrier.index())?;
        Some(account.id.clone())
    }

    /// Checks a submission and makes it durable: when this returns `Ok`, the message is
    /// committed.
    ///
    /// # Errors
    /// [`Refusal`]: nothing was kept.
    pub async fn accept(
        &self,
        org: &Organisation,
        submission: Submission<'_>,
        now: Timestamp,
    ) -> Result<Accepted, Refusal> {
        let message = self.chosen(org, submission, now)?;
        let accepted = accepted(&message);
        let done = self.store.accept(message).await;
        done.map(|()| accepted).map_err(failed)
    }

    /// The same for a request that names itself: once, however often it is asked for. `memo` makes
    /// the answer that is kept with the message. What it repeats, if it does: then nothing of it
    /// was kept.
    ///
    /// # Errors
    /// As [`Ingest::accept`].
    pub async fn accept_once(
        &self,
        org: &Organisation,
        submission: Submission<'_>,
        now: Timestamp,
        memo: impl FnOnce(&Accepted) -> Arc<Memo>,
    ) -> Result<Result<Accepted, Repeat>, Refusal> {
        let message = self.chosen(org, submission, now)?;
        let accepted = accepted(&message);
        let done = self.store.accept_once(message, memo(&accepted)).await;
        done.map(|repeat| repeat.map_or(Ok(accepted), Err))
            .map_err(failed)
    }

    /// A message as it is to be kept, with its way chosen.
    fn chosen(
        &self,
        org: &Organisation,
        submission: Submission<'_>,
        now: Timestamp,
    ) -> Result<Message, Refusal> {
        let choose = |ask: &Ask<'_>| self.routes.choose(ask, &[], now);
        let chosen = self.admit(org, submission, now, choose);
        chosen.inspect_err(|refusal| meter::refused(refusal.code()))
    }

    fn admit(
        &self,
        org: &Organisation,
        submission: Submission<'_>,
        now: Timestamp,
        choose: impl FnOnce(&Ask<'_>) -> Option<Choice>,
    ) -> Result<Message, Refusal> {
        let place = self.place(org, submission.to)?;
        let to = place.number;
        let from = self.sender(org, submission.from)?;
        let (encoding, segments) = compose::measure(submission.message, self.config.segments_max)?;
        let webhook_url = submission
            .webhook_url
            .map(|url| WebhookUrl::parse(url, self.config.webhooks_to_loopback).map(|_| url.into()))
            .transpose()?;
        let due_at = self.due(submission.due_at, now)?;
        let ask = Ask {
            to,
            from: &from,
            class: submission.class,
            org: org.id,
            segments,
            live: submission.live,
        };
        let choice = choose(&ask).ok_or_else(|| self.unroutable(&ask, now))?;
        debug_assert_eq!(choice.carrier != self.routes.sandbox(), ask.live);
        let mut cost = self.price(&ask, (place.country, choice.network));
        if !ask.live {
            sandboxed(to, cost)?;
            cost = Credits::ZERO;
        }
        Ok(Message {
            seq: MessageSeq(0),
            id: MessageId(Uuid::now_v7()),
            org: org.id,
            class: submission.class,
            to,
            from,
            body: submission.message.into(),
            encoding,
            segments,
            carrier: choice.carrier,
            webhook_url,
            metadata: submission.metadata.map(Into::into),
            tags: submission.tags.map(Into::into),
            client_ref: submission.client_ref.map(Into::into),
            live: submission.live,
            cost,
            accepted_at: now,
            due_at,
            valid_until: due_at + self.validity(&submission),
        })
    }

    /// No longer than its class may.
    fn validity(&self, submission: &Submission<'_>) -> Duration {
        let longest = self.config.validity[submission.class.index()];
        submission
            .validity
            .map_or(longest, |asked| asked.min(longest))
    }

    /// What the message costs. The network is that of the choice, so that a number is placed once.
    fn price(&self, ask: &Ask<'_>, (country, network): (usize, Option<usize>)) -> Credits {
        let table = self.routes.table();
        // A reload between the two leaves a country or a network out at worst.
        let country = table.plan().countries().get(country);
        let country = country.map_or("", |country| &country.code);
        let network = network.and_then(|network| table.plan().networks().get(network));
        let network = network.map(|network| &network.id);
        let prices = self.store.prices();
        let price = prices.of(ask.org, country, network, ask.class);
        price.times(ask.segments.into())
    }

    /// Why no account may carry it: the number has none, or the first choice cannot take the message.
    fn unroutable(&self, ask: &Ask<'_>, now: Timestamp) -> Refusal {
        let decision = self.routes.decide(ask, now);
        let reasons = decision.iter().flat_map(|decision| &decision.order);
        let mut reasons =
            reasons.filter_map(|ranked| match (ranked.unfit?, ranked.target.carrier) {
                (Unfit::Message(reason), carrier) => Some((reason, carrier)),
                (Unfit::Class, _) => None,
            });
        match reasons.next() {
            None => Refusal::Unroutable,
            Some((capability::Unfit::Parts, carrier)) => {
                let table = self.routes.table();
                let account = table.accounts().get(carrier.index());
                Refusal::MessageTooLong {
                    segments: ask.segments.into(),
                    max: account.map_or(0, |account| account.takes.parts_max),
                }
            }
            Some((
                reason @ (capability::Unfit::SenderKind
                | capability::Unfit::SenderLength
                | capability::Unfit::SenderUnknown),
                _,
            )) => Refusal::SenderNotCarried(reason.reason()),
        }
    }

    fn sender(&self, org: &Organisation, typed: &str) -> Result<Sender, Refusal> {
        let sender = Sender::parse(typed)?;
        let registered = org
            .approved(sender.as_str())
            .ok_or(Refusal::SenderNotApproved)?;
        if registered == sender.as_str() {
            Ok(sender)
        } else {
            Ok(Sender::parse(registered)?)
        }
    }

    /// When a message that is given this time is due.
    ///
    /// # Errors
    /// [`Refusal::Schedule`]. Up to a minute in the past means now (the client's clock), more is an
    /// error.
    pub fn due(&self, due_at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Refusal> {
        let Some(due_at) = due_at else { return Ok(now) };
        if due_at < now - Duration::from_secs(60) || due_at > now + self.config.schedule_max {
            return Err(Refusal::Schedule);
        }
        Ok(due_at.max(now))
    }
}

/// The refusal that the store's answer is, counted.
fn failed(error: StoreError) -> Refusal {
    let refusal = Refusal::from(error);
    meter::refused(refusal.code());
    refusal
}

/// What a test key's recipient stands for, if that is a refusal.
fn sandboxed(to: Msisdn, required: Credits) -> Result<(), Refusal> {
    let balance = Credits::ZERO;
    Err(match Magic::of(to).refused() {
        None => return Ok(()),
        Some(Refused::Balance) => Refusal::Balance(Shortfall { balance, required }),
        Some(Refused::Sender) => Refusal::SenderNotApproved,
        Some(Refused::RateLimit(wait)) => Refusal::TooMany(wait),
        Some(Refused::Fault) => Refusal::Fault,
    })
}

/// What the answer needs of a message.
fn accepted(message: &Message) -> Accepted {
    let scheduled = message.due_at > message.accepted_at;
    Accepted {
        id: message.id,
        to: message.to,
        from: message.from.clone(),
        state: match scheduled {
            true => State::Scheduled,
            false => State::Queued,
        },
        segments: message.segments,
        cost: message.cost,
        accepted_at: message.accepted_at,
        due_at: message.due_at,
        valid_until: message.valid_until,
    }
}
