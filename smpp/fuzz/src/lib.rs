//! Lives here: the list of the fuzz targets: functions that take any octets and panic when a promise of mnara-smpp is
//! broken.
//! Never here: libFuzzer (`fuzz_targets`, behind the feature `libfuzzer`).
//!
//! Two things drive the targets:
//! - on stable, as ordinary tests, the harness of this crate ([`Target::run`]): the committed seeds, then a fixed
//!   number of mutations of them. `MNARA_FUZZ_SECONDS=60 cargo test -p mnara-smpp-fuzz` goes on for so long per
//!   target and from a new seed; `MNARA_FUZZ_SEED` repeats a run; `MNARA_FUZZ_INPUT` names a file to run alone.
//! - `cargo fuzz run --features libfuzzer pdu corpus/pdu seeds/wire` in `smpp/fuzz`, with coverage.
#![forbid(unsafe_code)]

mod content;
mod harness;
mod mutate;
mod random;
mod session;
mod text;
mod wire;

pub use content::{receipt, times};
pub use harness::Target;
pub use session::session;
pub use text::{gsm7, udh};
pub use wire::{frame, pdu, tlv};
