//! The parts of `hapd`: config, state, HAP accessories and their media.

#![forbid(unsafe_code)]

pub mod accessory;
pub mod cli;
pub mod config;
pub mod control;
pub mod events;
pub mod mdns;
pub mod media;
pub mod pairing_info;
pub mod picture;
pub mod random;
pub mod run;
pub mod state;
