//! Lives here: GSM 7 bit text as septets, one in each octet (3GPP TS 23.038, 6.2.1), with any pair of tables.
//! Never here: the tables' contents (`national`), packing into seven bits (`packed`).

use super::national::{Locking, Single};

/// Announces a character of the single shift table.
pub(super) const ESC: u8 = 0x1B;
/// Carriage return: also the filler of packed text.
pub(super) const CR: u8 = 0x0D;

/// Marks a code of the single shift table.
const EXTENDED: u8 = 0x80;
/// The code of a character in neither table: the escape behind an escape, which no table assigns.
const ABSENT: u8 = EXTENDED | ESC;

/// The two tables that septets are read with. Text written with other than the default ones needs a user data header
/// that says so; [`super::Layout`] writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Gsm7 {
    /// The table of plain septets.
    pub locking: Locking,
    /// The table of septets behind an escape.
    pub single: Single,
}

impl Gsm7 {
    /// The default alphabet and its extension table, which every handset has.
    pub const DEFAULT: Self = Self {
        locking: Locking::Default,
        single: Single::Default,
    };

    /// Appends `text` to `out`, one septet per octet; a character of the single shift table takes two octets.
    ///
    /// # Errors
    /// The first character that both tables lack; `out` is then as it was.
    pub fn encode(self, text: &str, out: &mut Vec<u8>) -> Result<(), char> {
        let table = self.table();
        let start = out.len();
        if text.is_ascii() {
            // Most texts are ASCII without brackets: then each octet becomes one, without a branch between.
            let mut all = 0;
            out.extend(text.bytes().map(|octet| {
                let code = table.low[usize::from(octet)];
                all |= code;
                code
            }));
            if all & EXTENDED == 0 {
                return Ok(());
            }
            out.truncate(start);
        }
        out.reserve(text.len());
        for character in text.chars() {
            match table.code(character) {
                ABSENT => {
                    out.truncate(start);
                    return Err(character);
                }
                code if code & EXTENDED != 0 => out.extend_from_slice(&[ESC, code & !EXTENDED]),
                septet => out.push(septet),
            }
        }
        Ok(())
    }

    /// Reads unpacked septets. Every input has a reading: an unknown code behind an escape is the locking table's
    /// character, a doubled or final escape a space (23.038, 6.2.1.1), and an octet above 0x7F, which no septet can
    /// be, U+FFFD.
    #[must_use]
    pub fn decode(self, octets: &[u8]) -> String {
        let locking = self.locking.table();
        let plain = |octet: u8| {
            let character = locking.get(usize::from(octet));
            character.copied().unwrap_or(char::REPLACEMENT_CHARACTER)
        };
        let extended = |code: u8| {
            let entry = self.single.table().iter().find(|entry| entry.0 == code);
            entry.map_or_else(|| plain(code), |entry| entry.1)
        };
        let mut text = String::with_capacity(octets.len());
        let mut octets = octets.iter();
        while let Some(&octet) = octets.next() {
            text.push(match octet {
                ESC => octets.next().map_or(' ', |code| extended(*code)),
                septet => plain(septet),
            });
        }
        text
    }

    /// Septets this character takes: one, two, or `None` when it is in neither table.
    #[inline]
    #[must_use]
    pub fn septets(self, character: char) -> Option<usize> {
        match self.table().code(character) {
            ABSENT => None,
            code if code & EXTENDED != 0 => Some(2),
            _ => Some(1),
        }
    }

    /// The look-up table of this pair, for loops over many characters.
    #[inline]
    pub(super) fn table(self) -> &'static Codes {
        &CODES[self.locking as usize][self.single as usize]
    }
}

/// More characters beyond U+00FF than any pair of tables has.
const HIGH_MAX: usize = 24;

/// Character to code for one pair of tables.
pub(super) struct Codes {
    /// For U+0000 to U+00FF, so that nearly all of real text costs one look-up.
    low: [u8; 256],
    /// For the few others; the first `high_len` places are used.
    high: [(char, u8); HIGH_MAX],
    high_len: usize,
}

static CODES: [[Codes; 4]; 3] = [
    with_each_single(Locking::Default),
    with_each_single(Locking::Turkish),
    with_each_single(Locking::Portuguese),
];

const fn with_each_single(locking: Locking) -> [Codes; 4] {
    [
        Codes::of(locking, Single::Default),
        Codes::of(locking, Single::Turkish),
        Codes::of(locking, Single::Spanish),
        Codes::of(locking, Single::Portuguese),
    ]
}

impl Codes {
    const fn of(locking: Locking, single: Single) -> Self {
        let mut codes = Self {
            low: [ABSENT; 256],
            high: [('\0', ABSENT); HIGH_MAX],
            high_len: 0,
        };
        // The locking table goes first: where both have a character, one septet is cheaper than two.
        let table = locking.table();
        let mut septet = 0;
        while septet < table.len() {
            if septet != ESC as usize {
                codes.assign(table[septet], septet as u8);
            }
            septet += 1;
        }
        let table = single.table();
        let mut at = 0;
        while at < table.len() {
            codes.assign(table[at].1, EXTENDED | table[at].0);
            at += 1;
        }
        codes
    }

    /// Notes a code unless the character has one.
    const fn assign(&mut self, character: char, code: u8) {
        if (character as usize) < self.low.len() {
            if self.low[character as usize] == ABSENT {
                self.low[character as usize] = code;
            }
            return;
        }
        let mut at = 0;
        while at < self.high_len {
            if self.high[at].0 as u32 == character as u32 {
                return;
            }
            at += 1;
        }
        self.high[self.high_len] = (character, code);
        self.high_len += 1;
    }

    #[inline]
    fn code(&self, character: char) -> u8 {
        match self.low.get(character as usize) {
            Some(code) => *code,
            None => self.code_beyond_latin1(character),
        }
    }

    fn code_beyond_latin1(&self, character: char) -> u8 {
        let used = self.high.iter().take(self.high_len);
        let mut found = used.filter(|entry| entry.0 == character);
        found.next().map_or(ABSENT, |entry| entry.1)
    }

    /// Septets of a character; one for a character in neither table.
    #[inline]
    pub(super) fn units(&self, character: char) -> usize {
        match self.code(character) {
            ABSENT => 1,
            code => 1 + usize::from(code >> 7),
        }
    }

    /// Whether the tables have every character.
    pub(super) fn have_all(&self, text: &str) -> bool {
        if text.is_ascii() {
            // To the end in any case: a branch for each octet would cost more than the octets behind a rare one.
            let known = |octet: u8| self.low[usize::from(octet)] != ABSENT;
            return text.bytes().fold(true, |all, octet| all & known(octet));
        }
        text.chars().all(|character| self.code(character) != ABSENT)
    }
}
