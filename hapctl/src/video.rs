//! Received video: RTP packets to an Annex B file, with what is worth knowing of it.

use std::io::{self, Write};
use std::time::Instant;

use rtp_payload::h264::{Depacketizer, ReceivedAccessUnit};
use rtp_payload::{Header, Packet};

use crate::bits::Bits;
use crate::sps::Sps;

/// NAL unit types (H.264 table 7-1).
const SLICE: u8 = 1;
const IDR: u8 = 5;
const SPS: u8 = 7;
/// A stream that changes its size more often than this is not listed further.
const MAX_SIZES: usize = 256;

/// How the packets of a picture came.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    timestamp: u32,
    began: Instant,
    ended: Instant,
    sequence: u16,
    /// No packet is missing between the first and the last one that came.
    unbroken: bool,
    /// The last one that came has the marker.
    marker: bool,
}

/// A key frame that came.
#[derive(Debug, Clone, Copy)]
pub struct KeyFrame {
    /// When its first packet came.
    pub began: Instant,
    /// When its last packet came.
    pub ended: Instant,
    /// No packet of it is missing.
    pub whole: bool,
}

/// A file that media is written to.
pub type Sink = Box<dyn Write + Send>;

/// Where video packets go.
pub struct Video {
    depacketizer: Depacketizer,
    file: Option<Sink>,
    failure: Option<io::Error>,
    started: bool,
    /// The picture that comes, and the one before, which may not be taken out yet.
    arrivals: [Option<Arrival>; 2],
    /// Key frames nobody asked for yet.
    news: Vec<KeyFrame>,
    /// Access units received, and those of them with a packet missing.
    pub frames: u64,
    /// Access units with a packet missing.
    pub damaged_frames: u64,
    /// Pictures a decoder can start with.
    pub key_frames: u64,
    /// When the first complete one was whole.
    pub first_key_frame: Option<Instant>,
    /// Payloads that are no H.264.
    pub malformed: u64,
    /// Every picture size with the time of its first key frame.
    pub sizes: Vec<(Sps, Instant)>,
}

impl Video {
    /// Writes to `file`, if there is one.
    #[must_use]
    pub fn new(file: Option<Sink>) -> Self {
        Self {
            depacketizer: Depacketizer::new(),
            file,
            failure: None,
            started: false,
            arrivals: [None; 2],
            news: Vec::new(),
            frames: 0,
            damaged_frames: 0,
            key_frames: 0,
            first_key_frame: None,
            malformed: 0,
            sizes: Vec::new(),
        }
    }

    /// Takes the next packet, in order, that arrived at `now`.
    pub fn packet(&mut self, packet: &Packet<'_>, now: Instant) {
        self.note_arrival(&packet.header, now);
        if self.depacketizer.push(packet).is_err() {
            self.malformed += 1;
        }
        self.drain(now);
    }

    /// Takes out what is left and closes the file.
    ///
    /// # Errors
    /// The first failure to write.
    pub fn finish(&mut self, now: Instant) -> io::Result<()> {
        self.depacketizer.finish();
        self.drain(now);
        if let Some(mut file) = self.file.take() {
            file.flush()?;
        }
        self.failure.take().map_or(Ok(()), Err)
    }

    fn drain(&mut self, now: Instant) {
        while let Some(unit) = self.depacketizer.poll() {
            self.access_unit(&unit, now);
        }
    }

    /// The key frames since the last call.
    pub fn take_key_frames(&mut self) -> Vec<KeyFrame> {
        std::mem::take(&mut self.news)
    }

    fn note_arrival(&mut self, header: &Header, now: Instant) {
        let [current, before] = &mut self.arrivals;
        match current {
            Some(a) if a.timestamp == header.timestamp => a.add(header, now),
            _ => {
                *before = *current;
                *current = Some(Arrival::new(header, now));
            }
        }
    }

    fn access_unit(&mut self, unit: &ReceivedAccessUnit, now: Instant) {
        let mut arrivals = self.arrivals.iter().flatten();
        let arrival = arrivals.find(|a| a.timestamp == unit.timestamp).copied();
        let whole = unit.complete || arrival.is_some_and(|a| a.is_whole(&unit.annex_b));
        self.frames += 1;
        self.damaged_frames += u64::from(!whole);
        self.note_size(&unit.annex_b, now);
        if is_random_access_point(&unit.annex_b) || !whole && has(&unit.annex_b, SPS) {
            self.key_frame(arrival, whole, now);
        }
        // What comes before the first whole key frame cannot be decoded.
        if self.started {
            self.write(&unit.annex_b);
        }
    }

    fn key_frame(&mut self, arrival: Option<Arrival>, whole: bool, now: Instant) {
        self.key_frames += 1;
        if whole {
            self.first_key_frame.get_or_insert(now);
            self.started = true;
        }
        self.news.extend(arrival.map(|a| KeyFrame {
            began: a.began,
            ended: a.ended,
            whole,
        }));
    }

    fn note_size(&mut self, annex_b: &[u8], now: Instant) {
        let found = nal_units(annex_b).find(|nal| kind(nal) == SPS);
        let Some(sps) = found.and_then(Sps::parse) else {
            return;
        };
        let changed = self.sizes.last().is_none_or(|(last, _)| *last != sps);
        if changed && self.sizes.len() < MAX_SIZES {
            self.sizes.push((sps, now));
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let Some(file) = &mut self.file else { return };
        if let Err(e) = file.write_all(bytes) {
            self.file = None;
            self.failure = Some(e);
        }
    }
}

impl Arrival {
    fn new(header: &Header, now: Instant) -> Self {
        Self {
            timestamp: header.timestamp,
            began: now,
            ended: now,
            sequence: header.sequence,
            unbroken: true,
            marker: header.marker,
        }
    }

    fn add(&mut self, header: &Header, now: Instant) {
        self.unbroken &= header.sequence == self.sequence.wrapping_add(1);
        self.ended = now;
        self.sequence = header.sequence;
        self.marker = header.marker;
    }

    /// A picture that begins with its parameter sets misses nothing at its beginning, whatever was
    /// lost before it.
    fn is_whole(&self, annex_b: &[u8]) -> bool {
        let first = nal_units(annex_b).next();
        self.unbroken && self.marker && first.is_some_and(|nal| kind(nal) == SPS)
    }
}

fn kind(nal: &[u8]) -> u8 {
    nal[0] & 0x1F
}

fn has(annex_b: &[u8], wanted: u8) -> bool {
    nal_units(annex_b).any(|nal| kind(nal) == wanted)
}

/// An IDR picture, or an intra picture with a parameter set: cameras with open GOPs send no IDR.
fn is_random_access_point(annex_b: &[u8]) -> bool {
    has(annex_b, IDR)
        || has(annex_b, SPS)
            && has(annex_b, SLICE)
            && nal_units(annex_b)
                .filter(|nal| kind(nal) == SLICE)
                .all(is_intra_slice)
}

/// Slice types 2 and 7 (H.264 table 7-6).
fn is_intra_slice(nal: &[u8]) -> bool {
    let mut bits = Bits::new(&nal[1..]);
    let _first_macroblock = bits.ue();
    matches!(bits.ue(), Some(2 | 7))
}

/// The NAL units of an Annex B stream, without start codes; none is empty.
fn nal_units(annex_b: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(annex_b);
    std::iter::from_fn(move || {
        let nal = rest?;
        let end = start_code(nal).unwrap_or(nal.len());
        rest = after_start_code(&nal[end..]);
        Some(&nal[..end])
    })
    .filter(|nal| !nal.is_empty())
}

/// Position of the next `00 00 01`.
fn start_code(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|w| w == [0, 0, 1])
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(start_code(bytes)? + 3..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;
    use proptest::prelude::*;
    use std::sync::{Arc, Mutex};

    /// A file the test can look into.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn packet(sequence: u16, timestamp: u32, payload: &[u8]) -> (Header, Vec<u8>) {
        let header = Header {
            marker: true,
            payload_type: 99,
            sequence,
            timestamp,
            ssrc: 1,
        };
        (header, payload.to_vec())
    }

    /// SPS and PPS in one STAP-A, then an IDR slice, at one timestamp.
    fn key_frame(sequence: u16, timestamp: u32, sps: &str) -> Vec<(Header, Vec<u8>)> {
        let sps = hex::decode(sps).unwrap();
        let mut aggregate = vec![0x78, 0, sps.len() as u8];
        aggregate.extend(&sps);
        aggregate.extend([0, 2, 0x68, 0xCE]);
        let (mut first, payload) = packet(sequence, timestamp, &aggregate);
        first.marker = false;
        vec![
            (first, payload),
            packet(sequence + 1, timestamp, &[0x65, 1, 2, 3]),
        ]
    }

    fn feed(video: &mut Video, packets: &[(Header, Vec<u8>)], now: Instant) {
        for (header, payload) in packets {
            let header = *header;
            video.packet(&Packet::new(header, payload), now);
        }
    }

    const SMALL: &str = "6742c00dd90141fb0110000003001000000303c0f142a480";
    const LARGE: &str = "6742c01fd9005005bb0110000003001000000303c0f1832480";

    #[test]
    fn the_file_begins_with_the_first_key_frame() {
        let file = Shared::default();
        let mut video = Video::new(Some(Box::new(file.clone())));
        let now = Instant::now();
        feed(&mut video, &[packet(9, 100, &[0x41, 7])], now);
        feed(&mut video, &key_frame(10, 200, SMALL), now);
        feed(&mut video, &[packet(12, 300, &[0x41, 8])], now);
        video.finish(now).unwrap();
        assert_eq!(
            (video.frames, video.key_frames, video.damaged_frames),
            (3, 1, 0)
        );
        let bytes = file.0.lock().unwrap();
        let kinds: Vec<u8> = nal_units(&bytes).map(|n| n[0] & 0x1F).collect();
        assert_eq!(kinds, [7, 8, 5, 1]);
    }

    #[test]
    fn a_change_of_size_is_noted_once() {
        let mut video = Video::new(None);
        let start = Instant::now();
        let later = start + std::time::Duration::from_secs(1);
        feed(&mut video, &key_frame(1, 100, SMALL), start);
        feed(&mut video, &key_frame(3, 200, SMALL), later);
        feed(&mut video, &key_frame(5, 300, LARGE), later);
        let sizes: Vec<_> = video
            .sizes
            .iter()
            .map(|(s, t)| (s.width, s.height, *t))
            .collect();
        assert_eq!(sizes, [(320, 240, start), (1280, 720, later)]);
        assert_eq!(video.first_key_frame, Some(start));
    }

    #[test]
    fn a_loss_before_its_parameter_sets_is_none_of_a_key_frame() {
        let mut video = Video::new(None);
        let start = Instant::now();
        let later = start + std::time::Duration::from_millis(5);
        feed(&mut video, &[packet(1, 100, &[0x41, 7])], start);
        let parts = key_frame(3, 200, SMALL);
        feed(&mut video, &parts[..1], start);
        feed(&mut video, &parts[1..], later);
        assert_eq!((video.key_frames, video.damaged_frames), (1, 0));
        let [key] = video.take_key_frames().try_into().unwrap();
        assert!(key.whole);
        assert_eq!((key.began, key.ended), (start, later));
        assert!(video.take_key_frames().is_empty());
    }

    #[test]
    fn a_key_frame_with_a_hole_does_not_count_as_first() {
        let mut video = Video::new(None);
        let now = Instant::now();
        feed(&mut video, &[packet(1, 100, &[0x41, 7])], now);
        let mut torn = key_frame(2, 200, SMALL);
        torn[1].0.sequence += 1;
        feed(&mut video, &torn, now);
        assert_eq!((video.key_frames, video.damaged_frames), (1, 1));
        assert_eq!(video.first_key_frame, None);
        assert!(!video.take_key_frames()[0].whole);
        feed(&mut video, &[packet(5, 300, &[0x60])], now);
        assert!(video.malformed <= 1);
    }

    #[test]
    fn an_intra_picture_with_parameter_set_is_a_start_too() {
        let mut video = Video::new(None);
        let now = Instant::now();
        // first_mb 0, slice_type 7 (I): 1 0001000; slice_type 5 (P): 1 00110.
        let intra = |slice: u8| {
            let mut packets = key_frame(1, 100, SMALL);
            packets[1].1 = vec![0x41, slice, 0];
            packets
        };
        feed(&mut video, &intra(0b1000_1000), now);
        assert_eq!((video.key_frames, video.frames), (1, 1));
        let mut video = Video::new(None);
        feed(&mut video, &intra(0b1001_1000), now);
        assert_eq!((video.key_frames, video.frames), (0, 1));
    }

    #[test]
    fn a_full_disk_is_reported_at_the_end() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut video = Video::new(Some(Box::new(Full)));
        let now = Instant::now();
        feed(&mut video, &key_frame(1, 100, SMALL), now);
        feed(&mut video, &key_frame(3, 200, SMALL), now);
        let e = video.finish(now).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::StorageFull);
        assert_eq!(video.key_frames, 2);
    }

    proptest! {
        #[test]
        fn nal_units_are_parts_of_any_bytes(bytes in proptest::collection::vec(0u8..4, 0..60)) {
            let total: usize = nal_units(&bytes).map(<[u8]>::len).sum();
            prop_assert!(total <= bytes.len());
        }

        #[test]
        fn any_payload_is_survived(
            payloads in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 0..80), 0..20),
        ) {
            let mut video = Video::new(None);
            for (n, payload) in payloads.iter().enumerate() {
                feed(&mut video, &[packet(n as u16, n as u32 / 2, payload)], Instant::now());
            }
            let _ = video.finish(Instant::now());
        }
    }
}
