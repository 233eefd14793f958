//! The newest groups of pictures of one encoding in memory, and the readers that follow them.
//!
//! - [`Ring`]: a writer publishes frames and is never blocked; a reader starts with the newest key frame, or some time
//!   back, and then follows. A reader that is too slow loses everything up to the next key frame, and the loss is
//!   counted. Frames are shared by reference; encoded ones that are kept for longer than the newest group are moved together
//!   into memory that is exactly as large.
//! - [`Queue`]: what a reader does with its frames. [`Source`] is one: an element without a thread of its own, whose pad
//!   pushes in the writer's thread.
//! - [`Continuity`]: timestamps that jump or go back, as those of real cameras do, made to go on.
//!
//! The element `hapring` offers the same to launch strings.

mod continuity;
mod frame;
mod pack;
mod reader;
#[expect(clippy::module_inception, reason = "the noun of the module")]
mod ring;
mod source;
mod store;
#[cfg(test)]
mod testing;

pub use continuity::Continuity;
pub use frame::{Backlog, Flow, Frame, Join, Limits, Queue};
pub use ring::{Held, Retention, Ring, Subscription};
pub use source::Source;
