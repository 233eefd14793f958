//! One stream session as the controller runs it: Setup Endpoints, then Selected RTP Stream
//! Configuration (HAP R1 §11.2).

use hap_camera::rtp::{
    Endpoint, SelectedStreamConfiguration, SessionId, SetupEndpointsAnswer, SetupEndpointsRequest,
    SetupEndpointsResponse, SetupStatus, SrtpParameters, SrtpSuite, StreamCommand, VideoChange,
};
use srtp::{MasterKey, Suite};
use zeroize::Zeroizing;

use crate::camera::{StreamService, status_value};
use crate::failure::{Failure, Kind, Result};
use crate::plan::Plan;
use crate::session::{ReadFlags, Session};

/// A session that was set up.
pub struct Stream<'a> {
    session: &'a Session,
    service: StreamService,
    id: SessionId,
    /// Keys of what this controller sends.
    ours: SetupEndpointsRequest,
    /// Ports, keys and sources of what the camera sends.
    theirs: SetupEndpointsAnswer,
}

/// Keys of one medium: none where the suite is "no encryption".
#[derive(Debug)]
pub struct Keys {
    /// Protects what this controller sends.
    pub send: Option<MasterKey>,
    /// Protects what the camera sends.
    pub receive: Option<MasterKey>,
}

impl<'a> Stream<'a> {
    /// Writes Setup Endpoints and reads the answer. `endpoint` must be open already.
    ///
    /// # Errors
    /// [`Kind::Refused`] when the camera is busy or fails, [`Kind::Protocol`] for an answer that
    /// does not belong to the request.
    pub async fn setup(
        session: &'a Session,
        service: StreamService,
        endpoint: Endpoint,
        suite: SrtpSuite,
    ) -> Result<Stream<'a>> {
        let mut id = SessionId::default();
        crate::random(&mut id)?;
        let request = SetupEndpointsRequest {
            session_id: id,
            controller: endpoint,
            video_srtp: fresh_key(suite)?,
            audio_srtp: fresh_key(suite)?,
        };
        session
            .write_tlv8(service.setup, &request.encode())
            .await
            .map_err(|e| e.context("Setup Endpoints"))?;
        let answer = session.read_tlv8(service.setup).await;
        let answer = answer.and_then(|bytes| check_answer(&bytes, &id));
        Ok(Stream {
            session,
            service,
            id,
            ours: request,
            theirs: answer.map_err(|e| e.context("Setup Endpoints"))?,
        })
    }

    /// What the camera answered.
    #[must_use]
    pub fn answer(&self) -> &SetupEndpointsAnswer {
        &self.theirs
    }

    /// The session identifier.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// The service the stream runs on.
    #[must_use]
    pub fn service(&self) -> &StreamService {
        &self.service
    }

    /// The keys of the video.
    ///
    /// # Errors
    /// [`Kind::Protocol`] when the camera's key does not fit its suite.
    pub fn video_keys(&self) -> Result<Keys> {
        keys(&self.ours.video_srtp, &self.theirs.video_srtp)
    }

    /// The keys of the audio.
    ///
    /// # Errors
    /// As [`Stream::video_keys`].
    pub fn audio_keys(&self) -> Result<Keys> {
        keys(&self.ours.audio_srtp, &self.theirs.audio_srtp)
    }

    async fn select(&self, what: &str, command: &SelectedStreamConfiguration) -> Result<()> {
        let bytes = command.encode();
        let written = self.session.write_tlv8(self.service.selected, &bytes);
        written.await.map_err(|e| e.context(what))
    }

    /// Starts the media.
    ///
    /// # Errors
    /// [`Kind::Refused`] when the camera does not accept the selection.
    pub async fn start(&self, plan: &Plan) -> Result<()> {
        let command = SelectedStreamConfiguration::Start {
            session_id: self.id,
            video: plan.video.clone(),
            audio: plan.audio.clone(),
        };
        self.select("Start", &command).await
    }

    /// Changes the running video.
    ///
    /// # Errors
    /// As [`Stream::start`].
    pub async fn reconfigure(&self, video: VideoChange) -> Result<()> {
        let command = SelectedStreamConfiguration::Reconfigure {
            session_id: self.id,
            video,
        };
        self.select("Reconfigure", &command).await
    }

    /// Ends, suspends or resumes.
    ///
    /// # Errors
    /// As [`Stream::start`].
    pub async fn control(&self, command: StreamCommand) -> Result<()> {
        let what = format!("{command:?}");
        let command = SelectedStreamConfiguration::Control {
            session_id: self.id,
            command,
        };
        self.select(&what, &command).await
    }

    /// Whether the camera still says that the stream is in use.
    ///
    /// # Errors
    /// When the accessory does not answer.
    pub async fn in_use(&self) -> Result<bool> {
        let ids = [self.service.status];
        let replies = self.session.read(&ids, ReadFlags::default()).await?;
        let value = replies.first().and_then(|r| r.value.as_ref());
        Ok(status_value(value) != Some(0))
    }
}

fn fresh_key(suite: SrtpSuite) -> Result<SrtpParameters> {
    let (key_len, salt_len) = suite.key_and_salt_len();
    let mut key = Zeroizing::new(vec![0; key_len]);
    let mut salt = Zeroizing::new(vec![0; salt_len]);
    crate::random(&mut key)?;
    crate::random(&mut salt)?;
    Ok(SrtpParameters { suite, key, salt })
}

fn check_answer(bytes: &[u8], id: &SessionId) -> Result<SetupEndpointsAnswer> {
    let malformed = |why: String| Failure::new(Kind::Protocol, format!("malformed answer: {why}"));
    let answer = SetupEndpointsResponse::decode(bytes).map_err(|e| malformed(e.to_string()))?;
    match (answer.session_id, answer.result) {
        (_, Err(SetupStatus::Busy)) => Err(Failure::new(
            Kind::Refused,
            "the stream service is busy with another session",
        )
        .hint("leave out --stream to take one that is available")),
        (Some(got), Ok(answer)) if got == *id => Ok(answer),
        (_, Ok(_)) => Err(malformed("it is for another session".into())),
        (_, Err(_)) => Err(
            Failure::new(Kind::Refused, "the camera could not set up the stream")
                .hint("see the camera's log"),
        ),
    }
}

fn keys(ours: &SrtpParameters, theirs: &SrtpParameters) -> Result<Keys> {
    Ok(Keys {
        send: master_key(ours)?,
        receive: master_key(theirs)?,
    })
}

fn master_key(parameters: &SrtpParameters) -> Result<Option<MasterKey>> {
    let suite = match parameters.suite {
        SrtpSuite::AesCm128HmacSha1_80 => Suite::AesCm128HmacSha1_80,
        SrtpSuite::AesCm256HmacSha1_80 => Suite::AesCm256HmacSha1_80,
        SrtpSuite::None => return Ok(None),
    };
    MasterKey::new(suite, &parameters.key, &parameters.salt)
        .map(Some)
        .map_err(|e| Failure::new(Kind::Protocol, format!("SRTP key: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: SessionId = [9; 16];

    fn parameters(suite: SrtpSuite) -> SrtpParameters {
        fresh_key(suite).unwrap()
    }

    fn answer(session_id: Option<SessionId>) -> Vec<u8> {
        let answer = SetupEndpointsAnswer {
            accessory: Endpoint {
                address: "192.0.2.1".parse().unwrap(),
                video_port: 5000,
                audio_port: 5002,
            },
            video_srtp: parameters(SrtpSuite::AesCm128HmacSha1_80),
            audio_srtp: parameters(SrtpSuite::AesCm256HmacSha1_80),
            video_ssrc: 1,
            audio_ssrc: 2,
        };
        SetupEndpointsResponse {
            session_id,
            result: Ok(answer),
        }
        .encode()
    }

    #[test]
    fn an_answer_must_be_for_this_session() {
        assert_eq!(check_answer(&answer(Some(ID)), &ID).unwrap().video_ssrc, 1);
        for other in [None, Some([8; 16])] {
            let e = check_answer(&answer(other), &ID).unwrap_err();
            assert_eq!(e.kind(), Kind::Protocol);
        }
    }

    #[test]
    fn busy_failed_and_broken_differ() {
        let encoded = |result| {
            SetupEndpointsResponse {
                session_id: Some(ID),
                result,
            }
            .encode()
        };
        for status in [SetupStatus::Busy, SetupStatus::Error] {
            let e = check_answer(&encoded(Err(status)), &ID).unwrap_err();
            assert_eq!(e.kind(), Kind::Refused);
        }
        assert_eq!(check_answer(&[1], &ID).unwrap_err().kind(), Kind::Protocol);
        assert_eq!(check_answer(&[], &ID).unwrap_err().kind(), Kind::Protocol);
    }

    #[test]
    fn keys_follow_the_suite() {
        let (short, none) = (
            parameters(SrtpSuite::AesCm128HmacSha1_80),
            parameters(SrtpSuite::None),
        );
        let mixed = keys(&short, &none).unwrap();
        assert!(mixed.send.is_some() && mixed.receive.is_none());
    }
}
