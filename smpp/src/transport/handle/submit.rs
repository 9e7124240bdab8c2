//! Lives here: the commonest request, a submit_sm whose id is wanted.
//! Never here: what to do about a refusal or a doubt.

use super::{Handle, NoAnswer};
use crate::pdu::{OctetStr, Pdu, SubmitSm};
use crate::status::CommandStatus;

/// Why a submit_sm gave no id.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The carrier refused the message; the status says whether to try again.
    #[error("refused: {0}")]
    Refused(CommandStatus),
    /// Nothing was sent, or the outcome is in doubt.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

impl Handle {
    /// Sends a submit_sm and waits for the id the carrier gives it, first of all for a free slot; the id is empty when
    /// the carrier took the message and named none.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub async fn submit(&self, submit: SubmitSm) -> Result<OctetStr, SubmitError> {
        let answer = self.request(Pdu::SubmitSm(submit)).await?;
        match answer.pdu {
            _ if !answer.status.is_ok() => Err(SubmitError::Refused(answer.status)),
            Some(Pdu::SubmitSmResp(resp)) => Ok(resp.message_id),
            _ => Ok(OctetStr::EMPTY),
        }
    }
}
