//! Clips and pictures sealed with AES-256-GCM, as a hub seals them before they leave the house.
//!
//! One random key seals a clip and its picture; it stands in a file of its own. A sealed file is
//!
//! ```text
//!  0  8  "HAPSEAL1"
//!  8  7  nonce prefix: 1 for a clip or 2 for a picture, then 6 random bytes
//! 15  1  0
//! 16  4  bytes in a chunk, big endian
//! 20  4  0
//! 24  8  which key: the first bytes of SHA-256("hapctl seal" key)
//! 32     chunks, each with its tag of 16 bytes; only the last may be shorter
//! ```
//!
//! The nonce of a chunk is the prefix, the chunk's number from 0 (4 bytes, big endian), and 1 for
//! the last chunk or 0 (the STREAM construction): a chunk that is moved, left out or added does not
//! open, nor does a file that ends early. The 32 bytes of the header are authenticated with each.

use std::fmt;
use std::io::{self, Read, Write};

use aes_gcm::aead::Payload;
use aes_gcm::aead::stream::{NewStream, Nonce, StreamBE32, StreamPrimitive};
use aes_gcm::{Aes256Gcm, KeyInit};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::failure::{Failure, Kind, Result};
use crate::hex;

const MAGIC: &[u8; 8] = b"HAPSEAL1";
const HEADER: usize = 32;
const PREFIX: usize = 7;
/// Chunks that are written.
const CHUNK: usize = 64 * 1024;
/// Longer chunks are not read.
const MAX_CHUNK: usize = 1 << 20;
const TAG: usize = 16;

/// What is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A clip.
    Clip = 1,
    /// A picture.
    Picture = 2,
}

/// The key of one clip; wiped when dropped, never printed.
#[derive(Clone)]
pub struct ClipKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for ClipKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClipKey(..)")
    }
}

impl ClipKey {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random() -> Result<Self> {
        let mut key = Zeroizing::new([0; 32]);
        crate::random(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// Reads what [`ClipKey::text`] made.
    ///
    /// # Errors
    /// [`Kind::Usage`] when it is something else.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = hex::decode(text).map(Zeroizing::new);
        let mut key = Zeroizing::new([0; 32]);
        match bytes {
            Some(bytes) if bytes.len() == key.len() => key.copy_from_slice(&bytes),
            _ => {
                return Err(Failure::new(
                    Kind::Usage,
                    "the key file does not hold 32 bytes of hex",
                ));
            }
        }
        Ok(Self(key))
    }

    /// Hex and a line feed.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new(hex::encode(self.0.as_slice()));
        Zeroizing::new(format!("{}\n", digits.as_str()))
    }

    fn id(&self) -> [u8; 8] {
        let mut hash = Sha256::new();
        hash.update(b"hapctl seal");
        hash.update(self.0.as_slice());
        let mut id = [0; 8];
        id.copy_from_slice(&hash.finalize()[..8]);
        id
    }

    fn stream(&self, header: &[u8; HEADER]) -> StreamBE32<Aes256Gcm> {
        let cipher = Aes256Gcm::new(self.0.as_slice().into());
        let prefix = Nonce::<Aes256Gcm, StreamBE32<Aes256Gcm>>::from_slice(&header[8..8 + PREFIX]);
        StreamBE32::from_aead(cipher, prefix)
    }
}

fn header(key: &ClipKey, content: Content) -> Result<[u8; HEADER]> {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8] = content as u8;
    crate::random(&mut header[9..8 + PREFIX])?;
    header[16..20].copy_from_slice(&(CHUNK as u32).to_be_bytes());
    header[24..].copy_from_slice(&key.id());
    Ok(header)
}

/// Seals what is written to it.
pub struct Sealer<W> {
    out: W,
    stream: StreamBE32<Aes256Gcm>,
    header: [u8; HEADER],
    number: u32,
    /// The chunk under way; kept until more comes, since the last one is marked.
    chunk: Zeroizing<Vec<u8>>,
}

impl<W: Write> Sealer<W> {
    /// Writes the header to `out`.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn new(mut out: W, key: &ClipKey, content: Content) -> Result<Self> {
        let header = header(key, content)?;
        out.write_all(&header)?;
        Ok(Self {
            out,
            stream: key.stream(&header),
            header,
            number: 0,
            chunk: Zeroizing::new(Vec::with_capacity(CHUNK)),
        })
    }

    /// Writes the last chunk; gives back what was written to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.put(true)?;
        Ok(self.out)
    }

    fn put(&mut self, last: bool) -> io::Result<()> {
        let payload = Payload {
            msg: &self.chunk,
            aad: &self.header,
        };
        let sealed = self.stream.encrypt(self.number, last, payload);
        let sealed = sealed.map_err(|_| io::Error::other("a chunk cannot be sealed"))?;
        self.out.write_all(&sealed)?;
        self.chunk.clear();
        self.number = self
            .number
            .checked_add(1)
            .ok_or_else(|| io::Error::other("too long to be sealed"))?;
        Ok(())
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() == CHUNK {
            self.put(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Opens what a [`Sealer`] wrote to `sealed`.
///
/// What was opened before an error was authentic, but it is not the whole.
///
/// # Errors
/// [`Kind::Usage`] when it is no sealed file, [`Kind::Authentication`] for another key,
/// [`Kind::Protocol`] when it was changed or cut.
pub fn open(mut sealed: impl Read, key: &ClipKey, out: &mut impl Write) -> Result<()> {
    let (header, chunk_size) = read_header(&mut sealed)?;
    if header[24..] != key.id() {
        return Err(
            Failure::new(Kind::Authentication, "it was sealed with another key")
                .hint("the key of a clip stands beside it, NAME.key; or give one with --key FILE"),
        );
    }
    let stream = key.stream(&header);
    let mut next = read_chunk(&mut sealed, chunk_size)?;
    for number in 0..u32::MAX {
        let chunk = next;
        next = read_chunk(&mut sealed, chunk_size)?;
        let last = next.is_empty();
        let opened = open_chunk(&stream, &header, number, last, &chunk)?;
        out.write_all(&opened)?;
        if last {
            return Ok(());
        }
    }
    Err(damaged("it has more chunks than there can be"))
}

fn read_header(sealed: &mut impl Read) -> Result<([u8; HEADER], usize)> {
    let mut header = [0; HEADER];
    let none = || Failure::new(Kind::Usage, "it is no sealed clip");
    sealed.read_exact(&mut header).map_err(|_| none())?;
    let [_, _, _, _, c0, c1, c2, c3] = header[12..20] else {
        return Err(none());
    };
    let chunk = u32::from_be_bytes([c0, c1, c2, c3]) as usize;
    if header[..8] != *MAGIC || !(1..=MAX_CHUNK).contains(&chunk) {
        return Err(none());
    }
    Ok((header, chunk))
}

fn read_chunk(sealed: &mut impl Read, chunk: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    sealed.take((chunk + TAG) as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn open_chunk(
    stream: &StreamBE32<Aes256Gcm>,
    header: &[u8],
    number: u32,
    last: bool,
    chunk: &[u8],
) -> Result<Zeroizing<Vec<u8>>> {
    let payload = || Payload {
        msg: chunk,
        aad: header,
    };
    if let Ok(opened) = stream.decrypt(number, last, payload()) {
        return Ok(Zeroizing::new(opened));
    }
    if last && (chunk.is_empty() || stream.decrypt(number, false, payload()).is_ok()) {
        return Err(damaged("its end is missing"));
    }
    Err(damaged(&format!(
        "chunk {number} was changed, cut, or does not belong there"
    )))
}

fn damaged(why: &str) -> Failure {
    Failure::new(Kind::Protocol, format!("the sealed file is damaged: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sealed(key: &ClipKey, plain: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::new(Vec::new(), key, Content::Clip).unwrap();
        sealer.write_all(plain).unwrap();
        sealer.finish().unwrap()
    }

    fn opened(key: &ClipKey, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        open(bytes, key, &mut out).map(|()| out)
    }

    fn plain(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n / 7) as u8).collect()
    }

    #[test]
    fn every_length_comes_back() {
        let key = ClipKey::random().unwrap();
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let (plain, sealed) = (plain(length), sealed(&key, &plain(length)));
            let chunks = length.div_ceil(CHUNK).max(1);
            assert_eq!(sealed.len(), HEADER + length + chunks * TAG, "{length}");
            assert_eq!(opened(&key, &sealed).unwrap(), plain, "{length}");
        }
    }

    #[test]
    fn a_known_vector_opens() {
        // Made with another implementation of AES-256-GCM: key 00…1f, prefix 01 010203040506.
        let text: String = (0u8..32).map(|n| format!("{n:02x}")).collect();
        let key = ClipKey::parse(&text).unwrap();
        let mut header = header(&key, Content::Clip).unwrap();
        header[9..15].copy_from_slice(&[1, 2, 3, 4, 5, 6]);
        let sealed = key.stream(&header).encrypt(
            0,
            true,
            Payload {
                msg: b"clip",
                aad: &header,
            },
        );
        assert_eq!(
            hex::encode(&header),
            "4841505345414c31010102030405060000010000000000005252894ecb3ae98c"
        );
        assert_eq!(
            hex::encode(&sealed.unwrap()),
            "8e73c8e3764728731f30f2f552625c722e68dbee"
        );
    }

    #[test]
    fn changes_cuts_and_swaps_are_errors() {
        let key = ClipKey::random().unwrap();
        let whole = sealed(&key, &plain(3 * CHUNK));
        let (one, two) = (HEADER + CHUNK + TAG, HEADER + 2 * (CHUNK + TAG));
        let first = whole[HEADER..one].to_vec();
        let swapped = [&whole[..HEADER], &whole[one..two], &first, &whole[two..]].concat();
        let doubled = [&whole[..one], &first, &whole[one..]].concat();
        let left_out = [&whole[..HEADER], &whole[one..]].concat();
        let longer = [&whole[..], &[0; 40]].concat();
        for (what, bytes) in [
            ("swapped", &swapped[..]),
            ("doubled", &doubled),
            ("left out", &left_out),
            ("longer", &longer),
            ("one chunk less", &whole[..two]),
            ("one byte less", &whole[..whole.len() - 1]),
            ("only the header", &whole[..HEADER]),
        ] {
            let e = opened(&key, bytes).unwrap_err();
            assert_eq!(e.kind(), Kind::Protocol, "{what}: {e}");
        }
        let e = opened(&key, &whole[..two]).unwrap_err();
        assert!(e.to_string().contains("end is missing"), "{e}");
        for at in [9, 17, 22, HEADER, one, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(opened(&key, &changed).is_err(), "{at}");
        }
        let e = opened(&ClipKey::random().unwrap(), &whole).unwrap_err();
        assert_eq!(e.kind(), Kind::Authentication);
        assert_eq!(opened(&key, b"GIF89a").unwrap_err().kind(), Kind::Usage);
    }

    #[test]
    fn one_key_never_meets_a_nonce_twice() {
        let key = ClipKey::random().unwrap();
        let (clip, picture) = (
            header(&key, Content::Clip).unwrap(),
            header(&key, Content::Picture).unwrap(),
        );
        assert_ne!(clip[8..15], picture[8..15]);
    }

    #[test]
    fn keys_are_hex_and_not_shown() {
        let key = ClipKey::random().unwrap();
        assert_eq!(key.text().len(), 65);
        assert_eq!(ClipKey::parse(&key.text()).unwrap().0, key.0);
        assert_eq!(format!("{key:?}"), "ClipKey(..)");
        assert!(ClipKey::parse("00").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let key = ClipKey::random().unwrap();
            prop_assert!(opened(&key, &bytes).is_err());
            let with_header = [&header(&key, Content::Clip).unwrap()[..], &bytes].concat();
            prop_assert!(opened(&key, &with_header).is_err());
        }
    }
}
