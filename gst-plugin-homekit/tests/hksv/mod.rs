//! What the tests of `hksvmux` share: encoded streams, the element with bare pads around it, and a
//! reader of what comes out.
#![allow(dead_code, reason = "every test binary uses another part of it")]

pub(crate) mod bench;
pub(crate) mod boxes;
pub(crate) mod check;
pub(crate) mod peers;
pub(crate) mod streams;
