//! `hapctl view`.

mod actions;
mod experiments;
mod options;
mod watching;

use std::fs::File;
use std::io::BufWriter;
use std::net::{SocketAddr, SocketAddrV6};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use hap_camera::rtp::{AudioCodec, AudioSelection, Endpoint, StreamCommand};
use serde_json::{Value as Json, json};
use tokio::net::UdpSocket;

use crate::audio::Audio;
use crate::camera::{Offer, StreamService, free_service};
use crate::cli::{Global, seconds};
use crate::commands::Target;
use crate::failure::{Failure, Kind, Result};
use crate::hex;
use crate::output;
use crate::plan::{Plan, rtcp_interval};
use crate::receiver::{self, Receiver};
use crate::report;
use crate::session::Session;
use crate::spread::Spread;
use crate::stream::Stream;
use crate::track::{Agreement, Media, Track};
use crate::video::{Sink, Video};

pub use actions::{MaxBitrate, Reconfigure, TradeOff};
pub use experiments::Experiments;
pub use options::{Profile, Request, Suite};
use watching::{Ending, Watching};

const EXAMPLES: &str = "\
Examples:
  hapctl view garden --seconds 10 --video garden.h264 --audio garden.ogg
  hapctl view garden --seconds 10 --json
  hapctl view garden --size 320x240 --fps 15 --audio-rate 16 --packet-time 60
  hapctl view garden --seconds 10 --reconfigure 640x360@3 --reconfigure 1280x720@6:299
  hapctl view garden --seconds 40 --no-rtcp        # the camera should give up after 30 s
  hapctl view garden --seconds 15 --pli 3 --fir 5 --tmmbr 150k@7   # what the camera makes of it
  hapctl view garden --seconds 60 --drop 20% --pli-on-loss         # how it recovers from losses
  hapctl view garden --seconds 10 --talk hello.ogg                 # two-way audio

The files hold the media as received: H.264 for `ffplay garden.h264`, Opus in Ogg for `ffplay
garden.ogg`. With --json one object is printed at the end: {video, audio, av_offset_ms, ended,
seconds, stream}. All times are in ms from the Start command. video.requests lists every PLI, FIR,
TMMBR and TSTR with what came of it; av_offset_ms says how much later video came than the sound of
the same moment, by the camera's sender reports. Ctrl-C ends the stream and prints the summary.
A file to talk is made by `ffmpeg -i IN -c:a libopus -ac 1 -b:a 24k hello.ogg`; there is no built-in
tone, because hapctl has no encoder.
The exit code is 7 when no video came.";

/// How long the camera has to say BYE after the stream was ended.
const FAREWELL: Duration = Duration::from_millis(200);

/// Watch live: receive, check and store video and sound.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct View {
    /// The accessory.
    #[command(flatten)]
    pub target: Target,
    /// How long to watch.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub seconds: Duration,
    /// File for the video, as H.264 with start codes.
    #[arg(long, value_name = "FILE")]
    pub video: Option<PathBuf>,
    /// File for the sound, as Opus in Ogg.
    #[arg(long, value_name = "FILE")]
    pub audio: Option<PathBuf>,
    /// What to ask for.
    #[command(flatten)]
    pub request: Request,
    /// What to try.
    #[command(flatten)]
    pub experiments: Experiments,
}

/// The open sockets of both media.
struct Sockets {
    video: UdpSocket,
    audio: UdpSocket,
    endpoint: Endpoint,
}

/// Where media goes, and what is talked.
struct Files {
    video: Option<Sink>,
    audio: Option<Sink>,
    recording: Option<Vec<Vec<u8>>>,
}

/// Both receivers; audio only if it was asked for.
struct Receivers {
    video: Receiver,
    audio: Option<Receiver>,
}

impl View {
    /// Runs it.
    ///
    /// # Errors
    /// When the camera refuses the stream, or ends it early.
    pub async fn run(self, global: &Global) -> Result<ExitCode> {
        let session = self.target.open(global).await?;
        let database = session.accessories().await?;
        let service = free_service(&session, &database, self.request.stream).await?;
        let offer = Offer::read(&session, &service).await?;
        let local = receiver::local_address(session.peer()).await?;
        let plan = Plan::new(&self.request.wishes(), &offer, local.ip())?;
        let files = Files {
            video: create(self.video.as_deref())?,
            audio: create(self.audio.as_deref())?,
            recording: self.experiments.recording()?,
        };
        let sockets = open_sockets(local).await?;
        subscribe(&session, &service).await;
        let events = session.events();
        let stream = Stream::setup(&session, service, sockets.endpoint, plan.suite).await?;
        let receivers = self.receivers(&stream, &plan, session.peer(), sockets, files)?;
        let watching = Watching::new(&self, &stream, &plan, &offer, &receivers, events);
        let watched = watching.run(global.json).await;
        let ended = end(&stream, &receivers).await;
        let stored = receivers.finish();
        let (ending, refused) = watched?;
        let result = self.result(&stream, &plan, &receivers, ending);
        output::result(global.json, &result, || receivers.table());
        refused?;
        verdict(&receivers, ending)?;
        ended?;
        stored.map(|()| ExitCode::SUCCESS)
    }

    fn receivers(
        &self,
        stream: &Stream<'_>,
        plan: &Plan,
        peer: SocketAddr,
        sockets: Sockets,
        files: Files,
    ) -> Result<Receivers> {
        let now = Instant::now();
        let agreement = video_agreement(stream, plan, peer)?;
        let media = Media::Video(Video::new(files.video));
        let track = Track::new(agreement, media, !self.request.no_rtcp, now);
        let video = Receiver::spawn(sockets.video, self.experiments.on_video(track));
        let audio = match &plan.audio {
            None => None,
            Some(selection) => {
                let agreement = audio_agreement(stream, selection, peer)?;
                let media = Media::Audio(audio_media(selection, files.audio)?);
                let track = Track::new(agreement, media, !self.request.no_rtcp, now);
                let recording = files.recording.as_deref();
                let track = self.experiments.on_audio(track, recording, selection)?;
                Some(Receiver::spawn(sockets.audio, track))
            }
        };
        Ok(Receivers { video, audio })
    }

    fn result(
        &self,
        stream: &Stream<'_>,
        plan: &Plan,
        receivers: &Receivers,
        ending: Ending,
    ) -> Json {
        let (service, wanted) = (stream.service(), &plan.video);
        json!({
            "video": receivers.video.summary(),
            "audio": receivers.audio.as_ref().map(Receiver::summary),
            "av_offset_ms": receivers.av_offset(),
            "ended": ending.word(),
            "seconds": self.seconds.as_secs_f64(),
            "stream": {
                "aid": service.aid, "iid": service.iid, "session_id": hex::encode(stream.id()),
                "width": wanted.attributes.width, "height": wanted.attributes.height,
                "fps": wanted.attributes.fps, "profile": format!("{:?}", wanted.profile),
                "level": format!("{:?}", wanted.level), "suite": format!("{:?}", plan.suite),
                "max_bitrate_kbps": wanted.rtp.max_bitrate_kbps, "mtu": wanted.rtp.mtu,
                "audio_rate": plan.audio.as_ref().map(|a| a.sample_rate.hz()),
                "packet_time_ms": plan.audio.as_ref().map(|a| a.packet_time_ms),
            },
        })
    }
}

impl Receivers {
    fn finish(&self) -> Result<()> {
        let audio = self.audio.as_ref().map_or(Ok(()), Receiver::finish);
        let both = self.video.finish().and(audio);
        both.map_err(|e| Failure::from(e).context("writing a file"))
    }

    fn table(&self) -> String {
        let audio = self.audio.as_ref().map(Receiver::summary);
        report::summary(&self.video.summary(), audio.as_ref(), self.av_offset())
    }

    fn av_offset(&self) -> Option<Spread> {
        self.video.offset_to(self.audio.as_ref()?)
    }

    fn said_bye(&self) -> bool {
        self.video.said_bye() && self.audio.as_ref().is_none_or(Receiver::said_bye)
    }
}

fn create(path: Option<&std::path::Path>) -> Result<Option<Sink>> {
    let Some(path) = path else { return Ok(None) };
    let file = File::create(path).map_err(|e| Failure::from(e).context(path.display()))?;
    Ok(Some(Box::new(BufWriter::new(file))))
}

/// The ports that are announced must be open: the camera may send as soon as it knows them.
async fn open_sockets(local: SocketAddr) -> Result<Sockets> {
    let (video, audio) = (receiver::open(local).await?, receiver::open(local).await?);
    let endpoint = Endpoint {
        address: local.ip(),
        video_port: video.local_addr()?.port(),
        audio_port: audio.local_addr()?.port(),
    };
    Ok(Sockets {
        video,
        audio,
        endpoint,
    })
}

/// A camera without events can be watched all the same.
async fn subscribe(session: &Session, service: &StreamService) {
    if let Err(e) = session.subscribe(&[service.status], true).await {
        tracing::warn!("no events of the streaming status: {e}");
    }
}

fn video_agreement(stream: &Stream<'_>, plan: &Plan, peer: SocketAddr) -> Result<Agreement> {
    let (answer, rtp) = (stream.answer(), &plan.video.rtp);
    Ok(Agreement {
        codec: "H.264",
        payload_type: rtp.payload_type,
        ssrc: answer.video_ssrc,
        own_ssrc: rtp.ssrc,
        clock_rate: 90_000,
        rtcp_interval: rtcp_interval(rtp.min_rtcp_interval_s),
        remote: remote(&answer.accessory, answer.accessory.video_port, peer),
        keys: stream.video_keys()?,
    })
}

fn audio_agreement(
    stream: &Stream<'_>,
    selection: &AudioSelection,
    peer: SocketAddr,
) -> Result<Agreement> {
    let (answer, rtp) = (stream.answer(), &selection.rtp);
    Ok(Agreement {
        codec: match selection.codec {
            AudioCodec::Opus => "Opus",
            AudioCodec::AacEld => "AAC-ELD",
        },
        payload_type: rtp.payload_type,
        ssrc: answer.audio_ssrc,
        own_ssrc: rtp.ssrc,
        clock_rate: selection.sample_rate.hz(),
        rtcp_interval: rtcp_interval(rtp.min_rtcp_interval_s),
        remote: remote(&answer.accessory, answer.accessory.audio_port, peer),
        keys: stream.audio_keys()?,
    })
}

/// Where a medium of the camera is; a link-local address is in the zone of the HAP connection.
fn remote(announced: &Endpoint, port: u16, peer: SocketAddr) -> SocketAddr {
    match (announced.address, peer) {
        (std::net::IpAddr::V6(ip), SocketAddr::V6(peer)) if ip.is_unicast_link_local() => {
            SocketAddrV6::new(ip, port, 0, peer.scope_id()).into()
        }
        (ip, _) => SocketAddr::new(ip, port),
    }
}

fn audio_media(selection: &AudioSelection, file: Option<Sink>) -> Result<Audio> {
    let rate = selection.sample_rate.hz();
    match selection.codec {
        AudioCodec::Opus => Ok(Audio::opus(rate, file)?),
        AudioCodec::AacEld => {
            if file.is_some() {
                output::note("hapctl: the camera sends AAC-ELD only; it is counted, not stored");
            }
            Ok(Audio::opaque(rate))
        }
    }
}

/// Ends the stream and waits a moment for the camera's BYE.
async fn end(stream: &Stream<'_>, receivers: &Receivers) -> Result<()> {
    let ended = stream.control(StreamCommand::End).await;
    let deadline = Instant::now() + FAREWELL;
    while ended.is_ok() && !receivers.said_bye() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ended
}

fn verdict(receivers: &Receivers, ending: Ending) -> Result<()> {
    let video = receivers.video.summary();
    if video.packets == 0 {
        return Err(no_media(&video));
    }
    match ending {
        Ending::Time | Ending::Interrupted | Ending::Refused => Ok(()),
        Ending::Camera => {
            Err(Failure::new(Kind::Refused, "the camera ended the stream").hint("its log says why"))
        }
        Ending::ConnectionLost => Err(Failure::new(
            Kind::Unreachable,
            "the camera closed the connection",
        )
        .hint("see whether it still runs: hapctl discover")),
    }
}

fn no_media(video: &report::TrackReport) -> Failure {
    let failure = Failure::new(Kind::NoMedia, "no video came");
    if video.undecryptable > 0 {
        return failure.hint("packets came that the key of the answer does not open");
    }
    if video.unexpected > 0 {
        return failure.hint("packets came of another source or payload type than agreed");
    }
    failure.hint("is UDP from the camera to this machine blocked by a firewall?")
}
