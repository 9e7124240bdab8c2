//! Lives here: how many requests each caller may make in a minute, what callers are told of it, and
//! how often somebody may come with a key that is none.
//! Never here: the bucket (`domain::allowance`), who calls (`auth`), how fast messages go to carriers.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use uuid::Uuid;

use super::code::Code;
use super::error::ApiError;
use super::time;
use crate::domain::allowance::{Left, Level, Quota, Spent};
use crate::store::Credential;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
/// draft-ietf-httpapi-ratelimit-headers.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

const SECOND: u64 = 1_000_000_000;

/// Callers that are counted at once: some ten MiB. Beyond it those are forgotten who may do all
/// again; if there are none a key is not counted for now (only we make keys), and an address is
/// treated as if it had failed too often (anybody has addresses).
const CALLERS_MAX: usize = 65_536;
/// Nanoseconds between two looks for callers that can be forgotten.
const SWEEP_EVERY: u64 = SECOND;

/// The limits, in requests a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Of a live key.
    pub live: Quota,
    /// Of a test key.
    pub test: Quota,
    /// Of any key, for its credits; they do not count among the others.
    pub credits: Quota,
    /// Requests without a key that is one, from one address (of IPv6: one /64).
    pub failures: Quota,
}

impl Default for Config {
    fn default() -> Self {
        let quota = |requests| Quota::per_minute(requests).unwrap_or(Quota::Unlimited);
        Self {
            live: quota(600),
            test: quota(120),
            credits: quota(120),
            failures: quota(100),
        }
    }
}

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Policy {
    /// All that has no policy of its own.
    Default,
    /// Reading one's credits.
    Credits,
}

impl Policy {
    const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Credits => "credits",
        }
    }
}

/// Whose bucket it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Caller {
    Key(Uuid, Policy),
    Address(IpAddr),
}

/// The buckets of all callers.
pub(super) struct Limits {
    config: Config,
    callers: DashMap<Caller, Level>,
    /// How many they are; their own count would take each of their locks.
    count: AtomicUsize,
    /// When they were last looked through.
    swept: AtomicU64,
    /// Until when an address may be blocked; 0: none was. It spares those who have a key the look.
    blocking: AtomicU64,
    began: Instant,
}

/// Where a caller stands after its request, for the answer's headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    policy: Policy,
    per_minute: NonZeroU32,
    left: u32,
    /// Nanoseconds until all may be made again.
    full_in: u64,
    /// Nanoseconds until one may be made, if none may now.
    next_in: Option<u64>,
}

impl Limits {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            callers: DashMap::new(),
            count: AtomicUsize::new(0),
            swept: AtomicU64::new(0),
            blocking: AtomicU64::new(0),
            began: Instant::now(),
        }
    }

    /// Counts a request of a key, or of a user; `None`: it may make as many as it likes.
    pub(super) fn count(&self, caller: &Credential, policy: Policy) -> Option<Standing> {
        let own = caller.rate().and_then(Quota::per_minute);
        let quota = match policy {
            Policy::Credits => self.config.credits,
            Policy::Default if caller.is_live() => own.unwrap_or(self.config.live),
            Policy::Default => own.unwrap_or(self.config.test),
        };
        let Quota::PerMinute(per_minute) = quota else {
            return None;
        };
        let caller = Caller::Key(caller.id(), policy);
        let taken = self.take(caller, per_minute, self.now())?;
        let (left, full_in, next_in) = match taken {
            Ok(Left { requests, full_in }) => (requests, full_in, None),
            Err(Spent { next_in, full_in }) => (0, full_in, Some(next_in)),
        };
        Some(Standing {
            policy,
            per_minute,
            left,
            full_in,
            next_in,
        })
    }

    /// Counts a request without a key that is one; once there were too many from its address: the
    /// refusal that it is told instead of why.
    pub(super) fn failed(&self, from: IpAddr) -> Option<ApiError> {
        let Quota::PerMinute(per_minute) = self.config.failures else {
            return None;
        };
        let now = self.now();
        let taken = self.take(Caller::Address(network(from)), per_minute, now);
        let next_in = match taken {
            Some(Ok(_)) => return None,
            Some(Err(spent)) => {
                let until = now.saturating_add(spent.full_in);
                self.blocking.fetch_max(until, Ordering::Relaxed);
                spent.next_in
            }
            None => SECOND,
        };
        Some(failures(next_in))
    }

    /// The same refusal for who has not failed yet with this request, if its address may not fail
    /// again now.
    pub(super) fn blocked(&self, from: impl FnOnce() -> IpAddr) -> Option<ApiError> {
        let until = self.blocking.load(Ordering::Relaxed);
        let Quota::PerMinute(per_minute) = self.config.failures else {
            return None;
        };
        if until == 0 || until <= self.now() {
            return None;
        }
        let mut level = *self.callers.get(&Caller::Address(network(from())))?;
        let spent = level.take(per_minute, self.now()).err()?;
        Some(failures(spent.next_in))
    }

    /// `None`: there is no room to count it.
    fn take(
        &self,
        caller: Caller,
        per_minute: NonZeroU32,
        now: u64,
    ) -> Option<Result<Left, Spent>> {
        if let Some(mut level) = self.callers.get_mut(&caller) {
            return Some(level.take(per_minute, now));
        }
        if self.count.load(Ordering::Relaxed) >= CALLERS_MAX && !self.sweep(now) {
            return None;
        }
        match self.callers.entry(caller) {
            Entry::Occupied(mut level) => Some(level.get_mut().take(per_minute, now)),
            Entry::Vacant(place) => {
                self.count.fetch_add(1, Ordering::Relaxed);
                let mut level = Level::default();
                let taken = level.take(per_minute, now);
                place.insert(level);
                Some(taken)
            }
        }
    }

    /// Forgets callers that may do all again, now and then; whether there is room.
    fn sweep(&self, now: u64) -> bool {
        let last = self.swept.load(Ordering::Relaxed);
        let turn = now.saturating_sub(last) >= SWEEP_EVERY
            && self
                .swept
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if turn {
            let mut gone = 0;
            self.callers.retain(|_, level| {
                let keep = !level.is_full(now);
                gone += usize::from(!keep);
                keep
            });
            self.count.fetch_sub(gone, Ordering::Relaxed);
        }
        self.count.load(Ordering::Relaxed) < CALLERS_MAX
    }

    fn now(&self) -> u64 {
        // After 584 years it stands still.
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Standing {
    /// The refusal, if the request was one too many.
    pub(super) fn refusal(&self) -> Option<ApiError> {
        let wait = seconds(self.next_in?);
        let per_minute = self.per_minute;
        let message = format!(
            "the key has made more than {per_minute} requests in a minute; wait as long as Retry-After \
             says, or have its limit raised"
        );
        Some(ApiError::new(Code::RateLimitExceeded, message).retry_after(wait))
    }

    /// Tells the caller, in both families of headers.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        let Self {
            policy,
            per_minute,
            left,
            ..
        } = *self;
        let (name, full_in) = (policy.name(), seconds(self.full_in));
        let reset = time::now().0 / 1000 + i64::try_from(full_in).unwrap_or(0);
        headers.insert(LIMIT, per_minute.get().into());
        headers.insert(REMAINING, left.into());
        headers.insert(RESET, reset.into());
        let policy = format!("\"{name}\";q={per_minute};w=60");
        let standing = format!("\"{name}\";r={left};t={full_in}");
        for (header, value) in [(POLICY, policy), (STANDING, standing)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(header, value);
            }
        }
    }
}

fn failures(next_in: u64) -> ApiError {
    let message = "there were too many requests without a valid API key from this address; wait \
                   as long as Retry-After says and check the key";
    ApiError::new(Code::RateLimitExceeded, message).retry_after(seconds(next_in))
}

/// Whole seconds, rounded up: whoever waits so long does not wait in vain.
const fn seconds(nanos: u64) -> u64 {
    nanos.div_ceil(SECOND)
}

/// An address as far as it is one customer's: of IPv6 everybody has 2^64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::domain::account::{ApiKey, Organisation};
    use crate::domain::ids::{KeyId, OrgId};
    use crate::domain::scope::Scopes;
    use crate::domain::time::Timestamp;
    use crate::store::Caller as By;

    fn key(number: u128, live: bool) -> Credential {
        paced(number, live, None)
    }

    fn paced(number: u128, live: bool, rate: Option<u32>) -> Credential {
        let key = ApiKey {
            id: KeyId(Uuid::from_u128(number)),
            org: OrgId(Uuid::nil()),
            hash: [0; 32],
            prefix: "sk".into(),
            live,
            name: "".into(),
            scopes: Scopes::ALL,
            senders: Vec::new(),
            networks: Vec::new(),
            expires_at: None,
            rate,
            created_at: Timestamp(0),
            revoked_at: None,
            replaced_by: None,
            last_used_at: None,
        };
        let org = Organisation {
            id: OrgId(Uuid::nil()),
            name: "One".into(),
            country: "TZ".into(),
            senders: Vec::new(),
            webhook_secret: "s".to_owned().into(),
            created_at: Timestamp(0),
        };
        Credential::new(By::Key(key), org)
    }

    fn told(standing: &Standing) -> Vec<String> {
        let mut headers = HeaderMap::new();
        standing.tell(&mut headers);
        let text = |name| headers[name].to_str().unwrap().to_owned();
        [LIMIT, REMAINING, POLICY, STANDING].map(text).into()
    }

    #[test]
    fn a_key_is_told_where_it_stands_and_refused_what_is_too_much() {
        let limits = Limits::new(Config {
            live: Quota::per_minute(2).unwrap(),
            ..Config::default()
        });
        let one = limits.count(&key(1, true), Policy::Default).unwrap();
        assert!(one.refusal().is_none());
        assert_eq!(
            told(&one),
            ["2", "1", "\"default\";q=2;w=60", "\"default\";r=1;t=30"]
        );
        limits.count(&key(1, true), Policy::Default).unwrap();
        let spent = limits.count(&key(1, true), Policy::Default).unwrap();
        assert_eq!(spent.refusal().unwrap().code, Code::RateLimitExceeded);
        assert_eq!(told(&spent)[1], "0");
        // Each key, and each policy, has its own.
        let credits = limits.count(&key(1, true), Policy::Credits).unwrap();
        assert_eq!(told(&credits)[2], "\"credits\";q=120;w=60");
        assert!(
            limits
                .count(&key(2, true), Policy::Default)
                .unwrap()
                .refusal()
                .is_none()
        );
        let test = limits.count(&key(3, false), Policy::Default).unwrap();
        assert_eq!(told(&test)[0], "120");
        let own = limits
            .count(&paced(4, true, Some(9)), Policy::Default)
            .unwrap();
        assert_eq!(told(&own)[0], "9");
    }

    #[test]
    fn who_may_do_all_is_told_nothing_and_takes_no_room() {
        let limits = Limits::new(Config {
            live: Quota::Unlimited,
            ..Config::default()
        });
        assert!(limits.count(&key(1, true), Policy::Default).is_none());
        assert!(limits.callers.is_empty());
    }

    #[test]
    fn failures_are_counted_by_address_and_of_ipv6_by_network() {
        let limits = Limits::new(Config {
            failures: Quota::per_minute(1).unwrap(),
            ..Config::default()
        });
        let failed = |address: &str| limits.failed(address.parse().unwrap()).is_some();
        assert!(!failed("192.0.2.1") && failed("192.0.2.1") && !failed("192.0.2.2"));
        assert!(failed("::ffff:192.0.2.1"), "the same in other words");
        assert!(!failed("2001:db8::1") && failed("2001:db8::2"));
        assert!(!failed("2001:db8:0:1::1"));
    }

    #[test]
    fn a_full_table_forgets_whom_it_need_not_know() {
        let limits = Limits::new(Config::default());
        let quota = NonZeroU32::new(1).unwrap();
        let address = |number: u32| Caller::Address(Ipv4Addr::from_bits(number).into());
        let many = u32::try_from(CALLERS_MAX).unwrap();
        for number in 0..many {
            assert!(limits.take(address(number), quota, 0).is_some());
        }
        // All of them are in the middle of their minute.
        assert!(limits.take(address(many), quota, 2 * SECOND).is_none());
        assert!(limits.take(address(1), quota, 2 * SECOND).unwrap().is_err());
        let later = 60 * SECOND;
        assert!(limits.take(address(many), quota, later).is_some());
        assert_eq!(limits.callers.len(), 1);
        assert_eq!(limits.count.load(Ordering::Relaxed), 1);
    }
}
