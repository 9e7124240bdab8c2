//! Lives here: the file of ported numbers (CSV: `msisdn,network`), read whole or not at all.
//! Never here: look-ups (`domain::numbering::Overlay`).

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

use csv::{ByteRecord, Reader, ReaderBuilder};

use crate::domain::numbering::{Overlay, Plan};
use crate::domain::phone::{Msisdn, Typed};

/// Rows at most: 800 MB of memory, more numbers than both countries have.
const ROWS_MAX: usize = 100_000_000;
/// Octets read at a time.
const BUFFER: usize = 1 << 20;
/// Octets of the shortest row, `2557…,id` and its line's end: how many rows a file may have.
const ROW_MIN: u64 = 16;

/// The ported numbers and how old their file is.
#[derive(Debug, Default)]
pub struct Ported {
    /// The numbers.
    pub overlay: Overlay,
    /// When the file was last changed; `None` without a file.
    pub modified: Option<SystemTime>,
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PortedError {
    /// Which line, from 1, if it is one.
    pub line: Option<u64>,
    /// What is wrong and what to do.
    pub message: String,
}

/// Reads a file whose networks are those of a plan (ids or aliases). Blocks: five million rows
/// take about a second.
///
/// # Errors
/// The first row that is wrong; of numbers that stand twice, the first such number with both its
/// lines.
pub fn read(path: &Path, plan: &Plan) -> Result<Ported, PortedError> {
    let whole = |message: String| PortedError {
        line: None,
        message,
    };
    let cannot = |error: std::io::Error| whole(format!("cannot be read: {error}"));
    let about = std::fs::metadata(path).map_err(cannot)?;
    let mut reader = open(path).map_err(cannot)?;
    check_header(&mut reader)?;
    let capacity = usize::try_from(about.len() / ROW_MIN).unwrap_or(ROWS_MAX);
    let mut rows = Vec::with_capacity(capacity.min(ROWS_MAX));
    let mut record = ByteRecord::new();
    while next(&mut reader, &mut record)? {
        if rows.len() == ROWS_MAX {
            return Err(whole(format!(
                "more than {ROWS_MAX} rows; leave out numbers that are with the network of their \
                 prefix"
            )));
        }
        let row = row(&record, plan).map_err(|message| PortedError {
            line: line(path, &record),
            message,
        })?;
        rows.push(row);
    }
    rows.shrink_to_fit();
    let overlay = Overlay::new(rows).map_err(|number| twice(path, number))?;
    Ok(Ported {
        overlay,
        modified: about.modified().ok(),
    })
}

fn open(path: &Path) -> std::io::Result<Reader<File>> {
    let file = File::open(path)?;
    Ok(ReaderBuilder::new()
        .has_headers(false)
        .buffer_capacity(BUFFER)
        .from_reader(file))
}

fn next(reader: &mut Reader<File>, record: &mut ByteRecord) -> Result<bool, PortedError> {
    reader.read_byte_record(record).map_err(|error| {
        let line = error.position().map(csv::Position::line);
        let message = match error.kind() {
            csv::ErrorKind::UnequalLengths { len, .. } => {
                format!("has {len} columns; give two, msisdn,network")
            }
            _ => format!("cannot be read: {error}"),
        };
        PortedError { line, message }
    })
}

fn check_header(reader: &mut Reader<File>) -> Result<(), PortedError> {
    let mut header = ByteRecord::new();
    let there = next(reader, &mut header)?;
    if there && header.iter().eq([&b"msisdn"[..], &b"network"[..]]) {
        return Ok(());
    }
    Err(PortedError {
        line: Some(1),
        message: "the first line must be msisdn,network".into(),
    })
}

/// One row, packed, or what is wrong with it. No number is shown whole.
fn row(record: &ByteRecord, plan: &Plan) -> Result<u64, String> {
    let text = |column: usize| std::str::from_utf8(record.get(column).unwrap_or_default());
    let (Ok(typed), Ok(name)) = (text(0), text(1)) else {
        return Err("is not UTF-8; write digits and a network's id".into());
    };
    let digits = typed.strip_prefix('+').unwrap_or(typed);
    let number = Msisdn::from_digits(digits).map_err(|error| error.to_string())?;
    let located = plan
        .locate(Typed::International(number), None)
        .map_err(|error| format!("{}: {error}", number.masked()))?;
    let network = plan.network(name).ok_or_else(|| {
        let known: Vec<&str> = plan.networks().iter().map(|one| &*one.id.0).collect();
        format!(
            "network \"{name}\" is not in the numbering plan; give one of {}",
            known.join(", ")
        )
    })?;
    let home = plan.networks()[network].country;
    if home != located.country {
        return Err(format!(
            "{} is a number of {}, network {name} is of {}; numbers are ported within a country",
            number.masked(),
            plan.countries()[located.country].code,
            plan.countries()[home].code,
        ));
    }
    let network = u16::try_from(network).map_err(|_| "too many networks".to_owned())?;
    Ok(Overlay::row(number, network))
}

/// The line of a row. The reader places a row where the one before it ended: empty lines between
/// them have to be counted.
fn line(path: &Path, record: &ByteRecord) -> Option<u64> {
    let position = record.position()?;
    let mut file = File::open(path).ok()?;
    file.seek(SeekFrom::Start(position.byte())).ok()?;
    let mut line = position.line();
    for octet in BufReader::new(file).bytes() {
        match octet {
            Ok(b'\n') => line += 1,
            Ok(b'\r') => {}
            Ok(_) | Err(_) => break,
        }
    }
    Some(line)
}

/// Says where a number stands, both times. Reads the file once more, which only errors do.
fn twice(path: &Path, number: u64) -> PortedError {
    let number = number.to_string();
    let mut lines = Vec::new();
    if let Ok(mut reader) = open(path) {
        let mut record = ByteRecord::new();
        while lines.len() < 2 && next(&mut reader, &mut record).unwrap_or(false) {
            let typed = record.get(0).unwrap_or_default();
            if typed.strip_prefix(b"+").unwrap_or(typed) == number.as_bytes() {
                lines.extend(line(path, &record));
            }
        }
    }
    let masked = Msisdn::from_digits(&number).map_or_else(|_| number, |number| number.masked());
    PortedError {
        line: lines.last().copied(),
        message: match lines[..] {
            [first, second] if first != second => {
                format!("{masked} stands here and in line {first}; leave one of them")
            }
            _ => format!("{masked} stands twice; leave one of them"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::plan;

    fn read_text(text: &str) -> Result<Ported, PortedError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ported.csv");
        std::fs::write(&path, text).unwrap();
        read(&path, &plan::parse(plan::BUILT_IN).unwrap())
    }

    #[test]
    fn rows_are_found_by_id_and_by_alias() {
        let ported = read_text("msisdn,network\r\n+255753276939,yas_tz\n2348031234567,glo_ng\n");
        let ported = ported.unwrap();
        let plan = plan::parse(plan::BUILT_IN).unwrap();
        let network = |digits: &str| {
            let number = Msisdn::from_digits(digits).unwrap();
            let network = ported.overlay.network(number)?;
            Some(plan.networks()[network].id.to_string())
        };
        assert_eq!(network("255753276939").as_deref(), Some("tigo_tz"));
        assert_eq!(network("2348031234567").as_deref(), Some("glo_ng"));
        assert_eq!(network("255753276938"), None);
        assert!(ported.modified.is_some());
    }

    #[test]
    fn wrong_files_are_refused_with_their_line_and_a_remedy() {
        let table = [
            ("", 1, "the first line must be msisdn,network"),
            ("number,net\n", 1, "the first line must be msisdn,network"),
            (
                "msisdn,network\n255753276939\n",
                2,
                "has 1 columns; give two",
            ),
            (
                "msisdn,network\n255753276939,voda\n",
                2,
                "network \"voda\" is not in the numbering plan; give one of vodacom_tz,",
            ),
            (
                "msisdn,network\n\n255753276939,glo_ng\n",
                3,
                "+2557***939 is a number of TZ, network glo_ng is of NG",
            ),
            (
                "msisdn,network\n0753276939,tigo_tz\n",
                2,
                "no carrier serves this country",
            ),
            (
                "msisdn,network\n25575327693,tigo_tz\n",
                2,
                "wrong number of digits",
            ),
            (
                "msisdn,network\n255223276939,tigo_tz\n",
                2,
                "not a mobile number",
            ),
            ("msisdn,network\n2557532x6939,tigo_tz\n", 2, "not a digit"),
            (
                "msisdn,network\r\n255753276939,tigo_tz\r\n255753276938,tigo_tz\n+255753276939,tigo_tz\n",
                4,
                "+2557***939 stands here and in line 2; leave one of them",
            ),
        ];
        for (text, line, message) in table {
            let error = read_text(text).unwrap_err();
            assert_eq!(error.line, Some(line), "{text}: {error}");
            assert!(error.message.contains(message), "{text}: {error}");
        }
    }
}
