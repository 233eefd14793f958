//! Opus packets into an Ogg file and out of one (RFC 3533, RFC 7845).

mod reader;

use std::io::{self, Write};

use rtp_payload::opus::{Packet, Toc};

pub use reader::opus_packets;

/// Flags of a page header (RFC 3533 §6).
const BEGIN: u8 = 0x02;
const END: u8 = 0x04;
/// A page holds at most this many segments.
const MAX_SEGMENTS: usize = 255;
/// A page is closed after one second (RFC 7845 §2 wants no more).
const PAGE_SAMPLES: u64 = 48_000;
/// What an Opus encoder looks ahead, in samples at 48 kHz; decoders drop as much.
const PRE_SKIP: u16 = 312;
/// Longest Opus packet: 120 ms (RFC 6716 §3.2.5).
const MAX_PACKET_SAMPLES: u64 = 5760;
/// A packet of more bytes would not fit one page; RFC 6716 packets have at most 61296.
const MAX_PACKET: usize = 255 * MAX_SEGMENTS - 1;
/// A longer gap than this minute is no loss; only the minute is filled.
const MAX_GAP_SAMPLES: u64 = 60 * 48_000;

/// Writes one mono or stereo Opus stream.
#[derive(Debug)]
pub struct OggOpus<W: Write> {
    out: W,
    serial: u32,
    page: u32,
    /// Samples at 48 kHz at the end of the last packet written.
    granule: u64,
    segments: Vec<u8>,
    body: Vec<u8>,
    page_start: u64,
    /// TOC of the last packet; fills gaps in kind.
    toc: Option<u8>,
}

impl<W: Write> OggOpus<W> {
    /// Begins a stream of `channels` (1 or 2); `input_rate` is the rate before encoding, in Hz.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn new(out: W, serial: u32, channels: u8, input_rate: u32) -> io::Result<Self> {
        let mut this = Self {
            out,
            serial,
            page: 0,
            granule: 0,
            segments: Vec::with_capacity(MAX_SEGMENTS),
            body: Vec::new(),
            page_start: 0,
            toc: None,
        };
        this.push(&head(channels, input_rate));
        this.flush_page(BEGIN)?;
        this.push(&tags());
        this.flush_page(0)?;
        Ok(this)
    }

    /// Adds one packet; how long it lasts is read from it.
    ///
    /// # Errors
    /// `InvalidData` for what is no Opus packet; else when the file cannot be written.
    pub fn packet(&mut self, packet: &[u8]) -> io::Result<()> {
        let samples = samples(packet)
            .filter(|_| packet.len() <= MAX_PACKET)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an Opus packet"))?;
        self.toc = packet.first().copied();
        self.append(packet, samples)
    }

    /// Fills `samples` (at 48 kHz) that were lost, so that what follows keeps its time.
    ///
    /// Packets of frames without data make a decoder conceal the loss (RFC 7845 §4.1).
    /// A remainder shorter than a frame is left out; before the first packet nothing is filled.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn gap(&mut self, samples: u64) -> io::Result<()> {
        let Some(toc) = self.toc else { return Ok(()) };
        let frame = frame_samples(toc);
        let mut frames = samples.min(MAX_GAP_SAMPLES) / frame;
        while frames > 0 {
            let count = frames.min(MAX_PACKET_SAMPLES / frame);
            self.append(&concealed(toc, count as u8), count * frame)?;
            frames -= count;
        }
        Ok(())
    }

    /// Audio written so far, in samples at 48 kHz.
    pub fn samples(&self) -> u64 {
        self.granule
    }

    /// Ends the stream and gives the file back.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush_page(END)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn append(&mut self, packet: &[u8], samples: u64) -> io::Result<()> {
        let segments = packet.len() / 255 + 1;
        let full = self.segments.len() + segments > MAX_SEGMENTS;
        if full || self.granule - self.page_start >= PAGE_SAMPLES {
            self.flush_page(0)?;
        }
        self.push(packet);
        self.granule += samples;
        Ok(())
    }

    /// Laces `packet` into the page: values of 255, then one below (RFC 3533 §5).
    fn push(&mut self, packet: &[u8]) {
        self.segments
            .extend(std::iter::repeat_n(255, packet.len() / 255));
        self.segments.push((packet.len() % 255) as u8);
        self.body.extend_from_slice(packet);
    }

    fn flush_page(&mut self, flags: u8) -> io::Result<()> {
        let mut page = Vec::with_capacity(27 + self.segments.len() + self.body.len());
        page.extend_from_slice(b"OggS\0");
        page.push(flags);
        page.extend_from_slice(&self.granule.to_le_bytes());
        page.extend_from_slice(&self.serial.to_le_bytes());
        page.extend_from_slice(&self.page.to_le_bytes());
        page.extend_from_slice(&[0; 4]);
        page.push(self.segments.len() as u8);
        page.append(&mut self.segments);
        page.append(&mut self.body);
        let sum = checksum(&page);
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        self.page += 1;
        self.page_start = self.granule;
        self.out.write_all(&page)
    }
}

/// Identification header (RFC 7845 §5.1).
fn head(channels: u8, input_rate: u32) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels);
    head.extend_from_slice(&PRE_SKIP.to_le_bytes());
    head.extend_from_slice(&input_rate.to_le_bytes());
    // No gain, mapping family 0.
    head.extend_from_slice(&[0, 0, 0]);
    head
}

/// Comment header (RFC 7845 §5.2): a vendor, no comments.
fn tags() -> Vec<u8> {
    let vendor = concat!("hapctl ", env!("CARGO_PKG_VERSION"));
    let mut tags = b"OpusTags".to_vec();
    tags.extend_from_slice(&(vendor.len() as u32).to_le_bytes());
    tags.extend_from_slice(vendor.as_bytes());
    tags.extend_from_slice(&[0; 4]);
    tags
}

/// Duration of a packet in samples at 48 kHz; none when it is no Opus packet.
fn samples(packet: &[u8]) -> Option<u64> {
    Some(Packet::parse(packet).ok()?.samples_48k().into())
}

fn frame_samples(toc: u8) -> u64 {
    Toc(toc).frame_duration().as_micros() as u64 * 48 / 1000
}

/// A code-3 packet of `frames` frames without data.
fn concealed(toc: u8, frames: u8) -> [u8; 2] {
    [toc | 3, frames]
}

/// CRC-32 with polynomial 04C11DB7, no reflection, from 0 (RFC 3533 §6).
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum: u32, byte| {
        (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| {
            if sum >> 31 == 1 {
                sum << 1 ^ 0x04C1_1DB7
            } else {
                sum << 1
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pages of a file as (flags, granule, number, segment table, body).
    type Page = (u8, u64, u32, Vec<u8>, Vec<u8>);

    fn pages(mut file: &[u8]) -> Vec<Page> {
        let mut out = Vec::new();
        while !file.is_empty() {
            assert_eq!(&file[..5], b"OggS\0");
            let count = usize::from(file[26]);
            let table = file[27..27 + count].to_vec();
            let len: usize = table.iter().map(|n| usize::from(*n)).sum();
            let (page, rest) = file.split_at(27 + count + len);
            let mut cleared = page.to_vec();
            cleared[22..26].fill(0);
            assert_eq!(checksum(&cleared).to_le_bytes(), page[22..26]);
            out.push((
                page[5],
                u64::from_le_bytes(page[6..14].try_into().unwrap()),
                u32::from_le_bytes(page[18..22].try_into().unwrap()),
                table,
                page[27 + count..].to_vec(),
            ));
            file = rest;
        }
        out
    }

    #[test]
    fn headers_are_as_the_standard_writes_them() {
        let file = OggOpus::new(Vec::new(), 0x0403_0201, 1, 16_000).unwrap();
        let pages = pages(&file.finish().unwrap());
        assert_eq!(pages[0].0, BEGIN);
        assert_eq!(pages[0].4, b"OpusHead\x01\x01\x38\x01\x80\x3e\0\0\0\0\0");
        assert_eq!(&pages[1].4[..8], b"OpusTags");
        assert_eq!(pages[2].0, END);
    }

    #[test]
    fn checksum_is_the_published_crc() {
        // CRC-32/CKSUM of "123456789" is 765E7680 after its final complement, which Ogg leaves out.
        assert_eq!(checksum(b"123456789"), !0x765E_7680);
    }

    #[test]
    fn durations_in_samples() {
        // Configuration 9: wideband, 20 ms.
        assert_eq!(samples(&[0x48, 1]), Some(960));
        assert_eq!(samples(&[0x4B, 0x83, 1, 1, 7, 7, 7]), Some(2880));
        assert_eq!(samples(&concealed(0x48, 6)), Some(5760));
        assert_eq!(samples(&concealed(0x80, 48)), Some(5760));
        assert_eq!(samples(&[0x4B]), None);
        assert_eq!(samples(&[]), None);
        // 2.5 ms CELT, 60 ms SILK.
        assert_eq!(frame_samples(0x80), 120);
        assert_eq!(frame_samples(0x18), 2880);
    }

    #[test]
    fn granules_count_what_was_written() {
        let mut file = OggOpus::new(Vec::new(), 1, 1, 24_000).unwrap();
        for _ in 0..120 {
            file.packet(&[0x48, 1, 2, 3]).unwrap();
        }
        file.gap(60 * 48).unwrap();
        assert_eq!(file.samples(), 123 * 960);
        let pages = pages(&file.finish().unwrap());
        let last = pages.last().unwrap();
        assert_eq!((last.0, last.1), (END, 123 * 960));
        assert_eq!(pages[2].1, 48_000);
        assert_eq!(&last.4[last.4.len() - 2..], [0x4B, 3]);
        let numbers: Vec<u32> = pages.iter().map(|p| p.2).collect();
        assert_eq!(numbers, (0..numbers.len() as u32).collect::<Vec<_>>());
    }

    #[test]
    fn a_packet_of_exactly_255_bytes_ends_with_an_empty_segment() {
        let mut file = OggOpus::new(Vec::new(), 1, 1, 24_000).unwrap();
        let mut packet = vec![0x48; 255];
        file.packet(&packet).unwrap();
        packet.push(0);
        file.packet(&packet).unwrap();
        let pages = pages(&file.finish().unwrap());
        assert_eq!(pages[2].3, [255, 0, 255, 1]);
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        let mut file = OggOpus::new(Vec::new(), 1, 1, 24_000).unwrap();
        assert!(file.packet(&[]).is_err());
        // One frame with 65000 bytes of padding.
        let mut padded = vec![0x4B, 0x41];
        padded.extend([255; 255]);
        padded.extend([230]);
        padded.resize(65_300, 0);
        assert!(file.packet(&padded).is_err());
        file.gap(1 << 40).unwrap();
        assert_eq!(file.samples(), 0);
    }

    proptest! {
        #[test]
        fn pages_hold_for_any_packets(
            packets in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 0..1500), 0..60),
        ) {
            let mut file = OggOpus::new(Vec::new(), 9, 1, 16_000).unwrap();
            let written = packets.iter().filter(|p| file.packet(p).is_ok());
            let expected: u64 = written.map(|p| samples(p).unwrap()).sum();
            let file = file.finish().unwrap();
            prop_assert_eq!(pages(&file).last().unwrap().1, expected);
        }
    }
}
