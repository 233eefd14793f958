//! `hapd run`: puts the cameras up and serves them until told to stop.

use std::io::Write;

use anyhow::Context;
use hap_camera::recording::{SupportedRecording, Triggers};
use hap_camera::rtp::{SupportedAudio, SupportedRtp, SupportedVideo};
use hap_camera::services::Description;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::accessory::{Accessory, AccessoryHandle, Interfaces, Setup, bind};
use crate::config::{CameraConfig, Config};
use crate::control;
use crate::events::{Cameras, Sources, Target};
use crate::mdns::Responder;
use crate::media;
use crate::pairing_info::PairingInfo;
use crate::picture;
use crate::random;
use crate::state::{CameraRecord, Picture, StateDir};

/// IP camera and video doorbell (HAP R1 §13.3).
const CATEGORY_CAMERA: u8 = 17;
const CATEGORY_DOORBELL: u8 = 18;
/// At the first start of a camera its accessory waits so long for a picture, to offer recordings of its size.
const PICTURE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);

/// Serves `config` until SIGINT or SIGTERM; with `stdin_triggers`, lines on standard input are triggers.
///
/// # Errors
/// When a camera cannot be put up; nothing is left running then.
pub async fn run(config: &Config, state: StateDir, stdin_triggers: bool) -> anyhow::Result<()> {
    let _lock = state.lock()?;
    let sources = Sources::bind(config, stdin_triggers)?;
    let mut prepared = Vec::new();
    for camera in &config.cameras {
        prepared.push((camera, load(camera, &state)?));
    }
    let stop = Stop::listen()?;
    let mdns = Responder::start(&config.interfaces).context("cannot start mDNS")?;
    let interfaces = Interfaces::new(&config.interfaces);
    let mut started = Vec::new();
    for (camera, record) in prepared {
        let listener = listen(camera, record.port)?;
        started.push((
            camera,
            record,
            listener,
            media::Camera::start(camera.media.clone()),
        ));
    }
    let known_by = tokio::time::Instant::now() + PICTURE_PATIENCE;
    let mut up = Vec::new();
    for (camera, mut record, listener, source) in started {
        if camera.security.recording && record.picture.is_none() {
            record.picture = picture::wait(&source, camera.max_size, known_by).await;
        }
        up.push(start(
            camera,
            record,
            &state,
            &mdns,
            &interfaces,
            listener,
            source,
        )?);
    }
    let ports: Vec<_> = up
        .iter()
        .map(|a| format!("{:?} on port {}", a.name, a.port))
        .collect();
    info!("ready: {}", ports.join(", "));
    show_codes(&state, &up)?;
    let targets = targets(config, &up);
    let _control = control::serve(&state, up.clone(), targets.clone())
        .inspect_err(|error| warn!("no commands to the running daemon: {error:#}"));
    let sources = sources.start(config, &targets);
    let watchers: Vec<_> = up
        .iter()
        .zip(&config.cameras)
        .map(|(a, camera)| tokio::spawn(report(a.clone(), camera.max_size)))
        .collect();
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
    stop.told().await;
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Stopping]);
    watchers.iter().for_each(tokio::task::JoinHandle::abort);
    sources.shutdown().await;
    for accessory in &up {
        accessory.shutdown().await;
    }
    mdns.shutdown().await;
    Ok(())
}

/// The cameras for those who tell them what happens.
fn targets(config: &Config, up: &[AccessoryHandle]) -> Cameras {
    let both = config.cameras.iter().zip(up);
    Cameras::new(both.map(|(camera, up)| Target::new(camera, up)).collect())
}

/// The camera's state, made now if there is none. A broken file stops the start before anything is up.
fn load(camera: &CameraConfig, state: &StateDir) -> anyhow::Result<CameraRecord> {
    let category = match camera.security.doorbell {
        true => CATEGORY_DOORBELL,
        false => CATEGORY_CAMERA,
    };
    if let Some(record) = state.load(&camera.id)? {
        return Ok(CameraRecord { category, ..record });
    }
    let (record, code) = CameraRecord::generate(&camera.name, category, random::fill);
    state.save_code(&camera.id, &code)?;
    state.save(&camera.id, &record)?;
    Ok(record)
}

fn start(
    camera: &CameraConfig,
    record: CameraRecord,
    state: &StateDir,
    mdns: &Responder,
    interfaces: &Interfaces,
    listener: tokio::net::TcpListener,
    source: media::Camera,
) -> anyhow::Result<AccessoryHandle> {
    let description = Description {
        speaker: source.has_speaker(),
        ..describe(camera, &record)
    };
    let accessory = Accessory::start(Setup {
        id: camera.id.clone(),
        record,
        state: state.clone(),
        description,
        media: source,
        motion: camera.motion.clone(),
        listener,
        interfaces: interfaces.clone(),
        mdns: Some(mdns.clone()),
    })?;
    Ok(accessory)
}

/// The configured port, else the one used last, else any: a port that was not asked for may move.
fn listen(camera: &CameraConfig, last: u16) -> anyhow::Result<tokio::net::TcpListener> {
    if camera.port != 0 {
        return bind(camera.port).with_context(|| {
            format!(
                "camera {:?}: cannot listen on port {}",
                camera.name, camera.port
            )
        });
    }
    bind(last)
        .or_else(|error| {
            warn!(camera = camera.name, port = last, %error, "the port used last is taken; choosing another");
            bind(0)
        })
        .with_context(|| format!("camera {:?}: cannot listen on any port", camera.name))
}

fn describe(camera: &CameraConfig, record: &CameraRecord) -> Description {
    let (width, height) = camera.max_size;
    let security = &camera.security;
    Description {
        name: camera.name.clone(),
        manufacturer: camera.manufacturer.clone(),
        model: camera.model.clone(),
        serial_number: camera
            .serial_number
            .clone()
            .unwrap_or_else(|| record.identity.device_id().as_str().replace(':', "")),
        firmware_revision: env!("CARGO_PKG_VERSION").into(),
        streams: camera.max_streams,
        video: SupportedVideo::up_to(width, height),
        audio: SupportedAudio::opus(),
        rtp: SupportedRtp::default(),
        speaker: false,
        recording: security.recording.then(|| recording(camera, record)),
        motion: security.motion,
        occupancy: security.occupancy,
        doorbell: security.doorbell,
        privacy_switch: security.privacy_switch,
        motion_hold: security.motion_hold,
    }
}

/// What can be recorded of a camera: its own picture, as far as that is known, within what is offered at all.
fn recording(camera: &CameraConfig, record: &CameraRecord) -> SupportedRecording {
    let usual = camera.media.size.unwrap_or(camera.max_size);
    let picture = record.picture.unwrap_or(Picture {
        width: usual.0,
        height: usual.1,
        fps: camera.media.fps.unwrap_or(0),
    });
    let (width, height) = picture::within(picture, camera.max_size);
    let fps = if picture.fps == 0 { 30 } else { picture.fps };
    let triggers = match camera.security.doorbell {
        true => Triggers::MOTION_AND_DOORBELL,
        false => Triggers::MOTION,
    };
    SupportedRecording::for_source(width, height, fps, camera.security.prebuffer, triggers)
}

/// Setup codes go to standard output, never into the log. A service manager would put them into its journal: there
/// the user is told how to see them.
fn show_codes(state: &StateDir, up: &[AccessoryHandle]) -> anyhow::Result<()> {
    let under_service_manager =
        std::env::var_os("NOTIFY_SOCKET").is_some() || std::env::var_os("JOURNAL_STREAM").is_some();
    let mut out = std::io::stdout().lock();
    for accessory in up {
        let Some(record) = state.load(&accessory.id)? else {
            continue;
        };
        let info = PairingInfo::new(&record, state.load_code(&accessory.id)?.as_ref());
        if info.paired {
            continue;
        }
        if under_service_manager {
            info!(
                camera = info.name,
                "not paired yet: \"hapd pairing-info\" shows the setup code"
            );
        } else {
            writeln!(out, "{}", info.card())?;
        }
    }
    Ok(out.flush()?)
}

/// Says in the log what becomes of a camera's source.
async fn report(accessory: AccessoryHandle, most: (u16, u16)) {
    let name = &accessory.name;
    let mut status = accessory.media.watch();
    let mut last = None;
    loop {
        let now = status.borrow_and_update().clone();
        if let Some(picture) = picture::of(&accessory.media, most) {
            accessory.seen(picture).await;
        }
        if last.as_ref() != Some(&now.state) {
            match &now.state {
                media::State::Running => {
                    info!(camera = name, video = ?now.video, audio = ?now.audio, "source runs")
                }
                media::State::Failed { reason, retry_in } => {
                    warn!(
                        camera = name,
                        "source failed: {reason}; next try in {:.1} s",
                        retry_in.as_secs_f32()
                    );
                }
                _ => {}
            }
            last = Some(now.state);
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}

/// Who wants the daemon to stop, from the time on at which it has something to take leave of.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn told(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => info!("SIGTERM: stopping"),
            _ = self.interrupt.recv() => info!("SIGINT: stopping"),
        }
    }
}
