//! Lives here: the module list of the SMPP library and its guide.
//! Never here: behaviour.
//!
//! SMPP 3.3, 3.4 and 5.0 for both ends of the wire: lenient in what it reads, strict in what it writes, and quick.
//! Section numbers in the documentation ("SMPP 4.4.1") are those of the SMPP 3.4 specification, issue 1.2, unless
//! another version is named.
//!
//! # Which part do I need?
//! | I want to | module |
//! |---|---|
//! | send messages through a carrier | [`client`], and [`transport::Handle`] to share the bind |
//! | be a carrier | [`server`] |
//! | turn text into messages and back | [`text`] |
//! | understand receipts, or write them | [`receipt`], [`time`] |
//! | only read and write PDUs | [`codec`], [`pdu`], [`tlv`], [`status`] |
//! | drive the protocol with my own I/O or clock | [`session`] |
//!
//! # A client
//! ```no_run
//! use mnara_smpp::client::{self, Connect};
//! use mnara_smpp::pdu::{Address, Bind, SubmitSm, npi, ton};
//! use mnara_smpp::session::SessionConfig;
//! use mnara_smpp::transport::Limits;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let bind = Bind::transceiver("mnara", "secret");
//! let to = Connect::new("smsc.example", 2775);
//! let connection = client::bind(&to, &bind, SessionConfig::esme()).await?;
//! // `handle` can be cloned; `incoming` brings receipts and what has lost its caller.
//! let (handle, driver, incoming) = connection.split(&Limits::default());
//! let driver = tokio::spawn(driver.run());
//!
//! let id = handle
//!     .submit(SubmitSm {
//!         source: Address::new(ton::ALPHANUMERIC, npi::UNKNOWN, "MNARA"),
//!         dest: Address::new(ton::INTERNATIONAL, npi::E164, "255753276939"),
//!         short_message: "Habari ya asubuhi!".into(),
//!         ..SubmitSm::default()
//!     })
//!     .await?;
//! println!("the carrier calls it {}", id.to_str_lossy());
//! handle.unbind().await;
//! driver.await?;
//! # Ok(())
//! # }
//! ```
//! `examples/client.rs` waits for the receipt as well, and `examples/smsc.rs` is the other side.
//!
//! # PDUs
//! [`codec::FrameDecoder`] cuts a stream into [`codec::Frame`]s, always by `command_length`, so that no PDU can cost
//! the bind. [`pdu::Pdu::decode`] takes what production peers get wrong and lists it as [`pdu::Violation`]s; what
//! cannot be read is an error that carries the header to answer with and the raw body. [`pdu::Pdu::encode`] refuses
//! what the specification forbids, [`pdu::Pdu::fits`] what an older version lacks. `Debug` shows no message and no
//! password.
//! ```
//! use bytes::BytesMut;
//! use mnara_smpp::codec::FrameDecoder;
//! use mnara_smpp::pdu::{Pdu, SubmitSm};
//! use mnara_smpp::status::CommandStatus;
//!
//! let submit = SubmitSm { short_message: "hujambo".into(), ..SubmitSm::default() };
//! let mut wire = BytesMut::new();
//! Pdu::SubmitSm(submit.clone()).encode(CommandStatus::ESME_ROK, 1, &mut wire)?;
//!
//! let frame = FrameDecoder::default().next(&mut wire)?.expect("a whole PDU was written");
//! assert_eq!(Pdu::decode(frame)?.pdu, Pdu::SubmitSm(submit));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # In doubt is not failed
//! A request that was written and not answered may have been carried out. Everywhere in this crate such an outcome
//! has its own name ([`session::Action::Expired`], [`session::Action::InDoubt`], [`transport::NoAnswer`]), an answer
//! that comes late still finds its request, and a caller who has gone leaves an [`transport::Orphan`], not a gap.
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
