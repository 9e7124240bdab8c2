//! Lives here: what a carrier's command_status means for the message and for the bind.
//! Never here: the wire's names for statuses (`mnara_smpp::status`), nor what is done about a verdict.

use std::time::Duration;

use super::message::FailureCode;

/// What a non-zero command_status asks of us (`reference/smpp-tables.md`, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Taken.
    Accepted,
    /// Try the same bind again after this long, a bounded number of times.
    Retry(Duration),
    /// Not this message's fault: slow the whole bind and keep the order.
    SlowDown(Duration),
    /// This route will not take it; another might.
    OtherRoute(FailureCode),
    /// No route will take it.
    Permanent(FailureCode),
    /// The session is not what we think: bind anew, keep the message.
    Session,
}

/// The default table; a carrier's profile may override single entries.
pub const fn of_status(status: u32) -> Verdict {
    match status {
        0x00 => Verdict::Accepted,
        // Throttled: pause briefly; queue full: the operator is in trouble for longer.
        0x58 => Verdict::SlowDown(Duration::from_millis(500)),
        0x14 => Verdict::SlowDown(Duration::from_secs(2)),
        // System error, temporary application error, unknown error, service unavailable.
        0x08 | 0x64 | 0xFF | 0x102 => Verdict::Retry(Duration::from_secs(30)),
        // Wrong command length, bind state, already bound, bind failed, credentials, system type.
        0x02 | 0x04 | 0x05 | 0x0D | 0x0E | 0x0F | 0x53 => Verdict::Session,
        // Destination refused: the number, not the route.
        0x0B => Verdict::Permanent(FailureCode::UnknownSubscriber),
        // Source address, submit failed, TON and NPI, TLVs, authorisation, data coding.
        0x0A
        | 0x45
        | 0x48..=0x51
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
        // The rest of the standard's errors are faults of the message or of our encoder.
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
        _ => Verdict::Retry(Duration::from_secs(30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_of_status_has_its_verdict() {
        let table = [
            (0x00, Verdict::Accepted),
            (0x58, Verdict::SlowDown(Duration::from_millis(500))),
            (0x14, Verdict::SlowDown(Duration::from_secs(2))),
            (0x08, Verdict::Retry(Duration::from_secs(30))),
            (0x05, Verdict::Session),
            (0x0A, Verdict::OtherRoute(FailureCode::CarrierRejected)),
            (0x0B, Verdict::Permanent(FailureCode::UnknownSubscriber)),
            (0x01, Verdict::Permanent(FailureCode::CarrierRejected)),
            (0x4FF, Verdict::OtherRoute(FailureCode::CarrierRejected)),
            (0xDEAD_BEEF, Verdict::Retry(Duration::from_secs(30))),
        ];
        for (status, verdict) in table {
            assert_eq!(of_status(status), verdict, "{status:#x}");
        }
    }
}
