//! Packets of `dataSend/data` put together to the initialization and the fragments.

use super::rule::{Findings, Rule};

/// Most bytes in a chunk.
pub const CHUNK: usize = 0x4_0000;
/// A fragment of 4 s at 60 Mbit/s; more is no recording, and is not kept.
pub const MAX_PIECE: usize = 32 << 20;

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `mediaInitialization`.
    Initialization,
    /// `mediaFragment`.
    Fragment,
    /// `image`.
    Image,
    /// Anything else.
    Unknown,
}

/// One packet as it came.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// The bytes.
    pub data: &'a [u8],
    /// `dataType`.
    pub kind: Kind,
    /// `dataSequenceNumber`.
    pub sequence: u64,
    /// `dataChunkSequenceNumber`.
    pub chunk: u64,
    /// `isLastDataChunk`.
    pub last: bool,
    /// `dataTotalSize`.
    pub total: Option<u64>,
    /// `endOfStream` of the message, at its last packet.
    pub end: bool,
}

/// A whole initialization, fragment or picture.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it is.
    pub kind: Kind,
    /// Its number in the stream.
    pub sequence: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// `endOfStream` came with it.
    pub end: bool,
}

#[derive(Debug)]
struct Partial {
    kind: Kind,
    sequence: u64,
    chunk: u64,
    total: Option<u64>,
    bytes: Vec<u8>,
}

/// Puts the packets of one stream together.
#[derive(Debug, Default)]
pub struct Assembly {
    /// Number of the last piece begun.
    sequence: u64,
    current: Option<Partial>,
    ended: bool,
    /// A piece was beyond all measure.
    overflown: bool,
}

impl Assembly {
    /// `endOfStream` came.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// A piece was longer than [`MAX_PIECE`]: nothing more is taken.
    #[must_use]
    pub fn overflown(&self) -> bool {
        self.overflown
    }

    /// Bytes of the piece under way.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.current.as_ref().map_or(0, |p| p.bytes.len())
    }

    /// Takes a packet; gives the piece it completes.
    pub fn packet(&mut self, packet: &Packet<'_>, findings: &mut Findings) -> Option<Piece> {
        if self.ended {
            findings.add(
                Rule::DataAfterEnd,
                format!("number {} came after endOfStream", packet.sequence),
            );
            return None;
        }
        self.ended = packet.end;
        check_end(packet, findings);
        check_chunk(packet, findings);
        let mut piece = self.piece_of(packet, findings);
        if piece.bytes.len().saturating_add(packet.data.len()) > MAX_PIECE {
            self.overflown = true;
            let number = packet.sequence;
            findings.add(
                Rule::ChunkSize,
                format!("number {number} is longer than {MAX_PIECE} bytes"),
            );
            return None;
        }
        piece.bytes.extend_from_slice(packet.data);
        if !packet.last {
            self.current = Some(piece);
            return None;
        }
        check_total(&piece, findings);
        Some(Piece {
            kind: piece.kind,
            sequence: piece.sequence,
            bytes: piece.bytes,
            end: packet.end,
        })
    }

    /// `endOfStream` came in a message without a packet.
    pub fn end_alone(&mut self, findings: &mut Findings) {
        self.ended = true;
        findings.add(Rule::EndOfStream, "endOfStream came without a packet");
    }

    /// The stream is over: a piece under way was cut off.
    pub fn finish(&mut self, findings: &mut Findings) {
        if let Some(cut) = self.current.take() {
            let (number, length) = (cut.sequence, cut.bytes.len());
            findings.add(
                Rule::LastChunk,
                format!("number {number} was cut off after {length} bytes"),
            );
        }
    }

    /// The piece `packet` goes on with, or a new one.
    fn piece_of(&mut self, packet: &Packet<'_>, findings: &mut Findings) -> Partial {
        match self.current.take() {
            Some(piece) if piece.sequence == packet.sequence => go_on(piece, packet, findings),
            Some(cut) => {
                let (old, new) = (cut.sequence, packet.sequence);
                findings.add(
                    Rule::LastChunk,
                    format!("number {new} began before the last chunk of number {old}"),
                );
                self.begin(packet, findings)
            }
            None => self.begin(packet, findings),
        }
    }

    fn begin(&mut self, packet: &Packet<'_>, findings: &mut Findings) -> Partial {
        let expected = self.sequence.saturating_add(1);
        let found = packet.sequence;
        if found != expected {
            findings.add(
                Rule::SequenceNumber,
                format!("number {found} came where {expected} was due"),
            );
        }
        self.sequence = found;
        if packet.chunk != 1 {
            let chunk = packet.chunk;
            findings.add(
                Rule::ChunkNumber,
                format!("number {found} begins with chunk {chunk}"),
            );
        }
        if packet.total.is_none() {
            findings.add(
                Rule::TotalSize,
                format!("number {found} has no dataTotalSize in chunk 1"),
            );
        }
        Partial {
            kind: packet.kind,
            sequence: found,
            chunk: packet.chunk,
            total: packet.total,
            bytes: Vec::new(),
        }
    }
}

fn go_on(mut piece: Partial, packet: &Packet<'_>, findings: &mut Findings) -> Partial {
    let (number, chunk) = (piece.sequence, packet.chunk);
    let due = piece.chunk.saturating_add(1);
    if chunk != due {
        findings.add(
            Rule::ChunkNumber,
            format!("number {number}: chunk {chunk} came where {due} was due"),
        );
    }
    if packet.total.is_some() {
        findings.add(
            Rule::TotalSize,
            format!("number {number}: dataTotalSize stands in chunk {chunk} too"),
        );
    }
    if packet.kind != piece.kind {
        findings.add(
            Rule::PacketKind,
            format!("number {number}: chunk {chunk} is of another dataType"),
        );
    }
    piece.chunk = chunk;
    piece
}

fn check_end(packet: &Packet<'_>, findings: &mut Findings) {
    if packet.end && !packet.last {
        let number = packet.sequence;
        findings.add(
            Rule::EndOfStream,
            format!("number {number}: endOfStream stands before the last chunk"),
        );
    }
}

fn check_chunk(packet: &Packet<'_>, findings: &mut Findings) {
    let (number, chunk, length) = (packet.sequence, packet.chunk, packet.data.len());
    if length == 0 || length > CHUNK {
        findings.add(
            Rule::ChunkSize,
            format!("number {number}: chunk {chunk} has {length} bytes"),
        );
    }
}

fn check_total(piece: &Partial, findings: &mut Findings) {
    let (number, length) = (piece.sequence, piece.bytes.len());
    match piece.total {
        Some(total) if total != length as u64 => findings.add(
            Rule::TotalSize,
            format!("number {number} has {length} bytes, dataTotalSize says {total}"),
        ),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIRST: Packet<'static> = Packet {
        data: b"ab",
        kind: Kind::Fragment,
        sequence: 1,
        chunk: 1,
        last: false,
        total: Some(4),
        end: false,
    };
    const SECOND: Packet<'static> = Packet {
        data: b"cd",
        chunk: 2,
        last: true,
        total: None,
        ..FIRST
    };

    fn run(packets: &[Packet<'_>]) -> (Vec<Piece>, Vec<Rule>) {
        let (mut assembly, mut findings) = (Assembly::default(), Findings::default());
        let pieces = packets
            .iter()
            .filter_map(|p| assembly.packet(p, &mut findings));
        let pieces = pieces.collect();
        assembly.finish(&mut findings);
        (pieces, findings.rules().collect())
    }

    #[test]
    fn chunks_become_a_piece() {
        let next = Packet {
            sequence: 2,
            total: Some(2),
            last: true,
            end: true,
            ..FIRST
        };
        let (pieces, broken) = run(&[FIRST, SECOND, next]);
        assert_eq!(broken, []);
        assert_eq!(pieces[0].bytes, b"abcd");
        assert_eq!((pieces[1].sequence, pieces[1].end), (2, true));
    }

    #[test]
    fn each_rule_of_the_packets_is_found() {
        let alone = Packet {
            last: true,
            total: Some(2),
            ..FIRST
        };
        let cases: &[(&[Packet<'_>], Rule)] = &[
            (
                &[Packet {
                    sequence: 2,
                    ..alone
                }],
                Rule::SequenceNumber,
            ),
            (&[alone, alone], Rule::SequenceNumber),
            (&[Packet { chunk: 0, ..alone }], Rule::ChunkNumber),
            (&[FIRST, Packet { chunk: 3, ..SECOND }], Rule::ChunkNumber),
            (
                &[Packet {
                    total: None,
                    ..alone
                }],
                Rule::TotalSize,
            ),
            (
                &[Packet {
                    total: Some(3),
                    ..alone
                }],
                Rule::TotalSize,
            ),
            (
                &[
                    FIRST,
                    Packet {
                        total: Some(4),
                        ..SECOND
                    },
                ],
                Rule::TotalSize,
            ),
            (&[FIRST], Rule::LastChunk),
            (
                &[
                    FIRST,
                    Packet {
                        sequence: 2,
                        ..alone
                    },
                ],
                Rule::LastChunk,
            ),
            (&[Packet { end: true, ..FIRST }], Rule::EndOfStream),
            (
                &[
                    Packet { end: true, ..alone },
                    Packet {
                        sequence: 2,
                        ..alone
                    },
                ],
                Rule::DataAfterEnd,
            ),
            (
                &[Packet {
                    data: b"",
                    total: Some(0),
                    ..alone
                }],
                Rule::ChunkSize,
            ),
            (
                &[
                    FIRST,
                    Packet {
                        kind: Kind::Unknown,
                        ..SECOND
                    },
                ],
                Rule::PacketKind,
            ),
        ];
        for (packets, rule) in cases {
            let (_, broken) = run(packets);
            assert!(broken.contains(rule), "{rule:?}: {broken:?}");
        }
        let long = vec![0; CHUNK + 1];
        let (_, broken) = run(&[Packet {
            data: &long,
            total: Some(long.len() as u64),
            ..alone
        }]);
        assert_eq!(broken, [Rule::ChunkSize]);
    }

    #[test]
    fn a_piece_without_end_is_not_kept() {
        let (mut assembly, mut findings) = (Assembly::default(), Findings::default());
        let data = vec![0; CHUNK];
        for chunk in 1..=200 {
            let packet = Packet {
                data: &data,
                chunk,
                total: (chunk == 1).then_some(u64::MAX),
                ..FIRST
            };
            assert_eq!(assembly.packet(&packet, &mut findings), None);
            assert!(assembly.pending() <= MAX_PIECE);
        }
        assert!(assembly.overflown());
    }

    proptest! {
        #[test]
        fn any_order_of_packets_is_taken(
            list in proptest::collection::vec((0u64..4, 0u64..4, any::<bool>(), any::<bool>()), 0..30),
        ) {
            let packets: Vec<Packet<'_>> = list
                .iter()
                .map(|&(sequence, chunk, last, end)| Packet { sequence, chunk, last, end, ..FIRST })
                .collect();
            run(&packets);
        }
    }
}
