//! Lives here: a profile's file as typed, unknown keys refused.
//! Never here: what the values mean (`super`).

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) status: BTreeMap<Spanned<String>, Spanned<StatusRow>>,
    #[serde(default)]
    pub(super) ids: Ids,
    #[serde(default)]
    pub(super) receipts: Receipts,
    #[serde(default)]
    pub(super) errors: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    pub(super) network_errors: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    pub(super) text: Text,
    #[serde(default)]
    pub(super) sender: Senders,
    #[serde(default)]
    pub(super) recipient: Label,
    #[serde(default)]
    pub(super) submit: Submit,
    #[serde(default)]
    pub(super) session: Session,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusRow {
    pub(super) verdict: VerdictName,
    pub(super) after_s: Option<u64>,
    pub(super) after_ms: Option<u64>,
    pub(super) attempts: Option<u8>,
    pub(super) then: Option<Then>,
    pub(super) failure: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum VerdictName {
    Retry,
    SlowDown,
    OtherRoute,
    Permanent,
    Session,
    AfterAcceptance,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Then {
    OtherRoute,
    Permanent,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Ids {
    pub(super) response: Option<Spanned<String>>,
    pub(super) receipt: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Receipts {
    pub(super) request: Option<bool>,
    pub(super) esm_class_0: Option<bool>,
    pub(super) acceptd: Option<Spanned<String>>,
    pub(super) id_from: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) words: BTreeMap<Spanned<String>, Spanned<String>>,
    pub(super) other_words: Option<Spanned<String>>,
    pub(super) timezone: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    pub(super) gsm7_data_coding: Option<u8>,
    pub(super) ucs2_data_coding: Option<u8>,
    pub(super) alphabet: Option<Spanned<String>>,
    pub(super) segmentation: Option<Spanned<String>>,
    pub(super) parts_max: Option<Spanned<u8>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Senders {
    pub(super) allow: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    pub(super) alphanumeric: Sender,
    #[serde(default)]
    pub(super) short_code: Sender,
    #[serde(default)]
    pub(super) international: Sender,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Sender {
    pub(super) allowed: Option<bool>,
    pub(super) length_min: Option<Spanned<u8>>,
    pub(super) length_max: Option<Spanned<u8>>,
    pub(super) ton: Option<Spanned<u8>>,
    pub(super) npi: Option<Spanned<u8>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Label {
    pub(super) ton: Option<Spanned<u8>>,
    pub(super) npi: Option<Spanned<u8>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Submit {
    pub(super) validity_period: Option<bool>,
    pub(super) service_type: Option<Spanned<String>>,
    pub(super) user_message_reference: Option<bool>,
    pub(super) otp_priority: Option<Spanned<u8>>,
    pub(super) transactional_priority: Option<Spanned<u8>>,
    pub(super) promotional_priority: Option<Spanned<u8>>,
    pub(super) registered_delivery: Option<Spanned<u8>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Session {
    pub(super) interface_version: Option<Spanned<String>>,
    pub(super) least_version: Option<Spanned<String>>,
    pub(super) untold_version: Option<Spanned<String>>,
}
