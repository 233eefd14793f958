//! Properties of the reader for any input, and of reader and writer together.

use hap_tlv8::{Limits, Tlv, Writer};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..2048)) {
        if let Ok(tlv) = Tlv::parse(&bytes) {
            let values: usize = tlv.items().iter().map(|item| item.value.len()).sum();
            prop_assert!(values <= bytes.len());
            for item in tlv.items() {
                let _ = (tlv.uint(item.tag), tlv.str(item.tag), tlv.nested(item.tag), tlv.f32(item.tag));
            }
            prop_assert!(tlv.groups().len() <= tlv.items().len());
        }
    }

    #[test]
    fn limits_hold_for_any_bytes(bytes in vec(any::<u8>(), 0..600), max_bytes in 0usize..700, max_items in 0usize..20) {
        let limits = Limits { bytes: max_bytes, items: max_items };
        if let Ok(tlv) = Tlv::parse_within(&bytes, limits) {
            prop_assert!(bytes.len() <= max_bytes && tlv.items().len() <= max_items);
        }
    }

    #[test]
    fn every_truncation_is_refused_or_ends_between_items(value in vec(any::<u8>(), 1..700), cut in 0usize..700) {
        let mut writer = Writer::new();
        writer.bytes(1, &value).u8(2, 3);
        let bytes = writer.as_slice();
        let cut = cut % bytes.len();
        match Tlv::parse(&bytes[..cut]) {
            Ok(tlv) => prop_assert!(tlv.first(2).is_none()),
            Err(error) => {
                let truncated = matches!(error, hap_tlv8::Error::Truncated { .. });
                prop_assert!(truncated);
            }
        }
    }

    /// Siblings get a separator, as the format demands after a value whose last fragment is full.
    #[test]
    fn what_is_written_is_read(items in vec((1u8..0xFF, vec(any::<u8>(), 0..800)), 0..20)) {
        let mut writer = Writer::new();
        for (tag, value) in &items {
            writer.bytes(*tag, value).separator(0xFF);
        }
        let tlv = Tlv::parse(writer.as_slice()).unwrap();
        let read: Vec<_> = tlv.items().iter().filter(|item| !item.is_separator())
            .map(|item| (item.tag, item.value.clone())).collect();
        prop_assert_eq!(read, items);
    }

    #[test]
    fn integers_survive(value in any::<u64>()) {
        let mut writer = Writer::new();
        writer.uint(7, value).u64(8, value);
        let tlv = Tlv::parse(writer.as_slice()).unwrap();
        prop_assert_eq!(tlv.uint(7), Ok(value));
        prop_assert_eq!(tlv.uint(8), Ok(value));
    }
}
