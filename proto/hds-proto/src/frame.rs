//! Frames: how messages travel over TCP.
//!
//! ```text
//! +------+-------------+-------------------------------+----------+
//! | 0x01 | length, BE  | ciphertext, 0..=0xfffff bytes | tag      |
//! |      | 3 bytes     |                               | 16 bytes |
//! +------+-------------+-------------------------------+----------+
//!  `------- AAD ------'
//! ```
//!
//! The nonce is four zeros and a 64-bit counter of frames, little endian, which each direction has
//! for itself and which begins at 0.

use std::fmt;
use std::ops::Deref;

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, Tag};

use crate::{Error, SendError};

/// The longest payload of one frame.
pub const MAX_PAYLOAD: usize = 0xF_FFFF;

/// What a frame adds to its payload.
pub const OVERHEAD: usize = HEADER + TAG;

const HEADER: usize = 4;
const TAG: usize = 16;
const TYPE: u8 = 0x01;

/// Encrypts what goes out.
pub struct Sealer {
    cipher: ChaCha20Poly1305,
    counter: u64,
}

impl Sealer {
    /// Begins with frame 0 under `key`.
    pub fn new(key: &[u8; 32]) -> Self {
        Self::from_counter(key, 0)
    }

    /// Goes on with frame `counter` under `key`. A counter must never be used twice with one key.
    pub fn from_counter(key: &[u8; 32], counter: u64) -> Self {
        let cipher = ChaCha20Poly1305::new(key.into());
        Self { cipher, counter }
    }

    /// The number of the next frame.
    pub fn counter(&self) -> u64 {
        self.counter
    }

    /// The frame whose payload `write` appends, in place: `capacity` bytes are set aside for it.
    ///
    /// # Errors
    /// [`SendError::TooLong`] if `write` appends more than [`MAX_PAYLOAD`] bytes.
    pub fn seal(
        &mut self,
        capacity: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Vec<u8>, SendError> {
        let mut frame = Vec::with_capacity(capacity + OVERHEAD);
        frame.extend_from_slice(&[0; HEADER]);
        write(&mut frame);
        let length = frame.len() - HEADER;
        if length > MAX_PAYLOAD {
            return Err(SendError::TooLong { length });
        }
        let header = (u32::from(TYPE) << 24 | length as u32).to_be_bytes();
        frame[..HEADER].copy_from_slice(&header);
        let tag = self
            .cipher
            .encrypt_in_place_detached(&nonce(self.counter), &header, &mut frame[HEADER..])
            .expect("a megabyte is far less than ChaCha20 can encrypt");
        frame.extend_from_slice(&tag);
        self.counter += 1;
        Ok(frame)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer(frame {})", self.counter)
    }
}

/// A whole frame as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Vec<u8>);

/// The payload of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload(Vec<u8>);

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0[HEADER..]
    }
}

/// Puts frames together from the bytes of a TCP connection, however these were cut.
#[derive(Debug)]
pub struct FrameReader {
    /// The frame that is arriving; never longer than one frame.
    partial: Vec<u8>,
    limit: usize,
    trusted: bool,
}

impl FrameReader {
    /// Takes payloads of up to [`MAX_PAYLOAD`] bytes and sets memory aside by what a header claims.
    pub fn new() -> Self {
        Self {
            partial: Vec::new(),
            limit: MAX_PAYLOAD,
            trusted: true,
        }
    }

    /// Takes payloads of up to `limit` bytes and keeps no more memory than arrived: for a peer
    /// whose key is not known yet.
    pub(crate) fn guarded(limit: usize) -> Self {
        Self {
            partial: Vec::new(),
            limit,
            trusted: false,
        }
    }

    /// Takes bytes off the front of `input` and returns the next frame; `None` if more bytes are
    /// needed, when all of `input` was taken.
    ///
    /// # Errors
    /// [`Error::FrameType`] and [`Error::FrameTooLong`], both from the header alone.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Error> {
        if !self.fill(HEADER, input) {
            return Ok(None);
        }
        let length = self.length()?;
        if self.trusted {
            let missing = HEADER + length + TAG - self.partial.len();
            self.partial.reserve_exact(missing);
        }
        if !self.fill(HEADER + length + TAG, input) {
            return Ok(None);
        }
        Ok(Some(Frame(std::mem::take(&mut self.partial))))
    }

    /// Whether a frame has begun to arrive.
    pub fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    fn length(&self) -> Result<usize, Error> {
        let [found, length @ ..] = [0, 1, 2, 3].map(|i| self.partial[i]);
        if found != TYPE {
            return Err(Error::FrameType { found });
        }
        let [high, middle, low] = length;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        if length > self.limit {
            let limit = self.limit;
            return Err(Error::FrameTooLong { length, limit });
        }
        Ok(length)
    }

    /// Moves bytes from `input` until `partial` has `length` of them.
    fn fill(&mut self, length: usize, input: &mut &[u8]) -> bool {
        let missing = length.saturating_sub(self.partial.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        self.partial.extend_from_slice(taken);
        *input = rest;
        taken.len() == missing
    }
}

impl Default for FrameReader {
    fn default() -> Self {
        Self::new()
    }
}

/// Decrypts what comes in.
pub struct Opener {
    cipher: ChaCha20Poly1305,
    counter: u64,
}

impl Opener {
    /// Begins with frame 0 under `key`.
    pub fn new(key: &[u8; 32]) -> Self {
        let cipher = ChaCha20Poly1305::new(key.into());
        Self { cipher, counter: 0 }
    }

    /// Decrypts `frame` in place.
    ///
    /// # Errors
    /// [`Error::BadTag`] if it is not the next frame under the key.
    pub fn open(&mut self, frame: Frame) -> Result<Payload, Error> {
        self.try_open(frame).map_err(|_| Error::BadTag {
            counter: self.counter,
        })
    }

    /// As [`Opener::open`], giving the frame back unchanged if it is not the next one.
    pub(crate) fn try_open(&mut self, Frame(mut bytes): Frame) -> Result<Payload, Frame> {
        let end = bytes.len() - TAG;
        let tag = *Tag::from_slice(&bytes[end..]);
        let (header, rest) = bytes.split_at_mut(HEADER);
        let text = &mut rest[..end - HEADER];
        let opened =
            self.cipher
                .decrypt_in_place_detached(&nonce(self.counter), header, text, &tag);
        if opened.is_err() {
            return Err(Frame(bytes));
        }
        self.counter += 1;
        bytes.truncate(end);
        Ok(Payload(bytes))
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener(frame {})", self.counter)
    }
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = Nonce::default();
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [0xA7; 32];

    fn seal(sealer: &mut Sealer, payload: &[u8]) -> Vec<u8> {
        sealer
            .seal(payload.len(), |out| out.extend_from_slice(payload))
            .unwrap()
    }

    fn open(opener: &mut Opener, mut sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let frame = FrameReader::new().next(&mut sealed)?;
        Ok(opener.open(frame.expect("a whole frame"))?.to_vec())
    }

    #[test]
    fn a_frame_is_cut_off_where_its_header_says() {
        let mut sealer = Sealer::new(&KEY);
        let mut bytes = seal(&mut sealer, b"one");
        bytes.extend(seal(&mut sealer, b"second"));
        assert_eq!(bytes[..4], [1, 0, 0, 3]);
        let (mut reader, mut opener) = (FrameReader::new(), Opener::new(&KEY));
        let mut input = &bytes[..];
        for payload in [&b"one"[..], b"second"] {
            let frame = reader.next(&mut input).unwrap().unwrap();
            assert_eq!(&*opener.open(frame).unwrap(), payload);
        }
        assert_eq!(reader.next(&mut input), Ok(None));
        assert!(!reader.is_partial());
    }

    #[test]
    fn bytes_may_come_one_by_one() {
        let sealed = seal(&mut Sealer::new(&KEY), b"hello");
        let mut reader = FrameReader::guarded(16);
        for byte in &sealed[..sealed.len() - 1] {
            assert_eq!(reader.next(&mut &[*byte][..]), Ok(None));
            assert!(reader.is_partial());
        }
        let frame = reader.next(&mut &sealed[sealed.len() - 1..]).unwrap();
        assert_eq!(frame, Some(Frame(sealed)));
    }

    #[test]
    fn replayed_reordered_and_damaged_frames_are_refused() {
        let mut sealer = Sealer::new(&KEY);
        let (first, second) = (seal(&mut sealer, b"one"), seal(&mut sealer, b"two"));
        let bad = |counter| Err(Error::BadTag { counter });
        let mut opener = Opener::new(&KEY);
        assert_eq!(open(&mut opener, &first), Ok(b"one".to_vec()));
        assert_eq!(open(&mut opener, &first), bad(1));
        assert_eq!(open(&mut Opener::new(&KEY), &second), bad(0));
        for position in 4..first.len() {
            let mut damaged = first.clone();
            damaged[position] ^= 0x01;
            assert_eq!(open(&mut Opener::new(&KEY), &damaged), bad(0), "{position}");
        }
    }

    #[test]
    fn a_frame_may_go_on_from_any_counter() {
        let mut whole = Sealer::new(&KEY);
        seal(&mut whole, b"one");
        let mut later = Sealer::from_counter(&KEY, 1);
        assert_eq!(seal(&mut later, b"two"), seal(&mut whole, b"two"));
        assert_eq!(later.counter(), 2);
    }

    #[test]
    fn the_header_alone_refuses() {
        let mut reader = FrameReader::new();
        let error = Error::FrameTooLong {
            length: 0x10_0000,
            limit: MAX_PAYLOAD,
        };
        assert_eq!(reader.next(&mut &[1, 0x10, 0, 0][..]), Err(error));
        let error = Error::FrameType { found: 0x47 };
        assert_eq!(FrameReader::new().next(&mut &b"GET /"[..]), Err(error));
        let error = Error::FrameTooLong {
            length: 17,
            limit: 16,
        };
        let mut reader = FrameReader::guarded(16);
        assert_eq!(reader.next(&mut &[1, 0, 0, 17][..]), Err(error));
    }

    #[test]
    fn an_unknown_peer_claiming_much_costs_nothing() {
        let mut reader = FrameReader::guarded(MAX_PAYLOAD);
        assert_eq!(reader.next(&mut &[1, 0x0F, 0xFF, 0xFF, 0][..]), Ok(None));
        assert!(reader.partial.capacity() < 64);
    }

    #[test]
    fn more_than_a_frame_holds_is_not_sealed() {
        let mut sealer = Sealer::new(&KEY);
        let full = sealer.seal(0, |out| out.resize(out.len() + MAX_PAYLOAD, 7));
        assert_eq!(full.unwrap().len(), MAX_PAYLOAD + OVERHEAD);
        let over = sealer.seal(0, |out| out.resize(out.len() + MAX_PAYLOAD + 1, 7));
        let length = MAX_PAYLOAD + 1;
        assert_eq!(over, Err(SendError::TooLong { length }));
        assert_eq!(sealer.counter(), 1);
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", Sealer::new(&KEY)), "Sealer(frame 0)");
        assert_eq!(format!("{:?}", Opener::new(&KEY)), "Opener(frame 0)");
    }
}
