//! Hubs that misbehave on purpose.

use std::time::Duration;

use clap::ValueEnum;
use hds_proto::Reason;

/// Beyond this many bytes of a recording nobody is in the middle of its first chunks.
const MID_CHUNK: u64 = 300_000;
/// A hub picked at random stops reading for this long.
const SHORT_STALL: Duration = Duration::from_secs(3);
/// Cameras give up on a hub that does not read after about 12 s.
const LONG_STALL: Duration = Duration::from_secs(20);

/// What a hub does wrong in one recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Abort {
    /// Closes after the initialization.
    Init,
    /// Closes after a fragment.
    Fragment,
    /// Drops the data stream in the middle of a chunk.
    MidChunk,
    /// Drops the data stream and the HAP connection without a word.
    Vanish,
    /// Opens and never reads.
    Stall,
    /// Opens a second recording beside the first, then goes on with the first.
    Twice,
    /// Closes with an error for a reason.
    Reason,
    /// Never acknowledges the end.
    NoAck,
    /// One of these each time, or nothing.
    Random,
}

/// What exactly to do, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mischief {
    /// Nothing.
    None,
    /// Close after this many pieces; the initialization is the first.
    CloseAfter(u64, Reason),
    /// Drop the data stream after this many bytes.
    CutAfter(u64),
    /// Drop everything after the first piece.
    Vanish,
    /// Do not read for this long, then drop the data stream.
    Stall(Duration),
    /// Open a second recording.
    Twice,
    /// Do not acknowledge.
    NoAck,
}

impl Mischief {
    /// How it is told in `ended`; none when the recording goes on to its end.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::CloseAfter(1, _) => Some("closed after the initialization"),
            Self::CloseAfter(..) => Some("closed after a fragment"),
            Self::CutAfter(_) => Some("dropped in the middle of a chunk"),
            Self::Vanish => Some("vanished"),
            Self::Stall(_) => Some("did not read"),
            Self::None | Self::Twice | Self::NoAck => None,
        }
    }
}

/// Picks mischief.
#[derive(Debug)]
pub struct Chaos {
    abort: Option<Abort>,
    random: SplitMix,
    last: Mischief,
}

impl Chaos {
    /// `abort` every time; [`Abort::Random`] picks by `seed`.
    #[must_use]
    pub fn new(abort: Option<Abort>, seed: u64) -> Self {
        Self {
            abort,
            random: SplitMix(seed),
            last: Mischief::None,
        }
    }

    /// What [`Chaos::mischief`] gave last.
    #[must_use]
    pub fn last(&self) -> Mischief {
        self.last
    }

    /// For the next recording.
    pub fn mischief(&mut self) -> Mischief {
        self.last = match self.abort {
            None => Mischief::None,
            Some(Abort::Random) => self.pick(),
            Some(Abort::Stall) => Mischief::Stall(LONG_STALL),
            Some(abort) => self.exactly(abort),
        };
        self.last
    }

    /// Half of the hubs are well-behaved.
    fn pick(&mut self) -> Mischief {
        const PICKED: [Abort; 7] = [
            Abort::Init,
            Abort::Fragment,
            Abort::MidChunk,
            Abort::Vanish,
            Abort::Stall,
            Abort::Twice,
            Abort::Reason,
        ];
        let picked = usize::try_from(self.random.below(14)).unwrap_or(0);
        match PICKED.get(picked) {
            Some(abort) => self.exactly(*abort),
            None => Mischief::None,
        }
    }

    fn exactly(&mut self, abort: Abort) -> Mischief {
        match abort {
            Abort::Init => Mischief::CloseAfter(1, Reason::Normal),
            Abort::Fragment => Mischief::CloseAfter(2 + self.random.below(3), Reason::Normal),
            Abort::Reason => Mischief::CloseAfter(2, self.reason()),
            Abort::MidChunk => Mischief::CutAfter(1 + self.random.below(MID_CHUNK)),
            Abort::Vanish => Mischief::Vanish,
            Abort::Stall => Mischief::Stall(SHORT_STALL),
            Abort::Twice => Mischief::Twice,
            Abort::NoAck => Mischief::NoAck,
            Abort::Random => Mischief::None,
        }
    }

    fn reason(&mut self) -> Reason {
        let code = 1 + self.random.below(9);
        i64::try_from(code)
            .ok()
            .and_then(Reason::from_code)
            .unwrap_or(Reason::Cancelled)
    }
}

/// SplitMix64: the same seed does the same again.
#[derive(Debug)]
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(seed: u64) -> Vec<Mischief> {
        let mut chaos = Chaos::new(Some(Abort::Random), seed);
        (0..400).map(|_| chaos.mischief()).collect()
    }

    #[test]
    fn a_seed_always_picks_the_same() {
        assert_eq!(picks(7), picks(7));
        assert_ne!(picks(7), picks(8));
    }

    #[test]
    fn everything_is_picked_and_half_is_well_behaved() {
        let picks = picks(1);
        let good = picks.iter().filter(|m| **m == Mischief::None).count();
        assert!((140..260).contains(&good), "{good}");
        for name in [
            "closed after the initialization",
            "closed after a fragment",
            "dropped in the middle of a chunk",
            "vanished",
            "did not read",
        ] {
            assert!(picks.iter().any(|m| m.name() == Some(name)), "{name}");
        }
        assert!(picks.contains(&Mischief::Twice));
    }

    #[test]
    fn without_wish_nothing_is_wrong() {
        let mut chaos = Chaos::new(None, 3);
        assert!((0..50).all(|_| chaos.mischief() == Mischief::None));
        let mut chaos = Chaos::new(Some(Abort::NoAck), 3);
        assert_eq!(chaos.mischief(), Mischief::NoAck);
    }
}
