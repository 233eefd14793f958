//! One recording as the hub pulls it.

use std::time::{Duration, Instant};

use hds_proto::{DataEvent, DataType, Packet as HdsPacket};

use super::report::{ClipReport, Ending};
use crate::clip::assembly::{Assembly, Kind, Packet};
use crate::clip::checker::Checker;
use crate::clip::clock::Stamp;
use crate::clip::keep::{Files, KeptClip};
use crate::clip::rule::{Findings, Rule};
use crate::clip::wanted::Wanted;
use crate::failure::Result;

/// A hub that hears nothing for this long gives up.
const SILENCE: Duration = Duration::from_secs(10);

/// A recording under way.
#[derive(Debug)]
pub struct Recording {
    stream_id: i64,
    opened: Stamp,
    checker: Checker,
    assembly: Assembly,
    files: Option<Files>,
    clip: Option<KeptClip>,
    pieces: u64,
    last: Instant,
}

impl Recording {
    /// Of stream `stream_id`, asked for now because of `event`; kept in `files`.
    #[must_use]
    pub fn new(stream_id: i64, event: Stamp, wanted: Wanted, files: Option<Files>) -> Self {
        let opened = Stamp::now();
        Self {
            stream_id,
            opened,
            checker: Checker::live(wanted, opened, event),
            assembly: Assembly::default(),
            files,
            clip: None,
            pieces: 0,
            last: opened.at,
        }
    }

    /// It is asked for only now: the data stream had to be opened first.
    pub fn started(&mut self) {
        self.opened = Stamp::now();
        self.last = self.opened.at;
        self.checker.opened(self.opened);
    }

    /// The stream.
    #[must_use]
    pub fn stream_id(&self) -> i64 {
        self.stream_id
    }

    /// When it was asked for.
    #[must_use]
    pub fn opened(&self) -> Instant {
        self.opened.at
    }

    /// When the hub gives up.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.last + SILENCE
    }

    /// Initialization and fragments so far.
    #[must_use]
    pub fn pieces(&self) -> u64 {
        self.pieces
    }

    /// `endOfStream` came.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.assembly.ended()
    }

    /// A fragment was beyond all measure.
    #[must_use]
    pub fn overflown(&self) -> bool {
        self.assembly.overflown()
    }

    /// What was found so far.
    pub fn findings(&mut self) -> &mut Findings {
        &mut self.checker.findings
    }

    /// Takes data of the stream.
    ///
    /// # Errors
    /// When the clip cannot be written.
    pub fn data(&mut self, event: &DataEvent, stamp: Stamp) -> Result<()> {
        self.last = stamp.at;
        let last = event.packets.len().wrapping_sub(1);
        for (n, packet) in event.packets.iter().enumerate() {
            let packet = packet_of(packet, event.end_of_stream && n == last);
            self.packet(&packet, stamp)?;
        }
        if event.packets.is_empty() && event.end_of_stream {
            self.assembly.end_alone(&mut self.checker.findings);
        }
        Ok(())
    }

    fn packet(&mut self, packet: &Packet<'_>, stamp: Stamp) -> Result<()> {
        let piece = self.assembly.packet(packet, &mut self.checker.findings);
        let Some(piece) = piece else { return Ok(()) };
        self.pieces += 1;
        match piece.kind {
            Kind::Initialization => self.checker.init(piece.sequence, &piece.bytes, stamp),
            Kind::Fragment => {
                let (number, bytes) = (piece.sequence, &piece.bytes);
                self.checker.fragment(number, bytes, piece.end, stamp);
            }
            Kind::Image | Kind::Unknown => {
                let what = format!("number {} is no part of a recording", piece.sequence);
                self.checker.findings.add(Rule::PacketKind, what);
                return Ok(());
            }
        }
        self.keep(&piece.bytes)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(files) = &self.files else {
            return Ok(());
        };
        if self.clip.is_none() {
            self.clip = Some(files.clip()?);
        }
        match &mut self.clip {
            Some(clip) => clip.append(bytes),
            None => Ok(()),
        }
    }

    /// It is over. Keeps what can be played, with the picture of the moment.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self, ending: &Ending, picture: Option<&[u8]>) -> Result<ClipReport> {
        let fragments = self.checker.fragments();
        if ending.is_cameras() && !self.assembly.overflown() {
            self.assembly.finish(&mut self.checker.findings);
        }
        ending.check(self.assembly.ended(), fragments, &mut self.checker.findings);
        let whole = fragments > 0 && !matches!(ending, Ending::Aborted(_));
        let (mut file, mut poster) = (None, None);
        if let (true, Some(clip), Some(files)) = (whole, self.clip.take(), &self.files) {
            file = Some(clip.finish()?);
            poster = picture.map(|jpeg| files.picture(jpeg)).transpose()?;
        }
        let summary = self.checker.finish();
        Ok(ClipReport::new(summary, ending, file, poster))
    }
}

/// A packet as the assembly takes it; `end` at the last of a message with `endOfStream`.
pub(super) fn packet_of(packet: &HdsPacket, end: bool) -> Packet<'_> {
    Packet {
        data: &packet.data,
        kind: match packet.data_type {
            DataType::Initialization => Kind::Initialization,
            DataType::Fragment => Kind::Fragment,
            DataType::Image => Kind::Image,
        },
        sequence: packet.sequence,
        chunk: packet.chunk,
        last: packet.is_last_chunk,
        total: packet.total_size,
        end,
    }
}
