//! The record layer of a session (HAP R1 §5.5.2).
//!
//! ```text
//! +---------------+----------------------------+---------+
//! | length, LE    | ciphertext, 0..=1024 bytes | tag     |
//! | 2 bytes = AAD |                            | 16 bytes|
//! +---------------+----------------------------+---------+
//! ```
//!
//! The nonce is four zeros and a 64-bit counter of frames, little endian, which each direction has
//! for itself. Frames know nothing of messages: a message may span frames and a frame TCP segments.
//! Both directions are here, so a controller can be built on this module too.

use std::fmt;

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Tag};
use zeroize::Zeroize;

use crate::crypto::nonce;

/// The longest plaintext of one frame.
pub const MAX_FRAME: usize = 1024;

const HEADER: usize = 2;
const TAG: usize = 16;

/// The peer's bytes are not from this session; the connection has to be closed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A frame says it is longer than 1024 bytes.
    #[error("frame of {length} bytes; at most {MAX_FRAME} are allowed")]
    FrameTooLong {
        /// The length it claims.
        length: usize,
    },
    /// A frame was forged, damaged, replayed or left out.
    #[error("frame {counter} does not decrypt")]
    BadTag {
        /// The number of the frame, from 0.
        counter: u64,
    },
}

/// Encrypts what goes out.
pub struct Sealer {
    cipher: ChaCha20Poly1305,
    counter: u64,
}

impl Sealer {
    /// Begins with frame 0 under `key`.
    pub fn new(key: &[u8; 32]) -> Self {
        let cipher = ChaCha20Poly1305::new(key.into());
        Self { cipher, counter: 0 }
    }

    /// The frames that carry `message`.
    pub fn seal(&mut self, message: &[u8]) -> Vec<u8> {
        let frames = message.len().div_ceil(MAX_FRAME);
        let mut out = Vec::with_capacity(message.len() + frames * (HEADER + TAG));
        for plaintext in message.chunks(MAX_FRAME) {
            self.frame(plaintext, &mut out);
        }
        out
    }

    fn frame(&mut self, plaintext: &[u8], out: &mut Vec<u8>) {
        let length = (plaintext.len() as u16).to_le_bytes();
        let nonce = nonce(self.counter.to_le_bytes());
        out.extend_from_slice(&length);
        let start = out.len();
        out.extend_from_slice(plaintext);
        let tag = self
            .cipher
            .encrypt_in_place_detached(&nonce, &length, &mut out[start..])
            .expect("1024 bytes are far less than ChaCha20 can encrypt");
        out.extend_from_slice(&tag);
        self.counter += 1;
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer(frame {})", self.counter)
    }
}

/// Decrypts what comes in.
pub struct Opener {
    cipher: ChaCha20Poly1305,
    counter: u64,
    /// The frame that is arriving; never longer than one frame.
    partial: Vec<u8>,
}

impl Opener {
    /// Begins with frame 0 under `key`.
    pub fn new(key: &[u8; 32]) -> Self {
        Self {
            cipher: ChaCha20Poly1305::new(key.into()),
            counter: 0,
            partial: Vec::new(),
        }
    }

    /// Takes bytes off the front of `input` and returns the next frame's plaintext; `None` if more
    /// bytes are needed, when all of `input` was taken.
    ///
    /// # Errors
    /// As [`RecordError`] says.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, RecordError> {
        if !self.fill(HEADER, input) {
            return Ok(None);
        }
        let header = [self.partial[0], self.partial[1]];
        let length = usize::from(u16::from_le_bytes(header));
        if length > MAX_FRAME {
            return Err(RecordError::FrameTooLong { length });
        }
        if !self.fill(HEADER + length + TAG, input) {
            return Ok(None);
        }
        self.open(header, length).map(Some)
    }

    /// Whether a frame has begun to arrive.
    pub fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    /// Moves bytes from `input` until `partial` has `length` of them.
    fn fill(&mut self, length: usize, input: &mut &[u8]) -> bool {
        let missing = length.saturating_sub(self.partial.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        self.partial.extend_from_slice(taken);
        *input = rest;
        taken.len() == missing
    }

    fn open(&mut self, header: [u8; HEADER], length: usize) -> Result<Vec<u8>, RecordError> {
        let counter = self.counter;
        let mut plaintext = self.partial[HEADER..HEADER + length].to_vec();
        let tag = *Tag::from_slice(&self.partial[HEADER + length..]);
        let nonce = nonce(counter.to_le_bytes());
        self.cipher
            .decrypt_in_place_detached(&nonce, &header, &mut plaintext, &tag)
            .map_err(|_| RecordError::BadTag { counter })?;
        self.counter += 1;
        self.partial.clear();
        Ok(plaintext)
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        self.partial.zeroize();
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener(frame {})", self.counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [0xA7; 32];

    fn open_all(opener: &mut Opener, mut input: &[u8]) -> Result<Vec<u8>, RecordError> {
        let mut out = Vec::new();
        while let Some(plaintext) = opener.next(&mut input)? {
            out.extend_from_slice(&plaintext);
        }
        assert!(input.is_empty());
        Ok(out)
    }

    #[test]
    fn long_messages_are_cut_into_frames_of_1024() {
        let message: Vec<u8> = (0..2500u32).map(|i| i as u8).collect();
        let sealed = Sealer::new(&KEY).seal(&message);
        assert_eq!(sealed.len(), 2500 + 3 * 18);
        assert_eq!(sealed[..2], [0x00, 0x04]);
        assert_eq!(open_all(&mut Opener::new(&KEY), &sealed), Ok(message));
    }

    #[test]
    fn bytes_may_come_one_by_one() {
        let sealed = Sealer::new(&KEY).seal(b"HTTP/1.1 204 No Content\r\n\r\n");
        let mut opener = Opener::new(&KEY);
        for byte in &sealed[..sealed.len() - 1] {
            assert_eq!(opener.next(&mut &[*byte][..]), Ok(None));
            assert!(opener.is_partial());
        }
        let last = opener.next(&mut &sealed[sealed.len() - 1..]).unwrap();
        assert_eq!(last.unwrap(), b"HTTP/1.1 204 No Content\r\n\r\n");
        assert!(!opener.is_partial());
    }

    #[test]
    fn replayed_reordered_and_damaged_frames_are_refused() {
        let mut sealer = Sealer::new(&KEY);
        let (first, second) = (sealer.seal(b"one"), sealer.seal(b"two"));
        let bad = |counter| Err(RecordError::BadTag { counter });
        let mut opener = Opener::new(&KEY);
        assert_eq!(open_all(&mut opener, &first), Ok(b"one".to_vec()));
        assert_eq!(open_all(&mut opener, &first), bad(1));
        assert_eq!(open_all(&mut Opener::new(&KEY), &second), bad(0));
        for position in 0..first.len() {
            let mut damaged = first.clone();
            damaged[position] ^= 0x01;
            let mut opener = Opener::new(&KEY);
            let result = opener.next(&mut &damaged[..]);
            assert!(!matches!(result, Ok(Some(_))), "byte {position}");
        }
    }

    #[test]
    fn too_long_frames_are_refused_by_their_header() {
        let mut opener = Opener::new(&KEY);
        let error = RecordError::FrameTooLong { length: 1025 };
        assert_eq!(opener.next(&mut &[0x01, 0x04][..]), Err(error));
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", Sealer::new(&KEY)), "Sealer(frame 0)");
        assert_eq!(format!("{:?}", Opener::new(&KEY)), "Opener(frame 0)");
    }
}
