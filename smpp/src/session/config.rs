//! Lives here: what a session needs to know before it starts (role, window, timers, sizes).
//! Never here: addresses, TLS, credentials (transport, client, server, and the bind itself).

use std::time::Duration;

use crate::codec::DEFAULT_MAX_PDU;
use crate::pdu::Version;

/// Longest PDU read before the bind stands, in octets: binds are short, and strangers get little memory.
pub(super) const UNBOUND_MAX_PDU: usize = 4 * 1024;
/// No timer runs longer than this; it keeps `Instant` arithmetic from overflowing.
const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// A shorter interval would be a storm of enquire_link, not a watch.
const ENQUIRE_INTERVAL_MIN: Duration = Duration::from_millis(10);
/// Limits of the tables; a slot takes about 64 octets plus the caller's token.
const WINDOW_MAX: usize = 1 << 16;
const LATE_LIMIT: usize = 1 << 20;

/// Which end of the connection this session is (SMPP 3.4 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// External Short Message Entity: the client; binds and submits.
    Esme,
    /// Short Message Service Centre: the server; accepts binds and delivers.
    Smsc,
}

/// Limits and timers of one session. Every duration is capped at 365 days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// Which end we are.
    pub role: Role,
    /// SMSC: the newest version we speak; told in bind_resp. An ESME offers its own in the bind
    /// ([`crate::pdu::Bind::interface_version`]).
    pub version: Version,
    /// ESME: what the server speaks if its bind_resp does not say; `None` is what we offered, capped at 3.4. Others
    /// than us take such a server for one of 3.3.
    pub untold_version: Option<Version>,
    /// Take the peer for this version at least, whatever it tells, as far as we offered it: some servers of 3.4 tell
    /// 0x33 or 0x00, and would be sent no TLVs.
    pub least_version: Option<Version>,
    /// Requests of ours that may be outstanding at once, 1 to 65 536; values outside are clamped.
    pub window: usize,
    /// From the connection to the bind, and again from the bind to its answer.
    pub bind_timeout: Duration,
    /// From a request of ours to its answer (SMPP 3.4 section 7.2 `response_timer`); also for enquire_link.
    pub response_timeout: Duration,
    /// Silence of the peer after which enquire_link is sent (`enquire_link_timer`); at least 10 ms.
    pub enquire_link_interval: Duration,
    /// Time without any transaction (enquire_link does not count) after which the session ends
    /// (`inactivity_timer`); `None` keeps it for ever.
    pub inactivity_timeout: Option<Duration>,
    /// Longest drain of the window before our unbind is sent, and again the longest wait for its answer.
    pub unbind_timeout: Duration,
    /// Expired requests remembered so that a late answer still yields its token; the oldest is forgotten first.
    /// Clamped to 1 048 576.
    pub late_max: usize,
    /// Longest PDU accepted, in octets; longer ones are skipped and refused. At least 4 096, which is also what is
    /// accepted before the bind.
    pub max_pdu: usize,
    /// Hand requests with unknown `command_id` to the owner as [`crate::pdu::Pdu::Unknown`] (vendors have operations
    /// of their own); without it they draw generic_nack ESME_RINVCMDID.
    pub vendor_operations: bool,
}

impl SessionConfig {
    /// Defaults of a client: window 10, answers within 30 s, enquire_link after 30 s of silence.
    pub fn esme() -> Self {
        Self {
            role: Role::Esme,
            version: Version::V3_4,
            untold_version: None,
            least_version: None,
            window: 10,
            bind_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(30),
            enquire_link_interval: Duration::from_secs(30),
            inactivity_timeout: None,
            unbind_timeout: Duration::from_secs(5),
            late_max: 10_000,
            max_pdu: DEFAULT_MAX_PDU,
            vendor_operations: false,
        }
    }

    /// Defaults of a server: as the client's, and a peer without any transaction for ten minutes is unbound.
    pub fn smsc() -> Self {
        Self {
            role: Role::Smsc,
            inactivity_timeout: Some(Duration::from_secs(600)),
            ..Self::esme()
        }
    }

    /// The same with every value inside its documented limits.
    pub(super) fn clamped(mut self) -> Self {
        self.window = self.window.clamp(1, WINDOW_MAX);
        self.late_max = self.late_max.min(LATE_LIMIT);
        self.max_pdu = self.max_pdu.max(UNBOUND_MAX_PDU);
        for duration in [
            &mut self.bind_timeout,
            &mut self.response_timeout,
            &mut self.enquire_link_interval,
            &mut self.unbind_timeout,
        ] {
            *duration = (*duration).min(DURATION_MAX);
        }
        self.enquire_link_interval = self.enquire_link_interval.max(ENQUIRE_INTERVAL_MIN);
        self.inactivity_timeout = self.inactivity_timeout.map(|d| d.min(DURATION_MAX));
        self
    }
}
