//! GObject and GStreamer glue of `hapsrtpsink`; what it does is in the files beside.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;

use super::events::SinkListener;
use super::media::Input;
use super::moment::Moment;
use super::pacer::Pace;
use super::payloader::Payloaded;
use super::receive_thread::ReceiveThread;
use super::send_buffer::SendBuffer;
use super::settings::Settings;
use super::socket::Socket;
use super::state::{Running, State};
use super::stream::Stream;
use super::transmit::{Frame, Outbox};
use super::{properties, stats, talkback};

pub(super) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "hapsrtpsink",
        gst::DebugColorFlags::empty(),
        Some("HomeKit SRTP sink"),
    )
});

/// Instance data. Neither `settings` nor `state` is locked while something outside is called or
/// something is sent; `outbox` and `report`, locked before them, are.
#[derive(Default)]
pub struct HapSrtpSink {
    settings: Mutex<Settings>,
    state: Mutex<State>,
    thread: Mutex<Option<ReceiveThread>>,
    /// Media on their way: of the streaming thread, and, where that may not block, of the receiving
    /// thread.
    pub(super) outbox: Mutex<Outbox>,
    /// RTCP on its way.
    pub(super) report: Mutex<SendBuffer>,
    /// Sound of the controller on its way.
    pub(super) talkback: Arc<talkback::Queue>,
    pub(super) talkback_pad: Mutex<Option<gst::Pad>>,
    pub(super) max_bitrate: AtomicU32,
    non_blocking: AtomicBool,
}

#[glib::object_subclass]
impl ObjectSubclass for HapSrtpSink {
    const NAME: &'static str = "GstHapSrtpSink";
    type Type = super::HapSrtpSink;
    type ParentType = gst_base::BaseSink;
}

impl ObjectImpl for HapSrtpSink {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(properties::list);
        &PROPERTIES
    }

    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        obj.set_async(false);
        // Packets are made and sent within a millisecond: no reason to hold the whole pipeline up.
        obj.set_processing_deadline(gst::ClockTime::ZERO);
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        if pspec.name() == "blocking" {
            let blocking = value.get().unwrap_or(true);
            self.non_blocking.store(!blocking, Ordering::Relaxed);
            return;
        }
        self.settings().set(pspec.name(), value);
        self.apply(pspec.name());
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            "bind-port" => u32::from(self.bound_port()).to_value(),
            "ssrc" => self.ssrc().to_value(),
            "max-bitrate" => self.max_bitrate.load(Ordering::Relaxed).to_value(),
            "stats" => self.statistics().to_value(),
            "blocking" => self.may_block().to_value(),
            name => self.settings().get(name),
        }
    }
}

impl GstObjectImpl for HapSrtpSink {}

impl ElementImpl for HapSrtpSink {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "HomeKit SRTP sink",
                "Sink/Network",
                "Sends video or audio to a HomeKit controller by SRTP, with RTCP on the same port",
                "The gst-plugin-homekit authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let sink = gst::PadTemplate::new(
                "sink",
                gst::PadDirection::Sink,
                gst::PadPresence::Always,
                &Input::template(),
            );
            let sink = sink.expect("direction, presence and caps are valid");
            vec![sink, talkback::template()]
        });
        &TEMPLATES
    }

    /// Sending waits for those before it, not for those that play what the controller says.
    fn send_event(&self, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::Latency(latency) => {
                let latency = self.upstream_latency().min(latency.latency());
                self.parent_send_event(gst::event::Latency::new(latency))
            }
            _ => self.parent_send_event(event),
        }
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        let prepared = match transition {
            gst::StateChange::NullToReady => self.open_socket(),
            gst::StateChange::ReadyToPaused => self.start_stream(),
            _ => Ok(()),
        };
        prepared.map_err(|error| {
            self.post_error_message(error);
            gst::StateChangeError
        })?;
        let result = self.parent_change_state(transition);
        match transition {
            gst::StateChange::PausedToReady => self.stop_stream(),
            gst::StateChange::ReadyToNull => self.state().socket = None,
            _ => {}
        }
        result
    }
}

impl BaseSinkImpl for HapSrtpSink {
    fn set_caps(&self, caps: &gst::Caps) -> Result<(), gst::LoggableError> {
        gst::debug!(CAT, imp = self, "caps {caps}");
        let input = Input::from_caps(caps)
            .ok_or_else(|| gst::loggable_error!(CAT, "caps lack something: {caps}"))?;
        let mut state = self.state();
        let stream = state.stream.as_mut();
        let stream = stream.ok_or_else(|| gst::loggable_error!(CAT, "caps before start"))?;
        stream
            .configure(&input)
            .map_err(|error| gst::loggable_error!(CAT, "{error}"))
    }

    fn unlock(&self) -> Result<(), gst::ErrorMessage> {
        if let Some(socket) = &self.state().socket {
            socket.halt();
        }
        Ok(())
    }

    fn unlock_stop(&self) -> Result<(), gst::ErrorMessage> {
        if let Some(socket) = &self.state().socket {
            socket.resume();
        }
        Ok(())
    }

    fn render(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.push([buffer.as_ref()])
    }

    fn render_list(&self, list: &gst::BufferList) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.push(list.iter())
    }

    fn event(&self, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::Eos(_) => {
                self.finish();
                self.talkback.end();
            }
            gst::EventView::FlushStop(_) => {
                self.discard();
                if let Some(stream) = &mut self.state().stream {
                    stream.begin_anew();
                }
            }
            _ => {}
        }
        self.parent_event(event)
    }
}

impl HapSrtpSink {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        lock(&self.settings)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn moment(&self) -> Moment {
        Moment::present(|| self.obj().current_running_time())
    }

    /// What the elements before need. Those that do not know yet say so by a message later.
    fn upstream_latency(&self) -> gst::ClockTime {
        let mut query = gst::query::Latency::new();
        match self.obj().sink_pad().peer_query(&mut query) {
            true => query.result().1,
            false => gst::ClockTime::ZERO,
        }
    }

    fn statistics(&self) -> gst::Structure {
        let dropped = self.talkback.dropped();
        let state = self.state();
        stats::structure(state.stream.as_ref(), dropped, Instant::now())
    }

    fn bound_port(&self) -> u16 {
        let port = self.state().socket.as_ref().and_then(|s| s.port().ok());
        port.unwrap_or_else(|| self.settings().bind_port)
    }

    fn ssrc(&self) -> u32 {
        let in_use = {
            let state = self.state();
            let running = state.stream.as_ref().filter(|_| state.peer.is_some());
            running.map(Stream::ssrc)
        };
        in_use.unwrap_or_else(|| self.settings().ssrc)
    }

    fn open_socket(&self) -> Result<(), gst::ErrorMessage> {
        let (address, port) = {
            let settings = self.settings();
            (settings.bind_address.clone(), settings.bind_port)
        };
        let socket = Socket::open(&address, port).map_err(|error| {
            let place = format!("UDP port {port} of \"{address}\"");
            gst::error_msg!(gst::ResourceError::OpenReadWrite, ("{place}: {error}"))
        })?;
        gst::info!(CAT, imp = self, "UDP port {:?}", socket.port());
        self.state().socket = Some(Arc::new(socket));
        self.obj().notify("bind-port");
        Ok(())
    }

    /// Makes everything ready to send, and listens.
    fn start_stream(&self) -> Result<(), gst::ErrorMessage> {
        self.set_max_bitrate(0);
        let failed = |text: String| gst::error_msg!(gst::ResourceError::Settings, ("{text}"));
        let socket = self.state().socket.clone();
        let socket = socket.ok_or_else(|| failed("the socket is closed".into()))?;
        let peer = self.find_peer(&socket).map_err(failed)?;
        self.prepare_stream(peer).map_err(failed)?;
        let listener = SinkListener(self.obj().downgrade());
        let thread = ReceiveThread::start(socket, listener)
            .map_err(|error| gst::error_msg!(gst::ResourceError::Failed, ("thread: {error}")))?;
        *lock(&self.thread) = Some(thread);
        self.obj().notify("ssrc");
        Ok(())
    }

    fn prepare_stream(&self, peer: SocketAddr) -> Result<(), String> {
        let settings = self.settings();
        let mut state = self.state();
        state.prepare_stream(&settings)?;
        state.peer = Some(peer);
        Ok(())
    }

    /// Takes leave, and listens no more.
    fn stop_stream(&self) {
        self.discard();
        self.send_bye(&self.moment());
        self.state().peer = None;
        let thread = lock(&self.thread).take();
        drop(thread);
        self.remove_talkback_pad();
    }

    /// Resolves `host`, which may take its time: with nothing locked.
    fn find_peer(&self, socket: &Socket) -> Result<SocketAddr, String> {
        let (host, port) = {
            let settings = self.settings();
            (settings.host.clone(), settings.port)
        };
        if host.is_empty() || port == 0 {
            return Err("host and port of the controller are not set".into());
        }
        let peer = socket.peer(&host, port);
        peer.map_err(|error| format!("host \"{host}\": {error}"))
    }

    /// Lets a running stream know of a property that was set.
    fn apply(&self, property: &str) {
        let socket = {
            let state = self.state();
            state.socket.clone().filter(|_| state.peer.is_some())
        };
        let Some(socket) = socket else { return };
        if matches!(property, "host" | "port") {
            match self.find_peer(&socket) {
                Ok(peer) => self.state().peer = Some(peer),
                Err(error) => gst::warning!(CAT, imp = self, "{error}"),
            }
        }
        let settings = self.settings();
        if let Some(stream) = &mut self.state().stream {
            settings.apply(property, stream);
        }
        drop(settings);
        self.dispatch_events();
        self.wake_thread();
    }

    /// Sends buffers, those that came together in one go.
    fn push<'a>(
        &self,
        buffers: impl IntoIterator<Item = &'a gst::BufferRef>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let segment = self.obj().segment();
        let moment = self.moment();
        let mut outbox = lock(&self.outbox);
        let mut state = self.state();
        let Running { stream, peer } = state.running().ok_or(gst::FlowError::Flushing)?;
        let deadline = stream.poll_timeout();
        let mut unsent = Vec::new();
        let mut presented = Duration::ZERO;
        for buffer in buffers {
            let map = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
            let time = running_time(buffer, &segment, &moment);
            let done = stream.push(&map, time, &moment);
            if done.before_key + done.invalid > 0 {
                unsent.push((done, time, buffer.pts(), buffer.duration()));
            }
            presented = time;
        }
        let pace = self.pace(stream);
        let taken = stream.take(&mut outbox.packets);
        drop(state);
        let flow = match taken {
            Some(taken) => self.send(&mut outbox, Frame::new(peer, taken, pace, presented)),
            None => Ok(gst::FlowSuccess::Ok),
        };
        drop(outbox);
        for (done, time, pts, duration) in unsent {
            self.report_unsent(done, time, pts, duration);
        }
        self.dispatch_events();
        self.wake_if_nearer(deadline);
        flow
    }

    fn send(&self, outbox: &mut Outbox, frame: Frame) -> Result<gst::FlowSuccess, gst::FlowError> {
        match self.may_block() {
            true => self.transmit(outbox, frame),
            false => {
                self.hand_over(outbox, frame);
                Ok(gst::FlowSuccess::Ok)
            }
        }
    }

    pub(super) fn may_block(&self) -> bool {
        !self.non_blocking.load(Ordering::Relaxed)
    }

    /// The pace of a stream; a cap of the controller is what counts.
    fn pace(&self, stream: &Stream) -> Pace {
        let cap = self.max_bitrate.load(Ordering::Relaxed);
        let pace = stream.pace();
        Pace {
            bitrate: if cap > 0 { cap.into() } else { pace.bitrate },
            ..pace
        }
    }

    /// The first packets make the receiving thread have deadlines.
    fn wake_if_nearer(&self, deadline: Option<Instant>) {
        if deadline.is_none() {
            let begins = self.state().stream.as_ref().and_then(Stream::poll_timeout);
            if begins.is_some() {
                self.wake_thread();
            }
        }
    }

    fn finish(&self) {
        let mut outbox = lock(&self.outbox);
        let mut state = self.state();
        let Some(Running { stream, peer }) = state.running() else {
            return;
        };
        stream.finish();
        let taken = stream.take(&mut outbox.packets);
        drop(state);
        if let Some(taken) = taken {
            // Nothing to be paced: the rest of an audio packet.
            let pace = Pace {
                factor: 0.0,
                bitrate: 0,
            };
            let frame = Frame::new(peer, taken, pace, Duration::ZERO);
            let _ = self.send(&mut outbox, frame);
        }
        drop(outbox);
        if !self.may_block() {
            self.drain();
        }
    }

    /// A frame was not sent: says so in the log, and by a QoS message.
    fn report_unsent(
        &self,
        done: Payloaded,
        time: Duration,
        pts: Option<gst::ClockTime>,
        duration: Option<gst::ClockTime>,
    ) {
        if done.invalid > 0 {
            gst::warning!(CAT, imp = self, "frame at {time:?} cannot be sent");
        } else {
            gst::debug!(
                CAT,
                imp = self,
                "frame at {time:?} comes before a key frame"
            );
        }
        let message = gst::message::Qos::builder(true)
            .running_time(gst::ClockTime::try_from(time).ok())
            .timestamp(pts)
            .duration(duration)
            .src(&*self.obj())
            .build();
        self.post_message(message);
    }

    pub(super) fn wake_thread(&self) {
        if let Some(thread) = &*lock(&self.thread) {
            thread.wake();
        }
    }
}

/// A lock whose holder panicked is as good as any: all data behind it are plain values.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When a buffer is presented; the present, where it does not say.
fn running_time(buffer: &gst::BufferRef, segment: &gst::Segment, moment: &Moment) -> Duration {
    let segment = segment.downcast_ref::<gst::ClockTime>();
    let stamp = buffer.pts().or(buffer.dts());
    segment
        .and_then(|segment| segment.to_running_time(stamp))
        .map(Duration::from)
        .or(moment.running_time)
        .unwrap_or_default()
}
