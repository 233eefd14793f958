//! Recordings of HomeKit Secure Video: read, checked, kept and sealed.

pub mod assembly;
mod boxes;
pub mod checker;
pub mod clock;
mod codec;
pub mod file;
mod fragment;
mod init;
pub mod keep;
mod nal;
pub mod rule;
mod samples;
pub mod seal;
mod timeline;
pub mod wanted;
