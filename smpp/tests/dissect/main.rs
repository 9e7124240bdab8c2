//! Lives here: the second opinion: tshark reads what we write, field by field.
//! Never here: how it is asked (`capture`), what it should show of each PDU (`expected`).

use bytes::BytesMut;
use mnara_smpp::codec::CommandId;
use mnara_smpp::pdu::Pdu;
use mnara_smpp::tlv::tag;

use capture::{Row, dissect};
use samples::Sample;

mod capture;
mod expected;
#[path = "../samples/mod.rs"]
mod samples;

/// Columns that must be empty: a PDU that tshark cannot read to its end, and anything it has to say about it.
const OBJECTIONS: [&str; 2] = ["_ws.malformed", "_ws.expert.message"];

/// Sequence numbers count down from the greatest one.
fn sequence(index: usize) -> u32 {
    0x7FFF_FFFF - index as u32
}

fn wire(sample: &Sample, sequence: u32) -> Vec<u8> {
    let mut out = BytesMut::new();
    sample
        .pdu
        .encode(sample.status, sequence, &mut out)
        .unwrap_or_else(|error| panic!("{}: {error}", sample.name));
    out.to_vec()
}

/// tshark 4.0.17 reads one of the two octets of broadcast_rep_num (SMPP 5.0 4.8.4.13: an integer of two octets) and
/// takes the other for the start of a TLV. The samples have it last, so that all before it is still read.
fn ends_early(pdu: &Pdu) -> bool {
    pdu.tlvs()
        .is_some_and(|tlvs| tlvs.get(tag::BROADCAST_REP_NUM).is_some())
}

fn objections(row: &Row) -> Vec<&str> {
    OBJECTIONS
        .iter()
        .flat_map(|column| row.values(column))
        .filter(|text| !text.is_empty())
        .collect()
}

#[test]
fn every_pdu_that_we_encode_is_read_alike_by_tshark() {
    let samples = samples::all();
    let segments: Vec<Vec<u8>> = (0..)
        .zip(&samples)
        .map(|(index, sample)| wire(sample, sequence(index)))
        .collect();
    let columns = expected::columns();
    let rows = dissect("each", &segments, &[&columns[..], &OBJECTIONS].concat());
    assert_eq!(rows.len(), samples.len());

    let mut differences = Vec::new();
    for (index, (sample, row)) in samples.iter().zip(&rows).enumerate() {
        let name = &sample.name;
        let objections = objections(row);
        if objections.is_empty() == ends_early(&sample.pdu) {
            differences.push(format!("{name}: tshark objects: {objections:?}"));
        }
        let fields = expected::fields(sample, sequence(index), segments[index].len());
        for column in &columns {
            let shown = row.values(column);
            if !fields.are_shown_as(column, &shown) {
                let expected = fields.of(column);
                differences.push(format!("{name}: {column} is {shown:?}, not {expected:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn a_stream_cut_anywhere_is_put_together_again_by_tshark() {
    let samples: Vec<Sample> = samples::all()
        .into_iter()
        .filter(|sample| !ends_early(&sample.pdu))
        .collect();
    let stream: Vec<u8> = (0..)
        .zip(&samples)
        .flat_map(|(index, sample)| wire(sample, sequence(index)))
        .collect();
    let segments: Vec<Vec<u8>> = stream.chunks(333).map(<[u8]>::to_vec).collect();
    let rows = dissect("stream", &segments, &["smpp.sequence_number"]);
    let numbers: Vec<String> = rows
        .iter()
        .flat_map(|row| row.values("smpp.sequence_number"))
        .map(str::to_owned)
        .collect();
    let expected: Vec<String> = (0..samples.len())
        .map(|index| sequence(index).to_string())
        .collect();
    assert_eq!(numbers, expected);
}

#[test]
fn every_named_command_has_a_sample_of_its_own_type() {
    let samples = samples::all();
    for id in (0..0x200).flat_map(|id| [CommandId(id), CommandId(id).response()]) {
        if id.name() == "unknown" {
            continue;
        }
        let sample = samples.iter().find(|sample| sample.pdu.command() == id);
        assert!(
            sample.is_some_and(|sample| !matches!(sample.pdu, Pdu::Unknown { .. })),
            "{id} has no sample"
        );
    }
}
