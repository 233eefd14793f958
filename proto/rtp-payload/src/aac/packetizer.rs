use std::collections::VecDeque;
use std::time::Duration;

use super::{MAX_ACCESS_UNIT, MAX_ACCESS_UNITS};
use crate::Error;
use crate::opus::{MAX_GAP, Repacketized};

/// Puts AAC access units into RTP payloads, as many as fit the packet time that was negotiated.
///
/// A gap in time of 100 ms starts a new packet; one that is left over is then shorter. An access
/// unit that is longer than the packet time goes out alone.
///
/// ```
/// use std::time::Duration;
/// use rtp_payload::aac::Packetizer;
///
/// let ms = Duration::from_millis;
/// let mut packetizer = Packetizer::new(ms(30), Some(ms(60)));
/// packetizer.push(&[0xaa, 0xbb], ms(0))?;
/// packetizer.push(&[0xcc], ms(30))?;
/// let mut payload = Vec::new();
/// assert!(packetizer.pull(&mut payload).is_some());
/// assert_eq!(payload, [0, 32, 0, 2 << 3, 0, 1 << 3, 0xaa, 0xbb, 0xcc]);
/// # Ok::<(), rtp_payload::Error>(())
/// ```
#[derive(Debug)]
pub struct Packetizer {
    frame_duration: Duration,
    per_packet: usize,
    /// When each access unit plays, and its length.
    frames: VecDeque<(Duration, usize)>,
    /// Their bytes, one after the other.
    bytes: VecDeque<u8>,
    flushing: bool,
}

impl Packetizer {
    /// Access units of `frame_duration` in packets of `packet_time`; `None` sends each alone.
    pub fn new(frame_duration: Duration, packet_time: Option<Duration>) -> Self {
        let frame = frame_duration.as_micros().max(1);
        let per_packet = packet_time.map_or(1, |time| (time.as_micros() / frame) as usize);
        Self {
            frame_duration,
            per_packet: per_packet.clamp(1, MAX_ACCESS_UNITS),
            frames: VecDeque::new(),
            bytes: VecDeque::new(),
            flushing: false,
        }
    }

    /// Takes an access unit that plays at `time`. Call [`pull`](Self::pull) until it is empty
    /// afterwards.
    ///
    /// # Errors
    /// [`Error::Truncated`] if it is empty, [`Error::TooLarge`] if it is too long or nothing was
    /// pulled for long; nothing is then taken.
    pub fn push(&mut self, access_unit: &[u8], time: Duration) -> Result<(), Error> {
        crate::error::need(access_unit, 1)?;
        for (actual, limit) in [
            (access_unit.len(), MAX_ACCESS_UNIT),
            (self.frames.len() + 1, 2 * MAX_ACCESS_UNITS),
        ] {
            if actual > limit {
                return Err(Error::TooLarge { limit, actual });
            }
        }
        self.flushing = false;
        self.frames.push_back((time, access_unit.len()));
        self.bytes.extend(access_unit);
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

    /// Appends the next payload to `out`, if it is complete.
    pub fn pull(&mut self, out: &mut Vec<u8>) -> Option<Repacketized> {
        let count = self.complete()?;
        let (time, _) = self.frames[0];
        out.extend((16 * count as u16).to_be_bytes());
        let mut total = 0;
        for (_, len) in self.frames.drain(..count) {
            out.extend(((len as u16) << 3).to_be_bytes());
            total += len;
        }
        out.extend(self.bytes.drain(..total));
        let duration = self.frame_duration * count as u32;
        Some(Repacketized { time, duration })
    }

    /// How many access units make up the next packet; `None` if more must come first.
    fn complete(&self) -> Option<usize> {
        let mut run = usize::from(!self.frames.is_empty());
        while run < self.per_packet && self.joins(run)? {
            run += 1;
        }
        (run > 0).then_some(run)
    }

    /// Whether the access unit `index` follows the one before it without a gap; `None` if it may
    /// yet come.
    fn joins(&self, index: usize) -> Option<bool> {
        let Some((time, _)) = self.frames.get(index) else {
            return self.flushing.then_some(false);
        };
        let (before, _) = self.frames.get(index.checked_sub(1)?)?;
        Some(time.abs_diff(*before + self.frame_duration) < MAX_GAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn pull(packetizer: &mut Packetizer) -> Option<(Vec<u8>, u128, u128)> {
        let mut out = Vec::new();
        let packet = packetizer.pull(&mut out)?;
        Some((out, packet.time.as_millis(), packet.duration.as_millis()))
    }

    #[test]
    fn one_access_unit_of_480_samples_per_packet() {
        let mut packetizer = Packetizer::new(ms(30), Some(ms(30)));
        assert_eq!(pull(&mut packetizer), None);
        packetizer.push(&[7; 300], ms(90)).unwrap();
        let (payload, time, duration) = pull(&mut packetizer).unwrap();
        assert_eq!((time, duration), (90, 30));
        assert_eq!(payload[..4], [0, 16, 0x09, 0x60]);
        assert_eq!(payload.len(), 304);
        assert_eq!(pull(&mut packetizer), None);
    }

    #[test]
    fn three_of_20_ms_in_one_packet_of_60_ms() {
        let mut packetizer = Packetizer::new(ms(20), Some(ms(60)));
        for (n, unit) in [&[1][..], &[2, 2], &[3]].iter().enumerate() {
            assert_eq!(pull(&mut packetizer), None);
            packetizer.push(unit, ms(20 * n as u64)).unwrap();
        }
        let payload = vec![0, 48, 0, 8, 0, 16, 0, 8, 1, 2, 2, 3];
        assert_eq!(pull(&mut packetizer), Some((payload, 0, 60)));
    }

    #[test]
    fn a_gap_or_the_end_makes_a_shorter_packet() {
        let mut packetizer = Packetizer::new(ms(30), Some(ms(60)));
        packetizer.push(&[1], ms(0)).unwrap();
        packetizer.push(&[2], ms(500)).unwrap();
        let alone = |n| vec![0, 16, 0, 8, n];
        assert_eq!(pull(&mut packetizer), Some((alone(1), 0, 30)));
        assert_eq!(pull(&mut packetizer), None);
        packetizer.flush();
        assert_eq!(pull(&mut packetizer), Some((alone(2), 500, 30)));
        assert_eq!(pull(&mut packetizer), None);
    }

    #[test]
    fn an_access_unit_longer_than_the_packet_time_goes_alone() {
        let mut packetizer = Packetizer::new(ms(30), Some(ms(20)));
        packetizer.push(&[1], ms(0)).unwrap();
        assert!(pull(&mut packetizer).is_some());
    }

    #[test]
    fn what_no_packet_can_hold_is_refused() {
        let mut packetizer = Packetizer::new(ms(30), None);
        assert!(packetizer.push(&[], ms(0)).is_err());
        let error = packetizer.push(&[0; 0x2000], ms(0)).unwrap_err();
        let expected = Error::TooLarge {
            limit: MAX_ACCESS_UNIT,
            actual: 0x2000,
        };
        assert_eq!(error, expected);
        for n in 0..2 * MAX_ACCESS_UNITS {
            packetizer.push(&[1], ms(30 * n as u64)).unwrap();
        }
        assert!(packetizer.push(&[1], ms(0)).is_err());
        packetizer.clear();
        assert_eq!(pull(&mut packetizer), None);
    }
}
