//! What may be done with a characteristic.

/// The permissions of a characteristic (HAP R1 §5.3.3, Table 5-4; `wr` came later).
///
/// ```
/// use hap_proto::database::Perms;
/// let perms = Perms::new().pr().ev();
/// assert!(perms.can_read() && perms.can_notify() && !perms.can_write());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Perms(u8);

const PR: u8 = 1 << 0;
const PW: u8 = 1 << 1;
const EV: u8 = 1 << 2;
const AA: u8 = 1 << 3;
const TW: u8 = 1 << 4;
const HD: u8 = 1 << 5;
const WR: u8 = 1 << 6;

const NAMES: [(u8, &str); 7] = [
    (PR, "pr"),
    (PW, "pw"),
    (EV, "ev"),
    (AA, "aa"),
    (TW, "tw"),
    (HD, "hd"),
    (WR, "wr"),
];

impl Perms {
    /// No permission at all; the other methods add one each.
    pub const fn new() -> Self {
        Self(0)
    }

    /// Adds paired read.
    pub const fn pr(self) -> Self {
        Self(self.0 | PR)
    }

    /// Adds paired write.
    pub const fn pw(self) -> Self {
        Self(self.0 | PW)
    }

    /// Adds events.
    pub const fn ev(self) -> Self {
        Self(self.0 | EV)
    }

    /// Adds additional authorization.
    pub const fn aa(self) -> Self {
        Self(self.0 | AA)
    }

    /// Adds timed write: plain writes are refused.
    pub const fn tw(self) -> Self {
        Self(self.0 | TW)
    }

    /// Adds hidden from the user.
    pub const fn hd(self) -> Self {
        Self(self.0 | HD)
    }

    /// Adds write-response.
    pub const fn wr(self) -> Self {
        Self(self.0 | WR)
    }

    /// Whether controllers may read.
    pub const fn can_read(self) -> bool {
        self.0 & PR != 0
    }

    /// Whether controllers may write.
    pub const fn can_write(self) -> bool {
        self.0 & PW != 0
    }

    /// Whether controllers may subscribe to events.
    pub const fn can_notify(self) -> bool {
        self.0 & EV != 0
    }

    /// Whether writes need authorization data.
    pub const fn needs_authorization(self) -> bool {
        self.0 & AA != 0
    }

    /// Whether writes must be timed.
    pub const fn needs_timed_write(self) -> bool {
        self.0 & TW != 0
    }

    /// Whether a write can be answered with a value.
    pub const fn can_respond(self) -> bool {
        self.0 & WR != 0
    }

    /// Whether there is no permission at all.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names as they stand in JSON.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let present = NAMES.iter().filter(move |(bit, _)| self.0 & bit != 0);
        present.map(|(_, name)| *name)
    }
}

impl serde::Serialize for Perms {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}
