//! Numbers of cards and of accounts, by their issuers' rules.

use super::{Found, Print, printed, step};

/// The digits of a card, and most blanks and hyphens between two of them.
const CARD_DIGITS_MIN: usize = 13;
const CARD_DIGITS_MAX: usize = 19;
/// One that is no text: with more digits a JSON number is not exact (IEEE 754), so that nobody sends a card as one.
const CARD_NUMBER_DIGITS_MAX: usize = 16;
const CARD_GAP_MAX: usize = 4;
const GROUP: usize = 4;

/// How the cards begin that are given out (ISO/IEC 7812-1), and how many digits they have.
const CARDS: [(u32, u32, &[usize]); 22] = [
    (2200, 2204, &[16, 17, 18, 19]),
    (2221, 2720, &[16]),
    (3000, 3059, &[14, 16]),
    (3095, 3095, &[14, 16]),
    (3400, 3499, &[15]),
    (3528, 3589, &[16, 19]),
    (3600, 3699, &[14, 16]),
    (3700, 3799, &[15]),
    (3800, 3999, &[14, 16]),
    (4000, 4999, &[13, 16, 19]),
    (5018, 5020, &[13, 14, 15, 16, 18, 19]),
    (5038, 5041, &[13, 14, 15, 16, 18, 19]),
    (5060, 5067, &[16, 18, 19]),
    (5078, 5090, &[16, 18, 19]),
    (5100, 5599, &[16]),
    (5893, 5893, &[13, 14, 15, 16, 18, 19]),
    (6000, 6099, &[16, 19]),
    (6200, 6299, &[16, 17, 18, 19]),
    (6304, 6304, &[13, 14, 15, 16, 18, 19]),
    (6360, 6399, &[16, 19]),
    (6440, 6599, &[16, 19]),
    (6759, 6763, &[13, 14, 15, 16, 18, 19]),
];

/// Words of a name under which a number is no card.
const COUNTS: [&str; 46] = [
    "amount",
    "total",
    "sum",
    "balance",
    "price",
    "fee",
    "cost",
    "wei",
    "gwei",
    "lamport",
    "satoshi",
    "sat",
    "gas",
    "supply",
    "allowance",
    "quantity",
    "qty",
    "count",
    "size",
    "length",
    "bytes",
    "offset",
    "limit",
    "id",
    "ids",
    "uuid",
    "uid",
    "index",
    "seq",
    "sequence",
    "nonce",
    "block",
    "version",
    "revision",
    "epoch",
    "timestamp",
    "time",
    "ts",
    "at",
    "date",
    "since",
    "until",
    "ms",
    "ns",
    "micros",
    "nanos",
];
const CARD_WORDS: [&str; 3] = ["card", "pan", "cc"];

/// How many characters an account has in each country (ISO 13616, the registry of SWIFT).
const IBANS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18\
FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22\
MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26\
UA29VA22VG24XK20YE30";

/// How many digits a card may have that is the whole value of that name; none if it counts, dates or names something.
pub(super) fn card_digits(key: Option<&str>, value: &str, number: bool) -> usize {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    match key {
        Some(key) if digits && counts(key) => 0,
        _ if number => CARD_NUMBER_DIGITS_MAX,
        _ => CARD_DIGITS_MAX,
    }
}

/// By the words of a name, written as `amount_wei`, `amountWei` or `AMOUNT-WEI`.
fn counts(key: &str) -> bool {
    let mut words = vec![String::new()];
    let mut small = false;
    for c in key.chars() {
        if !c.is_alphanumeric() || small && c.is_uppercase() {
            words.push(String::new());
        }
        small = c.is_lowercase();
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    let among = |list: &[&str]| {
        words.iter().any(|word| list.contains(&word.as_str()) || list.contains(&word.trim_end_matches('s')))
    };
    among(&COUNTS) && !among(&CARD_WORDS)
}

/// The digits of what may be a card, read so far.
struct Digits {
    all: Vec<u32>,
    /// Of the group that is being read, and how many groups there are.
    group: usize,
    groups: usize,
    /// Where the longest card ends that ends with a group, and its digits.
    card: Option<(usize, usize)>,
}

impl Digits {
    fn push(&mut self, digit: u32) {
        self.all.push(digit);
        self.group += 1;
        // one more group of four makes it a longer number, or a row of numbers: a date or a code is shorter
        if self.group == GROUP && self.groups > 1 {
            self.card = None;
        }
    }

    fn end(&mut self, at: usize) {
        self.groups += 1;
        let Some(four) = self.all.get(..4) else { return };
        let first = four.iter().fold(0, |sum, digit| sum * 10 + digit);
        let count = self.all.len();
        let known =
            CARDS.iter().any(|(from, to, counts)| (*from..=*to).contains(&first) && counts.contains(&count));
        if known && self.is_checked() {
            self.card = Some((at, count));
        }
    }

    /// Whether the check digit is right (ISO/IEC 7812-1, Luhn).
    fn is_checked(&self) -> bool {
        step(self.all.len());
        let twice = |digit: &u32| digit * 2 / 10 + digit * 2 % 10;
        let digits = self.all.iter().rev().enumerate();
        let sum: u32 =
            digits.map(|(at, digit)| if at.is_multiple_of(2) { *digit } else { twice(digit) }).sum();
        sum.is_multiple_of(10)
    }
}

/// The digits of a card, spaces or hyphens between them.
pub(super) fn card(text: &str, most: usize, print: Print<'_>) -> Option<Found> {
    // most words begin with no digit, and what does is looked at only as far as a card may go: a text of digits alone
    // would otherwise be read to its end at each of them
    if most == 0 || !text.starts_with(|c| matches!(c, '2'..='6')) {
        return None;
    }
    let mut digits = Digits { all: Vec::with_capacity(CARD_DIGITS_MIN), group: 0, groups: 0, card: None };
    let (mut end, mut gap, mut open) = (0, 0, true);
    for (at, c) in text.char_indices() {
        step(1);
        match c.to_digit(10) {
            Some(digit) => {
                if gap > 0 {
                    (digits.group, gap) = (0, 0);
                }
                // one digit more than any card has
                open = digits.all.len() < most;
                digits.push(digit);
                end = at + 1;
            }
            None if open && matches!(c, ' ' | '-') && gap < CARD_GAP_MAX => {
                if gap == 0 {
                    digits.end(end);
                }
                gap += 1;
            }
            None => {
                open = open && !(gap == 0 && c.is_alphanumeric());
                break;
            }
        }
        if !open && digits.group >= GROUP {
            break;
        }
    }
    if open && gap == 0 {
        digits.end(end);
    }
    let (end, count) = digits.card?;
    let card: String =
        digits.all.iter().take(count).filter_map(|digit| char::from_digit(*digit, 10)).collect();
    let last = card.get(card.len().saturating_sub(4)..)?;
    Some(("payment card", end, printed(format!("•••• {last}"), &card, print)))
}

/// A country, two check digits and the account, as one word or in groups.
pub(super) fn iban(word: &str, text: &str, print: Print<'_>) -> Option<Found> {
    let (account, length) = match is_iban(word) {
        true => (word.to_owned(), word.len()),
        false => grouped(text)?,
    };
    let (country, last) = (account.get(..2)?, account.get(account.len() - 4..)?);
    Some(("IBAN", length, printed(format!("{country}•• … {last}"), &account, print)))
}

/// One whose country says how many characters it has, with a blank or a hyphen between some; and how many bytes it takes.
fn grouped(text: &str) -> Option<(String, usize)> {
    let (country, checks) = (text.get(..2)?, text.get(2..4)?);
    if !country.bytes().all(|b| b.is_ascii_uppercase()) || !checks.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let entry = |at: usize| IBANS.get(at..at + 4)?.strip_prefix(country)?.parse::<usize>().ok();
    let count = (0..IBANS.len()).step_by(4).find_map(entry)?;
    let (mut account, mut length, mut gap) = (String::with_capacity(count), 0, false);
    for (at, c) in text.char_indices() {
        step(1);
        match c {
            'A'..='Z' | '0'..='9' if account.len() < count => {
                account.push(c);
                (length, gap) = (at + 1, false);
            }
            _ if account.len() == count => {
                if c.is_alphanumeric() {
                    return None;
                }
                break;
            }
            ' ' | '-' | '\u{a0}' | '\u{202f}' if !gap => gap = true,
            _ => return None,
        }
    }
    (account.len() == count && is_iban(&account)).then_some((account, length))
}

/// Whether its remainder by 97 is 1 (ISO 13616).
fn is_iban(word: &str) -> bool {
    let bytes = word.as_bytes();
    if !(15..=34).contains(&bytes.len()) {
        return false;
    }
    let fits = bytes.iter().enumerate().all(|(at, b)| match at {
        0 | 1 => b.is_ascii_uppercase(),
        2 | 3 => b.is_ascii_digit(),
        _ => b.is_ascii_uppercase() || b.is_ascii_digit(),
    });
    let turned = word.chars().skip(4).chain(word.chars().take(4));
    let remainder = turned.filter_map(|c| c.to_digit(36)).fold(0, |sum, value| match value {
        0..=9 => (sum * 10 + value) % 97,
        _ => (sum * 100 + value) % 97,
    });
    fits && remainder == 1
}
