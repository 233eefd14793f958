//! What the state machines ask of whoever owns sockets and media.

use std::net::IpAddr;

use hap_proto::ConnId;

use crate::recording::{RecordingKey, SelectedRecording};
use crate::rtp::{
    AudioSelection, SetupEndpointsAnswer, SetupEndpointsRequest, VideoChange, VideoSelection,
};
use crate::stream::StreamKey;

/// UDP ports that were opened for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Video RTP and RTCP.
    pub video: u16,
    /// Audio RTP and RTCP.
    pub audio: u16,
}

/// The media side could not do what was asked; it has logged why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaUnavailable;

/// Sockets and media of one camera. Every call returns at once.
pub trait MediaHost {
    /// Fills `out` from a cryptographic source.
    fn random(&mut self, out: &mut [u8]);

    /// Opens both sockets at `local` towards `request.controller`; nothing is sent yet.
    ///
    /// # Errors
    /// [`MediaUnavailable`] when there are no sockets or no camera to be had.
    fn open(
        &mut self,
        key: StreamKey,
        local: IpAddr,
        request: &SetupEndpointsRequest,
        ours: &SetupEndpointsAnswer,
    ) -> Result<Ports, MediaUnavailable>;

    /// Starts to send.
    ///
    /// # Errors
    /// [`MediaUnavailable`] when what was selected cannot be produced.
    fn start(
        &mut self,
        key: StreamKey,
        video: &VideoSelection,
        audio: Option<&AudioSelection>,
    ) -> Result<(), MediaUnavailable>;

    /// Changes size, rate or bitrate of the running video.
    ///
    /// # Errors
    /// [`MediaUnavailable`] when the change cannot be made; the stream goes on as it was.
    fn reconfigure(&mut self, key: StreamKey, change: &VideoChange)
    -> Result<(), MediaUnavailable>;

    /// Pauses or goes on.
    fn suspend(&mut self, key: StreamKey, suspended: bool);

    /// Ends the session and closes its sockets. Called exactly once for each session that was opened.
    fn close(&mut self, key: StreamKey);

    /// Derives the keys of a HomeKit Data Stream from the secret of `conn`, which is to close with it, and listens;
    /// returns the TCP port.
    ///
    /// # Errors
    /// [`MediaUnavailable`] when there is no socket to be had, or there are too many sessions.
    fn open_data_stream(
        &mut self,
        conn: ConnId,
        shared_secret: &[u8; 32],
        controller_salt: &[u8; 32],
        accessory_salt: &[u8; 32],
    ) -> Result<u16, MediaUnavailable>;

    /// Starts a recording: initialization segment, prebuffer, then what comes. Each piece is asked
    /// about with [`Camera::recording_data`](crate::Camera::recording_data).
    ///
    /// From then on it ends in exactly one way: the last piece was handed over, media reported that it
    /// [failed](crate::Camera::recording_failed), or [`MediaHost::stop_recording`] was called.
    ///
    /// # Errors
    /// [`MediaUnavailable`] when what was selected cannot be recorded now.
    fn start_recording(
        &mut self,
        key: RecordingKey,
        selected: &SelectedRecording,
        audio: bool,
    ) -> Result<(), MediaUnavailable>;

    /// The fragment under way is the last one.
    fn finish_recording(&mut self, key: RecordingKey);

    /// Ends at once; what was not handed over is dropped.
    fn stop_recording(&mut self, key: RecordingKey);
}
