//! The picture of the moment: over the data stream where the camera can, else by `/resource`.

use crate::clip::assembly::{Assembly, Kind as PieceKind, Packet};
use crate::clip::rule::{Findings, Rule};
use crate::jpeg;

/// A picture that comes over the data stream.
#[derive(Debug, Default)]
pub struct Incoming {
    assembly: Assembly,
    picture: Option<Vec<u8>>,
}

impl Incoming {
    /// Takes a packet.
    pub fn packet(&mut self, packet: &Packet<'_>, findings: &mut Findings) {
        if packet.kind != PieceKind::Image {
            findings.add(
                Rule::Poster,
                "a snapshot stream carries something else than image",
            );
        }
        let piece = self.assembly.packet(packet, findings);
        if let Some(piece) = piece.filter(|_| self.picture.is_none()) {
            check(&piece.bytes, findings);
            self.picture = Some(piece.bytes);
        }
    }

    /// `endOfStream` came.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.assembly.ended() || self.assembly.overflown()
    }

    /// The picture, if it came whole.
    #[must_use]
    pub fn take(&mut self) -> Option<Vec<u8>> {
        self.picture.take()
    }
}

/// Finds fault with what is no JPEG.
pub fn check(bytes: &[u8], findings: &mut Findings) {
    if jpeg::size(bytes).is_none() {
        findings.add(Rule::Poster, "the picture of the moment is no JPEG");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: Packet<'static> = Packet {
        data: &[
            0xFF, 0xD8, 0xFF, 0xC0, 0, 11, 8, 0, 2, 0, 2, 1, 1, 0x11, 0, 0xFF, 0xD9,
        ],
        kind: PieceKind::Image,
        sequence: 1,
        chunk: 1,
        last: true,
        total: Some(17),
        end: true,
    };

    fn run(packet: Packet<'_>) -> (Option<Vec<u8>>, bool, Vec<Rule>) {
        let (mut incoming, mut findings) = (Incoming::default(), Findings::default());
        incoming.packet(&packet, &mut findings);
        let rules = findings.rules().collect();
        (incoming.take(), incoming.ended(), rules)
    }

    #[test]
    fn a_picture_is_taken() {
        let (picture, ended, rules) = run(IMAGE);
        assert_eq!((picture.unwrap().len(), ended, rules), (17, true, vec![]));
    }

    #[test]
    fn what_is_no_picture_is_found() {
        let text = Packet {
            data: b"GIF89a",
            total: Some(6),
            ..IMAGE
        };
        assert_eq!(run(text).2, [Rule::Poster]);
        let media = Packet {
            kind: PieceKind::Fragment,
            ..IMAGE
        };
        assert_eq!(run(media).2, [Rule::Poster]);
    }
}
