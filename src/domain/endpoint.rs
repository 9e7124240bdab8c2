//! Lives here: webhook endpoints: which events one wants, how it signs, when it is given up; and all
//! of them by organisation. Pure: who calls them brings the time.
//! Never here: HTTP, signatures, rows; which URLs are taken (`webhook_url`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::event::EventKind;
use super::ids::{EndpointId, OrgId};
use super::time::Timestamp;

/// Endpoints of an organisation at most, live and test ones together.
pub const ENDPOINTS_MAX: usize = 20;
/// An endpoint that has only failed for so long is not called any more (`reference/api.md`).
pub const PATIENCE: Duration = Duration::from_secs(5 * 24 * 3600);

/// How the body of a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Seed 003's envelope.
    Mojawave,
    /// Seed 004's flat object.
    Moaa,
}

impl Format {
    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mojawave => "mojawave",
            Self::Moaa => "moaa",
        }
    }

    /// The format of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Mojawave, Self::Moaa]
            .into_iter()
            .find(|format| format.name() == name)
    }

    /// The number kept in the store.
    pub const fn index(self) -> i64 {
        self as i64
    }

    /// The format with this number in the store.
    pub const fn from_index(index: i64) -> Option<Self> {
        match index {
            0 => Some(Self::Mojawave),
            1 => Some(Self::Moaa),
            _ => None,
        }
    }
}

/// A set of kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Events(i64);

impl Events {
    /// Every kind there is, and every one that will be.
    pub const ALL: Self = Self(-1);
    /// None.
    pub const NONE: Self = Self(0);

    /// The set and this kind.
    #[must_use]
    pub const fn with(self, kind: EventKind) -> Self {
        Self(self.0 | 1 << kind as i64)
    }

    /// Whether it holds this kind.
    pub const fn has(self, kind: EventKind) -> bool {
        self.0 & 1 << kind as i64 != 0
    }

    /// The names of its kinds; `*` for all.
    pub fn names(self) -> Vec<&'static str> {
        if self == Self::ALL {
            return vec!["*"];
        }
        let kinds = EventKind::ALL.into_iter().filter(|kind| self.has(*kind));
        kinds.map(EventKind::name).collect()
    }

    /// The number kept in the store: a bit for each kind, all of them for every kind.
    pub const fn bits(self) -> i64 {
        self.0
    }

    /// The set of this number in the store.
    pub const fn from_bits(bits: i64) -> Self {
        Self(bits)
    }
}

/// Why an endpoint is not called any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its owner or an operator wanted it.
    Asked,
    /// It answered 410 Gone.
    Gone,
    /// It has only failed for days.
    Failing,
}

impl Reason {
    /// All of them, by their numbers.
    pub const ALL: [Self; 3] = [Self::Asked, Self::Gone, Self::Failing];

    /// The name in the API, in the store and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    /// The reason of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// Where events of an organisation go.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Whose it is.
    pub org: OrgId,
    /// Whether it is told of live (true) or of test messages.
    pub live: bool,
    /// Where to.
    pub url: Box<str>,
    /// Of what.
    pub events: Events,
    /// In which form.
    pub format: Format,
    /// Its owner's words, at most 200 characters.
    pub description: Box<str>,
    /// The key of its signatures: `whsec_` and base64 of 32 octets.
    pub secret: SecretString,
    /// The key before, and until when it signs beside the new one.
    pub old: Option<(SecretString, Timestamp)>,
    /// Since when, and why, it is not called.
    pub disabled: Option<(Timestamp, Reason)>,
    /// When it failed first since it last succeeded.
    pub failing_since: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a change of an endpoint sets; `None`: as it is.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Where to.
    pub url: Option<Box<str>>,
    /// Of what.
    pub events: Option<Events>,
    /// In which form.
    pub format: Option<Format>,
    /// Its owner's words.
    pub description: Option<Box<str>>,
    /// Whether it is called.
    pub enabled: Option<bool>,
}

/// How an attempt to tell an endpoint of something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It has it.
    Taken,
    /// It has not.
    Failed,
    /// It will never have anything: 410.
    Gone,
}

/// The keys that sign a request.
#[derive(Clone, Copy, Debug)]
pub struct Secrets<'a> {
    /// The one in force.
    pub current: &'a str,
    /// The one before, while both hold.
    pub old: Option<&'a str>,
}

impl Endpoint {
    /// Whether it is called at all.
    pub const fn is_enabled(&self) -> bool {
        self.disabled.is_none()
    }

    /// As what it is told of an event of this kind, if it is.
    pub fn wants(&self, kind: EventKind) -> Option<EventKind> {
        [kind, kind.plain()]
            .into_iter()
            .find(|kind| self.events.has(*kind))
    }

    /// What signs at this time.
    pub fn secrets(&self, now: Timestamp) -> Secrets<'_> {
        let old = self.old.as_ref().filter(|(_, until)| now < *until);
        Secrets {
            current: self.secret.expose_secret(),
            old: old.map(|(secret, _)| secret.expose_secret()),
        }
    }

    /// The endpoint with a change. One that is enabled anew has its patience anew.
    #[must_use]
    pub fn changed(&self, change: &Change, at: Timestamp) -> Self {
        let mut new = self.clone();
        let Change {
            url,
            events,
            format,
            description,
            enabled,
        } = change;
        if let Some(url) = url {
            new.url.clone_from(url);
            new.failing_since = None;
        }
        new.events = events.unwrap_or(new.events);
        new.format = format.unwrap_or(new.format);
        if let Some(description) = description {
            new.description.clone_from(description);
        }
        match enabled {
            Some(true) => {
                new.disabled = None;
                new.failing_since = None;
            }
            Some(false) => new.disabled = new.disabled.or(Some((at, Reason::Asked))),
            None => {}
        }
        new
    }

    /// The endpoint with a new key; the one of now holds beside it from `at` until `until`, or not at
    /// all: then one that still held ends, too.
    ///
    /// # Errors
    /// Two keys hold until this time: whoever reads by the older one would be cut off before.
    pub fn rotated(
        &self,
        secret: SecretString,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<Self, Timestamp> {
        if let Some((_, holds)) = &self.old
            && at < *holds
            && at < until
        {
            return Err(*holds);
        }
        let mut new = self.clone();
        let old = std::mem::replace(&mut new.secret, secret);
        new.old = (at < until).then_some((old, until));
        Ok(new)
    }

    /// What an attempt makes of it, if anything. An endpoint that is not called any more stays as it
    /// is: what was under way does not count.
    #[must_use]
    pub fn after(&self, heard: Heard, at: Timestamp) -> Option<Self> {
        if !self.is_enabled() {
            return None;
        }
        let since = self.failing_since;
        let disabled = match (heard, since) {
            (Heard::Taken, None) => return None,
            (Heard::Taken, Some(_)) => {
                return Some(Self {
                    failing_since: None,
                    ..self.clone()
                });
            }
            (Heard::Gone, _) => Some((at, Reason::Gone)),
            (Heard::Failed, Some(since)) if at >= since + PATIENCE => Some((at, Reason::Failing)),
            (Heard::Failed, Some(_)) => return None,
            (Heard::Failed, None) => None,
        };
        Some(Self {
            failing_since: since.or(Some(at)),
            disabled,
            ..self.clone()
        })
    }
}

/// Parts that the organisations are spread over: a change of a copy copies one of them.
const PARTS: usize = 256;

/// At most [`ENDPOINTS_MAX`] of each organisation, in the order of their making.
type Part = HashMap<OrgId, Vec<Arc<Endpoint>>>;

/// All endpoints, as committed. Copies share what has not changed since: deliveries change endpoints
/// many times a second where receivers come and go.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// Changed only where one is made or removed.
    owners: Arc<HashMap<EndpointId, OrgId>>,
    parts: Box<[Arc<Part>]>,
    /// How many are called.
    enabled: usize,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            owners: Arc::default(),
            parts: vec![Arc::default(); PARTS].into(),
            enabled: 0,
        }
    }
}

impl Endpoints {
    /// All of these.
    pub fn new(all: impl IntoIterator<Item = Endpoint>) -> Self {
        let mut endpoints = Self::default();
        for one in all {
            endpoints.put(Arc::new(one));
        }
        endpoints
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// How many are called, and how many are not.
    pub fn counts(&self) -> (usize, usize) {
        (self.enabled, self.owners.len() - self.enabled)
    }

    /// Every one, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.parts.iter().flat_map(|part| part.values().flatten())
    }

    /// An organisation's.
    pub fn of(&self, org: OrgId) -> &[Arc<Endpoint>] {
        let own = self.parts[Self::place(org)].get(&org);
        own.map_or(&[], Vec::as_slice)
    }

    /// The endpoint with this id.
    pub fn get(&self, id: EndpointId) -> Option<&Arc<Endpoint>> {
        let org = self.owners.get(&id)?;
        self.of(*org).iter().find(|one| one.id == id)
    }

    /// Who of an organisation is told of an event, and as what.
    pub fn told(
        &self,
        org: OrgId,
        live: bool,
        kind: EventKind,
    ) -> impl Iterator<Item = (EndpointId, EventKind)> {
        let called = self.of(org).iter();
        called
            .filter(move |one| one.live == live && one.is_enabled())
            .filter_map(move |one| Some((one.id, one.wants(kind)?)))
    }

    /// Has an endpoint, instead of what was known of it.
    pub fn put(&mut self, endpoint: Arc<Endpoint>) {
        self.enabled += usize::from(endpoint.is_enabled());
        let own = Arc::make_mut(&mut self.parts[Self::place(endpoint.org)]);
        let own = own.entry(endpoint.org).or_default();
        match own.iter_mut().find(|one| one.id == endpoint.id) {
            Some(known) => {
                self.enabled -= usize::from(known.is_enabled());
                *known = endpoint;
            }
            None => {
                Arc::make_mut(&mut self.owners).insert(endpoint.id, endpoint.org);
                own.push(endpoint);
                own.sort_by_key(|one| (one.created_at, one.id));
            }
        }
    }

    /// Forgets an endpoint.
    pub fn remove(&mut self, id: EndpointId) {
        let Some(known) = self.get(id) else {
            return;
        };
        let org = known.org;
        self.enabled -= usize::from(known.is_enabled());
        Arc::make_mut(&mut self.owners).remove(&id);
        let part = Arc::make_mut(&mut self.parts[Self::place(org)]);
        if let Some(own) = part.get_mut(&org) {
            own.retain(|one| one.id != id);
            if own.is_empty() {
                part.remove(&org);
            }
        }
    }

    /// Ids are random in their last bits.
    const fn place(org: OrgId) -> usize {
        org.0.as_u128() as usize % PARTS
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use uuid::Uuid;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    pub(crate) fn endpoint(id: u128, org: OrgId, events: Events) -> Endpoint {
        Endpoint {
            id: EndpointId(Uuid::from_u128(id)),
            org,
            live: true,
            url: "https://example.com/hook".into(),
            events,
            format: Format::Mojawave,
            description: "".into(),
            secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned().into(),
            old: None,
            disabled: None,
            failing_since: None,
            created_at: Timestamp(i64::try_from(id).unwrap()),
        }
    }

    const ORG: OrgId = OrgId(Uuid::nil());

    #[test]
    fn five_days_of_only_failures_end_an_endpoint_and_a_success_begins_them_anew() {
        let new = endpoint(1, ORG, Events::ALL);
        let day = |n: u32| Timestamp(0) + DAY * n;
        assert!(new.after(Heard::Taken, day(0)).is_none());
        let failing = new.after(Heard::Failed, day(0)).unwrap();
        assert!(failing.is_enabled());
        assert!(failing.after(Heard::Failed, day(4)).is_none());
        let well = failing.after(Heard::Taken, day(4)).unwrap();
        let failing = well.after(Heard::Failed, day(5)).unwrap();
        assert!(failing.after(Heard::Failed, day(9)).is_none());
        let ended = failing.after(Heard::Failed, day(10)).unwrap();
        assert_eq!(ended.disabled, Some((day(10), Reason::Failing)));
        assert!(ended.after(Heard::Gone, day(11)).is_none());
        let enabled = Change {
            enabled: Some(true),
            ..Change::default()
        };
        let again = ended.changed(&enabled, day(12));
        assert!(again.is_enabled() && again.failing_since.is_none());
        let gone = again.after(Heard::Gone, day(12)).unwrap();
        assert_eq!(gone.disabled, Some((day(12), Reason::Gone)));
    }

    #[test]
    fn both_keys_hold_until_the_cutover() {
        let old = endpoint(1, ORG, Events::ALL);
        let secret = |text: &str| SecretString::from(text.to_owned());
        let new = old.rotated(secret("whsec_new"), Timestamp(5), Timestamp(10));
        let new = new.unwrap();
        let before = new.secrets(Timestamp(9));
        assert_eq!(before.current, "whsec_new");
        assert_eq!(before.old, Some(old.secret.expose_secret()));
        assert_eq!(new.secrets(Timestamp(10)).old, None);
        // A third would end the first before its time, unless both are to end.
        let third = new.rotated(secret("whsec_3"), Timestamp(9), Timestamp(20));
        assert_eq!(third.unwrap_err(), Timestamp(10));
        let only = new.rotated(secret("whsec_3"), Timestamp(9), Timestamp(9));
        let only = only.unwrap();
        assert_eq!(only.secrets(Timestamp(9)).current, "whsec_3");
        assert_eq!(only.secrets(Timestamp(9)).old, None);
        let later = new.rotated(secret("whsec_3"), Timestamp(10), Timestamp(20));
        assert_eq!(later.unwrap().secrets(Timestamp(10)).old, Some("whsec_new"));
    }

    #[test]
    fn an_expiry_is_a_failure_to_those_who_have_not_asked_for_it() {
        let of = |events| endpoint(1, ORG, events).wants(EventKind::Expired);
        let failed = Events::NONE.with(EventKind::Failed);
        assert_eq!(of(Events::ALL), Some(EventKind::Expired));
        assert_eq!(of(failed), Some(EventKind::Failed));
        let both = failed.with(EventKind::Expired);
        assert_eq!(of(both), Some(EventKind::Expired));
        assert_eq!(of(Events::NONE.with(EventKind::Sent)), None);
        assert_eq!(both.names(), ["message.failed", "message.expired"]);
        assert_eq!(Events::ALL.names(), ["*"]);
    }

    #[test]
    fn only_endpoints_of_the_organisation_and_the_environment_are_told() {
        let other = OrgId(Uuid::from_u128(7));
        let test = Endpoint {
            live: false,
            ..endpoint(2, ORG, Events::ALL)
        };
        let off = Endpoint {
            disabled: Some((Timestamp(0), Reason::Asked)),
            ..endpoint(3, ORG, Events::ALL)
        };
        let all = [
            endpoint(1, ORG, Events::ALL),
            test,
            off,
            endpoint(4, other, Events::ALL),
        ];
        let mut endpoints = Endpoints::new(all);
        let told = |endpoints: &Endpoints, live| -> Vec<u128> {
            let told = endpoints.told(ORG, live, EventKind::Sent);
            told.map(|(id, _)| id.0.as_u128()).collect()
        };
        assert_eq!(told(&endpoints, true), [1]);
        assert_eq!(told(&endpoints, false), [2]);
        endpoints.remove(EndpointId(Uuid::from_u128(1)));
        assert_eq!(told(&endpoints, true), [0; 0]);
        assert_eq!(endpoints.all().count(), 3);
        assert_eq!(endpoints.counts(), (2, 1));
        assert!(endpoints.get(EndpointId(Uuid::from_u128(1))).is_none());
    }

    #[test]
    fn a_change_of_a_copy_costs_the_part_that_it_is_in() {
        let orgs = (0..1000).map(|id| endpoint(id, OrgId(Uuid::from_u128(id)), Events::ALL));
        let before = Endpoints::new(orgs);
        let mut after = before.clone();
        let org = OrgId(Uuid::from_u128(7));
        let failing = before.of(org)[0].after(Heard::Failed, Timestamp(9));
        after.put(Arc::new(failing.unwrap()));
        let shared = before.parts.iter().zip(&after.parts);
        let shared = shared.filter(|(before, after)| Arc::ptr_eq(before, after));
        assert_eq!(shared.count(), PARTS - 1);
        assert!(Arc::ptr_eq(&before.owners, &after.owners));
        assert_eq!(before.of(org)[0].failing_since, None);
        assert_eq!(after.of(org)[0].failing_since, Some(Timestamp(9)));
        assert_eq!(after.counts(), (1000, 0));
    }
}
