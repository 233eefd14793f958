//! What a hub reads of a camera and writes to it before anything is recorded.

use std::time::Duration;

use hap_camera::recording::{SelectedRecording, SupportedRecording};
use serde_json::{Value as Json, json};

use super::choice::{self, Choice};
use super::services::Services;
use crate::clip::wanted::Wanted;
use crate::database::CharId;
use crate::failure::{Failure, Kind, Result};
use crate::session::{ReadFlags, Session, Write, all_ok};
use crate::value;

/// How long a timed write may take.
const TIMED: Duration = Duration::from_millis(2500);

/// An armed camera.
#[derive(Debug)]
pub struct Armed {
    /// What was selected.
    pub selected: SelectedRecording,
    /// What recordings are held against.
    pub wanted: Wanted,
    /// What of it the camera had forgotten.
    pub forgotten: Option<String>,
}

/// Reads 205, 206 and 207, selects, and writes everything a hub writes when recording is switched
/// on: what needs a timed write first, then the rest in one request.
///
/// # Errors
/// When the camera refuses, or offers what cannot be read.
pub async fn arm(
    session: &Session,
    services: &Services,
    choice: &Choice,
    h264_only: bool,
    before: Option<&SelectedRecording>,
) -> Result<Armed> {
    let offer = read_offer(session, services).await?;
    let selected = choice.select(&offer)?;
    let forgotten = match before {
        Some(before) => forgotten(session, services, before).await?,
        None => None,
    };
    let audio = !choice.no_audio;
    let written = write_all(session, services, &selected, audio).await;
    written.map_err(|e| e.context("switching recording on"))?;
    Ok(Armed {
        wanted: choice::wanted(&selected, audio, h264_only),
        selected,
        forgotten,
    })
}

/// Takes the camera as somebody else left it.
///
/// # Errors
/// As [`arm`]; [`Kind::Refused`] when nothing was selected.
pub async fn as_it_is(session: &Session, services: &Services, h264_only: bool) -> Result<Armed> {
    let bytes = session.read_tlv8(services.selected).await;
    let bytes = bytes.map_err(|e| e.context("reading the selected configuration (209)"))?;
    let selected = SelectedRecording::decode(&bytes).map_err(|e| malformed("209", &e))?;
    let audio = read_numbers(session, &[services.audio_active]).await?;
    Ok(Armed {
        wanted: choice::wanted(&selected, audio == [Some(1)], h264_only),
        selected,
        forgotten: None,
    })
}

async fn read_offer(session: &Session, services: &Services) -> Result<SupportedRecording> {
    let mut replies = session
        .read(&services.supported, ReadFlags::default())
        .await?;
    let mut bytes = |id: CharId| {
        let at = replies.iter().position(|r| r.id == id);
        let at = at.ok_or_else(|| Failure::new(Kind::Protocol, format!("no answer for {id}")))?;
        value::tlv8(replies.swap_remove(at).ok()?.value.as_ref())
    };
    let [general, video, audio] = services.supported;
    let (general, video, audio) = (bytes(general)?, bytes(video)?, bytes(audio)?);
    SupportedRecording::decode(&general, &video, &audio).map_err(|e| malformed("205 to 207", &e))
}

fn malformed(what: &str, why: &impl std::fmt::Display) -> Failure {
    Failure::new(
        Kind::Protocol,
        format!("{what} cannot be read: {why}; a hub never arms this camera"),
    )
}

async fn write_all(
    session: &Session,
    services: &Services,
    selected: &SelectedRecording,
    audio: bool,
) -> Result<()> {
    let writes = writes(services, selected, audio).into_iter();
    let (timed, plain): (Vec<_>, Vec<_>) = writes.partition(|w| services.timed.contains(&w.id));
    if !timed.is_empty() {
        all_ok(session.write_timed(&timed, TIMED).await?)?;
    }
    all_ok(session.write(&plain, None).await?)
}

fn writes(services: &Services, selected: &SelectedRecording, audio: bool) -> Vec<Write> {
    let on = |id: CharId, on: bool| write(id, json!(u8::from(on)));
    let mut writes = vec![on(services.camera_active, true)];
    writes.extend(services.streams_active.iter().map(|id| on(*id, true)));
    writes.push(on(services.event_snapshots, true));
    writes.extend(services.periodic_snapshots.map(|id| on(id, true)));
    let selected = value::from_tlv8(&selected.encode());
    writes.push(write(services.selected, selected));
    writes.push(on(services.audio_active, audio));
    writes.push(on(services.recording_active, true));
    writes
}

fn write(id: CharId, value: Json) -> Write {
    Write {
        id,
        value,
        response: false,
    }
}

/// What of an earlier [`arm`] is gone.
async fn forgotten(
    session: &Session,
    services: &Services,
    before: &SelectedRecording,
) -> Result<Option<String>> {
    let selected = session.read_tlv8(services.selected).await.ok();
    let selected = selected.and_then(|bytes| SelectedRecording::decode(&bytes).ok());
    if selected.as_ref() != Some(before) {
        return Ok(Some("the selected configuration (209)".into()));
    }
    let active = [services.camera_active, services.recording_active];
    let values = read_numbers(session, &active).await?;
    let gone = values.iter().any(|v| *v != Some(1));
    Ok(gone.then(|| "an Active state (21B, B0)".into()))
}

async fn read_numbers(session: &Session, ids: &[CharId]) -> Result<Vec<Option<u64>>> {
    let replies = session.read(ids, ReadFlags::default()).await?;
    let number = |v: &Json| v.as_u64().or_else(|| v.as_bool().map(u64::from));
    Ok(ids
        .iter()
        .map(|id| replies.iter().find(|r| r.id == *id))
        .map(|r| r.and_then(|r| r.value.as_ref()).and_then(number))
        .collect())
}
