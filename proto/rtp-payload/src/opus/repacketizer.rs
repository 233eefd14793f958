use std::collections::VecDeque;
use std::time::Duration;

use super::packet::{MAX_FRAMES, write_frame_length};
use super::{Packet, Toc};
use crate::Error;

/// Regroups Opus frames into packets of the duration that was negotiated, without encoding them
/// again (RFC 6716 §3.2.5).
///
/// HomeKit wants exactly one packet per `RTP time` (20, 40 or 60 ms). Frames of another
/// configuration, or after a gap in time of 100 ms, start a new packet; one that is left over is
/// then shorter. A frame that is longer than the packet time goes out alone.
///
/// ```
/// use std::time::Duration;
/// use rtp_payload::opus::Repacketizer;
///
/// let ms = Duration::from_millis;
/// let mut repacketizer = Repacketizer::new(Some(ms(60)));
/// repacketizer.push(&[0x48, 0xaa, 0xbb], ms(0))?;
/// repacketizer.push(&[0x48, 0xcc, 0xdd, 0xee], ms(20))?;
/// repacketizer.push(&[0x48, 0xff], ms(40))?;
/// let mut packet = Vec::new();
/// assert!(repacketizer.pull(&mut packet).is_some());
/// assert_eq!(packet, [0x4b, 0x83, 2, 3, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);
/// # Ok::<(), rtp_payload::Error>(())
/// ```
#[derive(Debug)]
pub struct Repacketizer {
    packet_time: Option<Duration>,
    frames: VecDeque<Frame>,
    /// The frames' bytes, one after the other.
    bytes: VecDeque<u8>,
    flushing: bool,
}

/// Frames that lie further apart are not put into one packet. Less is the jitter of a source whose
/// timestamps are times of arrival.
pub(crate) const MAX_GAP: Duration = Duration::from_millis(100);

/// When a packet plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repacketized {
    /// Time of its first frame.
    pub time: Duration,
    /// How long it plays.
    pub duration: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    toc: Toc,
    len: usize,
    time: Duration,
    /// With `packet_time: None`: the packet of the input ends with this frame.
    last: bool,
}

impl Frame {
    fn end(&self) -> Duration {
        self.time + self.toc.frame_duration()
    }

    /// Whether `next` may follow in one packet: same configuration, and no gap in time.
    fn joins(&self, next: &Self) -> bool {
        let gap = next.time.abs_diff(self.end());
        self.toc == next.toc && gap < MAX_GAP
    }
}

impl Repacketizer {
    /// Packets of `packet_time`; `None` leaves their durations as they come.
    pub fn new(packet_time: Option<Duration>) -> Self {
        Self {
            packet_time,
            frames: VecDeque::new(),
            bytes: VecDeque::new(),
            flushing: false,
        }
    }

    /// Takes a packet whose first frame plays at `time`. Call [`pull`](Self::pull) until it is
    /// empty afterwards.
    ///
    /// # Errors
    /// [`Error::Opus`] if the packet is malformed, [`Error::TooLarge`] if nothing was pulled for
    /// long; nothing is then taken.
    pub fn push(&mut self, packet: &[u8], time: Duration) -> Result<(), Error> {
        let packet = Packet::parse(packet)?;
        let actual = self.frames.len() + packet.frames().len();
        let limit = 2 * MAX_FRAMES;
        if actual > limit {
            return Err(Error::TooLarge { limit, actual });
        }
        self.flushing = false;
        let toc = packet.toc().with_code(0);
        let count = packet.frames().len();
        for (n, frame) in packet.frames().iter().enumerate() {
            self.bytes.extend(*frame);
            self.frames.push_back(Frame {
                toc,
                len: frame.len(),
                time: time + toc.frame_duration() * n as u32,
                last: n + 1 == count,
            });
        }
        Ok(())
    }

    /// Lets [`pull`](Self::pull) give out what is left over, although it is too short: at the end,
    /// or before a pause.
    pub fn flush(&mut self) {
        self.flushing = true;
    }

    /// Forgets what is left over.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.bytes.clear();
    }

    /// Appends the next packet to `out`, if it is complete.
    pub fn pull(&mut self, out: &mut Vec<u8>) -> Option<Repacketized> {
        let count = self.complete()?;
        let first = self.frames[0];
        self.write_heading(count, out);
        let len: usize = self.frames.drain(..count).map(|frame| frame.len).sum();
        out.extend(self.bytes.drain(..len));
        Some(Repacketized {
            time: first.time,
            duration: first.toc.frame_duration() * count as u32,
        })
    }

    /// How many frames make up the next packet; `None` if more must come first.
    fn complete(&self) -> Option<usize> {
        let first = self.frames.front()?;
        let wanted = self.wanted_frames(first);
        let pairs = self.frames.iter().zip(self.frames.iter().skip(1));
        let run = 1 + pairs.take_while(|(frame, next)| frame.joins(next)).count();
        if run >= wanted {
            return Some(wanted);
        }
        (run < self.frames.len() || self.flushing).then_some(run)
    }

    fn wanted_frames(&self, first: &Frame) -> usize {
        match self.packet_time {
            Some(time) => {
                let frames = time.as_micros() / first.toc.frame_duration().as_micros();
                (frames as usize).clamp(1, MAX_FRAMES)
            }
            None => 1 + self.frames.iter().take_while(|frame| !frame.last).count(),
        }
    }

    /// TOC, and where there are several frames their number and lengths: code 3, with equal
    /// lengths left out.
    fn write_heading(&self, count: usize, out: &mut Vec<u8>) {
        let frames = self.frames.range(..count);
        let toc = self.frames[0].toc;
        if count == 1 {
            out.push(toc.0);
            return;
        }
        out.push(toc.with_code(3).0);
        if frames.clone().all(|frame| frame.len == self.frames[0].len) {
            out.push(count as u8);
            return;
        }
        out.push(0x80 | count as u8);
        frames
            .take(count - 1)
            .for_each(|frame| write_frame_length(frame.len, out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn pull(repacketizer: &mut Repacketizer) -> Option<(Vec<u8>, u64, u64)> {
        let mut out = Vec::new();
        let packet = repacketizer.pull(&mut out)?;
        let millis = |time: Duration| time.as_millis() as u64;
        Some((out, millis(packet.time), millis(packet.duration)))
    }

    fn run(packet_time: u64, packets: &[&[u8]]) -> Repacketizer {
        let mut repacketizer = Repacketizer::new(Some(ms(packet_time)));
        let mut time = ms(0);
        for packet in packets {
            repacketizer.push(packet, time).unwrap();
            time += Packet::parse(packet).unwrap().duration();
        }
        repacketizer
    }

    #[test]
    fn three_frames_of_20_ms_become_one_packet_of_60_ms() {
        let mut repacketizer = run(60, &[&[0x48, 0xaa, 0xbb], &[0x48, 0xcc, 0xdd, 0xee]]);
        assert_eq!(pull(&mut repacketizer), None);
        repacketizer.push(&[0x48, 0xff], ms(40)).unwrap();
        let expected = vec![0x4b, 0x83, 2, 3, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
        assert_eq!(pull(&mut repacketizer), Some((expected, 0, 60)));
        assert_eq!(pull(&mut repacketizer), None);
    }

    #[test]
    fn frames_of_one_length_need_no_lengths() {
        let mut repacketizer = run(40, &[&[0x48, 1, 2], &[0x48, 3, 4]]);
        let expected = vec![0x4b, 0x02, 1, 2, 3, 4];
        assert_eq!(pull(&mut repacketizer), Some((expected, 0, 40)));
    }

    #[test]
    fn long_frames_have_lengths_of_two_bytes() {
        let long = [&[0x48][..], &[7; 300]].concat();
        let mut repacketizer = run(40, &[&long, &[0x48, 1]]);
        let (packet, ..) = pull(&mut repacketizer).unwrap();
        assert_eq!(packet[..4], [0x4b, 0x82, 252, 12]);
        assert_eq!(packet.len(), 4 + 300 + 1);
        let frames = Packet::parse(&packet).unwrap();
        assert_eq!(frames.frames()[0].len(), 300);
    }

    #[test]
    fn packets_of_60_ms_are_split_into_20_ms() {
        let mut repacketizer = run(20, &[&[0x4b, 0x83, 1, 2, 1, 2, 3, 4]]);
        assert_eq!(pull(&mut repacketizer), Some((vec![0x48, 1], 0, 20)));
        assert_eq!(pull(&mut repacketizer), Some((vec![0x48, 2, 3], 20, 20)));
        assert_eq!(pull(&mut repacketizer), Some((vec![0x48, 4], 40, 20)));
        assert_eq!(pull(&mut repacketizer), None);
    }

    #[test]
    fn another_configuration_starts_a_new_packet() {
        let mut repacketizer = run(60, &[&[0x48, 1], &[0x48, 2], &[0x4c, 3], &[0x4c, 4]]);
        let short = vec![0x4b, 0x02, 1, 2];
        assert_eq!(pull(&mut repacketizer), Some((short, 0, 40)));
        assert_eq!(pull(&mut repacketizer), None);
        repacketizer.push(&[0x4c, 5], ms(80)).unwrap();
        let full = vec![0x4f, 0x03, 3, 4, 5];
        assert_eq!(pull(&mut repacketizer), Some((full, 40, 60)));
    }

    #[test]
    fn a_gap_in_time_starts_a_new_packet() {
        let mut repacketizer = Repacketizer::new(Some(ms(60)));
        repacketizer.push(&[0x48, 1], ms(0)).unwrap();
        repacketizer.push(&[0x48, 2], ms(500)).unwrap();
        assert_eq!(pull(&mut repacketizer), Some((vec![0x48, 1], 0, 20)));
        assert_eq!(pull(&mut repacketizer), None);
        repacketizer.push(&[0x48, 3], ms(550)).unwrap();
        repacketizer.push(&[0x48, 4], ms(530)).unwrap();
        let (packet, time, duration) = pull(&mut repacketizer).unwrap();
        assert_eq!((packet.len(), time, duration), (5, 500, 60));
    }

    #[test]
    fn a_flush_gives_out_what_is_left() {
        let mut repacketizer = run(60, &[&[0x48, 1]]);
        assert_eq!(pull(&mut repacketizer), None);
        repacketizer.flush();
        assert_eq!(pull(&mut repacketizer), Some((vec![0x48, 1], 0, 20)));
    }

    #[test]
    fn without_packet_time_packets_stay_as_they_are() {
        let mut repacketizer = Repacketizer::new(None);
        repacketizer.push(&[0x48, 1], ms(0)).unwrap();
        repacketizer
            .push(&[0x4b, 0x82, 1, 2, 3, 4], ms(20))
            .unwrap();
        assert_eq!(pull(&mut repacketizer), Some((vec![0x48, 1], 0, 20)));
        let second = vec![0x4b, 0x82, 1, 2, 3, 4];
        assert_eq!(pull(&mut repacketizer), Some((second, 20, 40)));
    }

    #[test]
    fn a_frame_longer_than_the_packet_time_goes_alone() {
        let mut repacketizer = run(20, &[&[0x18, 1, 2]]);
        assert_eq!(pull(&mut repacketizer), Some((vec![0x18, 1, 2], 0, 60)));
    }

    #[test]
    fn what_nobody_pulls_is_bounded() {
        let mut repacketizer = Repacketizer::new(Some(ms(60)));
        let result = (0..1000).try_for_each(|_| repacketizer.push(&[0x48, 1], ms(0)));
        let expected = Error::TooLarge {
            limit: 96,
            actual: 97,
        };
        assert_eq!(result, Err(expected));
        assert!(repacketizer.push(&[], ms(0)).is_err());
    }
}
