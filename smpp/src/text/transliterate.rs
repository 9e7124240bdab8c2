//! Lives here: replacing characters that GSM 03.38 lacks by ones it has, so that a text costs fewer segments.
//! Never here: deciding that it should be done; that is the sender's choice.

use std::borrow::Cow;

use super::gsm7::Gsm7;

/// A text brought closer to GSM 03.38.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transliterated<'a> {
    /// The text; borrowed when nothing was replaced. It may still hold characters that GSM 03.38 lacks.
    pub text: Cow<'a, str>,
    /// How many characters of the original were replaced or dropped.
    pub replaced: usize,
}

/// Replaces what GSM 03.38 lacks and a reader hardly misses: typographic quotes, dashes, dots and spaces by their
/// plain forms; accented and hooked Latin letters by their base letters (`ẹ` `ọ` `ṣ` `ń` `ɓ` `ɗ` `ƙ` to `e` `o` `s`
/// `n` `b` `d` `k`); ligatures, full-width forms and some symbols by what they stand for; Greek capitals, and
/// Cyrillic letters if the text has no others, by the Latin letters that look the same. Combining accents,
/// zero-width spaces and direction marks are dropped.
///
/// Characters of GSM 03.38 (`é`, `ñ`, `ü`, `€`, …) stay, and so do all for which nothing stands (emoji, Arabic).
#[must_use]
pub fn transliterate(text: &str) -> Transliterated<'_> {
    let in_gsm7 = |character| Gsm7::DEFAULT.septets(character).is_some();
    let Some(first) = text.find(|character| !in_gsm7(character)) else {
        return Transliterated {
            text: Cow::Borrowed(text),
            replaced: 0,
        };
    };
    // Half a Cyrillic word in Latin letters helps nobody: the text stays UCS-2 and cannot be searched any more.
    let cyrillic = text
        .chars()
        .all(|character| !is_cyrillic(character) || cyrillic_look_alike(character).is_some());
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut replaced = 0;
    for character in text[first..].chars() {
        if in_gsm7(character) {
            out.push(character);
            continue;
        }
        let start = out.len();
        if replace(character, cyrillic, &mut out) {
            replaced += 1;
        } else {
            out.truncate(start);
            out.push(character);
        }
    }
    Transliterated {
        text: if replaced == 0 {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(out)
        },
        replaced,
    }
}

/// Appends what stands for the character; `false` when nothing does.
fn replace(character: char, cyrillic: bool, out: &mut String) -> bool {
    if let Some(letter) = base_letter(character).or_else(|| look_alike(character, cyrillic)) {
        out.push(letter);
        return true;
    }
    if let '\u{FF01}'..='\u{FF5E}' = character {
        let plain = char::from_u32(u32::from(character) - 0xFEE0).unwrap_or(character);
        // The full-width grave accent becomes one that needs replacing itself.
        out.push(if plain == '`' { '\'' } else { plain });
        return true;
    }
    match stand_in(character) {
        Some(text) => out.push_str(text),
        None => return false,
    }
    true
}

/// Punctuation, spaces, symbols and letters that are written with several.
fn stand_in(character: char) -> Option<&'static str> {
    Some(match character {
        // Combining accents, also those of Yoruba and Igbo (grave, acute, dot below, macron).
        '\u{300}'..='\u{36F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' => "",
        // Zero-width space and non-joiner, soft hyphen, word joiner, byte order mark, direction marks. The joiner
        // U+200D stays: emoji are built with it.
        '\u{200B}' | '\u{200C}' | '\u{AD}' | '\u{2060}' | '\u{FEFF}' => "",
        '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => "",
        '\t' | '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => " ",
        '\u{85}' | '\u{2028}' | '\u{2029}' => "\n",
        '‘' | '’' | '‚' | '‛' | '′' | '‹' | '›' | '`' | '´' => "'",
        // Letters that look like an apostrophe: the glottal stop of Hausa's ƴ as ʼy, ʻokina, prime.
        '\u{2B9}'..='\u{2BF}' | '\u{2C8}' | '\u{2CA}' | '\u{2CB}' | 'ꞌ' | 'Ꞌ' => "'",
        '“' | '”' | '„' | '‟' | '″' | '«' | '»' | '〃' => "\"",
        '\u{2010}'..='\u{2015}' | '−' | '⁃' | '﹘' | '﹣' => "-",
        '…' => "...",
        '‥' => "..",
        '․' | '·' | '∙' | '。' => ".",
        '•' | '‣' | '◦' | '▪' | '●' => "*",
        '¦' => "|",
        '⁄' | '∕' | '÷' => "/",
        '×' | '✕' => "x",
        '、' => ",",
        '₦' => "NGN",
        '₵' => "GHS",
        '¢' => "c",
        '©' => "(c)",
        '®' => "(R)",
        '™' => "TM",
        '№' => "No",
        'ª' => "a",
        'º' => "o",
        '¹' => "1",
        '²' => "2",
        '³' => "3",
        '¼' => "1/4",
        '½' => "1/2",
        '¾' => "3/4",
        '≤' => "<=",
        '≥' => ">=",
        '≠' => "<>",
        '→' => "->",
        '←' => "<-",
        // Signs that are canonically letters: ohm, kelvin, angstrom.
        '\u{2126}' => "Ω",
        '\u{212A}' => "K",
        '\u{212B}' => "Å",
        'Œ' => "OE",
        'œ' => "oe",
        'Ǽ' | 'Ǣ' => "Æ",
        'ǽ' | 'ǣ' => "æ",
        'Ĳ' => "IJ",
        'ĳ' => "ij",
        'ŉ' => "'n",
        'Ð' => "D",
        'ð' => "d",
        'Þ' => "Th",
        'þ' => "th",
        'ẞ' => "SS",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        'ﬅ' | 'ﬆ' => "st",
        _ => return None,
    })
}

/// U+00C0 to U+02AF, base letter by code point; a dot where there is none. Generated from the Unicode character
/// database: the first character of the canonical decomposition, or the letter that the character's name says is
/// changed (`LATIN SMALL LETTER B WITH HOOK`), and by hand the open e and o, eng, schwa, gamma, iota and upsilon.
const LATIN: &[u8; 496] = b"\
    AAAAAA.CEEEEIIII.NOOOOO.OUUUUY..aaaaaa.ceeeeiiii.nooooo.ouuuuy.y\
    AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIi..JjKkkLlLlLlL\
    lLlNnNnNn.NnOoOoOo..RrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs\
    bBBb..OCcDDDd.EEEFfGG.IIKkl..NnOOo..Pp.....tTtTUuUVYyZz.........\
    .....D..L..N.AaIiOoUuUuUuUuUueAaAa..GgGgKkOoOo..j.D.Gg..NnAa..Oo\
    AaAaEeEeIiIiOoOoRrRrUuUuSsTt..HhNd..ZzAaEeOoOoOoOoYylnt...ACcLTs\
    z..B..EeJj.qRrYy...bocdd.e.e....g..g..h.iiilll...mnn........rrr.\
    ..s.....t.uv....zz...........j..q...............";

/// U+1E00 to U+1EFF in the same way: the dotted letters of Yoruba and Igbo among them.
const LATIN_ADDITIONAL: &[u8; 256] = b"\
    AaBbBbBbCcDdDdDdDdDdEeEeEeEeEeFfGgHhHhHhHhHhIiIiKkKkKkLlLlLlLlMm\
    MmMmNnNnNnNnOoOoOoOoPpPpRrRrRrRrSsSsSsSsSsTtTtTtTtUuUuUuUuUuVvVv\
    WwWwWwWwWwXxXxYyZzZzZzhtwyas....AaAaAaAaAaAaAaAaAaAaAaAaEeEeEeEe\
    EeEeEeEeIiIiOoOoOoOoOoOoOoOoOoOoOoOoUuUuUuUuUuUuUuYyYyYyYy....Yy";

/// U+0391 to U+03A9: the Greek capitals of Latin shape. GSM 03.38 itself has only those of other shapes, and means
/// the rest to be written with Latin letters.
const GREEK: &[u8; 25] = b"AB..EZH.IK.MN.O.P..TY.X..";

/// U+0400 to U+045F: the Cyrillic letters of Latin shape.
const CYRILLIC: &[u8; 96] = b"\
    .....SI.J.......A.B..E....K.MHO.PCT..X..........\
    a....e........o.pc.y.x...............si.j.......";

fn base_letter(character: char) -> Option<char> {
    letter_in(LATIN, 0xC0, character).or_else(|| letter_in(LATIN_ADDITIONAL, 0x1E00, character))
}

/// The Latin letter of the same shape.
fn look_alike(character: char, cyrillic: bool) -> Option<char> {
    letter_in(GREEK, 0x391, character)
        .or_else(|| cyrillic.then(|| cyrillic_look_alike(character)).flatten())
}

fn is_cyrillic(character: char) -> bool {
    matches!(character, '\u{400}'..='\u{52F}')
}

fn cyrillic_look_alike(character: char) -> Option<char> {
    letter_in(CYRILLIC, 0x400, character)
}

/// The entry of a character in a table that starts with the code point `first`.
fn letter_in(table: &[u8], first: usize, character: char) -> Option<char> {
    let at = (character as usize).checked_sub(first)?;
    match table.get(at) {
        None | Some(b'.') => None,
        Some(letter) => Some(char::from(*letter)),
    }
}
