//! Letters: which script they are of, what they look like, and the text they stand for.

use super::Seat;
use crate::finding::{Detector, Severity, Sighting, excerpt};
use crate::unseen::Unseen;
use std::borrow::Cow;

/// As much of a script as telling look-alikes apart needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    Latin,
    /// Cyrillic, Greek, Armenian, Cherokee, Lisu: scripts with letters that look Latin.
    Similar,
    RightToLeft,
    Other,
    None,
}

pub(crate) fn script(c: char) -> Script {
    match c {
        'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Script::Latin,
        '\u{370}'..='\u{58f}'
        | '\u{13a0}'..='\u{13ff}'
        | '\u{1c80}'..='\u{1c8f}'
        | '\u{1f00}'..='\u{1fff}'
        | '\u{a4d0}'..='\u{a4ff}'
        | '\u{ab70}'..='\u{abbf}' => Script::Similar,
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' => Script::RightToLeft,
        _ if c.is_alphabetic() => Script::Other,
        _ => Script::None,
    }
}

/// Joiners may stand beside it: a letter of a script that joins, or an emoji. A joiner vouches for no other.
pub(crate) fn joins(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{e00}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{1800}'..='\u{18af}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
        | '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}' | '\u{20e3}'
        | '\u{2d30}'..='\u{2d7e}' | '\u{11000}'..='\u{1107e}' | '\u{13000}'..='\u{1342f}'
        | '\u{13460}'..='\u{143ff}' | '\u{18b00}'..='\u{18cff}')
        && Unseen::of(c) != Some(Unseen::Joiner)
}

pub(crate) fn is_widthless(c: char) -> bool {
    Unseen::of(c).is_some_and(Unseen::is_widthless)
}

/// The Latin letter that a letter of another script or style passes for.
pub(crate) fn twin(c: char) -> Option<char> {
    let latin = match c {
        'а' | 'ɑ' | 'α' => 'a',
        'в' | 'В' | 'Β' => 'b',
        'с' | 'С' | 'ϲ' | 'ⅽ' => 'c',
        'ԁ' | 'ⅾ' => 'd',
        'е' | 'Е' | 'Ε' | 'ҽ' | 'ｅ' => 'e',
        'ɡ' | 'ց' => 'g',
        'һ' | 'Н' | 'Η' | 'հ' => 'h',
        'і' | 'І' | 'Ι' | 'ι' | 'ı' | 'ⅰ' => 'i',
        'ј' | 'Ј' => 'j',
        'к' | 'К' | 'Κ' | 'κ' => 'k',
        'ӏ' | 'Ӏ' | 'ⅼ' => 'l',
        'м' | 'М' | 'Μ' | 'ⅿ' => 'm',
        'ո' | 'Ν' | 'п' => 'n',
        'о' | 'О' | 'Ο' | 'ο' | 'օ' => 'o',
        'р' | 'Р' | 'Ρ' | 'ρ' => 'p',
        'ԛ' | 'զ' => 'q',
        'г' => 'r',
        'ѕ' | 'Ѕ' => 's',
        'т' | 'Т' | 'Τ' | 'τ' => 't',
        'υ' | 'ս' => 'u',
        'ν' | 'ѵ' | 'ⅴ' => 'v',
        'ԝ' | 'ѡ' | 'ω' => 'w',
        'х' | 'Х' | 'Χ' | 'χ' | 'ⅹ' => 'x',
        'у' | 'У' | 'Υ' | 'γ' | 'ү' => 'y',
        'Ζ' => 'z',
        '\u{13a0}'..='\u{13ff}' | '\u{ab70}'..='\u{abbf}' => return cherokee(c),
        '\u{a4d0}'..='\u{a4ff}' => return lisu(c),
        _ => return styled(c),
    };
    Some(latin)
}

fn cherokee(c: char) -> Option<char> {
    // the small letters stand in the order of the capitals
    let small = u32::from(c).checked_sub(0xab70).and_then(|n| char::from_u32(0x13a0 + n));
    Some(match small.unwrap_or(c) {
        'Ꭺ' => 'a',
        'Ᏼ' | 'Ꮟ' => 'b',
        'Ꮯ' => 'c',
        'Ꭰ' | 'Ꮷ' => 'd',
        'Ꭼ' => 'e',
        'Ꮐ' | 'Ᏻ' => 'g',
        'Ꮋ' | 'Ꮒ' => 'h',
        'Ꭵ' => 'i',
        'Ꭻ' => 'j',
        'Ꮶ' => 'k',
        'Ꮮ' => 'l',
        'Ꮇ' => 'm',
        'Ꮲ' => 'p',
        'Ꭱ' | 'Ꮢ' => 'r',
        'Ꮥ' | 'Ꮪ' => 's',
        'Ꭲ' => 't',
        'Ꮩ' => 'v',
        'Ꮃ' | 'Ꮤ' => 'w',
        'Ꭹ' | 'Ꮍ' => 'y',
        'Ꮓ' => 'z',
        _ => return None,
    })
}

fn lisu(c: char) -> Option<char> {
    Some(match c {
        'ꓮ' => 'a',
        'ꓐ' => 'b',
        'ꓚ' => 'c',
        'ꓓ' | 'ꓒ' => 'd',
        'ꓰ' => 'e',
        'ꓝ' => 'f',
        'ꓖ' => 'g',
        'ꓧ' => 'h',
        'ꓲ' => 'i',
        'ꓙ' => 'j',
        'ꓗ' => 'k',
        'ꓡ' => 'l',
        'ꓟ' => 'm',
        'ꓠ' => 'n',
        'ꓳ' => 'o',
        'ꓑ' => 'p',
        'ꓣ' => 'r',
        'ꓢ' => 's',
        'ꓔ' => 't',
        'ꓴ' => 'u',
        'ꓦ' => 'v',
        'ꓪ' => 'w',
        'ꓫ' => 'x',
        'ꓬ' => 'y',
        'ꓜ' => 'z',
        _ => return None,
    })
}

/// Latin letters and digits in another style: full width, mathematical, enclosed, small capitals.
fn styled(c: char) -> Option<char> {
    const SMALL_CAPITALS: &str = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘǫʀꜱᴛᴜᴠᴡxʏᴢ";
    // there is no raised q
    const RAISED: &str = "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖqʳˢᵗᵘᵛʷˣʸᶻ";
    let code = u32::from(c);
    let letter = |offset: u32| char::from_u32(u32::from('a') + offset % 26);
    match code {
        0xff01..=0xff5e => char::from_u32(code - 0xfee0),
        0x1d400..=0x1d6a3 => letter((code - 0x1d400) % 52),
        0x1d7ce..=0x1d7ff => char::from_u32(u32::from('0') + (code - 0x1d7ce) % 10),
        0x24b6..=0x24e9 => letter(code - 0x24b6),
        0x1f110..=0x1f129 => letter(code - 0x1f110),
        0x1f130..=0x1f149 => letter(code - 0x1f130),
        0x1f150..=0x1f169 => letter(code - 0x1f150),
        0x1f170..=0x1f189 => letter(code - 0x1f170),
        0x249c..=0x24b5 => letter(code - 0x249c),
        0x1d00..=0x1d22 | 0x262..=0x29f | 0xa730..=0xa731 | 0x1eb => {
            let at = SMALL_CAPITALS.chars().position(|small| small == c)?;
            letter(u32::try_from(at).ok()?)
        }
        0x2b0..=0x2e3 | 0x1d43..=0x1d65 | 0x1d9c..=0x1dbb | 0x2071..=0x207f => {
            RAISED.chars().zip('a'..='z').find(|(raised, _)| *raised == c).map(|(_, letter)| letter)
        }
        _ => None,
    }
}

/// The text without what is invisible, and with Latin letters for what passes for them inside Latin words.
pub(crate) fn clear(text: &str) -> String {
    let text = &*without_flags(text);
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c: char| !is_word(c)) {
        let mixed = mixed(piece) || piece.chars().any(|c| styled(c).is_some());
        let visible = piece.chars().filter(|c| !is_widthless(*c));
        if mixed {
            out.extend(visible.map(|c| twin(c).unwrap_or(c)));
        } else {
            out.extend(visible);
        }
    }
    out
}

/// Flags of countries are pairs of letters; where one of the letters is left over, they spell something.
fn without_flags(text: &str) -> Cow<'_, str> {
    let is_flag = |c: char| ('\u{1f1e6}'..='\u{1f1ff}').contains(&c);
    if text.split(|c| !is_flag(c)).all(|row| row.chars().count().is_multiple_of(2)) {
        return Cow::Borrowed(text);
    }
    let letter = |c: char| char::from_u32(u32::from('a') + u32::from(c) - 0x1f1e6).unwrap_or(c);
    Cow::Owned(text.chars().map(|c| if is_flag(c) { letter(c) } else { c }).collect())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || is_widthless(c)
}

/// Latin letters beside others that look Latin, as no language writes words.
fn mixed(word: &str) -> bool {
    let latin = word.chars().any(|c| script(c) == Script::Latin);
    let others = || word.chars().filter(|c| script(*c) == Script::Similar);
    latin && others().any(|c| twin(c).is_some()) && others().all(|c| twin(c).is_some())
}

/// Every letter is of another script, and every one passes for a Latin letter.
fn disguised(word: &str) -> bool {
    let mut letters = word.chars().filter(|c| c.is_alphabetic()).peekable();
    letters.peek().is_some() && letters.all(|c| script(c) == Script::Similar && twin(c).is_some())
}

/// Words in which letters pass for others.
pub(crate) fn look(text: &str, seat: Seat, sightings: &mut Vec<Sighting>) {
    let words = || text.split(|c: char| !is_word(c)).filter(|word| !word.is_empty());
    let found = words().find(|word| mixed(word) && word.chars().count() > 2);
    if let Some(word) = found {
        let severity = if seat == Seat::Name { Severity::Critical } else { Severity::High };
        let because = format!("in `{}` letters of another script pass for Latin ones", excerpt(word));
        sightings.push(Sighting::new(Detector::Confusables, severity, 0.95, because));
    } else if seat == Seat::Name {
        name(text, sightings);
    } else if let styled_letters @ 8.. = text.chars().filter(|c| is_styled_letter(*c)).count() {
        let because = format!("{styled_letters} letters in a style that is not text but looks like it");
        sightings.push(Sighting::new(Detector::Confusables, Severity::Medium, 0.6, because));
    }
}

/// Mathematical and enclosed letters; full width ones are ordinary in East Asia.
fn is_styled_letter(c: char) -> bool {
    !('\u{ff01}'..='\u{ff5e}').contains(&c) && styled(c).is_some()
}

/// A name is for programs: there is no reason for letters that pass for others.
fn name(text: &str, sightings: &mut Vec<Sighting>) {
    let whole = text.split(|c: char| !is_word(c)).find(|word| disguised(word));
    let ascii_beside = text.chars().any(|c| c.is_ascii_alphabetic());
    if let Some(word) = whole.filter(|word| ascii_beside || word.chars().count() > 3) {
        let because = format!("`{}` looks Latin and is not", excerpt(word));
        sightings.push(Sighting::new(Detector::Confusables, Severity::High, 0.9, because));
    } else if text.chars().any(|c| styled(c).is_some()) {
        let because = "letters in another style pass for plain ones".to_owned();
        sightings.push(Sighting::new(Detector::Confusables, Severity::High, 0.9, because));
    }
}
