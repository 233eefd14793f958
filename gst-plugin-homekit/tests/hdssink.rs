//! What `hdssink` makes is read by the controller's end of `hds-proto`.

mod common;

use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use common::{PATIENCE, init};
use gst::glib;
use gst::prelude::*;
use hds_proto::frame::Sealer;
use hds_proto::{CHUNK, Connection, DataType, Event, Open, Pending, SessionKeys};

const STREAM: i64 = 5;

/// What the accessory has sent before the stream begins: the answers to `hello` and `open`.
const COUNTER: u64 = 2;

fn keys() -> SessionKeys {
    SessionKeys::derive(&[1; 32], &[2; 32], &[3; 32])
}

/// A hub that has opened a stream.
struct Hub {
    connection: Connection,
    pieces: Vec<(DataType, Vec<u8>)>,
    chunks: Vec<usize>,
    ended: bool,
}

impl Hub {
    fn new() -> Self {
        let now = Instant::now();
        let mut pending = Pending::new();
        pending.add(1, keys(), now);
        let mut accessory = Connection::accessory(now);
        let mut connection = Connection::controller(&keys(), now);
        loop {
            let mut talking = false;
            while let Some(frame) = connection.poll_output() {
                talking = true;
                accessory.input(&frame, now, &mut pending).unwrap();
            }
            while let Some(frame) = accessory.poll_output() {
                talking = true;
                connection.input(&frame, now, &mut pending).unwrap();
            }
            match (connection.poll_event(), accessory.poll_event()) {
                (Some(Event::Ready), _) => connection.open(&Open::recording(STREAM), now).unwrap(),
                (Some(Event::Opened { .. }), _) => break,
                (_, Some(Event::Open(request))) => assert!(accessory.accept(&request)),
                _ => assert!(talking, "nobody says anything"),
            }
        }
        Self {
            connection,
            pieces: Vec::new(),
            chunks: Vec::new(),
            ended: false,
        }
    }

    /// Takes bytes of the connection, and checks the numbers of what is in them.
    fn take(&mut self, bytes: &[u8]) {
        let now = Instant::now();
        self.connection
            .input(bytes, now, &mut Pending::new())
            .unwrap();
        while let Some(event) = self.connection.poll_event() {
            let Event::Data(data) = event else {
                panic!("{event:?}")
            };
            assert!(!self.ended, "something follows the end");
            for packet in data.packets {
                if packet.chunk == 1 {
                    self.pieces.push((packet.data_type, Vec::new()));
                }
                assert_eq!(packet.sequence, self.pieces.len() as u64);
                let (data_type, piece) = self.pieces.last_mut().unwrap();
                assert_eq!(packet.data_type, *data_type);
                self.chunks.push(packet.data.len());
                piece.extend(packet.data);
                let whole = piece.len() as u64;
                assert!(packet.total_size.is_none_or(|total| total >= whole));
            }
            self.ended = data.end_of_stream;
        }
    }

    fn lengths(&self) -> Vec<usize> {
        self.pieces.iter().map(|(_, piece)| piece.len()).collect()
    }
}

/// An application with a connection of its own, which is one to a [`Hub`].
struct Application {
    hub: Hub,
    sealer: Sealer,
    messages: Receiver<glib::Bytes>,
}

impl Application {
    fn new(sink: &gst::Element) -> Self {
        let (sender, messages) = channel();
        sink.connect_closure(
            "new-message",
            false,
            glib::closure!(move |_: gst::Element, message: glib::Bytes| {
                sender.send(message).expect("the test listens");
                gst::FlowReturn::Ok
            }),
        );
        Self {
            hub: Hub::new(),
            sealer: Sealer::from_counter(keys().accessory_to_controller(), COUNTER),
            messages,
        }
    }

    /// Sends what has come, without waiting; returns how many messages these were.
    fn send(&mut self) -> usize {
        let mut count = 0;
        while let Ok(message) = self.messages.try_recv() {
            self.send_one(&message);
            count += 1;
        }
        count
    }

    fn send_one(&mut self, message: &[u8]) {
        let frame = self
            .sealer
            .seal(message.len(), |out| out.extend_from_slice(message));
        self.hub.take(&frame.unwrap());
    }

    fn wait(&mut self) {
        let message = self.messages.recv_timeout(PATIENCE);
        self.send_one(&message.expect("a message comes"));
    }
}

fn plain() -> gst::Element {
    init();
    gst::ElementFactory::make("hdssink")
        .property("stream-id", STREAM)
        .property("end-wait", 10_000_u32)
        .build()
        .expect("the element is registered")
}

/// One that writes frames; the other end of its socket.
fn with_socket() -> (gst::Element, UnixStream, UnixStream) {
    let (ours, hubs) = UnixStream::pair().unwrap();
    let sink = plain();
    let key = keys().accessory_to_controller().to_vec();
    sink.set_property("key", gst::Buffer::from_slice(key));
    sink.set_property("counter", COUNTER);
    sink.set_property("fd", ours.as_raw_fd());
    (sink, ours, hubs)
}

fn harness(sink: &gst::Element) -> gst_check::Harness {
    let mut harness = gst_check::Harness::with_element(sink, Some("sink"), None);
    let caps = gst::Caps::builder("video/quicktime").field("variant", "iso-fragmented");
    harness.set_src_caps(caps.build());
    harness.play();
    harness
}

fn media(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 / 3 + seed) as u8).collect()
}

fn init_segment() -> gst::Buffer {
    let mut buffer = gst::Buffer::from_slice(media(700, 0));
    let flags = gst::BufferFlags::HEADER | gst::BufferFlags::DISCONT;
    buffer.get_mut().unwrap().set_flags(flags);
    buffer
}

/// In several memories, as muxers make them.
fn fragment(length: usize, seed: usize) -> gst::Buffer {
    let media = media(length, seed);
    let mut buffer = gst::Buffer::new();
    let target = buffer.get_mut().unwrap();
    let (head, body) = media.split_at(length / 5);
    for part in [head, &[], body] {
        target.append_memory(gst::Memory::from_slice(part.to_vec()));
    }
    buffer
}

#[test]
fn payloads_are_what_a_hub_reads() {
    let sink = plain();
    let mut application = Application::new(&sink);
    let mut harness = harness(&sink);
    assert_eq!(harness.push(init_segment()), Ok(gst::FlowSuccess::Ok));
    assert_eq!(application.send(), 1);
    let lengths = [500_000, 2 * CHUNK, CHUNK + 1, 33];
    for (seed, length) in lengths.iter().enumerate() {
        let pushed = harness.push(fragment(*length, seed));
        assert_eq!(pushed, Ok(gst::FlowSuccess::Ok));
    }
    assert!(harness.push_event(gst::event::Eos::new()));
    assert_eq!(application.send(), 7);
    let hub = &application.hub;
    assert!(hub.ended);
    assert_eq!(hub.pieces[0], (DataType::Initialization, media(700, 0)));
    for (seed, length) in lengths.iter().enumerate() {
        let expected = (DataType::Fragment, media(*length, seed));
        assert!(hub.pieces[seed + 1] == expected, "fragment {seed}");
    }
    let rest = 500_000 - CHUNK;
    assert_eq!(hub.chunks, [700, CHUNK, rest, CHUNK, CHUNK, CHUNK, 1, 33]);
    assert_eq!(harness.push(fragment(9, 9)), Err(gst::FlowError::Eos));
}

#[test]
fn the_last_chunk_waits_for_what_comes_next() {
    let sink = plain();
    let mut application = Application::new(&sink);
    let mut harness = harness(&sink);
    harness.push(init_segment()).unwrap();
    assert_eq!(application.send(), 1);
    harness.push(fragment(CHUNK + 50, 1)).unwrap();
    assert_eq!(application.send(), 1);
    harness.push(fragment(60, 2)).unwrap();
    assert_eq!(application.send(), 1);
    assert_eq!(application.hub.chunks, [700, CHUNK, 50]);
    let stats = sink.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<u64>("messages"), Ok(3));
    assert_eq!(stats.get::<u64>("fragments"), Ok(2));
    assert_eq!(stats.get::<bool>("ended"), Ok(false));
    harness.push_event(gst::event::Eos::new());
    assert_eq!(application.send(), 1);
    assert_eq!(application.hub.lengths(), [700, CHUNK + 50, 60]);
    assert!(application.hub.ended);
    let stats = sink.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<bool>("ended"), Ok(true));
}

#[test]
fn it_does_not_wait_for_ever() {
    for end_wait in [50_u32, 0] {
        let sink = plain();
        sink.set_property("end-wait", end_wait);
        let mut application = Application::new(&sink);
        let mut harness = harness(&sink);
        harness.push(fragment(1000, 1)).unwrap();
        application.wait();
        assert_eq!(application.hub.lengths(), [1000]);
        assert!(!application.hub.ended);
        harness.push_event(gst::event::Eos::new());
        application.wait();
        assert!(application.hub.ended);
        assert_eq!(application.hub.lengths(), [1000]);
    }
}

#[test]
fn an_end_without_anything_before_it() {
    let sink = plain();
    let mut application = Application::new(&sink);
    let mut harness = harness(&sink);
    harness.push_event(gst::event::Eos::new());
    assert_eq!(application.send(), 1);
    assert!(application.hub.ended && application.hub.pieces.is_empty());
}

/// What the muxer gives, as a file would hold it, and what the hub gets through a socket.
#[test]
fn a_recording_arrives_as_it_was_muxed() {
    let (sink, ours, mut hubs) = with_socket();
    let pipeline = gst::parse::launch(
        "videotestsrc num-buffers=75 pattern=snow ! \
         video/x-raw,format=I420,width=640,height=360,framerate=25/1 ! \
         x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 bitrate=8000 ! hksvmux fragment-duration=1000 ! \
         tee name=tee ! queue ! appsink name=file sync=false tee. ! queue name=end",
    );
    let pipeline = pipeline.unwrap().downcast::<gst::Pipeline>().unwrap();
    pipeline.add(&sink).unwrap();
    pipeline.by_name("end").unwrap().link(&sink).unwrap();
    let reader = thread::spawn(move || {
        let mut hub = Hub::new();
        let mut buffer = vec![0; 10_000];
        while !hub.ended {
            let count = hubs.read(&mut buffer).unwrap();
            assert!(count > 0, "the stream does not end");
            hub.take(&buffer[..count]);
        }
        hub
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    let file = pipeline.by_name("file").unwrap();
    let file = file.downcast::<gst_app::AppSink>().unwrap();
    let muxed: Vec<Vec<u8>> = std::iter::from_fn(|| file.pull_sample().ok())
        .map(|sample| sample.buffer().unwrap().map_readable().unwrap().to_vec())
        .collect();
    let bus = pipeline.bus().unwrap();
    let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = bus.timed_pop_filtered(gst::ClockTime::from_seconds(30), &wanted);
    assert_eq!(message.unwrap().type_(), gst::MessageType::Eos);
    let hub = reader.join().unwrap();
    let received: Vec<_> = hub.pieces.iter().map(|(_, piece)| piece.clone()).collect();
    assert!(
        muxed.len() >= 4 && muxed[1].len() > CHUNK,
        "{:?}",
        hub.lengths()
    );
    assert!(received == muxed, "{:?}", hub.lengths());
    let counter = sink.property::<u64>("counter");
    assert_eq!(counter, COUNTER + hub.chunks.len() as u64);
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(sink.property::<u64>("counter"), counter);
    drop(ours);
}

/// More than any socket takes.
fn push_much(sink: &gst::Element) -> thread::JoinHandle<Result<gst::FlowSuccess, gst::FlowError>> {
    let mut harness = harness(sink);
    thread::spawn(move || {
        harness.push(init_segment())?;
        for seed in 0..8 {
            harness.push(fragment(600_000, seed))?;
        }
        harness.push_event(gst::event::Eos::new());
        Ok(gst::FlowSuccess::Ok)
    })
}

#[test]
fn a_hub_that_does_not_read_holds_up_but_does_not_hold_fast() {
    let (sink, ours, hubs) = with_socket();
    let pushing = push_much(&sink);
    thread::sleep(Duration::from_millis(300));
    assert!(!pushing.is_finished());
    let start = Instant::now();
    sink.set_state(gst::State::Null).unwrap();
    assert!(start.elapsed() < PATIENCE);
    assert!(pushing.join().unwrap().is_err());
    drop((ours, hubs));
}

#[test]
fn a_pause_cuts_no_frame() {
    let (sink, ours, mut hubs) = with_socket();
    let pushing = push_much(&sink);
    thread::sleep(Duration::from_millis(200));
    sink.set_state(gst::State::Paused).unwrap();
    thread::sleep(Duration::from_millis(100));
    sink.set_state(gst::State::Playing).unwrap();
    let mut hub = Hub::new();
    let mut buffer = vec![0; 100_000];
    while !hub.ended {
        let count = hubs.read(&mut buffer).unwrap();
        hub.take(&buffer[..count]);
    }
    assert_eq!(pushing.join().unwrap(), Ok(gst::FlowSuccess::Ok));
    assert_eq!(hub.lengths()[1..], [600_000; 8]);
    sink.set_state(gst::State::Null).unwrap();
    drop(ours);
}

#[test]
fn a_hub_that_has_gone_is_an_error() {
    let (sink, ours, hubs) = with_socket();
    let bus = gst::Bus::new();
    sink.set_bus(Some(&bus));
    drop(hubs);
    let mut harness = harness(&sink);
    assert_eq!(harness.push(init_segment()), Err(gst::FlowError::Error));
    assert_eq!(harness.push(fragment(9, 9)), Err(gst::FlowError::Error));
    let error = bus.pop_filtered(&[gst::MessageType::Error]);
    let gst::MessageView::Error(error) = error.as_ref().expect("an error message").view() else {
        panic!("{error:?}")
    };
    assert!(error.error().matches(gst::ResourceError::Write));
    drop(ours);
}

#[test]
fn a_handler_ends_the_stream() {
    for flow in [gst::FlowReturn::Eos, gst::FlowReturn::Error] {
        let sink = plain();
        sink.connect_closure(
            "new-message",
            false,
            glib::closure!(move |_: gst::Element, _: glib::Bytes| flow),
        );
        // Whoever is asked after one that has refused is not asked.
        sink.connect_closure(
            "new-message",
            false,
            glib::closure!(|_: gst::Element, _: glib::Bytes| -> gst::FlowReturn {
                panic!("nothing is left to be heard")
            }),
        );
        let mut harness = harness(&sink);
        let refused = flow.into_result().map(|_| gst::FlowSuccess::Ok);
        assert_eq!(harness.push(init_segment()), refused);
        assert_eq!(harness.push(fragment(9, 9)), refused);
    }
}

#[test]
fn no_number_is_used_twice() {
    let (sink, ours, mut hubs) = with_socket();
    let mut hub = Hub::new();
    for (round, messages) in [(0, 2), (1, 4)] {
        let mut harness = harness(&sink);
        harness.push(fragment(100, round)).unwrap();
        harness.push(fragment(200, round)).unwrap();
        harness.push_event(gst::event::Eos::new());
        drop(harness);
        sink.set_state(gst::State::Null).unwrap();
        assert_eq!(sink.property::<u64>("counter"), COUNTER + messages);
        if round == 0 {
            let mut buffer = vec![0; 10_000];
            while !hub.ended {
                let count = hubs.read(&mut buffer).unwrap();
                hub.take(&buffer[..count]);
            }
        }
    }
    assert_eq!(hub.lengths(), [100, 200]);
    drop(ours);
}

#[test]
fn wrong_settings_do_not_start() {
    let start = |key: &[u8], fd: i32| {
        let sink = plain();
        sink.set_property("key", gst::Buffer::from_slice(key.to_vec()));
        sink.set_property("fd", fd);
        let started = sink.set_state(gst::State::Playing);
        sink.set_state(gst::State::Null).unwrap();
        started.is_ok()
    };
    assert!(start(&[1; 32], -1));
    assert!(start(&[], -1));
    assert!(start(&[1; 32], 2));
    assert!(!start(&[1; 31], -1));
    assert!(!start(&[1; 33], -1));
    assert!(!start(&[], 2));
}

#[test]
fn nobody_reads_the_key() {
    let sink = plain();
    let key = sink.find_property("key").unwrap();
    assert!(!key.flags().contains(glib::ParamFlags::READABLE));
}
