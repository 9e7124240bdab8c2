//! Lives here: the module list of the SMPP 3.4 library and its short guide.
//! Never here: behaviour.
//!
//! # The crate in five steps
//! 1. [`codec::FrameDecoder`] cuts a stream of octets into [`codec::Frame`]s, always by `command_length`.
//! 2. [`pdu::Pdu::decode`] reads a frame leniently: what production peers get wrong is accepted and listed as
//!    [`pdu::Violation`]s. [`pdu::Pdu::encode`] writes strictly and refuses what the specification forbids.
//! 3. [`text`] turns Unicode into the octets of one or more segments (GSM 03.38 or UCS-2) and back.
//! 4. [`receipt`] reads delivery receipts with all their dialects, and writes them in one; [`receipt::IdRule`]
//!    makes the id of a `submit_sm_resp` and the id of its receipt meet at one key. [`time`] reads and writes
//!    schedules and validity periods.
//! 5. [`session`] is the protocol's state machine without socket or clock; [`transport`], [`client`] and
//!    [`server`] give it tokio sockets, with or without TLS.
//!
//! Section numbers in the documentation ("SMPP 4.4.1") are those of the SMPP 3.4 specification, issue 1.2.
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use mnara_smpp::codec::FrameDecoder;
//! use mnara_smpp::pdu::{Pdu, SubmitSm};
//! use mnara_smpp::status::CommandStatus;
//!
//! let submit = SubmitSm { short_message: Bytes::from_static(b"hujambo"), ..SubmitSm::default() };
//! let mut wire = BytesMut::new();
//! Pdu::SubmitSm(submit.clone()).encode(CommandStatus::ESME_ROK, 1, &mut wire)?;
//!
//! let frame = FrameDecoder::default().next(&mut wire)?.expect("a whole PDU was written");
//! assert_eq!(Pdu::decode(frame)?.pdu, Pdu::SubmitSm(submit));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod client;
pub mod codec;
pub mod pdu;
pub mod receipt;
pub mod server;
pub mod session;
pub mod status;
pub mod text;
pub mod time;
pub mod tlv;
pub mod transport;
