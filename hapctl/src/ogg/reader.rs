//! Opus packets out of an Ogg file (RFC 3533, RFC 7845).

use std::io;

use super::checksum;

/// Length of a page header without its segment table.
const HEADER: usize = 27;
/// First page of a stream.
const BEGIN: u8 = 0x02;
/// The first packet of the page continues the last one of the page before.
const CONTINUED: u8 = 0x01;
/// More than RFC 6716 allows in one packet.
const MAX_PACKET: usize = 61_440;

/// The Opus packets of the first Opus stream in `file`, without its two headers.
///
/// # Errors
/// `InvalidData`, with what is wrong.
pub fn opus_packets(file: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let mut stream = Stream::default();
    let mut rest = file;
    while !rest.is_empty() {
        let (page, later) = Page::split(rest)?;
        stream.page(&page)?;
        rest = later;
    }
    let mut packets = stream.packets.into_iter();
    match (packets.next(), packets.next()) {
        (Some(_), Some(tags)) if tags.starts_with(b"OpusTags") => Ok(packets.collect()),
        _ => Err(invalid("no Opus stream in it")),
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not Ogg Opus: {why}"))
}

struct Page<'a> {
    flags: u8,
    serial: &'a [u8],
    segments: &'a [u8],
    body: &'a [u8],
}

impl<'a> Page<'a> {
    fn split(bytes: &'a [u8]) -> io::Result<(Self, &'a [u8])> {
        let cut = || invalid("the last page is cut short");
        if !bytes.starts_with(b"OggS\0") {
            return Err(invalid("a page does not begin where it should"));
        }
        let count = usize::from(*bytes.get(HEADER - 1).ok_or_else(cut)?);
        let segments = bytes.get(HEADER..HEADER + count).ok_or_else(cut)?;
        let body: usize = segments.iter().map(|n| usize::from(*n)).sum();
        let end = HEADER + count + body;
        let (page, later) = bytes.split_at_checked(end).ok_or_else(cut)?;
        check(page)?;
        let this = Self {
            flags: page[5],
            serial: &page[14..18],
            segments,
            body: &page[HEADER + count..],
        };
        Ok((this, later))
    }
}

fn check(page: &[u8]) -> io::Result<()> {
    let mut cleared = page.to_vec();
    cleared[22..26].fill(0);
    if checksum(&cleared).to_le_bytes() == page[22..26] {
        return Ok(());
    }
    Err(invalid("a checksum is wrong"))
}

/// Packets of the stream with this serial number, put together from their segments.
#[derive(Default)]
struct Stream {
    serial: Option<Vec<u8>>,
    packets: Vec<Vec<u8>>,
    open: Vec<u8>,
}

impl Stream {
    fn page(&mut self, page: &Page<'_>) -> io::Result<()> {
        let opus = page.flags & BEGIN != 0 && page.body.starts_with(b"OpusHead");
        if opus && self.serial.is_none() {
            self.serial = Some(page.serial.to_vec());
        }
        if self.serial.as_deref() != Some(page.serial) {
            return Ok(());
        }
        if (page.flags & CONTINUED == 0) != self.open.is_empty() {
            return Err(invalid("a page is missing"));
        }
        self.segments(page)
    }

    fn segments(&mut self, page: &Page<'_>) -> io::Result<()> {
        let mut body = page.body;
        for length in page.segments {
            let (segment, rest) = body.split_at(usize::from(*length));
            body = rest;
            self.open.extend_from_slice(segment);
            if self.open.len() > MAX_PACKET {
                return Err(invalid("a packet is too long"));
            }
            if *length < 255 {
                self.packets.push(std::mem::take(&mut self.open));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ogg::OggOpus;
    use proptest::prelude::*;

    fn file(packets: &[Vec<u8>]) -> Vec<u8> {
        let mut file = OggOpus::new(Vec::new(), 9, 1, 24_000).unwrap();
        packets.iter().for_each(|p| file.packet(p).unwrap());
        file.finish().unwrap()
    }

    fn packet(length: usize) -> Vec<u8> {
        vec![0x48; length]
    }

    #[test]
    fn packets_of_all_lacings_come_back() {
        let packets: Vec<Vec<u8>> = [1, 254, 255, 256, 510, 1200].map(packet).into();
        assert_eq!(opus_packets(&file(&packets)).unwrap(), packets);
    }

    #[test]
    fn a_packet_goes_on_in_the_next_page() {
        let mut bytes = file(&[]);
        let mut page = |flags: u8, number: u8, segments: &[u8], body: &[u8]| {
            let mut page = b"OggS\0".to_vec();
            page.push(flags);
            page.extend([0; 8]);
            page.extend([
                9,
                0,
                0,
                0,
                number,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                segments.len() as u8,
            ]);
            page.extend(segments);
            page.extend(body);
            let sum = checksum(&page);
            page[22..26].copy_from_slice(&sum.to_le_bytes());
            bytes.extend(page);
        };
        page(0, 3, &[255], &packet(255));
        page(CONTINUED, 4, &[3], &packet(3));
        assert_eq!(opus_packets(&bytes).unwrap(), [packet(258)]);
    }

    #[test]
    fn what_is_no_ogg_opus_says_why() {
        let good = file(&[packet(40), packet(50)]);
        let mut flipped = good.clone();
        flipped[60] ^= 1;
        for (bytes, why) in [
            (&b"RIFF"[..], "where it should"),
            (&good[..good.len() - 1], "cut short"),
            (&good[..30], "cut short"),
            (&flipped, "checksum"),
            (&[], "no Opus stream"),
        ] {
            let e = opus_packets(bytes).unwrap_err().to_string();
            assert!(e.contains(why), "{e}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = opus_packets(&bytes);
            let _ = opus_packets(&[&b"OggS\0"[..], &bytes].concat());
        }
    }
}
