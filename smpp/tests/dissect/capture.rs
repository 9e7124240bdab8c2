//! Lives here: a capture file of TCP segments, and asking tshark for columns of it.
//! Never here: SMPP.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Separates the values that one frame has for one column; no sample contains it.
const SEPARATOR: char = ';';

/// What tshark shows of one frame.
pub(crate) struct Row {
    columns: Vec<String>,
    texts: Vec<String>,
}

impl Row {
    /// All values of a column; an absent field and one empty value look alike.
    pub(crate) fn values(&self, column: &str) -> Vec<&str> {
        let at = self.columns.iter().position(|asked| asked == column);
        let at = at.unwrap_or_else(|| panic!("{column} was not asked for"));
        let text = &self.texts[at];
        if text.is_empty() {
            return Vec::new();
        }
        text.split(SEPARATOR).collect()
    }
}

/// Writes the payloads as segments of one connection and returns a row for each.
pub(crate) fn dissect(name: &str, payloads: &[Vec<u8>], columns: &[&str]) -> Vec<Row> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("dissect-{name}.pcap"));
    fs::write(&file, capture(payloads)).expect("a capture file");
    let mut tshark = Command::new("tshark");
    tshark
        .arg("-n")
        .arg("-r")
        .arg(&file)
        .args(["-d", "tcp.port==2775,smpp", "-T", "fields"])
        .args(["-E", "separator=/t", "-E", "occurrence=a"])
        .args(["-E", &format!("aggregator={SEPARATOR}")])
        // Preferences of whoever runs the test have no say.
        .env("WIRESHARK_CONFIG_DIR", env!("CARGO_TARGET_TMPDIR"))
        .env("LC_ALL", "C.UTF-8");
    for column in columns {
        tshark.args(["-e", column]);
    }
    let output = tshark.output().unwrap_or_else(|error| {
        panic!("tshark cannot be started ({error}): install it with `cargo xtask test` or from the package tshark")
    });
    assert!(
        output.status.success(),
        "tshark: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| Row {
            columns: columns.iter().map(ToString::to_string).collect(),
            texts: line.split('\t').map(str::to_owned).collect(),
        })
        .collect()
}

/// A capture in the classic format, of IPv4 packets without a link layer.
fn capture(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xA1B2_C3D4_u32, 0x0004_0002, 0, 0, 0x0004_0000, 101] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    let mut sequence: u32 = 1;
    for payload in payloads {
        let packet = packet(sequence, payload);
        for word in [0, 0, packet.len() as u32, packet.len() as u32] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&packet);
        sequence += payload.len() as u32;
    }
    file
}

/// IPv4 and TCP from port 40000 to 2775 of the loopback address; tshark does not look at checksums unless told to.
fn packet(sequence: u32, payload: &[u8]) -> Vec<u8> {
    const HEADERS: usize = 40;
    let total = u16::try_from(HEADERS + payload.len()).expect("a segment fits a packet");
    let mut packet = Vec::with_capacity(usize::from(total));
    packet.extend_from_slice(&[0x45, 0]);
    packet.extend_from_slice(&total.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, 0, 64, 6, 0, 0]);
    packet.extend_from_slice(&[127, 0, 0, 1, 127, 0, 0, 1]);
    packet.extend_from_slice(&40_000_u16.to_be_bytes());
    packet.extend_from_slice(&2775_u16.to_be_bytes());
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&1_u32.to_be_bytes());
    // A header of five words, PSH and ACK, window, checksum, urgent pointer.
    packet.extend_from_slice(&[0x50, 0x18, 0xFF, 0xFF, 0, 0, 0, 0]);
    packet.extend_from_slice(payload);
    packet
}
