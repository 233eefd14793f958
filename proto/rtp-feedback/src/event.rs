use std::time::Duration;

/// Something the application has to do or to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The first packet of the controller has come.
    FirstRtcp,
    /// Nothing has come for too long.
    Silent {
        /// Since when.
        age: Duration,
    },
    /// The controller left.
    Bye,
    /// The controller caps the bitrate, in bit/s, already within the range of what can be done; the
    /// session confirms it by itself.
    MaxBitrate(u64),
    /// The controller wants another trade-off between sharp pictures (0) and many of them (31); the
    /// session confirms it by itself (RFC 5104 §4.3.2).
    TradeOff(u8),
    /// The encoder is to be asked for a key frame.
    KeyFrameWanted(Cause),
}

/// Why a key frame is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A picture loss indication.
    PictureLoss,
    /// A full intra request.
    FullIntraRequest,
    /// The key frame interval is over.
    Periodic,
    /// The application said so: start, resume.
    Application,
}
