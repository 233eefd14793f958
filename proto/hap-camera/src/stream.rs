//! One stream session, from Setup Endpoints to its end (HAP R1 §8.75, §8.76).
//!
//! ```text
//!         Setup Endpoints          Start               End, connection closed,
//!  Idle ─────────────────► Ready ─────────► Running ──  no RTCP, Active = 0   ──► Idle
//!                            │ 30 s without Start                                  ▲
//!                            └─────────────────────────────────────────────────────┘
//! ```

use std::time::{Duration, Instant};

use hap_proto::{ConnId, Status};
use zeroize::Zeroizing;

use crate::camera::Requester;
use crate::media::{MediaHost, MediaUnavailable};
use crate::rtp::{
    AudioSelection, Endpoint, SelectedStreamConfiguration, SessionId, SetupEndpointsAnswer,
    SetupEndpointsRequest, SetupEndpointsResponse, SetupStatus, SrtpParameters, SrtpSuite,
    StreamCommand, StreamingStatus, VideoSelection,
};

/// Endpoints that are never started are given up after this long.
pub const SETUP_EXPIRY: Duration = Duration::from_secs(30);

/// Names one session for the media side: the stream service and a number that is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    /// Which Camera RTP Stream Management service.
    pub slot: usize,
    /// Counts the sessions of that service.
    pub serial: u64,
}

struct Session {
    key: StreamKey,
    id: SessionId,
    owner: ConnId,
    controller: Option<String>,
}

enum State {
    Idle,
    Ready { session: Session, expires: Instant },
    Running { session: Session, selected: Vec<u8> },
}

impl State {
    fn session(&self) -> Option<&Session> {
        match self {
            Self::Idle => None,
            Self::Ready { session, .. } | Self::Running { session, .. } => Some(session),
        }
    }
}

/// The session of one Camera RTP Stream Management service.
pub(crate) struct Stream {
    slot: usize,
    serial: u64,
    state: State,
    active: bool,
    /// Not while the whole camera is switched off.
    allowed: bool,
    /// What each connection reads next from Setup Endpoints. Holds keys.
    answers: Vec<(ConnId, Zeroizing<Vec<u8>>)>,
    suites: Vec<SrtpSuite>,
}

impl Stream {
    pub(crate) fn new(slot: usize, active: bool, suites: Vec<SrtpSuite>) -> Self {
        Self {
            slot,
            serial: 0,
            state: State::Idle,
            active,
            allowed: true,
            answers: Vec::new(),
            suites,
        }
    }

    pub(crate) const fn active(&self) -> bool {
        self.active
    }

    /// Whether sessions can be had.
    const fn usable(&self) -> bool {
        self.active && self.allowed
    }

    pub(crate) const fn status(&self) -> StreamingStatus {
        match (&self.state, self.usable()) {
            (_, false) => StreamingStatus::Unavailable,
            (State::Idle, true) => StreamingStatus::Available,
            _ => StreamingStatus::InUse,
        }
    }

    pub(crate) const fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Ready { expires, .. } => Some(expires),
            _ => None,
        }
    }

    pub(crate) fn timeout(&mut self, now: Instant, media: &mut dyn MediaHost) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.end(media);
        }
    }

    /// Active, B0. Switching off ends the session at once.
    pub(crate) fn set_active(&mut self, active: bool, media: &mut dyn MediaHost) {
        self.active = active;
        if !active {
            self.end(media);
        }
    }

    /// Whether the camera is switched on when it starts.
    pub(crate) const fn allow(&mut self, allowed: bool) {
        self.allowed = allowed;
    }

    /// The camera is switched on or off. Off ends the session at once.
    pub(crate) fn set_allowed(&mut self, allowed: bool, media: &mut dyn MediaHost) {
        self.allowed = allowed;
        if !allowed {
            self.end(media);
        }
    }

    /// The connection is gone: so is its session, and the answer that it did not fetch.
    pub(crate) fn connection_closed(&mut self, conn: ConnId, media: &mut dyn MediaHost) {
        self.answers.retain(|(owner, _)| *owner != conn);
        if self.state.session().is_some_and(|s| s.owner == conn) {
            self.end(media);
        }
    }

    /// The media side lost the session `key` (no RTCP, or it failed).
    pub(crate) fn lost(&mut self, key: StreamKey, media: &mut dyn MediaHost) {
        if self.state.session().is_some_and(|s| s.key == key) {
            self.end(media);
        }
    }

    pub(crate) fn end(&mut self, media: &mut dyn MediaHost) {
        if let Some(session) = self.state.session() {
            media.close(session.key);
            self.state = State::Idle;
            self.answers.clear();
        }
    }

    pub(crate) fn read_setup_endpoints(&self, conn: ConnId) -> Vec<u8> {
        let answer = self
            .answers
            .iter()
            .find(|(owner, _)| *owner == conn && self.usable());
        answer.map_or_else(
            || SetupEndpointsResponse::idle().encode(),
            |(_, bytes)| bytes.to_vec(),
        )
    }

    pub(crate) fn read_selected(&self) -> Vec<u8> {
        match &self.state {
            State::Running { selected, .. } if self.usable() => selected.clone(),
            _ => SelectedStreamConfiguration::IDLE.to_vec(),
        }
    }

    /// Setup Endpoints was written. A request that cannot be served is answered in the read that follows, as the
    /// specification has it; only a TLV without session identifier fails the write itself.
    pub(crate) fn setup_endpoints(
        &mut self,
        bytes: &[u8],
        from: &Requester<'_>,
        now: Instant,
        media: &mut dyn MediaHost,
    ) -> Result<(), Status> {
        self.require_active()?;
        let session_id =
            SetupEndpointsRequest::decode_session_id(bytes).ok_or(Status::InvalidValue)?;
        let result = match SetupEndpointsRequest::decode(bytes) {
            _ if self.taken_for(from) => Err(SetupStatus::Busy),
            Ok(request) if self.acceptable(&request, from) => {
                self.end(media);
                self.open(&request, from, now, media)
            }
            _ => Err(SetupStatus::Error),
        };
        let response = SetupEndpointsResponse {
            session_id: Some(session_id),
            result,
        };
        self.answers.retain(|(owner, _)| *owner != from.conn);
        self.answers
            .push((from.conn, Zeroizing::new(response.encode())));
        Ok(())
    }

    /// A connection may replace endpoints that it set up itself and never started.
    fn taken_for(&self, from: &Requester<'_>) -> bool {
        match &self.state {
            State::Idle => false,
            State::Ready { session, .. } => session.owner != from.conn,
            State::Running { .. } => true,
        }
    }

    fn acceptable(&self, request: &SetupEndpointsRequest, from: &Requester<'_>) -> bool {
        let suites = [request.video_srtp.suite, request.audio_srtp.suite];
        suites.iter().all(|s| self.suites.contains(s))
            && request.controller.address.is_ipv4() == from.local.to_canonical().is_ipv4()
    }

    fn open(
        &mut self,
        request: &SetupEndpointsRequest,
        from: &Requester<'_>,
        now: Instant,
        media: &mut dyn MediaHost,
    ) -> Result<SetupEndpointsAnswer, SetupStatus> {
        self.serial += 1;
        let key = StreamKey {
            slot: self.slot,
            serial: self.serial,
        };
        let local = from.local.to_canonical();
        let mut ours = SetupEndpointsAnswer {
            accessory: Endpoint {
                address: local,
                video_port: 0,
                audio_port: 0,
            },
            video_srtp: own_srtp(request.video_srtp.suite, media),
            audio_srtp: own_srtp(request.audio_srtp.suite, media),
            video_ssrc: random_ssrc(media),
            audio_ssrc: random_ssrc(media),
        };
        let ports = media
            .open(key, local, request, &ours)
            .map_err(|MediaUnavailable| SetupStatus::Error)?;
        ours.accessory = Endpoint {
            address: local,
            video_port: ports.video,
            audio_port: ports.audio,
        };
        let session = Session {
            key,
            id: request.session_id,
            owner: from.conn,
            controller: from.controller.map(str::to_owned),
        };
        self.state = State::Ready {
            session,
            expires: now + SETUP_EXPIRY,
        };
        Ok(ours)
    }

    /// Selected RTP Stream Configuration was written.
    pub(crate) fn select(
        &mut self,
        bytes: &[u8],
        from: &Requester<'_>,
        media: &mut dyn MediaHost,
    ) -> Result<(), Status> {
        self.require_active()?;
        let command =
            SelectedStreamConfiguration::decode(bytes).map_err(|_| Status::InvalidValue)?;
        let key = self.session_for(&command, from)?;
        match command {
            SelectedStreamConfiguration::Start { video, audio, .. } => {
                self.start(bytes, &video, audio.as_ref(), media)
            }
            SelectedStreamConfiguration::Reconfigure { video, .. } => {
                self.require_running()?;
                media.reconfigure(key, &video).map_err(unavailable)
            }
            SelectedStreamConfiguration::Control {
                command: StreamCommand::End,
                ..
            } => {
                self.end(media);
                Ok(())
            }
            SelectedStreamConfiguration::Control { command, .. } => {
                self.require_running()?;
                media.suspend(key, command == StreamCommand::Suspend);
                Ok(())
            }
        }
    }

    /// The session that the command names, if it belongs to this controller. A command for a session that has
    /// ended is refused, never left hanging: controllers were seen to reconfigure after a stop.
    fn session_for(
        &self,
        command: &SelectedStreamConfiguration,
        from: &Requester<'_>,
    ) -> Result<StreamKey, Status> {
        let session = self
            .state
            .session()
            .filter(|s| s.id == *command.session_id())
            .ok_or(Status::InvalidValue)?;
        if session.controller.as_deref() != from.controller {
            return Err(Status::InsufficientPrivileges);
        }
        Ok(session.key)
    }

    fn start(
        &mut self,
        bytes: &[u8],
        video: &VideoSelection,
        audio: Option<&AudioSelection>,
        media: &mut dyn MediaHost,
    ) -> Result<(), Status> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Ready { session, .. } => {
                let key = session.key;
                self.state = State::Running {
                    session,
                    selected: bytes.to_vec(),
                };
                let started = media.start(key, video, audio);
                if started.is_err() {
                    self.end(media);
                }
                started.map_err(unavailable)
            }
            other => {
                self.state = other;
                Err(Status::NotAllowedInCurrentState)
            }
        }
    }

    const fn require_active(&self) -> Result<(), Status> {
        if self.usable() {
            Ok(())
        } else {
            Err(Status::NotAllowedInCurrentState)
        }
    }

    const fn require_running(&self) -> Result<(), Status> {
        if matches!(self.state, State::Running { .. }) {
            Ok(())
        } else {
            Err(Status::NotAllowedInCurrentState)
        }
    }
}

const fn unavailable(_: MediaUnavailable) -> Status {
    Status::UnableToCommunicate
}

/// Fresh keys for what the accessory sends; the controller's protect what it sends itself.
fn own_srtp(suite: SrtpSuite, media: &mut dyn MediaHost) -> SrtpParameters {
    let (key_len, salt_len) = suite.key_and_salt_len();
    let mut fill = |len| {
        let mut bytes = Zeroizing::new(vec![0; len]);
        media.random(&mut bytes);
        bytes
    };
    SrtpParameters {
        suite,
        key: fill(key_len),
        salt: fill(salt_len),
    }
}

/// A random SSRC; 0 means "none" to some controllers.
fn random_ssrc(media: &mut dyn MediaHost) -> u32 {
    let mut bytes = [0; 4];
    media.random(&mut bytes);
    u32::from_be_bytes(bytes).max(1)
}
