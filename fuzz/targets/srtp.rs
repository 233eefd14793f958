//! Datagrams of any bytes: refused, and then unchanged.
#![no_main]

use srtp::{MasterKey, Receiver, Suite};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AesCm256HmacSha1_80] {
        let joined = vec![7; suite.key_len() + suite.salt_len()];
        let key = MasterKey::from_key_and_salt(suite, &joined).expect("the length is right");
        let mut receiver = Receiver::new(&key);
        let mut packet = bytes.to_vec();
        assert!(receiver.unprotect_rtp(&mut packet).is_err());
        assert!(receiver.unprotect_rtcp(&mut packet).is_err());
        assert_eq!(packet, bytes);
    }
});
