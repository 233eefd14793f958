//! Messages of a HomeKit Data Stream: read or refused; what was read is written and read again as it was.
#![no_main]

use hds_proto::Value;
use hds_proto::message::Message;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Message::decode(bytes);
    if let Ok(value) = Value::decode_all(bytes) {
        let written = value.encode();
        let again = Value::decode_all(&written).expect("what was written can be read");
        assert_eq!(again.encode(), written);
    }
});
