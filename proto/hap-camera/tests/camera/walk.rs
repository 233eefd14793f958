//! Anything in any order: the rules that hold throughout.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use hap_camera::recording::RecordingState;
use hap_camera::rtp::{
    AudioSelection, SetupEndpointsAnswer, SetupEndpointsRequest, StreamCommand, VideoChange,
    VideoSelection,
};
use hap_camera::services::{AID, StreamCharacteristic as C, accessory, iid};
use hap_camera::{
    Camera, CameraState, Event, HdsId, MediaHost, MediaUnavailable, Ports, RecordingKey, StreamKey,
};
use hap_proto::{CharId, ConnId, Status, Value};
use proptest::prelude::*;

use crate::bench::{control, doorbell, id, phone, real_selection, request, start};

/// What can happen, in any order.
#[derive(Debug, Clone)]
enum Step {
    Motion(bool),
    Occupancy(bool),
    Ring,
    Switch(bool),
    Write(u64, bool),
    Select(bool),
    Open {
        hds: u64,
        stream_id: i64,
    },
    /// A piece of the recording that media has, or of one that is over.
    Piece {
        stale: bool,
        last: bool,
    },
    Failed {
        stale: bool,
    },
    Acknowledged {
        hds: u64,
        stream_id: i64,
    },
    Closed {
        hds: u64,
        stream_id: i64,
    },
    Lost {
        hds: u64,
    },
    Pass {
        milliseconds: u64,
    },
    SetUp {
        slot: usize,
    },
    Start {
        slot: usize,
    },
    End {
        slot: usize,
    },
    ConnectionClosed,
    MediaFails(bool),
    Restart,
}

fn steps() -> impl Strategy<Value = Step> {
    let settings = prop::sample::select(vec![
        iid::EVENT_SNAPSHOTS_ACTIVE,
        iid::CAMERA_ACTIVE,
        iid::CAMERA_ACTIVE,
        iid::PERIODIC_SNAPSHOTS_ACTIVE,
        iid::RECORDING_ACTIVE,
        iid::RECORDING_AUDIO_ACTIVE,
        C::Active.id(0).iid,
        C::Active.id(1).iid,
        iid::SPEAKER_MUTE,
    ]);
    let (hds, stream, slot) = (0u64..2, 0i64..2, 0usize..2);
    prop_oneof![
        4 => any::<bool>().prop_map(Step::Motion),
        1 => any::<bool>().prop_map(Step::Occupancy),
        1 => Just(Step::Ring),
        1 => any::<bool>().prop_map(Step::Switch),
        3 => (settings, prop::bool::weighted(0.7)).prop_map(|(iid, on)| Step::Write(iid, on)),
        1 => prop::bool::weighted(0.8).prop_map(Step::Select),
        6 => (hds.clone(), stream.clone())
            .prop_map(|(hds, stream_id)| Step::Open { hds, stream_id }),
        8 => (prop::bool::weighted(0.1), prop::bool::weighted(0.2))
            .prop_map(|(stale, last)| Step::Piece { stale, last }),
        1 => any::<bool>().prop_map(|stale| Step::Failed { stale }),
        2 => (hds.clone(), stream.clone())
            .prop_map(|(hds, stream_id)| Step::Acknowledged { hds, stream_id }),
        2 => (hds.clone(), stream).prop_map(|(hds, stream_id)| Step::Closed { hds, stream_id }),
        1 => hds.prop_map(|hds| Step::Lost { hds }),
        5 => (0u64..6_000).prop_map(|milliseconds| Step::Pass { milliseconds }),
        1 => (0u64..400_000).prop_map(|milliseconds| Step::Pass { milliseconds }),
        2 => slot.clone().prop_map(|slot| Step::SetUp { slot }),
        2 => slot.clone().prop_map(|slot| Step::Start { slot }),
        1 => slot.prop_map(|slot| Step::End { slot }),
        1 => Just(Step::ConnectionClosed),
        1 => prop::bool::weighted(0.3).prop_map(Step::MediaFails),
        1 => Just(Step::Restart),
    ]
}

/// Media that does what it is asked, and complains where that makes no sense.
#[derive(Default)]
struct Media {
    streams: HashSet<StreamKey>,
    /// With whether it was asked to finish.
    recordings: HashMap<RecordingKey, bool>,
    newest: Option<RecordingKey>,
    fails: bool,
}

impl MediaHost for Media {
    fn random(&mut self, out: &mut [u8]) {
        out.fill(1);
    }
    fn open(
        &mut self,
        key: StreamKey,
        _: std::net::IpAddr,
        _: &SetupEndpointsRequest,
        _: &SetupEndpointsAnswer,
    ) -> Result<Ports, MediaUnavailable> {
        if self.fails {
            return Err(MediaUnavailable);
        }
        assert!(self.streams.insert(key), "a session is opened once");
        Ok(Ports { video: 1, audio: 2 })
    }
    fn start(
        &mut self,
        key: StreamKey,
        _: &VideoSelection,
        _: Option<&AudioSelection>,
    ) -> Result<(), MediaUnavailable> {
        assert!(self.streams.contains(&key));
        if self.fails {
            Err(MediaUnavailable)
        } else {
            Ok(())
        }
    }
    fn reconfigure(&mut self, key: StreamKey, _: &VideoChange) -> Result<(), MediaUnavailable> {
        assert!(self.streams.contains(&key));
        Ok(())
    }
    fn suspend(&mut self, key: StreamKey, _: bool) {
        assert!(self.streams.contains(&key));
    }
    fn close(&mut self, key: StreamKey) {
        assert!(self.streams.remove(&key), "a session is closed once");
    }
    fn open_data_stream(
        &mut self,
        _: ConnId,
        _: &[u8; 32],
        _: &[u8; 32],
        _: &[u8; 32],
    ) -> Result<u16, MediaUnavailable> {
        Err(MediaUnavailable)
    }
    fn start_recording(
        &mut self,
        key: RecordingKey,
        _: &hap_camera::recording::SelectedRecording,
        _: bool,
    ) -> Result<(), MediaUnavailable> {
        if self.fails {
            return Err(MediaUnavailable);
        }
        assert!(self.newest < Some(key), "a number is used once");
        self.newest = Some(key);
        self.recordings.insert(key, false);
        assert_eq!(self.recordings.len(), 1, "one recording at a time");
        Ok(())
    }
    fn finish_recording(&mut self, key: RecordingKey) {
        let before = self.recordings.insert(key, true);
        assert_eq!(before, Some(false), "what runs is finished once");
    }
    fn stop_recording(&mut self, key: RecordingKey) {
        assert!(
            self.recordings.remove(&key).is_some(),
            "what runs is stopped once"
        );
    }
}

struct Walk {
    camera: Camera,
    media: Media,
    now: std::time::Instant,
    /// Transfers as the hubs see them.
    transfers: HashSet<(u64, i64)>,
    /// The next sequence number of each recording.
    sequences: HashMap<RecordingKey, u64>,
    /// What a controller knows that listens to everything.
    mirror: HashMap<CharId, Value>,
    saved: CameraState,
}

/// Every characteristic that notifies and has a value of its own.
fn watched() -> Vec<CharId> {
    let services = accessory(&doorbell()).services.into_iter();
    let characteristics = services.flat_map(|s| s.characteristics);
    characteristics
        .filter(|c| c.perms.can_notify() && c.initial.is_none() && !c.event_only)
        .map(|c| CharId {
            aid: AID,
            iid: c.iid,
        })
        .collect()
}

impl Walk {
    fn new(state: CameraState, now: std::time::Instant) -> Self {
        let mut walk = Self {
            camera: Camera::new(&doorbell(), state.clone()),
            media: Media::default(),
            now,
            transfers: HashSet::new(),
            sequences: HashMap::new(),
            mirror: HashMap::new(),
            saved: state,
        };
        walk.mirror = walk.values();
        walk
    }

    /// Armed, so that there is something to walk through.
    fn armed() -> Self {
        let bench = crate::bench::Bench::armed();
        Self::new(bench.camera.state(), bench.now)
    }

    fn values(&self) -> HashMap<CharId, Value> {
        let each = watched().into_iter();
        each.filter_map(|id| Some((id, self.camera.read(id, &phone(0)).ok()?)))
            .collect()
    }

    fn write(&mut self, id: CharId, value: &Value) -> Result<Option<Value>, Status> {
        let from = phone(1);
        self.camera
            .write(id, value, &from, self.now, &mut self.media)
    }

    fn key(&self, stale: bool) -> RecordingKey {
        let running = self.media.recordings.keys().next().copied();
        match running {
            Some(key) if !stale => key,
            _ => RecordingKey(self.media.newest.map_or(7, |key| key.0.saturating_sub(1))),
        }
    }

    fn step(&mut self, step: &Step) {
        let now = self.now;
        match *step {
            Step::Motion(on) => self.camera.motion(on, now, &mut self.media),
            Step::Occupancy(on) => self.camera.occupancy(on, now, &mut self.media),
            Step::Ring => assert!(self.camera.ring(now, &mut self.media)),
            Step::Switch(on) => self.camera.set_manually_disabled(on, &mut self.media),
            Step::Write(iid, on) => {
                self.write(id(iid), &Value::UInt(on.into())).unwrap();
            }
            Step::Select(good) => {
                let bytes = if good { real_selection() } else { vec![1, 0] };
                let result = self.write(id(iid::SELECTED_RECORDING), &Value::Tlv8(bytes));
                assert_eq!(result.is_ok(), good);
            }
            Step::Open { hds, stream_id } => self.open(hds, stream_id),
            Step::Piece { stale, last } => self.piece(self.key(stale), last),
            Step::Failed { stale } => {
                let key = self.key(stale);
                self.media.recordings.remove(&key);
                self.camera.recording_failed(key);
            }
            Step::Acknowledged { hds, stream_id } => {
                self.camera.recording_acked(HdsId(hds), stream_id);
            }
            Step::Closed { hds, stream_id } => {
                self.transfers.remove(&(hds, stream_id));
                self.camera
                    .recording_closed(HdsId(hds), stream_id, &mut self.media);
            }
            Step::Lost { hds } => {
                self.transfers.retain(|(on, _)| *on != hds);
                self.camera.data_stream_lost(HdsId(hds), &mut self.media);
            }
            Step::Pass { milliseconds } => self.pass(Duration::from_millis(milliseconds)),
            Step::SetUp { slot } => {
                let _ = self.write(
                    C::SetupEndpoints.id(slot),
                    &Value::Tlv8(request(7).encode()),
                );
            }
            Step::Start { slot } => {
                let _ = self.write(C::Selected.id(slot), &Value::Tlv8(start(7).encode()));
            }
            Step::End { slot } => {
                let end = control(7, StreamCommand::End).encode();
                let _ = self.write(C::Selected.id(slot), &Value::Tlv8(end));
            }
            Step::ConnectionClosed => self.camera.connection_closed(ConnId(1), &mut self.media),
            Step::MediaFails(fails) => self.media.fails = fails,
            Step::Restart => self.restart(),
        }
        self.drain();
        self.check();
    }

    fn open(&mut self, hds: u64, stream_id: i64) {
        let may = self.camera.is_armed() && self.media.recordings.is_empty();
        let opened = self
            .camera
            .recording_open(HdsId(hds), stream_id, self.now, &mut self.media);
        // What an acknowledged transfer left behind is closed before the next one is known.
        self.drain();
        if opened.is_ok() {
            assert!(may);
            self.transfers.insert((hds, stream_id));
        }
    }

    fn piece(&mut self, key: RecordingKey, last: bool) {
        let running = self.media.recordings.contains_key(&key);
        let sequence = self.sequences.entry(key).or_insert(1);
        let empty = last && *sequence == 1;
        let piece = self.camera.recording_data(key, last, self.now);
        assert_eq!(piece.is_some(), running && !empty, "{key:?}, last {last}");
        if running && last {
            self.media.recordings.remove(&key);
        }
        let Some(piece) = piece else { return };
        assert!(
            self.transfers.contains(&(piece.hds.0, piece.stream_id)),
            "data for a transfer that is not open"
        );
        assert_eq!(piece.sequence, *sequence);
        assert_eq!(piece.initialization, *sequence == 1);
        assert_eq!(piece.end_of_stream, last);
        *sequence += 1;
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.camera.poll_timeout().filter(|due| *due <= end) {
            assert!(due >= self.now, "a timer that was missed");
            self.now = due;
            self.camera.timeout(due, &mut self.media);
            let next = self.camera.poll_timeout();
            assert!(
                next.is_none_or(|next| next > due),
                "a timer that never ends"
            );
            self.drain();
            self.check();
        }
        self.now = end;
    }

    /// Stops, and comes back with what was saved.
    fn restart(&mut self) {
        self.camera.stop_all(&mut self.media);
        self.drain();
        assert!(self.media.recordings.is_empty() && self.media.streams.is_empty());
        let fails = self.media.fails;
        *self = Self::new(self.saved.clone(), self.now);
        self.media.fails = fails;
    }

    fn drain(&mut self) {
        let events: Vec<Event> = std::iter::from_fn(|| self.camera.poll_event()).collect();
        assert!(events.len() < 24, "{events:?}");
        for event in events {
            match event {
                Event::Changed { id, value, .. } => {
                    self.mirror.insert(id, value);
                }
                Event::Persist => self.saved = self.camera.state(),
                Event::CloseRecording { hds, stream_id, .. } => {
                    let open = self.transfers.remove(&(hds.0, stream_id));
                    assert!(open, "a transfer is closed once");
                }
                _ => {}
            }
        }
    }

    /// What holds after every step.
    fn check(&self) {
        let state = self.camera.state();
        assert_eq!(state, self.saved, "nothing changes without being saved");
        let disabled = self.camera.read(id(iid::MANUALLY_DISABLED), &phone(0));
        let active = state.operating_mode.camera_active && disabled == Ok(Value::Bool(false));
        assert_eq!(self.camera.is_active(), active);
        if !active {
            assert!(self.media.streams.is_empty(), "a stream while switched off");
        }
        if !active || !state.recording.active {
            assert!(self.media.recordings.is_empty(), "a recording while off");
        }
        for key in &self.media.streams {
            assert!(
                state.streams_active[key.slot],
                "a stream of a service that is off"
            );
        }
        assert!(self.media.recordings.is_empty() || !self.transfers.is_empty());
        for (id, value) in self.values() {
            let told = self.mirror.get(&id);
            assert!(same(told, &value), "{:#x}: {told:?}, {value:?}", id.iid);
        }
    }

    /// However it went: in the end nothing runs, and the next recording works.
    fn recovers(&mut self) {
        for on in [true, false] {
            self.step(&Step::MediaFails(!on));
            self.step(&Step::Motion(false));
            self.step(&Step::Pass {
                milliseconds: 600_000,
            });
        }
        assert!(self.media.recordings.is_empty());
        assert_eq!(self.camera.poll_timeout(), None);
        self.step(&Step::Switch(false));
        self.step(&Step::Write(iid::CAMERA_ACTIVE, true));
        self.step(&Step::Write(iid::RECORDING_ACTIVE, true));
        self.step(&Step::Select(true));
        self.step(&Step::MediaFails(false));
        self.step(&Step::Motion(true));
        self.step(&Step::Open {
            hds: 5,
            stream_id: 5,
        });
        assert_eq!(self.media.recordings.len(), 1);
        self.step(&Step::Piece {
            stale: false,
            last: false,
        });
        self.step(&Step::Piece {
            stale: false,
            last: true,
        });
        assert!(self.media.recordings.is_empty());
        self.step(&Step::Acknowledged {
            hds: 5,
            stream_id: 5,
        });
        self.step(&Step::Closed {
            hds: 5,
            stream_id: 5,
        });
        assert_eq!(self.camera.poll_timeout(), None);
    }
}

/// `true` and 1 are one value; a controller sees the same JSON.
fn same(told: Option<&Value>, read: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Bool(flag) => Value::UInt((*flag).into()),
        other => other.clone(),
    };
    told.is_some_and(|told| number(told) == number(read))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_rules_hold_whatever_happens(steps in prop::collection::vec(steps(), 1..120)) {
        let mut walk = Walk::armed();
        for step in &steps {
            walk.step(step);
        }
        walk.recovers();
    }
}

#[test]
fn a_fresh_camera_recovers_too() {
    let mut walk = Walk::new(CameraState::default(), std::time::Instant::now());
    assert_eq!(walk.saved.recording, RecordingState::default());
    walk.recovers();
}
