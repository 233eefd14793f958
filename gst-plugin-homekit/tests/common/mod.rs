//! What the integration tests share: keys, sinks, and a controller made of one UDP socket.
#![allow(dead_code, reason = "every test binary uses another part of it")]

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use gst::prelude::*;
use rtp_feedback::{Message, SenderInfo, Writer, is_rtcp};
use rtp_payload::{Header, Packet};
use srtp::{MasterKey, Receiver, Sender, Suite};

pub(crate) const OURS: u32 = 0x1122_3344;
pub(crate) const THEIRS: u32 = 0x5566_7788;

/// Longer than anything takes here, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Key and salt of what the sink sends, and of what the controller sends.
pub(crate) fn sink_key() -> Vec<u8> {
    (0x10..0x10 + 30).collect()
}

pub(crate) fn controller_key() -> Vec<u8> {
    (0x50..0x50 + 30).collect()
}

pub(crate) fn init() {
    gst::init().expect("GStreamer is installed");
    gsthomekit::plugin_register_static().expect("the plugin registers");
}

pub(crate) fn buffer(bytes: &[u8]) -> gst::Buffer {
    gst::Buffer::from_slice(bytes.to_vec())
}

/// A `hapsrtpsink` that sends to `controller`.
pub(crate) fn sink(controller: SocketAddr) -> gst::Element {
    gst::ElementFactory::make("hapsrtpsink")
        .property("host", controller.ip().to_string())
        .property("port", u32::from(controller.port()))
        .property("ssrc", OURS)
        .property("remote-ssrc", THEIRS)
        .property("srtp-key", buffer(&sink_key()))
        .property("srtp-remote-key", buffer(&controller_key()))
        .build()
        .expect("the element is registered")
}

/// What the controller hears.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    Rtp { header: Header, payload: Vec<u8> },
    Rtcp(Vec<Message>),
}

/// One end of a stream: decrypts what comes and sends feedback.
pub(crate) struct Controller {
    socket: UdpSocket,
    receiver: Receiver,
    sender: Sender,
}

impl Default for Controller {
    fn default() -> Self {
        Self::on(Ipv4Addr::LOCALHOST.into())
    }
}

impl Controller {
    pub(crate) fn on(address: IpAddr) -> Self {
        let key = |bytes: &[u8]| MasterKey::from_key_and_salt(Suite::default(), bytes).unwrap();
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            socket,
            receiver: Receiver::new(&key(&sink_key())),
            sender: Sender::new(&key(&controller_key())),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// The next packet, decrypted.
    pub(crate) fn hear(&mut self) -> Heard {
        let mut datagram = vec![0; 65_536];
        let (len, _) = self
            .socket
            .recv_from(&mut datagram)
            .expect("a packet comes");
        self.decrypt(&mut datagram[..len])
    }

    /// Whether something waits.
    pub(crate) fn is_silent(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        let result = self.socket.peek_from(&mut [0; 1]);
        self.socket.set_nonblocking(false).unwrap();
        matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Nothing comes for as long.
    pub(crate) fn stays_silent_for(&self, span: Duration) {
        self.socket.set_read_timeout(Some(span)).unwrap();
        let result = self.socket.peek_from(&mut [0; 1]);
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(result.is_err(), "something comes");
    }

    pub(crate) fn rtp(&mut self) -> (Header, Vec<u8>) {
        loop {
            if let Heard::Rtp { header, payload } = self.hear() {
                return (header, payload);
            }
        }
    }

    pub(crate) fn rtcp(&mut self) -> Vec<Message> {
        loop {
            if let Heard::Rtcp(messages) = self.hear() {
                return messages;
            }
        }
    }

    pub(crate) fn sender_report(&mut self) -> SenderInfo {
        match self.rtcp()[0] {
            Message::SenderReport { info, .. } => info,
            ref other => panic!("a sender report comes first: {other:?}"),
        }
    }

    /// Sends an RTCP packet to the sink's port.
    pub(crate) fn say(&mut self, to: &gst::Element, packet: Writer) {
        self.say_bytes(to, packet.finish());
    }

    /// Sends what may or may not be RTCP, protected as if it were.
    pub(crate) fn say_bytes(&mut self, to: &gst::Element, mut packet: Vec<u8>) {
        self.sender.protect_rtcp(&mut packet).unwrap();
        self.send_raw(to, &packet);
    }

    /// Sends an RTP packet to the sink's port.
    pub(crate) fn say_rtp(&mut self, to: &gst::Element, header: Header, payload: &[u8]) {
        let packet = self.protected_rtp(header, payload);
        self.send_raw(to, &packet);
    }

    pub(crate) fn protected_rtp(&mut self, header: Header, payload: &[u8]) -> Vec<u8> {
        let mut packet = [&header.to_bytes()[..], payload].concat();
        self.sender.protect_rtp(&mut packet).unwrap();
        packet
    }

    pub(crate) fn send_raw(&self, to: &gst::Element, datagram: &[u8]) {
        let port = to.property::<u32>("bind-port") as u16;
        let address = (self.address().ip(), port);
        self.socket.send_to(datagram, address).unwrap();
    }

    fn decrypt(&mut self, datagram: &mut [u8]) -> Heard {
        if is_rtcp(datagram) {
            let len = self.receiver.unprotect_rtcp(datagram).expect("authentic");
            return Heard::Rtcp(rtp_feedback::parse(&datagram[..len]).expect("well-formed"));
        }
        let len = self.receiver.unprotect_rtp(datagram).expect("authentic");
        let packet = Packet::parse(&datagram[..len]).expect("well-formed");
        Heard::Rtp {
            header: packet.header,
            payload: packet.payload.to_vec(),
        }
    }
}

/// The beginning of a packet of the controller.
pub(crate) fn from_controller() -> Writer {
    Writer::new(THEIRS).receiver_report(&[])
}

/// Waits for an element message with this name; an error message is a failure.
pub(crate) fn wait_for(bus: &gst::Bus, name: &str) -> gst::Structure {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = gst::ClockTime::try_from(left).unwrap();
        let types = [gst::MessageType::Element, gst::MessageType::Error];
        let message = bus.timed_pop_filtered(timeout, &types);
        let message = message.unwrap_or_else(|| panic!("no {name}"));
        match message.view() {
            gst::MessageView::Error(error) => panic!("{error:?}"),
            _ => {
                let structure = message.structure().unwrap();
                if structure.name() == name {
                    return structure.to_owned();
                }
            }
        }
    }
}

/// Waits for the end of the stream; an error message is a failure.
pub(crate) fn wait_for_eos(pipeline: &gst::Pipeline) {
    let types = [gst::MessageType::Eos, gst::MessageType::Error];
    let timeout = gst::ClockTime::try_from(PATIENCE).unwrap();
    let message = pipeline.bus().unwrap().timed_pop_filtered(timeout, &types);
    match message.expect("the stream ends").view() {
        gst::MessageView::Eos(_) => {}
        other => panic!("{other:?}"),
    }
}

/// A field of the `stats` property.
pub(crate) fn stat(sink: &gst::Element, field: &str) -> u64 {
    let stats = sink.property::<gst::Structure>("stats");
    stats.get(field).unwrap()
}

/// A pipeline from a launch line without its sink, and `sink` at its end.
pub(crate) fn pipeline(launch: &str, sink: &gst::Element) -> gst::Pipeline {
    let source = gst::parse::bin_from_description(launch, true).unwrap();
    let pipeline = gst::Pipeline::new();
    pipeline.add_many([source.upcast_ref(), sink]).unwrap();
    source.link(sink).unwrap();
    pipeline
}

/// Stops a pipeline at the end of a test, also of one that fails.
pub(crate) struct Stop<'a>(pub(crate) &'a gst::Pipeline);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

pub(crate) fn play(pipeline: &gst::Pipeline) -> Stop<'_> {
    pipeline.set_state(gst::State::Playing).unwrap();
    Stop(pipeline)
}

pub(crate) mod h264 {
    //! Access units small enough to read.

    pub(crate) const SPS: &[u8] = &[0x67, 0x4d, 0x40, 0x1f, 0x80];
    pub(crate) const PPS: &[u8] = &[0x68, 0xee];
    pub(crate) const IDR: &[u8] = &[0x65, 0x88, 0x80, 1];
    pub(crate) const DELTA: &[u8] = &[0x41, 0x9a, 0x01];

    pub(crate) fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
        let code = [0, 0, 0, 1];
        nals.iter().flat_map(|nal| [&code, *nal].concat()).collect()
    }

    pub(crate) fn key_frame() -> Vec<u8> {
        annex_b(&[&[0x09, 0xf0], SPS, PPS, &[0x06, 5, 1, 0x80], IDR])
    }

    pub(crate) fn delta_frame() -> Vec<u8> {
        annex_b(&[&[0x09, 0xf0], DELTA])
    }

    pub(crate) fn caps() -> gst::Caps {
        gst::Caps::builder("video/x-h264")
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .build()
    }
}
