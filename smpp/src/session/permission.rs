//! Lives here: which request may travel in which direction over which bind (SMPP 3.4 table 2-1, 5.0 table 2-2).
//! Never here: the session's own operations (bind, unbind, enquire_link, generic_nack), legal in other states too.

use crate::codec::CommandId;
use crate::pdu::BindKind;
use crate::session::Role;

/// Whether `sender` may send the request `command` over a bind of `kind`.
///
/// Operations that table 2-1 does not know (vendor ids) are permitted on any bind; the receiver decides.
pub const fn permits(sender: Role, kind: BindKind, command: CommandId) -> bool {
    match command {
        CommandId::SUBMIT_SM
        | CommandId::SUBMIT_MULTI
        | CommandId::QUERY_SM
        | CommandId::CANCEL_SM
        | CommandId::REPLACE_SM
        | CommandId::BROADCAST_SM
        | CommandId::QUERY_BROADCAST_SM
        | CommandId::CANCEL_BROADCAST_SM => submits(sender, kind),
        CommandId::DELIVER_SM => delivers(sender, kind),
        CommandId::DATA_SM => submits(sender, kind) || delivers(sender, kind),
        // No response is defined for these, so they can never hold a window slot.
        CommandId::OUTBIND | CommandId::ALERT_NOTIFICATION => false,
        // The session sends and answers these itself.
        CommandId::BIND_RECEIVER
        | CommandId::BIND_TRANSMITTER
        | CommandId::BIND_TRANSCEIVER
        | CommandId::UNBIND
        | CommandId::ENQUIRE_LINK => false,
        other => !other.is_response(),
    }
}

/// Whether `sender` may send the PDU `command`, which has no response, while it is bound as `kind` (`None`: before the
/// bind).
pub(super) const fn notifies(sender: Role, kind: Option<BindKind>, command: CommandId) -> bool {
    match (command, kind) {
        (CommandId::OUTBIND, None) => matches!(sender, Role::Smsc),
        (CommandId::ALERT_NOTIFICATION, Some(kind)) => delivers(sender, kind),
        _ => false,
    }
}

const fn submits(sender: Role, kind: BindKind) -> bool {
    matches!(
        (sender, kind),
        (Role::Esme, BindKind::Transmitter | BindKind::Transceiver)
    )
}

const fn delivers(sender: Role, kind: BindKind) -> bool {
    matches!(
        (sender, kind),
        (Role::Smsc, BindKind::Receiver | BindKind::Transceiver)
    )
}

#[cfg(test)]
mod tests {
    use super::{BindKind, CommandId, Role, permits};

    const KINDS: [BindKind; 3] = [
        BindKind::Transmitter,
        BindKind::Receiver,
        BindKind::Transceiver,
    ];

    fn row(sender: Role, command: CommandId) -> [bool; 3] {
        KINDS.map(|kind| permits(sender, kind, command))
    }

    #[test]
    fn the_matrix_is_the_specification_s_table() {
        assert_eq!(row(Role::Esme, CommandId::SUBMIT_SM), [true, false, true]);
        assert_eq!(row(Role::Smsc, CommandId::SUBMIT_SM), [false; 3]);
        assert_eq!(row(Role::Esme, CommandId::DELIVER_SM), [false; 3]);
        assert_eq!(row(Role::Smsc, CommandId::DELIVER_SM), [false, true, true]);
        assert_eq!(row(Role::Esme, CommandId::DATA_SM), [true, false, true]);
        assert_eq!(row(Role::Smsc, CommandId::DATA_SM), [false, true, true]);
        assert_eq!(row(Role::Esme, CommandId::QUERY_SM), [true, false, true]);
    }

    #[test]
    fn responses_and_session_operations_never_take_a_slot() {
        for command in [
            CommandId::BIND_TRANSCEIVER,
            CommandId::UNBIND,
            CommandId::ENQUIRE_LINK,
            CommandId::ALERT_NOTIFICATION,
            CommandId::OUTBIND,
            CommandId(0x8000_0004),
            CommandId(0x8000_0000),
        ] {
            assert_eq!(row(Role::Esme, command), [false; 3]);
            assert_eq!(row(Role::Smsc, command), [false; 3]);
        }
    }

    #[test]
    fn vendor_operations_pass_on_any_bind() {
        assert_eq!(row(Role::Esme, CommandId(0x0001_0200)), [true; 3]);
    }
}
