//! Lives here: tests of choosing an encoding and of transliteration.
//! Never here: octets.

use std::borrow::Cow;

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::super::{
    Candidates, Encoding, Gsm7, Layout, Locking, Method, Packing, Single, transliterate,
};
use super::encoding;

const TURKISH: Encoding = Encoding::Gsm7(
    Gsm7 {
        locking: Locking::Turkish,
        single: Single::Default,
    },
    Packing::Unpacked,
);
const SPANISH: Encoding = Encoding::Gsm7(
    Gsm7 {
        locking: Locking::Default,
        single: Single::Spanish,
    },
    Packing::Unpacked,
);

fn among<'a>(encodings: &'a [Encoding]) -> Candidates<'a> {
    Candidates {
        encodings,
        ..Candidates::COMMON
    }
}

#[test]
fn gsm7_is_taken_where_it_holds_the_text_and_ucs2_elsewhere() {
    for (text, encoding) in [
        ("", Encoding::GSM7),
        ("Ω€{}@é", Encoding::GSM7),
        ("Salio: ₦245,000", Encoding::Ucs2),
        ("ẹ káàárọ̀", Encoding::Ucs2),
    ] {
        assert_eq!(Candidates::COMMON.cheapest(text), Some(encoding), "{text}");
    }
    let reversed = [Encoding::Ucs2, Encoding::GSM7];
    assert_eq!(among(&reversed).cheapest("Habari"), Some(Encoding::GSM7));
    assert_eq!(among(&[Encoding::GSM7]).cheapest("ẹ"), None);
    assert_eq!(among(&[]).cheapest("a"), None);
}

#[test]
fn national_tables_are_taken_only_where_allowed_and_cheaper() {
    let all = [Encoding::GSM7, TURKISH, SPANISH, Encoding::Ucs2];
    let long = "Işıklı bir gün ".repeat(8);
    assert_eq!(
        among(&all).cheapest(&long),
        Some(TURKISH),
        "1 part, UCS-2 takes 2"
    );
    assert_eq!(Candidates::COMMON.cheapest(&long), Some(Encoding::Ucs2));
    // Both take one part, and the header of four octets makes the table dearer than two characters of UCS-2.
    assert_eq!(among(&all).cheapest("ş"), Some(Encoding::Ucs2));
    assert_eq!(
        among(&all).cheapest("¿Dónde está el camión?"),
        Some(SPANISH)
    );
    assert_eq!(among(&all).cheapest("plain"), Some(Encoding::GSM7));
}

#[test]
fn trap_47_latin1_can_be_kept_within_what_gsm7_holds() {
    let encodings = [Encoding::Latin1, Encoding::Ucs2];
    let free = among(&encodings);
    let careful = Candidates {
        latin1_within_gsm7: true,
        ..free
    };
    assert_eq!(free.cheapest("façade"), Some(Encoding::Latin1));
    assert_eq!(careful.cheapest("façade"), Some(Encoding::Ucs2));
    assert_eq!(careful.cheapest("café"), Some(Encoding::Latin1));
}

#[test]
fn letters_of_nigeria_and_tanzania_become_their_base_letters() {
    for (text, plain, replaced) in [
        // Yoruba, composed and with combining marks; `à` and `ò` are in GSM 03.38.
        ("Ẹ káàárọ̀, ṣé dáadáa ni?", "E kaàaro, sé daadaa ni?", 8),
        ("ọjọ́ ńlá ǹjẹ́ ọ̀rẹ́", "ojo nla nje ore", 12),
        // Igbo.
        ("Ị na-agụ akwụkwọ n'ụlọ ṅa", "I na-agu akwukwo n'ulo na", 7),
        // Hausa.
        (
            "Ɓera ɗan ƙasa ƴaƴa ʼyan Ƙano",
            "Bera dan kasa yaya 'yan Kano",
            7,
        ),
        // Swahili needs nothing but a quote.
        ("Ng’ombe", "Ng'ombe", 1),
        ("₦5,000", "NGN5,000", 1),
    ] {
        let read = transliterate(text);
        assert_eq!((&*read.text, read.replaced), (plain, replaced), "{text}");
        assert!(Encoding::GSM7.encodes(&read.text), "{text}");
    }
}

#[test]
fn typography_becomes_plain() {
    for (text, plain) in [
        ("“quoted” ‘so’ «and» „so‟", "\"quoted\" 'so' \"and\" \"so\""),
        ("a–b—c‑d−e", "a-b-c-d-e"),
        ("wait… ok\u{a0}now\u{202f}!\tx", "wait... ok now ! x"),
        (
            "zero\u{200b}width\u{feff} soft\u{ad}hyphen\u{200e}",
            "zerowidth softhyphen",
        ),
        ("ＦＵＬＬ　ｗｉｄｔｈ：１２３｀", "FULL width:123'"),
        ("Œuvre ½ ﬁn ™ № 3² •", "OEuvre 1/2 fin TM No 32 *"),
        ("a\u{2028}b", "a\nb"),
        ("caf\u{65}\u{301} ŁÓDŹ Đà Nẵng", "cafe LODZ Dà Nang"),
        ("\u{2126} \u{212A} \u{212B}", "Ω K Å"),
    ] {
        assert_eq!(transliterate(text).text, plain, "{text}");
    }
}

#[test]
fn what_gsm7_has_and_what_nothing_stands_for_is_left_alone() {
    for text in [
        "",
        "Café Ñandú Übergröße @€{} ΔΦΓ",
        "أهلا 你好 👩\u{200d}👩 🙏🏽",
    ] {
        let same = transliterate(text);
        assert_eq!(same.replaced, text.matches('ú').count());
        if same.replaced == 0 {
            assert!(matches!(same.text, Cow::Borrowed(borrowed) if borrowed == text));
        }
    }
}

#[test]
fn look_alikes_are_latin_only_where_the_whole_text_allows_it() {
    // Greek capitals, as 23.038 means them; small letters have no Latin twin.
    assert_eq!(transliterate("ΑΘΗΝΑ ΤΡΙΤΗ").text, "AΘHNA TPITH");
    assert_eq!(transliterate("αβγ").replaced, 0);
    // A stray Cyrillic letter in a Latin word.
    assert_eq!(transliterate("Kоmbе Соса").text, "Kombe Coca");
    // Real Cyrillic stays whole.
    assert_eq!(transliterate("Привет, мир").replaced, 0);
}

proptest! {
    #[test]
    fn the_cheapest_has_the_fewest_parts_of_all_that_hold_the_text(
        encodings in proptest::collection::vec(encoding(), 0..6),
        text in "[a-zé€ş😀\\[ ]{0,400}",
    ) {
        let candidates = Candidates { encodings: &encodings, method: Method::Udh8(0), latin1_within_gsm7: false };
        let cost = |encoding: Encoding| {
            let segments = Layout::new(encoding, candidates.method).split(&text).ok()?;
            let octets: usize = segments.parts.iter().map(|part| part.octets.len()).sum();
            Some((segments.parts.len(), octets))
        };
        let least = encodings.iter().filter_map(|encoding| cost(*encoding)).min();
        match (candidates.cheapest(&text), least) {
            (Some(found), Some((parts, octets))) => {
                let (found_parts, found_octets) = cost(found).expect("it holds the text");
                prop_assert_eq!(found_parts, parts);
                // Packed parts round up to whole octets each.
                prop_assert!(found_octets <= octets + parts);
            }
            (found, least) => prop_assert!(found.is_none() && least.is_none()),
        }
    }

    #[test]
    fn transliteration_ends_in_a_text_that_needs_none(text in any::<String>()) {
        let once = transliterate(&text);
        let twice = transliterate(&once.text);
        prop_assert_eq!(twice.replaced, 0, "{:?}", once.text);
        if Encoding::GSM7.encodes(&text) {
            prop_assert_eq!(once.replaced, 0);
        }
    }

    #[test]
    fn every_character_transliterates_to_itself_or_to_gsm7(character in any::<char>()) {
        let text = character.to_string();
        let read = transliterate(&text);
        prop_assert!(read.replaced == 0 && read.text == text || Encoding::GSM7.encodes(&read.text));
    }
}
