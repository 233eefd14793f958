//! Sound for the camera's speaker: Opus packets that go out at their time.

use std::time::{Duration, Instant};

use rtp_feedback::{NtpTime, SenderInfo};
use rtp_payload::opus::{Packet, Repacketizer};
use rtp_payload::{HEADER_LEN, Header};

use crate::failure::{Failure, Kind, Result};

/// How the controller sends.
#[derive(Debug, Clone, Copy)]
pub struct Voice {
    /// The controller's source.
    pub ssrc: u32,
    /// Payload type that was agreed.
    pub payload_type: u8,
    /// RTP timestamps a second.
    pub clock_rate: u32,
    /// Sound in a packet.
    pub packet_time: Duration,
    /// When to begin, after Start.
    pub begin: Duration,
}

/// Packets that wait for their time.
#[derive(Debug)]
pub struct Talk {
    voice: Voice,
    packets: Vec<Vec<u8>>,
    sent: usize,
    octets: u32,
    first: Option<Instant>,
    /// Of the first packet; the later ones count on from here.
    sequence: u16,
    timestamp: u32,
}

impl Talk {
    /// Regroups `packets` of an Ogg Opus file for `voice`.
    ///
    /// # Errors
    /// [`Kind::Usage`] for what is not Opus, or whose frames do not fit the packet time.
    pub fn new(packets: &[Vec<u8>], voice: Voice) -> Result<Self> {
        let mut random = [0; 6];
        crate::random(&mut random)?;
        let [s0, s1, t0, t1, t2, t3] = random;
        Ok(Self {
            packets: regrouped(packets, voice.packet_time)?,
            voice,
            sent: 0,
            octets: 0,
            first: None,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        })
    }

    /// The Start command goes out at `now`.
    pub fn started(&mut self, now: Instant) {
        self.first = Some(now + self.voice.begin);
    }

    /// When [`Talk::next`] is due.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let count = u32::try_from(self.sent).ok()?;
        (self.sent < self.packets.len()).then_some(self.first? + self.voice.packet_time * count)
    }

    /// The RTP packet that is due, not protected.
    pub fn next(&mut self, now: Instant) -> Option<Vec<u8>> {
        if now < self.due()? {
            return None;
        }
        let payload = self.packets.get(self.sent)?;
        let header = Header {
            marker: self.sent == 0,
            payload_type: self.voice.payload_type,
            sequence: self.sequence.wrapping_add(self.sent as u16),
            timestamp: self.timestamp.wrapping_add(self.ticks(self.elapsed())),
            ssrc: self.voice.ssrc,
        };
        let mut packet = Vec::with_capacity(HEADER_LEN + payload.len() + srtp::RTP_OVERHEAD);
        packet.extend_from_slice(&header.to_bytes());
        packet.extend_from_slice(payload);
        self.sent += 1;
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        Some(packet)
    }

    /// Packets sent so far.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// For a sender report at `now`, which is `ntp`; none before the first packet.
    #[must_use]
    pub fn sender_info(&self, now: Instant, ntp: NtpTime) -> Option<SenderInfo> {
        let since = now.saturating_duration_since(self.first?);
        (self.sent > 0).then(|| SenderInfo {
            ntp,
            rtp_timestamp: self.timestamp.wrapping_add(self.ticks(since)),
            packets: self.sent as u32,
            octets: self.octets,
        })
    }

    fn elapsed(&self) -> Duration {
        self.voice.packet_time * self.sent as u32
    }

    fn ticks(&self, time: Duration) -> u32 {
        (time.as_micros() * u128::from(self.voice.clock_rate) / 1_000_000) as u32
    }
}

fn regrouped(packets: &[Vec<u8>], packet_time: Duration) -> Result<Vec<Vec<u8>>> {
    let mut repacketizer = Repacketizer::new(Some(packet_time));
    let (mut out, mut time) = (Vec::new(), Duration::ZERO);
    for packet in packets {
        let duration = Packet::parse(packet).map_err(no_opus)?.duration();
        repacketizer.push(packet, time).map_err(no_opus)?;
        time += duration;
        let mut bytes = Vec::new();
        while let Some(regrouped) = repacketizer.pull(&mut bytes) {
            if regrouped.duration != packet_time {
                return Err(does_not_fit(regrouped.duration, packet_time));
            }
            out.push(std::mem::take(&mut bytes));
        }
    }
    if out.is_empty() {
        return Err(Failure::new(Kind::Usage, "the file to talk has no sound"));
    }
    Ok(out)
}

fn no_opus(e: rtp_payload::Error) -> Failure {
    Failure::new(Kind::Usage, format!("the file to talk: {e}"))
}

fn does_not_fit(frames: Duration, packet_time: Duration) -> Failure {
    let (frames, wanted) = (frames.as_millis(), packet_time.as_millis());
    Failure::new(
        Kind::Usage,
        format!("the file has packets of {frames} ms, the stream {wanted} ms"),
    )
    .hint("encode with frames of 20 ms: ffmpeg -i FILE -c:a libopus -frame_duration 20 -ac 1 TALK.ogg")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn voice(packet_time: u32) -> Voice {
        Voice {
            ssrc: 7,
            payload_type: 110,
            clock_rate: 16_000,
            packet_time: packet_time * MS,
            begin: 100 * MS,
        }
    }

    /// Wideband, 20 ms.
    fn file(packets: usize) -> Vec<Vec<u8>> {
        vec![vec![0x48, 1, 2]; packets]
    }

    #[test]
    fn packets_go_out_at_their_times() {
        let mut talk = Talk::new(&file(3), voice(20)).unwrap();
        assert_eq!(talk.due(), None);
        let start = Instant::now();
        talk.started(start);
        assert_eq!(talk.next(start + 99 * MS), None);
        assert_eq!(talk.sender_info(start, NtpTime::default()), None);
        let mut packets = Vec::new();
        while let Some(due) = talk.due() {
            packets.push((due - start, talk.next(due).unwrap()));
        }
        let times: Vec<_> = packets.iter().map(|(t, _)| *t).collect();
        assert_eq!(times, [100 * MS, 120 * MS, 140 * MS]);
        let headers: Vec<Header> = packets
            .iter()
            .map(|(_, p)| rtp_payload::Packet::parse(p).unwrap().header)
            .collect();
        let step = |of: fn(&Header) -> u32| of(&headers[2]).wrapping_sub(of(&headers[1]));
        assert_eq!(step(|h| h.timestamp), 320);
        assert_eq!(step(|h| h.sequence.into()) as u16, 1);
        assert!(headers.iter().all(|h| (h.ssrc, h.payload_type) == (7, 110)));
        let info = talk
            .sender_info(start + 140 * MS, NtpTime::default())
            .unwrap();
        assert_eq!((info.packets, info.octets), (3, 9));
        assert_eq!(info.rtp_timestamp, headers[2].timestamp);
    }

    #[test]
    fn frames_are_regrouped_to_the_packet_time() {
        let talk = Talk::new(&file(7), voice(60)).unwrap();
        assert_eq!(talk.packets.len(), 2);
        assert_eq!(talk.packets[0], [0x4B, 3, 1, 2, 1, 2, 1, 2]);
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let sixty = vec![vec![0x58, 1]; 3];
        for (packets, why) in [
            (sixty, "60 ms, the stream 20"),
            (vec![vec![]], "file to talk"),
            (Vec::new(), "no sound"),
        ] {
            let e = Talk::new(&packets, voice(20)).unwrap_err();
            assert_eq!(e.kind(), Kind::Usage);
            assert!(e.to_string().contains(why), "{e}");
        }
    }
}
