//! Lives here: what a carrier's command_status means for the message and for the bind: the default
//! table, and one carrier's own.
//! Never here: the wire's names for statuses (`mnara_smpp::status`), nor what is done about a verdict.

use std::collections::BTreeMap;
use std::time::Duration;

use super::message::FailureCode;

/// What a command_status asks of us (`reference/smpp-tables.md`, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Taken.
    Accepted,
    /// Try the same account again, a bounded number of times.
    Retry(Retry),
    /// Not this message's fault: slow the whole bind for this long and keep the order. It counts
    /// as no attempt.
    SlowDown(Duration),
    /// This account will not take it; another might. The code is the message's failure where there
    /// is no other.
    OtherRoute(FailureCode),
    /// No account will take it.
    Permanent(FailureCode),
    /// The session is not what we think: bind anew, keep the message. It counts as no attempt.
    Session,
    /// This carrier is known to answer so after it has taken the message, too: the attempt is in
    /// doubt, not refused (`reference/delivery-semantics.md`).
    AfterAcceptance,
}

/// How a passing error is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How long the message waits before the next attempt; twice as long before each that follows.
    pub after: Duration,
    /// Further attempts with the same account at most; all of them within the validity.
    pub attempts: u8,
    /// When they are used up.
    pub then: AfterRetries,
}

/// What follows when a carrier's error has not passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRetries {
    /// As [`Verdict::OtherRoute`].
    OtherRoute(FailureCode),
    /// As [`Verdict::Permanent`].
    Permanent(FailureCode),
}

/// No message waits longer than this for its next attempt.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

impl Retry {
    /// How long to wait before the next attempt when this account has already answered so
    /// `refusals` times (from 1); `None` when the attempts are used up.
    pub fn next(self, refusals: u16) -> Option<Duration> {
        let made = refusals.saturating_sub(1);
        let factor = 1u32 << made.min(20);
        (made < u16::from(self.attempts)).then(|| self.after.saturating_mul(factor).min(WAIT_MAX))
    }
}

/// A retry after which another account is asked.
const fn retry(after_s: u64, attempts: u8) -> Verdict {
    Verdict::Retry(Retry {
        after: Duration::from_secs(after_s),
        attempts,
        then: AfterRetries::OtherRoute(FailureCode::CarrierRejected),
    })
}

/// The default table. Every value has an entry: vendors use 0x400 to 0x4FF, and some use what the
/// standard reserves.
pub const fn of_status(status: u32) -> Verdict {
    match status {
        0x00 => Verdict::Accepted,
        // Throttled: pause briefly. Queue full: the operator is in trouble for longer; but the
        // pause is the whole bind's, and its pace is cut besides, so that the minutes which others
        // give a single message would starve OTP here.
        0x58 => Verdict::SlowDown(Duration::from_millis(500)),
        0x14 => Verdict::SlowDown(Duration::from_secs(2)),
        // System error, temporary application error, unknown error, service unavailable: what
        // passes does so within a minute, or it is worth another account.
        0x08 | 0x64 | 0xFF | 0x102 => retry(30, 2),
        // Submit failed says nothing at all: once more, then elsewhere.
        0x45 => retry(5, 1),
        // Wrong command length, bind state, already bound, bind failed, credentials, system type.
        0x02 | 0x04 | 0x05 | 0x0D | 0x0E | 0x0F | 0x53 => Verdict::Session,
        // Destination refused: the number, not the account.
        0x0B => Verdict::Permanent(FailureCode::UnknownSubscriber),
        // Source address, TON and NPI, TLVs, authorisation, data coding, broadcast, vendors' own.
        0x0A
        | 0x48
        | 0x49
        | 0x50
        | 0x51
        | 0xC0
        | 0xC1
        | 0xC3
        | 0xC4
        | 0x100
        | 0x101
        | 0x103
        | 0x104
        | 0x10D
        | 0x400..=0x4FF => Verdict::OtherRoute(FailureCode::CarrierRejected),
        // The rest of the standard's errors are faults of the message or of our encoder, or (0xFE)
        // answers to a transaction mode that we never ask for.
        0x01
        | 0x03
        | 0x06
        | 0x07
        | 0x0C
        | 0x11
        | 0x13
        | 0x15
        | 0x33
        | 0x34
        | 0x40
        | 0x42
        | 0x43
        | 0x44
        | 0x54
        | 0x55
        | 0x61
        | 0x62
        | 0x63
        | 0x65
        | 0x66
        | 0x67
        | 0xC2
        | 0xFE
        | 0x105..=0x10C
        | 0x10E..=0x112 => Verdict::Permanent(FailureCode::CarrierRejected),
        // Reserved values: once more, then elsewhere.
        _ => retry(30, 1),
    }
}

/// One carrier's table: the default, save where its profile says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Only what differs from the default.
    own: BTreeMap<u32, Verdict>,
}

impl Table {
    /// What this carrier means by a status.
    pub fn of(&self, status: u32) -> Verdict {
        // Nearly every answer is ROK, which no profile may change.
        if status == 0 {
            return Verdict::Accepted;
        }
        let own = self.own.get(&status).copied();
        own.unwrap_or_else(|| of_status(status))
    }

    /// Sets what this carrier means by a status; 0 always means that the message was taken.
    pub fn set(&mut self, status: u32, verdict: Verdict) {
        if verdict == of_status(status) {
            self.own.remove(&status);
        } else if status != 0 {
            self.own.insert(status, verdict);
        }
    }
}

#[cfg(test)]
mod tests {
    use mnara_smpp::status::CommandStatus;

    use super::*;

    /// The classes of the reference's table.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Class {
        Ok,
        Retry,
        Backoff,
        Failover,
        Perm,
        Session,
    }

    /// `reference/smpp-tables.md`, section 2, row by row. RSUBMITFAIL stands there as FAILOVER
    /// with the advice "1 retry same bind, then other route".
    #[rustfmt::skip]
    const REFERENCE: [(u32, Class); 67] = {
        use Class::{Backoff, Failover, Ok, Perm, Retry, Session};
        [
            (0x00, Ok), (0x01, Perm), (0x02, Session), (0x03, Perm), (0x04, Session),
            (0x05, Session), (0x06, Perm), (0x07, Perm), (0x08, Retry), (0x0A, Failover),
            (0x0B, Perm), (0x0C, Perm), (0x0D, Session), (0x0E, Session), (0x0F, Session),
            (0x11, Perm), (0x13, Perm), (0x14, Backoff), (0x15, Perm), (0x33, Perm), (0x34, Perm),
            (0x40, Perm), (0x42, Perm), (0x43, Perm), (0x44, Perm), (0x45, Retry),
            (0x48, Failover), (0x49, Failover), (0x50, Failover), (0x51, Failover),
            (0x53, Session), (0x54, Perm), (0x55, Perm), (0x58, Backoff), (0x61, Perm),
            (0x62, Perm), (0x63, Perm), (0x64, Retry), (0x65, Perm), (0x66, Perm), (0x67, Perm),
            (0xC0, Failover), (0xC1, Failover), (0xC2, Perm), (0xC3, Failover), (0xC4, Failover),
            (0xFE, Perm), (0xFF, Retry), (0x100, Failover), (0x101, Failover), (0x102, Retry),
            (0x103, Failover), (0x104, Failover), (0x105, Perm), (0x106, Perm), (0x107, Perm),
            (0x108, Perm), (0x109, Perm), (0x10A, Perm), (0x10B, Perm), (0x10C, Perm),
            (0x10D, Failover), (0x10E, Perm), (0x10F, Perm), (0x110, Perm), (0x111, Perm),
            (0x112, Perm),
        ]
    };

    fn class(verdict: Verdict) -> Option<Class> {
        Some(match verdict {
            Verdict::Accepted => Class::Ok,
            Verdict::Retry(_) => Class::Retry,
            Verdict::SlowDown(_) => Class::Backoff,
            Verdict::OtherRoute(_) => Class::Failover,
            Verdict::Permanent(_) => Class::Perm,
            Verdict::Session => Class::Session,
            Verdict::AfterAcceptance => return None,
        })
    }

    #[test]
    fn every_row_of_the_reference_has_its_class() {
        let named: Vec<u32> = CommandStatus::NAMED.iter().map(|status| status.0).collect();
        let rows: Vec<u32> = REFERENCE.iter().map(|(status, _)| *status).collect();
        assert_eq!(
            rows, named,
            "the table has a row for every status with a name"
        );
        for (status, expected) in REFERENCE {
            let found = class(of_status(status));
            assert_eq!(found, Some(expected), "{}", CommandStatus(status));
        }
    }

    #[test]
    fn vendors_values_go_elsewhere_and_reserved_ones_are_tried_once_more_first() {
        let elsewhere = Verdict::OtherRoute(FailureCode::CarrierRejected);
        for status in 0x400..=0x4FF {
            assert_eq!(of_status(status), elsewhere, "{status:#x}");
        }
        let reserved = (0x01..0x400)
            .filter(|status| CommandStatus(*status).name() == "reserved")
            .chain([0x500, 0xDEAD_BEEF, u32::MAX]);
        for status in reserved {
            assert_eq!(of_status(status), retry(30, 1), "{status:#x}");
        }
    }

    #[test]
    fn passing_errors_are_bounded_and_then_go_elsewhere() {
        for (status, after_s, attempts) in [(0x08, 30, 2), (0x64, 30, 2), (0x45, 5, 1)] {
            let Verdict::Retry(retry) = of_status(status) else {
                panic!("{status:#x} passes");
            };
            assert_eq!(retry.after, Duration::from_secs(after_s));
            assert_eq!(retry.attempts, attempts, "{status:#x}");
            let waits: Vec<u64> = (1..)
                .map_while(|refusals| retry.next(refusals))
                .map(|wait| wait.as_secs())
                .collect();
            let expected: Vec<u64> = (0..u32::from(attempts)).map(|n| after_s << n).collect();
            assert_eq!(waits, expected, "{status:#x}");
            let elsewhere = AfterRetries::OtherRoute(FailureCode::CarrierRejected);
            assert_eq!(retry.then, elsewhere);
        }
    }

    #[test]
    fn a_carrier_s_table_is_the_default_but_for_its_own_entries() {
        let mut table = Table::default();
        table.set(0x08, Verdict::AfterAcceptance);
        table.set(0x0B, of_status(0x0B));
        assert_eq!(table.of(0x08), Verdict::AfterAcceptance);
        assert_eq!(table.of(0x0B), of_status(0x0B));
        table.set(0x08, of_status(0x08));
        assert_eq!(
            table,
            Table::default(),
            "what equals the default is no entry"
        );
    }

    #[test]
    fn no_profile_can_make_a_refusal_of_rok() {
        let mut table = Table::default();
        table.set(0, Verdict::Permanent(FailureCode::CarrierRejected));
        assert_eq!(table.of(0), Verdict::Accepted);
    }
}
