//! The payload codec, value by value.

mod common;

use common::{bytes, hex};
use hds_proto::message::Message;
use hds_proto::value::{MAX_DEPTH, MAX_ITEMS};
use hds_proto::{DecodeError, Error, SendError, Value};

#[track_caller]
fn decodes(encoding: &str, value: Value) {
    assert_eq!(Value::decode_all(&bytes(encoding)), Ok(value));
}

#[track_caller]
fn both_ways(encoding: &str, value: impl Into<Value>) {
    let value = value.into();
    assert_eq!(hex(&value.encode()), encoding);
    decodes(encoding, value);
}

#[track_caller]
fn refused(encoding: &str, error: DecodeError) {
    assert_eq!(Value::decode(&bytes(encoding)), Err(error));
}

#[test]
fn whole_numbers_take_the_fewest_bytes() {
    both_ways("07", -1);
    both_ways("08", 0);
    both_ways("2f", 39);
    both_ways("3028", 40);
    both_ways("30fe", -2);
    both_ways("3080", -128);
    both_ways("307f", 127);
    both_ways("318000", 128);
    both_ways("31ff7f", 32767);
    both_ways("3200800000", 32768);
    both_ways("32ff7fffff", -32769);
    both_ways("32ffffff7f", i64::from(i32::MAX));
    both_ways("330000008000000000", 1 << 31);
    both_ways("33ffffffffffffff7f", i64::MAX);
    both_ways("330000000000000080", i64::MIN);
}

#[test]
fn whole_numbers_may_be_wider_than_needed() {
    for encoding in ["0f", "3007", "310700", "3207000000", "330700000000000000"] {
        decodes(encoding, 7.into());
    }
    for encoding in ["30ff", "31ffff", "32ffffffff", "33ffffffffffffffff"] {
        decodes(encoding, (-1).into());
    }
}

#[test]
fn the_other_scalars() {
    both_ways("04", Value::Null);
    both_ways("01", true);
    both_ways("02", false);
    decodes("350000c03f", 1.5.into());
    both_ways("36000000000000f83f", 1.5);
    both_ways("06000000000000f83f", Value::Date(1.5));
    let uuid = std::array::from_fn(|i| i as u8);
    both_ways("05000102030405060708090a0b0c0d0e0f", Value::Uuid(uuid));
}

#[test]
fn text_and_data_of_every_length_form() {
    for (length, text, data) in [
        (0, "40", "70"),
        (1, "41", "71"),
        (32, "60", "90"),
        (33, "6121", "9121"),
        (255, "61ff", "91ff"),
        (256, "620001", "920001"),
        (0xFFFF, "62ffff", "92ffff"),
        (0x1_0000, "6300000100", "9300000100"),
    ] {
        let content = vec![b'x'; length];
        both_ways(&(text.to_owned() + &hex(&content)), "x".repeat(length));
        both_ways(&(data.to_owned() + &hex(&content)), content);
    }
    decodes("62010061", "a".into());
    decodes("630100000061", "a".into());
    decodes("64010000000000000061", "a".into());
    decodes("94010000000000000061", b"a".to_vec().into());
    decodes("6f616200", "ab".into());
    decodes("6f00", "".into());
    decodes("9f616203", b"ab".to_vec().into());
    decodes("9f03", Vec::new().into());
    both_ways("45636166c3a9", "café");
}

#[test]
fn containers_of_fifteen_are_terminated() {
    both_ways("d0", Value::Array(Vec::new()));
    both_ways("e0", Value::EMPTY);
    let fourteen = Value::Array(vec![Value::Null; 14]);
    both_ways(&("de".to_owned() + &"04".repeat(14)), fourteen.clone());
    decodes(&("df".to_owned() + &"04".repeat(14) + "03"), fourteen);
    let fifteen = vec![Value::Null; 15];
    both_ways(
        &("df".to_owned() + &"04".repeat(15) + "03"),
        Value::Array(fifteen),
    );
    let pairs = vec![(1.into(), Value::Null); 15];
    both_ways(
        &("ef".to_owned() + &"0904".repeat(15) + "03"),
        Value::Dict(pairs),
    );
    decodes("df03", Value::Array(Vec::new()));
    decodes("ef0904dfd003e003", {
        Value::Dict(vec![
            (1.into(), Value::Null),
            (Value::Array(vec![Value::Array(vec![])]), Value::EMPTY),
        ])
    });
}

#[test]
fn back_references_count_distinct_scalars_of_more_than_a_byte() {
    let ab = || Value::Array(vec!["a".into(), "b".into()]);
    // 1, true, null and the empty text are one byte; "a" is there twice.
    decodes(
        "d809010440416141614162a1",
        Value::Array(vec![
            1.into(),
            true.into(),
            Value::Null,
            "".into(),
            "a".into(),
            "a".into(),
            "b".into(),
            "b".into(),
        ]),
    );
    // Keys count, containers do not, and a back-reference adds nothing.
    decodes(
        "e24161d2a041624163a1",
        Value::dict([("a", ab()), ("c", "b".into())]),
    );
    // Numbers, UUIDs and data are scalars too.
    decodes(
        "d4302831ff01a0a1",
        Value::Array([40, 511, 40, 511].map(Value::from).into()),
    );
    decodes(
        "d27161a0",
        Value::Array(vec![vec![0x61].into(), vec![0x61].into()]),
    );
    for reference in ["c100", "c20000", "c300000000", "c40000000000000000"] {
        let both = Value::Array(vec!["a".into(), "a".into()]);
        decodes(&format!("d24161{reference}"), both);
    }
}

#[test]
fn an_index_after_the_tag_reaches_further() {
    let mut encoding = vec![0xDF];
    for number in 0..300_i16 {
        encoding.push(0x31);
        encoding.extend((number + 1000).to_le_bytes());
    }
    encoding.extend([0xC0, 0xC1, 0xFF, 0xC2, 0x2B, 0x01, 0x03]);
    let value = Value::decode_all(&encoding).unwrap();
    let last = &value.as_array().unwrap()[300..];
    assert_eq!(last, [1032.into(), 1255.into(), 1299.into()]);
}

#[test]
fn back_references_to_nothing_are_refused() {
    refused(
        "a0",
        DecodeError::Reference {
            index: 0,
            offset: 0,
        },
    );
    refused(
        "d24161a1",
        DecodeError::Reference {
            index: 1,
            offset: 3,
        },
    );
    refused(
        "d2a04161",
        DecodeError::Reference {
            index: 0,
            offset: 1,
        },
    );
    refused(
        "d24161c4ffffffffffffffff",
        DecodeError::Reference {
            index: u64::MAX,
            offset: 3,
        },
    );
}

#[test]
fn tags_that_stand_for_nothing_are_refused() {
    let mut nothing = vec![0x00, 0x03, 0x34];
    nothing.extend(0x37..=0x3F);
    nothing.extend(0x65..=0x6E);
    nothing.extend(0x95..=0x9E);
    nothing.extend(0xC5..=0xCF);
    nothing.extend(0xF0..=0xFF);
    for tag in nothing {
        let error = DecodeError::Tag { tag, offset: 0 };
        assert_eq!(Value::decode(&[tag; 40]), Err(error), "{tag:#04x}");
    }
}

#[test]
fn whatever_ends_early_is_refused() {
    refused(
        "",
        DecodeError::Truncated {
            offset: 0,
            missing: 1,
        },
    );
    for whole in [
        "3001",
        "3301020304050607 08",
        "36000000000000f03f",
        "350000c03f",
        "05000102030405060708090a0b0c0d0e0f",
        "43616263",
        "6203006162 63",
        "6f616200",
        "73616263",
        "930300000061 6263",
        "9f616203",
        "d3090a0b",
        "df090a0b03",
        "e2090a0b0c",
        "ef090a03",
        "d24161c20000",
    ] {
        let whole = bytes(&whole.replace(' ', ""));
        assert!(Value::decode(&whole).is_ok());
        for length in 0..whole.len() {
            let result = Value::decode(&whole[..length]);
            let truncated = matches!(result, Err(DecodeError::Truncated { .. }));
            assert!(truncated, "{} of {}: {result:?}", length, hex(&whole));
        }
    }
    // A length nobody can have.
    let missing = usize::MAX;
    refused(
        "94ffffffffffffffff",
        DecodeError::Truncated { offset: 9, missing },
    );
}

#[test]
fn text_must_be_utf8() {
    refused("42c328", DecodeError::Text { offset: 1 });
    refused("6102c328", DecodeError::Text { offset: 2 });
    refused("d16fff00", DecodeError::Text { offset: 1 });
}

#[test]
fn nesting_and_number_of_values_are_limited() {
    let nested = |depth| [vec![0xD1; depth - 1], vec![0xD0]].concat();
    assert!(Value::decode(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(
        Value::decode(&nested(MAX_DEPTH + 1)),
        Err(DecodeError::TooDeep)
    );
    assert_eq!(Value::decode(&[0xE1; 1 << 20]), Err(DecodeError::TooDeep));
    let many = |count| [vec![0xDF], vec![0x04; count], vec![0x03]].concat();
    assert!(Value::decode(&many(MAX_ITEMS - 1)).is_ok());
    assert_eq!(
        Value::decode(&many(MAX_ITEMS)),
        Err(DecodeError::TooManyItems)
    );
}

/// A few bytes must not become gigabytes.
#[test]
fn back_references_repeat_no_more_than_a_frame_holds() {
    let mut encoding = vec![0xDF];
    Value::Data(vec![1; 500_000]).encode_into(&mut encoding);
    let twice = [&encoding[..], &[0xA0; 2], &[0x03]].concat();
    assert_eq!(
        Value::decode_all(&twice).unwrap().as_array().unwrap().len(),
        3
    );
    let often = [&encoding[..], &[0xA0; 4000], &[0x03]].concat();
    assert_eq!(Value::decode(&often), Err(DecodeError::Inflated));
}

#[test]
fn a_value_says_how_long_it_was() {
    assert_eq!(Value::decode(&bytes("4161ffff")), Ok(("a".into(), 2)));
    let error = DecodeError::Trailing { count: 2 };
    assert_eq!(Value::decode_all(&bytes("4161ffff")), Err(error));
}

#[test]
fn dictionaries_are_asked_by_text() {
    let mut value = Value::Dict(vec![
        (1.into(), 1.into()),
        ("a".into(), 2.into()),
        ("a".into(), 3.into()),
        ("b".into(), true.into()),
    ]);
    assert_eq!(value.get("a"), Some(&2.into()));
    assert_eq!(value.get("c"), None);
    assert_eq!(value.get("b").unwrap().as_bool(), Some(true));
    assert_eq!(value.take("a"), Some(2.into()));
    assert_eq!(value.take("a"), Some(3.into()));
    assert_eq!(value.take("a"), None);
    assert_eq!(Value::Null.get("a"), None);
    assert_eq!(Value::Int(2).as_bool(), None);
    assert_eq!(Value::Int(1).as_bool(), Some(true));
    assert_eq!(Value::Int(2).as_float(), Some(2.0));
    assert_eq!(Value::from("x").as_data(), None);
}

fn message(header: &str, body: &str) -> Result<Message, Error> {
    let header = bytes(header);
    let payload = [&[header.len() as u8], &header[..], &bytes(body)].concat();
    Message::decode(&payload)
}

#[test]
fn messages_without_a_right_header_are_refused() {
    let header = |pairs: &[(&str, Value)]| {
        let pairs = pairs.iter().map(|(k, v)| ((*k).into(), v.clone()));
        hex(&Value::Dict(pairs.collect()).encode())
    };
    let (protocol, topic) = (("protocol", "p".into()), "t".into());
    let missing = |field| Err(Error::Header { field });
    let right = [protocol.clone(), ("request", topic), ("id", 1.into())];
    assert!(message(&header(&right), "e0").is_ok());
    assert_eq!(message(&header(&right[1..]), "e0"), missing("protocol"));
    assert_eq!(message(&header(&right[..2]), "e0"), missing("id"));
    assert_eq!(message(&header(&right[..1]), "e0"), missing("response"));
    let response = [protocol.clone(), ("response", "t".into()), ("id", 1.into())];
    assert_eq!(message(&header(&response), "e0"), missing("status"));
    let number = [protocol, ("event", 1.into())];
    assert_eq!(message(&header(&number), "e0"), missing("event"));
    assert_eq!(message("04", "e0"), missing("protocol"));
}

#[test]
fn messages_end_where_their_frame_ends() {
    let truncated = |offset, missing| Err(DecodeError::Truncated { offset, missing }.into());
    let trailing = |count| Err(DecodeError::Trailing { count }.into());
    assert_eq!(Message::decode(&[]), truncated(0, 1));
    assert_eq!(Message::decode(&[5, 0xE0]), truncated(2, 4));
    assert_eq!(Message::decode(&[0, 0xE0]), truncated(0, 1));
    assert_eq!(Message::decode(&[2, 0xE0, 0x04, 0xE0]), trailing(1));
    assert_eq!(Message::decode(&[1, 0xE0, 0xE0, 0x04]), trailing(1));
}

/// Header and message have a table each.
#[test]
fn back_references_do_not_leave_the_header() {
    let header = "e24870726f746f636f6c4170456576656e74a1";
    let read = message(header, "e14161a0").unwrap();
    assert_eq!((read.protocol.as_str(), read.topic.as_str()), ("p", "p"));
    assert_eq!(read.body, Value::dict([("a", "a".into())]));
    let error = DecodeError::Reference {
        index: 1,
        offset: 3,
    };
    assert_eq!(message(header, "e14161a1"), Err(error.into()));
}

#[test]
fn names_that_do_not_fit_a_header_are_not_sent() {
    let message = Message {
        protocol: "p".repeat(300),
        topic: "t".to_owned(),
        kind: hds_proto::message::Kind::Event,
        body: Value::EMPTY,
    };
    let error = SendError::HeaderTooLong { length: 321 };
    assert_eq!(message.encode(), Err(error));
}
