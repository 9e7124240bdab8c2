//! Lives here: each fuzz target as an ordinary test.
//! Never here: what a target asserts (`src`).

use std::path::Path;

use mnara_smpp_fuzz::{Target, frame, gsm7, pdu, receipt, session, times, tlv, udh};

fn run(name: &'static str, function: fn(&[u8]), seeds: &'static str) {
    let failures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-failures");
    Target {
        name,
        function,
        seeds,
        words: &[],
    }
    .run(&failures);
}

#[test]
fn a_stream_is_cut_where_command_length_says() {
    run("frame", frame, "wire");
}

#[test]
fn every_pdu_has_one_written_form() {
    run("pdu", pdu, "wire");
}

#[test]
fn tlvs_keep_order_and_repetition() {
    run("tlv", tlv, "tlv");
}

#[test]
fn every_receipt_has_an_id_or_an_error() {
    run("receipt", receipt, "receipt");
}

#[test]
fn header_and_text_are_the_message() {
    run("udh", udh, "udh");
}

#[test]
fn septets_and_segments_say_the_text_again() {
    run("gsm7", gsm7, "gsm7");
}

#[test]
fn a_time_is_the_same_in_every_form() {
    run("times", times, "times");
}

#[test]
fn a_session_of_either_role_survives_its_peer() {
    run("session", session, "wire");
}
