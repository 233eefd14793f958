//! The home hub, played: it arms a camera, opens data streams, and pulls recordings.

pub mod arm;
pub mod chaos;
pub mod choice;
pub mod home;
pub mod link;
pub mod poster;
pub mod pull;
pub mod recording;
pub mod report;
pub mod run;
pub mod services;
pub mod snapshot;
