//! A recording in a file: taken apart into the pieces it came in.

use std::io::Read;

use super::assembly::MAX_PIECE;
use super::checker::{Checker, Summary};
use super::clock::Stamp;
use super::wanted::Wanted;
use crate::failure::{Failure, Kind, Result};

/// Checks a recording against every rule but those of time.
///
/// # Errors
/// [`Kind::Protocol`] when `file` is no sequence of boxes.
pub fn check(mut file: impl Read, h264_only: bool) -> Result<Summary> {
    let wanted = Wanted {
        h264_only,
        ..Wanted::default()
    };
    let mut checker = Checker::offline(wanted);
    let (mut piece, mut sequence) = (Vec::new(), 0);
    while let Some(kind) = next_box(&mut file, &mut piece)? {
        match &kind {
            b"moov" => {
                sequence += 1;
                checker.init(sequence, &piece, Stamp::now());
                piece.clear();
            }
            b"mdat" => {
                sequence += 1;
                checker.fragment(sequence, &piece, false, Stamp::now());
                piece.clear();
            }
            _ => {}
        }
    }
    Ok(checker.finish())
}

/// Appends the next box to `piece`.
fn next_box(file: &mut impl Read, piece: &mut Vec<u8>) -> Result<Option<[u8; 4]>> {
    let start = piece.len();
    if take(file, 8, piece)? == 0 {
        return Ok(None);
    }
    let Some(&[a, b, c, d, k0, k1, k2, k3]) = piece.get(start..) else {
        return Err(cut());
    };
    let size = u32::from_be_bytes([a, b, c, d]) as usize;
    if size < 8 || start.saturating_add(size) > MAX_PIECE {
        let name = [k0, k1, k2, k3].escape_ascii().to_string();
        return Err(Failure::new(
            Kind::Protocol,
            format!("no recording: the box {name} says {size} bytes"),
        ));
    }
    if take(file, size - 8, piece)? != size - 8 {
        return Err(cut());
    }
    Ok(Some([k0, k1, k2, k3]))
}

fn cut() -> Failure {
    Failure::new(Kind::Protocol, "the file ends within a box")
}

fn take(file: &mut impl Read, count: usize, piece: &mut Vec<u8>) -> Result<usize> {
    Ok(file.take(count as u64).read_to_end(piece)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes[..], false);
        }
    }
}
