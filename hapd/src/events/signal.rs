//! The words for what can happen at a camera, the same on the command line, in HTTP, on stdin and in the config.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::Trigger;

/// What happens at a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Something moves.
    Motion,
    /// Somebody presses the doorbell.
    Ring,
    /// Somebody is there.
    Occupancy,
    /// The camera's privacy switch: on means that nothing may be seen.
    Privacy,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Motion, Self::Ring, Self::Occupancy, Self::Privacy];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Motion => "motion",
            Self::Ring => "ring",
            Self::Occupancy => "occupancy",
            Self::Privacy => "privacy",
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == word);
        found.ok_or_else(|| format!("{word:?} is not motion, ring, occupancy or privacy"))
    }
}

/// How it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It begins.
    On,
    /// It ends.
    Off,
    /// It begins and ends at once, for sensors that never tell the end: motion then lasts its shortest time.
    Pulse,
}

impl Change {
    const fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Pulse => "pulse",
        }
    }
}

impl From<bool> for Change {
    fn from(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}

impl FromStr for Change {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word.to_ascii_lowercase().as_str() {
            "on" | "true" | "1" | "yes" => Ok(Self::On),
            "off" | "false" | "0" | "no" => Ok(Self::Off),
            "pulse" => Ok(Self::Pulse),
            _ => Err(format!("{word:?} is not on, off or pulse")),
        }
    }
}

/// One kind and its change, as far as the two go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signal {
    kind: Kind,
    change: Change,
}

/// Nothing moves any more.
pub(super) const MOTION_OFF: Signal = Signal {
    kind: Kind::Motion,
    change: Change::Off,
};

impl Signal {
    /// A press of the bell.
    pub const RING: Self = Self {
        kind: Kind::Ring,
        change: Change::Pulse,
    };

    /// Puts the two together. A ring needs no change: a press is over at once.
    ///
    /// # Errors
    /// What is missing or makes no sense.
    pub fn new(kind: Kind, change: Option<Change>) -> Result<Self, String> {
        match (kind, change) {
            (Kind::Ring, Some(Change::Off)) => Err("a ring is over at once: it has no off".into()),
            (Kind::Ring, _) => Ok(Self::RING),
            (Kind::Privacy, Some(Change::Pulse)) => Err("privacy is on or off".into()),
            (_, Some(change)) => Ok(Self { kind, change }),
            (Kind::Privacy, None) => Err("say privacy on or privacy off".into()),
            (_, None) => Err(format!("say {0} on, {0} off or {0} pulse", kind.name())),
        }
    }

    /// What it is about.
    #[must_use]
    pub const fn kind(self) -> Kind {
        self.kind
    }

    /// What the camera is told, in this order.
    pub fn triggers(self) -> impl Iterator<Item = Trigger> {
        let states: &[bool] = match self.change {
            _ if self.kind == Kind::Ring => &[true],
            Change::On => &[true],
            Change::Off => &[false],
            Change::Pulse => &[true, false],
        };
        states.iter().map(move |on| match self.kind {
            Kind::Motion => Trigger::Motion(*on),
            Kind::Ring => Trigger::Ring,
            Kind::Occupancy => Trigger::Occupancy(*on),
            Kind::Privacy => Trigger::Privacy(*on),
        })
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        match self.kind {
            Kind::Ring => Ok(()),
            _ => write!(f, " {}", self.change.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triggers(kind: Kind, change: Option<Change>) -> Vec<Trigger> {
        let signal = Signal::new(kind, change).expect("they go together");
        signal.triggers().collect()
    }

    #[test]
    fn what_the_camera_is_told() {
        use Trigger::{Motion, Occupancy, Privacy, Ring};
        assert_eq!(triggers(Kind::Motion, Some(Change::On)), [Motion(true)]);
        assert_eq!(
            triggers(Kind::Motion, Some(Change::Pulse)),
            [Motion(true), Motion(false)]
        );
        assert_eq!(triggers(Kind::Ring, None), [Ring]);
        assert_eq!(triggers(Kind::Ring, Some(Change::On)), [Ring]);
        assert_eq!(
            triggers(Kind::Occupancy, Some(Change::Off)),
            [Occupancy(false)]
        );
        assert_eq!(triggers(Kind::Privacy, Some(Change::On)), [Privacy(true)]);
    }

    #[test]
    fn what_makes_no_sense() {
        for (kind, change) in [
            (Kind::Motion, None),
            (Kind::Occupancy, None),
            (Kind::Privacy, None),
            (Kind::Privacy, Some(Change::Pulse)),
            (Kind::Ring, Some(Change::Off)),
        ] {
            assert!(Signal::new(kind, change).is_err(), "{kind:?} {change:?}");
        }
    }

    #[test]
    fn words_are_those_of_the_command_line() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));

            let value = kind.to_possible_value().expect("none is hidden");
            assert_eq!(value.get_name(), kind.name());
        }
        assert_eq!("ON".parse(), Ok(Change::On));
        assert!("onn".parse::<Change>().is_err());
        assert!("Motion".parse::<Kind>().is_err());
    }
}
