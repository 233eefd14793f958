//! The cameras as the sources of triggers see them.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use tracing::{info, warn};

use super::inbox::Inbox;
use super::quiet::{Quiet, Verdict};
use super::signal::{Kind, Signal};
use crate::accessory::AccessoryHandle;
use crate::config::{CameraConfig, slug};

/// One camera that can be told something.
#[derive(Clone)]
pub struct Target {
    id: String,
    name: String,
    kinds: Vec<Kind>,
    inbox: Arc<Inbox>,
    quiet: Arc<Quiet>,
}

impl Target {
    /// The running camera of `config`.
    #[must_use]
    pub fn new(config: &CameraConfig, camera: &AccessoryHandle) -> Self {
        let security = &config.security;
        let has = |kind: &Kind| match kind {
            Kind::Motion => security.motion,
            Kind::Ring => security.doorbell,
            Kind::Occupancy => security.occupancy,
            Kind::Privacy => security.privacy_switch,
        };
        let kinds = Kind::ALL.into_iter().filter(has).collect();
        Self::with_inbox(&config.id, &config.name, kinds, camera.inbox())
    }

    pub(super) fn with_inbox(id: &str, name: &str, kinds: Vec<Kind>, inbox: Arc<Inbox>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            kinds,
            inbox,
            quiet: Arc::default(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id, which is the better name in a URL.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it can be told.
    #[must_use]
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// Tells the camera; `by` names the source in the log. Never waits.
    ///
    /// # Errors
    /// [`Refused::Kind`] for what the camera does not have.
    pub fn tell(&self, signal: Signal, by: &'static str) -> Result<(), Refused> {
        if !self.kinds.contains(&signal.kind()) {
            return Err(Refused::Kind(self.name.clone(), signal.kind()));
        }
        signal
            .triggers()
            .for_each(|trigger| self.inbox.put(trigger));
        self.log(signal, by);
        Ok(())
    }

    fn log(&self, signal: Signal, by: &'static str) {
        let camera = &self.name;
        match self.quiet.judge(Instant::now()) {
            Verdict::Tell => info!(camera, by, "{signal}"),
            Verdict::TellFlood => {
                warn!(
                    camera,
                    by, "a flood of events; they are not logged until it is over"
                );
            }
            Verdict::Silent => {}
        }
    }
}

/// All cameras of a daemon.
#[derive(Clone)]
pub struct Cameras {
    list: Arc<[Target]>,
}

impl Cameras {
    /// In the order of the config.
    #[must_use]
    pub fn new(list: Vec<Target>) -> Self {
        Self { list: list.into() }
    }

    /// All of them.
    #[must_use]
    pub fn list(&self) -> &[Target] {
        &self.list
    }

    /// The camera with this name or id.
    ///
    /// # Errors
    /// [`Refused::Camera`], which names those that are there.
    pub fn find(&self, wanted: &str) -> Result<&Target, Refused> {
        let is = |t: &&Target| t.name == wanted || t.id == wanted;
        self.list
            .iter()
            .find(is)
            .ok_or_else(|| self.unknown(wanted))
    }

    fn unknown(&self, wanted: &str) -> Refused {
        let wanted: String = wanted.chars().take(64).collect();
        Refused::Camera(wanted, self.list.iter().map(Target::to_string).collect())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.id != slug(&self.name) {
            write!(f, " (id {})", self.id)?;
        }
        let kinds: Vec<_> = self.kinds.iter().map(|k| k.name()).collect();
        write!(f, " with {}", kinds.join(", "))
    }
}

/// Why a camera was not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is none of that name.
    #[error("there is no camera {0:?}; there are: {list}", list = .1.join("; "))]
    Camera(String, Vec<String>),
    /// The camera does not have such a thing.
    #[error("{0} has no {what}; its table in the config needs {key} = true", what = what(*.1), key = key(*.1))]
    Kind(String, Kind),
}

const fn what(kind: Kind) -> &'static str {
    match kind {
        Kind::Motion => "motion sensor",
        Kind::Ring => "doorbell",
        Kind::Occupancy => "occupancy sensor",
        Kind::Privacy => "privacy switch",
    }
}

/// The key of the config that gives a camera this.
pub(crate) const fn key(kind: Kind) -> &'static str {
    match kind {
        Kind::Motion => "recording",
        Kind::Ring => "doorbell",
        Kind::Occupancy => "occupancy",
        Kind::Privacy => "privacy_switch",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Trigger;
    use super::*;

    /// A doorbell and a plain camera.
    pub(in super::super) fn two_cameras() -> Cameras {
        let plain = vec![Kind::Motion];
        Cameras::new(vec![
            Target::with_inbox("front", "Front Door", Kind::ALL.into(), Arc::default()),
            Target::with_inbox("yard", "Yard", plain, Arc::default()),
        ])
    }

    /// What the camera's task would get now.
    pub(in super::super) fn told(cameras: &Cameras, name: &str) -> Vec<Trigger> {
        cameras.find(name).expect("it is there").inbox.take_now()
    }

    #[test]
    fn cameras_are_found_by_name_and_id() {
        let cameras = two_cameras();
        for name in ["Front Door", "front"] {
            let target = cameras.find(name).expect("it is there");
            target.tell(Signal::RING, "test").expect("it has a bell");
            assert_eq!(told(&cameras, "front"), [Trigger::Ring]);
        }
    }

    #[test]
    fn refusals_say_what_would_be_right() {
        let cameras = two_cameras();
        let unknown = cameras.find("Back Door").map(Target::id).unwrap_err();
        let text = unknown.to_string();
        assert!(
            text.contains("Front Door (id front) with motion, ring"),
            "{text}"
        );
        let yard = cameras.find("yard").expect("it is there");
        let refused = yard.tell(Signal::RING, "test").unwrap_err().to_string();
        assert_eq!(
            refused,
            "Yard has no doorbell; its table in the config needs doorbell = true"
        );
        assert_eq!(told(&cameras, "yard"), []);
    }
}
