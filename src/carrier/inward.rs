//! Lives here: what a session's carrier asks of us: receipts, and what we decline; the names of what
//! went wrong.
//! Never here: what we ask of the carrier (`live`), what a receipt does.

use mnara_smpp::pdu::{DataSmResp, DeliverSmResp, Pdu};
use mnara_smpp::receipt::Incoming;
use mnara_smpp::session::{CloseReason, Input, Notice};
use mnara_smpp::status::CommandStatus;

use super::live::Live;
use super::translate::{self, Delivered};
use crate::flow::{ReceiptAck, ReceiptArrived, ReceiptPdu};

impl Live<'_> {
    /// The store has answered a receipt of this or an earlier session.
    pub(super) fn receipt_answered(
        &mut self,
        session: u64,
        sequence: u32,
        pdu: ReceiptPdu,
        kept: bool,
    ) {
        self.desk.receipts = self.desk.receipts.saturating_sub(1);
        if session == self.desk.session {
            let status = if kept {
                CommandStatus::ESME_ROK
            } else {
                CommandStatus::ESME_RX_T_APPN
            };
            self.respond(sequence, pdu, status);
        }
    }

    fn respond(&mut self, sequence: u32, pdu: ReceiptPdu, status: CommandStatus) {
        let pdu = match pdu {
            ReceiptPdu::DeliverSm => Pdu::DeliverSmResp(DeliverSmResp::default()),
            ReceiptPdu::DataSm => Pdu::DataSmResp(DataSmResp::default()),
        };
        // Refused only when the session has ended: the carrier will send it again.
        let _ = self.connection.send(
            Input::Respond {
                sequence,
                status,
                pdu: &pdu,
            },
            &mut self.actions,
        );
    }

    /// The carrier asks for something.
    pub(super) fn request(&mut self, sequence: u32, pdu: Pdu) {
        match pdu {
            Pdu::DeliverSm(deliver) => {
                self.deliver(sequence, ReceiptPdu::DeliverSm, (&deliver).into());
            }
            Pdu::DataSm(data) => self.deliver(sequence, ReceiptPdu::DataSm, (&data).into()),
            other => {
                self.desk.tell.meter.pdu_error("unexpected_request");
                let input = Input::Decline {
                    sequence,
                    command: other.command(),
                    status: CommandStatus::ESME_RINVCMDID,
                };
                // Refused only when the session has ended.
                let _ = self.connection.send(input, &mut self.actions);
            }
        }
    }

    fn deliver(&mut self, sequence: u32, pdu: ReceiptPdu, incoming: Incoming<'_>) {
        let account = &self.desk.seat.account.config;
        let now = (self.desk.links.now)();
        match translate::delivered(&account.id, &account.profile, incoming, now) {
            Delivered::Receipt(receipt) => {
                let (to, session) = (self.desk.answers_to.clone(), self.desk.session);
                let ack = ReceiptAck {
                    to,
                    session,
                    sequence,
                    pdu,
                };
                let room = self.desk.receipts < self.desk.config.receipts_max;
                if room
                    && self
                        .desk
                        .links
                        .receipts
                        .try_send(ReceiptArrived { receipt, ack })
                        .is_ok()
                {
                    self.desk.receipts += 1;
                } else {
                    self.desk.tell.meter.receipt_refused();
                    self.respond(sequence, pdu, CommandStatus::ESME_RX_T_APPN);
                }
            }
            Delivered::Useless => {
                self.desk.tell.meter.pdu_error("receipt_without_id");
                self.respond(sequence, pdu, CommandStatus::ESME_ROK);
            }
            Delivered::Acknowledgement => {
                self.desk.tell.meter.pdu_error("sme_acknowledgement");
                self.respond(sequence, pdu, CommandStatus::ESME_ROK);
            }
            Delivered::MobileOriginated => {
                self.desk.tell.meter.mo_refused();
                self.respond(sequence, pdu, CommandStatus::ESME_RX_R_APPN);
            }
        }
    }
}

/// The name in metrics.
pub(super) fn reason_of(notice: &Notice) -> &'static str {
    match notice {
        Notice::UndecodableRequest { .. } => "undecodable_request",
        Notice::UndecodableResponse { .. } => "undecodable_response",
        Notice::UnexpectedResponse { .. } => "unexpected_response",
        Notice::Violations { .. } => "violation",
        Notice::Oversized { .. } => "oversized",
        Notice::UnknownCommand { .. } => "unknown_command",
        Notice::NotPermitted { .. } => "not_permitted",
        Notice::Ignored { .. } => "ignored",
    }
}

/// The name in metrics and logs.
pub(super) fn name_of(reason: Option<CloseReason>) -> &'static str {
    match reason {
        None => "shutdown",
        Some(CloseReason::Unbound) => "unbound",
        Some(CloseReason::PeerUnbound) => "peer_unbound",
        Some(CloseReason::PeerClosed) => "peer_closed",
        Some(CloseReason::BindRefused(_)) => "bind_refused",
        Some(CloseReason::BindTimeout) => "bind_timeout",
        Some(CloseReason::EnquireLinkTimeout) => "enquire_link_timeout",
        Some(CloseReason::Inactivity) => "inactivity",
        Some(CloseReason::UnbindTimeout) => "unbind_timeout",
        Some(CloseReason::Garbage) => "garbage",
        Some(CloseReason::PeerNotReading) => "peer_not_reading",
        Some(CloseReason::Io(_)) => "io",
        Some(CloseReason::Aborted) => "aborted",
    }
}
