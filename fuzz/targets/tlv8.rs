//! TLV8 of any bytes: read or refused; what was read is written and read again as it was.
#![no_main]

use hap_tlv8::{Tlv, Writer};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(tlv) = Tlv::parse(bytes) else {
        return;
    };
    let mut writer = Writer::new();
    for item in tlv.items() {
        let _ = (
            tlv.uint(item.tag),
            tlv.str(item.tag),
            tlv.nested(item.tag),
            tlv.f32(item.tag),
        );
        if !item.is_separator() {
            writer.bytes(item.tag, &item.value).separator(0xFF);
        }
    }
    let again = Tlv::parse(writer.as_slice()).expect("what was written can be read");
    let values = |tlv: &Tlv| -> Vec<_> {
        let items = tlv
            .items()
            .iter()
            .filter(|item| !item.is_separator() && item.tag != 0xFF);
        items.map(|item| (item.tag, item.value.clone())).collect()
    };
    assert_eq!(values(&again), values(&tlv));
});
