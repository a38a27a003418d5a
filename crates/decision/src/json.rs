//! JSON of the record: the same bytes as serde_json's, without its detours.
//!
//! serde_json looks at every byte of every text, and of the name of every member, for what must be escaped. Entries
//! are written twice for each call; here a text is looked at many bytes at a time, and names not at all.

use serde::ser::{
    Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple,
    SerializeTupleStruct, Serializer,
};
use serde_json::Error;

/// What an entry mostly has room in.
const ROOM: usize = 1_024;

/// The JSON of a value whose members have plain names. Errors: it has parts that no entry has (such as enum variants
/// with unnamed fields), or refuses to be written.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let mut writer = Writer { out: Vec::with_capacity(ROOM) };
    value.serialize(&mut writer)?;
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
}

impl Writer {
    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        if !is_plain(text.as_bytes()) {
            return serde_json::to_writer(&mut self.out, text);
        }
        self.out.reserve(text.len() + 2);
        self.out.push(b'"');
        self.raw(text);
        self.out.push(b'"');
        Ok(())
    }

    fn number(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut from = digits.len();
        for slot in digits.iter_mut().rev() {
            *slot =
                b"0123456789".get(usize::try_from(number % 10).unwrap_or_default()).copied().unwrap_or(b'0');
            (number, from) = (number / 10, from - 1);
            if number == 0 {
                break;
            }
        }
        self.out.extend_from_slice(digits.get(from..).unwrap_or_default());
    }

    fn begin(&mut self, with: u8) -> Parts<'_> {
        self.out.push(with);
        Parts { writer: self, first: true }
    }
}

/// Whether none of it must be escaped (RFC 8259, section 7). Texts of entries are short, so eight bytes at a time.
fn is_plain(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let last = match text.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => rest.iter().fold(u64::from_le_bytes([b' '; 8]), |word, byte| word << 8 | u64::from(*byte)),
    };
    words.iter().map(|word| u64::from_le_bytes(*word)).fold(special(last), |any, word| any | special(word))
        == 0
}

/// Bits, if one of the eight bytes is a control, a quotation mark or a backslash; none, if not. (Hacker's Delight, section
/// 6-1: what is borrowed from one byte can only mark more of them where there is one already.)
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGH;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    below(word, 0x20) | is(b'"') | is(b'\\')
}

/// An object or an array that is being written.
struct Parts<'a> {
    writer: &'a mut Writer,
    first: bool,
}

impl Parts<'_> {
    fn next(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.writer.out.push(b',');
        }
    }

    fn member<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.next();
        self.writer.out.push(b'"');
        self.writer.raw(name);
        self.writer.raw("\":");
        value.serialize(&mut *self.writer)
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.next();
        value.serialize(&mut *self.writer)
    }

    fn end(self, with: u8) {
        self.writer.out.push(with);
    }
}

fn unexpected<T>(what: &str) -> Result<T, Error> {
    Err(Error::custom(format!("an entry has no {what}")))
}

/// Values that are written in one way.
macro_rules! plainly {
    ($($method:ident($type:ty) => |$writer:ident, $value:ident| $body:expr;)+) => { $(
        fn $method(self, $value: $type) -> Result<(), Error> {
            let $writer = self;
            $body
        }
    )+ };
}

impl<'a> Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Impossible<(), Error>;

    plainly! {
        serialize_bool(bool) => |writer, value| { writer.raw(if value { "true" } else { "false" }); Ok(()) };
        serialize_u8(u8) => |writer, value| { writer.number(value.into()); Ok(()) };
        serialize_u16(u16) => |writer, value| { writer.number(value.into()); Ok(()) };
        serialize_u32(u32) => |writer, value| { writer.number(value.into()); Ok(()) };
        serialize_u64(u64) => |writer, value| { writer.number(value); Ok(()) };
        serialize_i8(i8) => |writer, value| writer.serialize_i64(value.into());
        serialize_i16(i16) => |writer, value| writer.serialize_i64(value.into());
        serialize_i32(i32) => |writer, value| writer.serialize_i64(value.into());
        serialize_i64(i64) => |writer, value| {
            writer.raw(if value < 0 { "-" } else { "" });
            writer.number(value.unsigned_abs());
            Ok(())
        };
        serialize_f32(f32) => |writer, value| serde_json::to_writer(&mut writer.out, &value);
        serialize_f64(f64) => |writer, value| serde_json::to_writer(&mut writer.out, &value);
        serialize_char(char) => |writer, value| writer.text(value.encode_utf8(&mut [0; 4]));
        serialize_str(&str) => |writer, value| writer.text(value);
        serialize_bytes(&[u8]) => |_writer, _value| unexpected("bytes");
        serialize_unit_struct(&'static str) => |writer, _value| writer.serialize_unit();
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), Error> {
        self.raw("null");
        Ok(())
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.text(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        unexpected("variants with an unnamed field")
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, Error> {
        Ok(self.begin(b'['))
    }
    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, Error> {
        Ok(self.begin(b'['))
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Error> {
        Ok(self.begin(b'['))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        unexpected("variants with unnamed fields")
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>, Error> {
        Ok(self.begin(b'{'))
    }
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Parts<'a>, Error> {
        // that is how serde_json passes raw text through itself
        if name.starts_with('$') { unexpected("raw JSON") } else { Ok(self.begin(b'{')) }
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        unexpected("variants with named fields")
    }
}

/// Elements, whatever they are elements of.
macro_rules! elements {
    ($($trait:ident::$method:ident),+) => { $(
        impl $trait for Parts<'_> {
            type Ok = ();
            type Error = Error;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }
            fn end(self) -> Result<(), Error> {
                Parts::end(self, b']');
                Ok(())
            }
        }
    )+ };
}

elements!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field
);

impl SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = Error;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.member(name, value)
    }
    fn end(self) -> Result<(), Error> {
        Parts::end(self, b'}');
        Ok(())
    }
}

impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Error;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.next();
        let at = self.writer.out.len();
        key.serialize(&mut *self.writer)?;
        // a number as a name would be one without quotes
        if self.writer.out.get(at) == Some(&b'"') { Ok(()) } else { unexpected("names that are no text") }
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.writer.out.push(b':');
        value.serialize(&mut *self.writer)
    }
    fn end(self) -> Result<(), Error> {
        Parts::end(self, b'}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::to_vec;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[a-z\\\\\"\u{0}-\u{20}\u{7f}é€]{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_what_serde_json_writes(value in value()) {
            prop_assert_eq!(to_vec(&value).unwrap(), serde_json::to_vec(&value).unwrap());
        }
    }

    #[test]
    fn every_byte_is_looked_at_wherever_it_stands() {
        for length in 0..40 {
            for at in 0..length {
                for odd in
                    ['"', '\\', '\u{0}', '\u{1f}', '\n', ' ', '!', '#', '[', ']', '\u{7f}', 'é', '\u{80}']
                {
                    let text: String = (0..length).map(|n| if n == at { odd } else { 'x' }).collect();
                    assert_eq!(to_vec(&text).unwrap(), serde_json::to_vec(&text).unwrap(), "{text:?}");
                    let shown = Shown(text);
                    assert_eq!(to_vec(&shown).unwrap(), serde_json::to_vec(&shown.0).unwrap());
                }
            }
        }
    }

    /// What is written as it is shown.
    struct Shown(String);

    impl serde::Serialize for Shown {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&self.0)
        }
    }

    #[test]
    fn numbers_are_written_to_their_ends() {
        for number in [0, 9, 10, 99, 100, u64::MAX - 1, u64::MAX] {
            assert_eq!(to_vec(&number).unwrap(), number.to_string().into_bytes());
        }
        for number in [0, -1, i64::MIN, i64::MAX] {
            assert_eq!(to_vec(&number).unwrap(), number.to_string().into_bytes());
        }
        assert_eq!(to_vec(&json!([[], {}, "\u{8}\n"])).unwrap(), br#"[[],{},"\b\n"]"#);
    }

    #[test]
    fn what_no_entry_has_is_an_error_and_not_another_text() {
        #[derive(serde::Serialize)]
        enum Odd {
            One(u8),
            Two(u8, u8),
            Named { a: u8 },
        }
        for odd in [Odd::One(1), Odd::Two(1, 2), Odd::Named { a: 1 }] {
            assert!(to_vec(&odd).is_err());
        }
        assert!(to_vec(&BTreeMap::from([(1, 2)])).is_err(), "a name is a text");
        assert!(to_vec(&serde_json::value::RawValue::from_string("1".to_owned()).unwrap()).is_err());
    }
}
