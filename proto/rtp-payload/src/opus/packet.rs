use std::time::Duration;

use super::Toc;
use crate::Error;

/// Most frames one packet may hold: 48 of 2.5 ms.
pub const MAX_FRAMES: usize = 48;

/// Longest frame (rule R2).
pub(super) const MAX_FRAME_LEN: usize = 1275;

/// Longest duration of a packet (rule R5).
const MAX_DURATION: Duration = Duration::from_millis(120);

/// An Opus packet, split into its frames (RFC 6716 §3.2).
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    toc: Toc,
    frames: [&'a [u8]; MAX_FRAMES],
    count: usize,
}

impl<'a> Packet<'a> {
    /// Splits a packet of code 0, 1, 2 or 3.
    ///
    /// # Errors
    /// [`Error::Opus`] with the number of the rule of RFC 6716 §3.4 that is broken.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let (&toc, rest) = bytes.split_first().ok_or(Error::Opus { rule: 1 })?;
        let toc = Toc(toc);
        let mut frames = Frames::default();
        match toc.code() {
            0 => frames.push(rest)?,
            1 => frames.push_equal(rest, 2, 3)?,
            2 => two_frames(rest, &mut frames)?,
            _ => many_frames(toc, rest, &mut frames)?,
        }
        Ok(Self {
            toc,
            frames: frames.frames,
            count: frames.count,
        })
    }

    /// The first byte.
    pub fn toc(&self) -> Toc {
        self.toc
    }

    /// The frames, without their lengths. An empty one stands for silence or loss.
    pub fn frames(&self) -> &[&'a [u8]] {
        &self.frames[..self.count]
    }

    /// How long the packet plays.
    pub fn duration(&self) -> Duration {
        self.toc.frame_duration() * self.count as u32
    }

    /// How long the packet plays in samples of 48 kHz, as Ogg counts.
    pub fn samples_48k(&self) -> u32 {
        (self.duration().as_micros() * 48 / 1000) as u32
    }
}

/// Frames found so far.
struct Frames<'a> {
    frames: [&'a [u8]; MAX_FRAMES],
    count: usize,
}

impl Default for Frames<'_> {
    fn default() -> Self {
        Self {
            frames: [&[]; MAX_FRAMES],
            count: 0,
        }
    }
}

impl<'a> Frames<'a> {
    fn push(&mut self, frame: &'a [u8]) -> Result<(), Error> {
        if frame.len() > MAX_FRAME_LEN {
            return Err(Error::Opus { rule: 2 });
        }
        let slot = self.frames.get_mut(self.count);
        *slot.ok_or(Error::Opus { rule: 5 })? = frame;
        self.count += 1;
        Ok(())
    }

    /// `count` frames that share `bytes` equally; `rule` is broken where they cannot.
    fn push_equal(&mut self, bytes: &'a [u8], count: usize, rule: u8) -> Result<(), Error> {
        if bytes.len() % count != 0 {
            return Err(Error::Opus { rule });
        }
        let len = bytes.len() / count;
        (0..count).try_for_each(|n| self.push(&bytes[n * len..][..len]))
    }
}

/// Code 2: a length, then two frames (RFC 6716 §3.2.4).
fn two_frames<'a>(rest: &'a [u8], frames: &mut Frames<'a>) -> Result<(), Error> {
    let broken = Error::Opus { rule: 4 };
    let (len, rest) = frame_length(rest).ok_or(broken)?;
    let (first, second) = rest.split_at_checked(len).ok_or(broken)?;
    frames.push(first)?;
    frames.push(second)
}

/// Code 3 (RFC 6716 §3.2.5).
///
/// ```text
/// |v|p|     M     | padding lengths | M-1 frame lengths (v) | M frames | padding |
/// ```
fn many_frames<'a>(toc: Toc, rest: &'a [u8], frames: &mut Frames<'a>) -> Result<(), Error> {
    let (&head, rest) = rest.split_first().ok_or(Error::Opus { rule: 6 })?;
    let count = usize::from(head & 0x3f);
    if count == 0 || toc.frame_duration() * count as u32 > MAX_DURATION {
        return Err(Error::Opus { rule: 5 });
    }
    let rest = match head & 0x40 {
        0 => rest,
        _ => without_padding(rest)?,
    };
    match head & 0x80 {
        0 => frames.push_equal(rest, count, 6),
        _ => variable_frames(rest, count, frames),
    }
}

fn variable_frames<'a>(
    mut rest: &'a [u8],
    count: usize,
    frames: &mut Frames<'a>,
) -> Result<(), Error> {
    let broken = Error::Opus { rule: 7 };
    let mut lengths = [0; MAX_FRAMES];
    for length in &mut lengths[..count - 1] {
        (*length, rest) = frame_length(rest).ok_or(broken)?;
    }
    for &length in &lengths[..count - 1] {
        let (frame, later) = rest.split_at_checked(length).ok_or(broken)?;
        frames.push(frame)?;
        rest = later;
    }
    frames.push(rest)
}

/// Cuts the padding: each length of 255 means 254 bytes and a further length.
fn without_padding(mut rest: &[u8]) -> Result<&[u8], Error> {
    let broken = Error::Opus { rule: 6 };
    let mut padding = 0;
    loop {
        let (&length, later) = rest.split_first().ok_or(broken)?;
        rest = later;
        padding += usize::from(length.min(254));
        if length < 255 {
            break;
        }
    }
    let len = rest.len().checked_sub(padding).ok_or(broken)?;
    Ok(&rest[..len])
}

/// A frame length of one or two bytes (RFC 6716 §3.2.1), and what follows it.
fn frame_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match *bytes {
        [short @ 0..=251, ref rest @ ..] => Some((short.into(), rest)),
        [first, second, ref rest @ ..] => {
            Some((usize::from(first) + 4 * usize::from(second), rest))
        }
        _ => None,
    }
}

/// Appends a frame length, at most [`MAX_FRAME_LEN`], as [`frame_length`] reads it.
pub(super) fn write_frame_length(len: usize, out: &mut Vec<u8>) {
    if len < 252 {
        out.push(len as u8);
        return;
    }
    let first = 252 + (len & 3);
    out.extend([first as u8, ((len - first) / 4) as u8]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let packet = Packet::parse(bytes)?;
        Ok(packet.frames().iter().map(|frame| frame.to_vec()).collect())
    }

    #[test]
    fn codes_zero_to_three() {
        assert_eq!(frames(&[0x48, 1, 2]).unwrap(), [vec![1, 2]]);
        assert_eq!(frames(&[0x48]).unwrap(), [vec![]]);
        assert_eq!(frames(&[0x49, 1, 2, 3, 4]).unwrap(), [[1, 2], [3, 4]]);
        assert_eq!(frames(&[0x4a, 1, 1, 2, 3]).unwrap(), [vec![1], vec![2, 3]]);
        let constant = [0x4b, 3, 1, 2, 3];
        assert_eq!(frames(&constant).unwrap(), [[1], [2], [3]]);
        let variable = [0x4b, 0x83, 1, 0, 9, 7, 7];
        assert_eq!(frames(&variable).unwrap(), [vec![9], vec![], vec![7, 7]]);
    }

    #[test]
    fn padding_is_cut_off() {
        assert_eq!(frames(&[0x4b, 0x41, 2, 9, 0, 0]).unwrap(), [[9]]);
        let mut long = vec![0x4b, 0x41, 255, 1, 9];
        long.extend([0; 255]);
        assert_eq!(frames(&long).unwrap(), [[9]]);
        assert_eq!(frames(&[0x4b, 0x41, 5, 9]), Err(Error::Opus { rule: 6 }));
    }

    #[test]
    fn frame_lengths_of_two_bytes() {
        for len in [0, 251, 252, 255, 256, 1275] {
            let mut bytes = Vec::new();
            write_frame_length(len, &mut bytes);
            assert_eq!(bytes.len(), if len < 252 { 1 } else { 2 });
            assert_eq!(frame_length(&bytes), Some((len, &[][..])));
        }
        assert_eq!(frame_length(&[252]), None);
    }

    #[test]
    fn broken_rules_are_named() {
        let rule = |bytes: &[u8]| match Packet::parse(bytes).unwrap_err() {
            Error::Opus { rule } => rule,
            other => panic!("{other:?}"),
        };
        assert_eq!(rule(&[]), 1);
        assert_eq!(rule(&[&[0x48][..], &[0; 1276]].concat()), 2);
        assert_eq!(rule(&[0x49, 1]), 3);
        assert_eq!(rule(&[0x4a]), 4);
        assert_eq!(rule(&[0x4a, 9, 1]), 4);
        assert_eq!(rule(&[0x4b, 0]), 5);
        assert_eq!(rule(&[0x4b, 7]), 5);
        assert_eq!(rule(&[0x4b]), 6);
        assert_eq!(rule(&[0x4b, 2, 1]), 6);
        assert_eq!(rule(&[0x4b, 0x82, 5, 1]), 7);
    }

    #[test]
    fn durations_count_frames() {
        let packet = Packet::parse(&[0x4b, 3, 1, 2, 3]).unwrap();
        assert_eq!(packet.duration(), Duration::from_millis(60));
        assert_eq!(packet.samples_48k(), 2880);
        let shortest = Packet::parse(&[0x80]).unwrap();
        assert_eq!(shortest.samples_48k(), 120);
    }
}
