//! Received audio: RTP packets of Opus to an Ogg file, and whether their times are right.

use std::io;

use rtp_payload::Packet;
use rtp_payload::opus::{Depacketizer, ReceivedPacket};

use crate::ogg::OggOpus;
use crate::video::Sink;

/// Samples a second that Opus and Ogg count.
const OPUS_RATE: u64 = 48_000;

/// Where audio packets go.
pub struct Audio {
    depacketizer: Depacketizer,
    opus: bool,
    clock_rate: u32,
    file: Option<OggOpus<Sink>>,
    failure: Option<io::Error>,
    last: Option<Last>,
    /// Sound received, in samples at 48 kHz.
    pub samples: u64,
    /// Duration of the last packet in ms, as the packet itself says.
    pub packet_time_ms: Option<u32>,
    /// Packets whose timestamp does not continue the one before by its duration.
    pub timestamp_errors: u64,
    /// Payloads that are no Opus.
    pub malformed: u64,
}

/// The packet before.
#[derive(Debug, Clone, Copy)]
struct Last {
    timestamp: u32,
    samples: u64,
}

impl Audio {
    /// Opus whose RTP timestamps count `clock_rate` a second, as negotiated; written to `file`, if
    /// there is one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn opus(clock_rate: u32, file: Option<Sink>) -> io::Result<Self> {
        let mut serial = [0; 4];
        crate::random(&mut serial).map_err(|e| io::Error::other(e.to_string()))?;
        let serial = u32::from_le_bytes(serial);
        let begin = |file| OggOpus::new(file, serial, 1, clock_rate);
        let file = file.map(begin).transpose()?;
        Ok(Self::new(true, clock_rate, file))
    }

    /// Another codec: packets are counted, nothing is written.
    #[must_use]
    pub fn opaque(clock_rate: u32) -> Self {
        Self::new(false, clock_rate, None)
    }

    fn new(opus: bool, clock_rate: u32, file: Option<OggOpus<Sink>>) -> Self {
        Self {
            depacketizer: Depacketizer::new(),
            opus,
            clock_rate,
            file,
            failure: None,
            last: None,
            samples: 0,
            packet_time_ms: None,
            timestamp_errors: 0,
            malformed: 0,
        }
    }

    /// Takes the next packet, in order.
    pub fn packet(&mut self, packet: &Packet<'_>) {
        if !self.opus {
            return;
        }
        match self.depacketizer.push(packet) {
            Ok(Some(received)) => self.received(&received),
            Ok(None) => {}
            Err(_) => self.malformed += 1,
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// The first failure to write.
    pub fn finish(&mut self) -> io::Result<()> {
        if let Some(file) = self.file.take() {
            file.finish()?;
        }
        self.failure.take().map_or(Ok(()), Err)
    }

    fn received(&mut self, received: &ReceivedPacket<'_>) {
        let samples = u64::from(received.packet.samples_48k());
        self.samples += samples;
        self.packet_time_ms = u32::try_from(samples * 1000 / OPUS_RATE).ok();
        if received.lost_before == 0 {
            self.check_time(received.timestamp);
        }
        let gap = self
            .last
            .map_or(0, |l| l.samples * u64::from(received.lost_before));
        self.last = Some(Last {
            timestamp: received.timestamp,
            samples,
        });
        self.write(gap, received.bytes);
    }

    /// The timestamp must have moved on by the duration of the packet before, on the clock that
    /// was negotiated and not on one of 48 kHz.
    fn check_time(&mut self, timestamp: u32) {
        let Some(last) = self.last else { return };
        let step = u64::from(timestamp.wrapping_sub(last.timestamp));
        if step * OPUS_RATE != last.samples * u64::from(self.clock_rate) {
            self.timestamp_errors += 1;
        }
    }

    fn write(&mut self, gap: u64, bytes: &[u8]) {
        let Some(file) = &mut self.file else { return };
        if let Err(e) = file.gap(gap).and_then(|()| file.packet(bytes)) {
            self.file = None;
            self.failure = Some(e);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rtp_payload::Header;

    fn feed(audio: &mut Audio, sequence: u16, timestamp: u32, payload: &[u8]) {
        let header = Header {
            marker: false,
            payload_type: 110,
            sequence,
            timestamp,
            ssrc: 2,
        };
        audio.packet(&Packet::new(header, payload));
    }

    /// 20 ms.
    const PACKET: &[u8] = &[0x48, 1, 2];

    #[test]
    fn timestamps_must_count_the_negotiated_clock() {
        let mut audio = Audio::opus(16_000, None).unwrap();
        for n in 0..5u16 {
            feed(&mut audio, n, u32::from(n) * 320, PACKET);
        }
        assert_eq!((audio.timestamp_errors, audio.samples), (0, 5 * 960));
        assert_eq!(audio.packet_time_ms, Some(20));
        // On 48 kHz.
        feed(&mut audio, 5, 4 * 320 + 960, PACKET);
        assert_eq!(audio.timestamp_errors, 1);
    }

    #[test]
    fn timestamps_wrap() {
        let mut audio = Audio::opus(24_000, None).unwrap();
        feed(&mut audio, 1, u32::MAX - 100, PACKET);
        feed(&mut audio, 2, 379, PACKET);
        assert_eq!(audio.timestamp_errors, 0);
    }

    #[test]
    fn a_loss_leaves_the_right_gap_in_the_file() {
        let mut audio = Audio::opus(24_000, Some(Box::new(io::sink()))).unwrap();
        feed(&mut audio, 1, 0, PACKET);
        feed(&mut audio, 4, 1440, PACKET);
        assert_eq!(audio.timestamp_errors, 0);
        assert_eq!(audio.samples, 2 * 960);
        assert_eq!(audio.file.as_ref().unwrap().samples(), 4 * 960);
        audio.finish().unwrap();
    }

    #[test]
    fn other_codecs_are_not_looked_into() {
        let mut audio = Audio::opaque(16_000);
        feed(&mut audio, 1, 0, &[0, 16, 1, 2, 3]);
        assert_eq!((audio.malformed, audio.samples), (0, 0));
    }

    proptest! {
        #[test]
        fn any_payload_is_survived(
            payloads in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 0..80), 0..20),
        ) {
            let mut audio = Audio::opus(24_000, Some(Box::new(io::sink()))).unwrap();
            for (n, payload) in payloads.iter().enumerate() {
                feed(&mut audio, n as u16 * 2, n as u32 * 480, payload);
            }
            audio.finish().unwrap();
        }
    }
}
