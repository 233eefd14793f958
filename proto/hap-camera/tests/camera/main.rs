//! A camera as controllers, hubs and media see it.

mod bench;
mod data_streams;
mod database;
mod modes;
mod persistence;
mod recordings;
mod sensors;
mod sessions;
mod walk;
