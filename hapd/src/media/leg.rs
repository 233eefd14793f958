//! One medium of a viewer: which stream feeds it now, and which will next.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::derived::Derived;
use super::switch::Switch;
use gsthomekit::ring::{Backlog, Join, Ring, Subscription};

/// Frames that may wait for a viewer. Sending does not block: more than a few wait only when the system does.
const LIMIT: Backlog = Backlog {
    frames: 150,
    bytes: 8 << 20,
};

/// The stream behind a choice.
#[derive(Clone)]
pub(super) enum Feed {
    /// The source's own.
    Own(Arc<Ring>),
    /// One that is made here.
    Made(Arc<Derived>),
}

impl Feed {
    fn stream(&self) -> &Arc<Ring> {
        match self {
            Self::Own(stream) => stream,
            Self::Made(derived) => &derived.stream,
        }
    }

    fn join(&self) -> Join {
        match self {
            Self::Own(_) => Join::Group,
            Self::Made(_) => Join::Still,
        }
    }
}

struct Attached<C> {
    choice: C,
    number: u64,
    feed: Feed,
    _subscription: Subscription,
}

/// The way of one medium to a viewer.
pub(super) struct Leg<C> {
    switch: Switch,
    feeding: Option<Attached<C>>,
    pending: Option<Attached<C>>,
    dropped: Arc<AtomicU64>,
}

impl<C: PartialEq> Leg<C> {
    /// Frames the viewer was too slow for are counted in `dropped`.
    pub(super) fn new(switch: Switch, dropped: Arc<AtomicU64>) -> Self {
        Self {
            switch,
            feeding: None,
            pending: None,
            dropped,
        }
    }

    /// What feeds, or will.
    pub(super) fn choice(&self) -> Option<&C> {
        self.newest().map(|attached| &attached.choice)
    }

    /// The stream that feeds, or will.
    pub(super) fn feed(&self) -> Option<&Feed> {
        self.newest().map(|attached| &attached.feed)
    }

    fn newest(&self) -> Option<&Attached<C>> {
        self.pending.as_ref().or(self.feeding.as_ref())
    }

    /// Lets `feed` take over at its next key frame.
    pub(super) fn attach(&mut self, choice: C, feed: Feed) {
        let line = self.switch.next(matches!(feed, Feed::Made(_)));
        let number = line.number();
        let subscription = feed
            .stream()
            .subscribe(line, feed.join(), LIMIT, &self.dropped);
        self.pending = Some(Attached {
            choice,
            number,
            feed,
            _subscription: subscription,
        });
    }

    /// The line of this number feeds now.
    pub(super) fn taken_over(&mut self, number: u64) {
        if self
            .pending
            .as_ref()
            .is_some_and(|pending| pending.number == number)
        {
            self.feeding = self.pending.take();
        }
    }

    /// Nothing feeds until the next [`Leg::attach`].
    pub(super) fn detach(&mut self) {
        self.feeding = None;
        self.pending = None;
    }
}
