/// Guesses the 48-bit index of `sequence`, given the highest one so far (RFC 3711 §3.3.1).
///
/// `None` where the guess lies before the first roll-over, that is before the stream began.
pub(crate) fn guess(highest: u64, sequence: u16) -> Option<u64> {
    let roc = highest >> 16;
    let last = highest as u16;
    let behind = last < 0x8000 && sequence.wrapping_sub(last) > 0x8000 && sequence > last;
    let ahead = last >= 0x8000 && last - 0x8000 > sequence;
    let roc = match (behind, ahead) {
        (true, _) => roc.checked_sub(1)?,
        (_, true) => roc + 1,
        _ => roc,
    };
    Some(roc << 16 | u64::from(sequence))
}

/// The largest index of a key: 2^48 packets (RFC 3711 §9.2).
pub(crate) const MAX: u64 = (1 << 48) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_keep_their_roll_over_counter() {
        assert_eq!(guess(0x1_0000, 1), Some(0x1_0001));
        assert_eq!(guess(0x1_8000, 0x7fff), Some(0x1_7fff));
        assert_eq!(guess(0x1_0010, 0x8010), Some(0x1_8010));
    }

    #[test]
    fn wrap_goes_to_the_next_counter_and_back() {
        assert_eq!(guess(0x1_ffff, 0), Some(0x2_0000));
        assert_eq!(guess(0x2_0000, 0xffff), Some(0x1_ffff));
    }

    #[test]
    fn before_the_first_packet_there_is_nothing() {
        assert_eq!(guess(0x0000_0005, 0xfff0), None);
    }
}
