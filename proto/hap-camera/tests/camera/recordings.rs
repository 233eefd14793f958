//! One recording after the other.

use std::time::Duration;

use hap_camera::recording::{ACKNOWLEDGEMENT, GIVE_UP, LONGEST, STALL, UNPROMPTED};
use hap_camera::services::{MOTION_HOLD, iid};
use hap_camera::{Event, HdsId, Outgoing, Reason, RecordingKey};

use crate::bench::{Bench, HUB, description, doorbell};

const SECOND: Duration = Duration::from_secs(1);

impl Bench {
    fn closes(&mut self) -> Vec<(i64, Reason)> {
        let each = self.events().into_iter();
        each.filter_map(|e| match e {
            Event::CloseRecording {
                hds,
                stream_id,
                reason,
            } => {
                assert_eq!(hds, HUB);
                Some((stream_id, reason))
            }
            _ => None,
        })
        .collect()
    }

    fn close(&mut self, stream_id: i64) {
        self.camera
            .recording_closed(HUB, stream_id, &mut self.media);
    }

    /// Lets time pass with a fragment each second.
    fn record(&mut self, key: RecordingKey, seconds: u32) {
        for _ in 0..seconds {
            self.pass(SECOND);
            self.piece(key, false);
        }
    }

    /// Motion, and a recording of it with its first pieces.
    fn recording(&mut self, stream_id: i64) -> RecordingKey {
        self.motion(true);
        let key = self.open(stream_id).unwrap();
        self.piece(key, false).unwrap();
        self.piece(key, false).unwrap();
        self.media.calls.clear();
        self.events();
        key
    }

    /// That the next recording runs from one end to the other.
    fn next_one_works(&mut self) {
        self.motion(true);
        let key = self.open(99).unwrap();
        assert_eq!(self.piece(key, false).unwrap().sequence, 1);
        assert_eq!(self.piece(key, true).unwrap().sequence, 2);
        self.camera.recording_acked(HUB, 99);
        self.close(99);
        assert!(self.open(100).is_ok());
    }
}

const fn piece(sequence: u64, end_of_stream: bool) -> Option<Outgoing> {
    Some(Outgoing {
        hds: HUB,
        stream_id: 4,
        sequence,
        initialization: sequence == 1,
        end_of_stream,
    })
}

#[test]
fn from_motion_to_acknowledgement() {
    let mut b = Bench::armed();
    b.motion(true);
    let key = b.open(4).unwrap();
    assert_eq!(b.media.calls, ["record 1 1200x1600 2000 kbps mute"]);
    assert_eq!(b.piece(key, false), piece(1, false));
    assert_eq!(b.piece(key, false), piece(2, false));
    b.motion(false);
    b.record(key, 9);
    assert_eq!(b.media.calls.len(), 1, "goes on while motion is held");
    b.pass(SECOND);
    assert_eq!(b.media.calls[1..], ["finish 1"]);
    assert_eq!(b.piece(key, true), piece(12, true));
    b.camera.recording_acked(HUB, 4);
    b.close(4);
    assert_eq!(b.piece(key, true), None);
    b.pass(60 * SECOND);
    assert_eq!(b.closes(), []);
    assert_eq!(b.media.calls.len(), 2);
    b.next_one_works();
}

#[test]
fn sound_is_recorded_where_it_is_wanted() {
    let mut b = Bench::armed();
    b.set_flag(iid::RECORDING_AUDIO_ACTIVE, true);
    assert!(b.camera.armed().unwrap().audio);
    b.open(4).unwrap();
    assert_eq!(b.media.calls, ["record 1 1200x1600 2000 kbps with sound"]);
}

#[test]
fn refusals_in_their_order() {
    let mut b = Bench::of(&description());
    assert_eq!(b.open(4), Err(Reason::Unsupported));
    let mut b = Bench::of(&doorbell());
    assert_eq!(b.open(4), Err(Reason::NotAllowed), "before anything else");
    b.set_flag(iid::RECORDING_ACTIVE, true);
    assert_eq!(b.open(4), Err(Reason::InvalidConfiguration));
    b.set_flag(iid::CAMERA_ACTIVE, false);
    assert_eq!(b.open(4), Err(Reason::NotAllowed));
    assert!(b.media.calls.is_empty());

    let mut b = Bench::armed();
    b.media.fail_recording = true;
    assert_eq!(b.open(4), Err(Reason::UnexpectedFailure));
    b.media.fail_recording = false;
    b.next_one_works();
}

#[test]
fn a_second_open_is_busy_and_the_first_goes_on() {
    let mut b = Bench::armed();
    let key = b.recording(4);
    assert_eq!(b.open(5), Err(Reason::Busy));
    assert_eq!(b.open(4), Err(Reason::Busy));
    let other = HdsId(2);
    let elsewhere = b.camera.recording_open(other, 4, b.now, &mut b.media);
    assert_eq!(elsewhere, Err(Reason::Busy));
    b.camera.recording_closed(other, 4, &mut b.media);
    b.camera.data_stream_lost(other, &mut b.media);
    b.close(5);
    assert!(b.media.calls.is_empty());
    assert_eq!(b.piece(key, true), piece(3, true));
    assert_eq!(b.open(5), Err(Reason::Busy), "until it is acknowledged");
    b.camera.recording_acked(HUB, 4);
    assert!(b.open(5).is_ok());
    assert_eq!(b.closes(), [(4, Reason::Normal)], "nobody else would");
}

#[test]
fn the_hub_ends_it_at_any_time() {
    let mut b = Bench::armed();
    let key = b.recording(4);
    b.close(4);
    assert_eq!(b.media.calls, ["stop 1"]);
    assert_eq!(b.piece(key, false), None);
    assert_eq!(b.closes(), []);

    let key = b.recording(5);
    b.motion(false);
    b.record(key, 10);
    assert_eq!(b.media.calls, ["finish 2"]);
    b.close(5);
    assert_eq!(b.media.calls, ["finish 2", "stop 2"]);
    assert_eq!(b.piece(key, true), None);
    b.next_one_works();
}

#[test]
fn a_lost_data_stream_ends_it_quietly() {
    let mut b = Bench::armed();
    let key = b.recording(4);
    b.camera.data_stream_lost(HUB, &mut b.media);
    assert_eq!(b.media.calls, ["stop 1"]);
    assert_eq!((b.piece(key, false), b.closes()), (None, vec![]));
    b.next_one_works();
}

#[test]
fn failing_media_closes_it() {
    let mut b = Bench::armed();
    let key = b.recording(4);
    b.camera.recording_failed(RecordingKey(77));
    assert_eq!(b.closes(), []);
    b.camera.recording_failed(key);
    assert_eq!(b.closes(), [(4, Reason::UnexpectedFailure)]);
    assert!(b.media.calls.is_empty(), "it has ended by itself");
    b.next_one_works();
}

#[test]
fn a_clip_without_fragments_is_a_failure() {
    let mut b = Bench::armed();
    let key = b.open(4).unwrap();
    assert_eq!(b.piece(key, true), None);
    assert_eq!(b.closes(), [(4, Reason::UnexpectedFailure)]);
    b.next_one_works();
}

#[test]
fn media_that_ends_by_itself_ends_it_well() {
    let mut b = Bench::armed();
    let key = b.recording(4);
    assert_eq!(b.piece(key, true), piece(3, true));
    b.camera.recording_failed(key);
    assert_eq!(b.closes(), [], "too late to fail");
    b.camera.recording_acked(HUB, 4);
    b.close(4);
    assert!(b.media.calls.is_empty());
    b.next_one_works();
}

#[test]
fn nothing_lasts_longer_than_three_minutes() {
    let mut b = Bench::armed();
    let key = b.recording(4);
    b.record(key, 179);
    assert!(b.media.calls.is_empty());
    b.pass(SECOND);
    assert_eq!(b.media.calls, ["finish 1"]);
    assert!(b.piece(key, true).unwrap().end_of_stream);
    b.camera.recording_acked(HUB, 4);
    assert_eq!(b.closes(), []);
    b.next_one_works();
    assert_eq!(LONGEST, 180 * SECOND);
}

#[test]
fn a_hub_that_never_acknowledges_is_closed() {
    for acknowledged in [false, true] {
        let mut b = Bench::armed();
        let key = b.recording(4);
        b.piece(key, true).unwrap();
        if acknowledged {
            b.camera.recording_acked(HUB, 4);
        }
        b.pass(ACKNOWLEDGEMENT - Duration::from_millis(1));
        assert_eq!(b.closes(), []);
        b.pass(Duration::from_millis(1));
        assert_eq!(b.closes(), [(4, Reason::Cancelled)]);
        assert!(b.media.calls.is_empty());
        b.next_one_works();
    }
}

#[test]
fn an_acknowledgement_out_of_turn_changes_nothing() {
    let mut b = Bench::armed();
    let key = b.recording(4);
    b.camera.recording_acked(HUB, 4);
    b.camera.recording_acked(HUB, 5);
    assert_eq!(b.open(5), Err(Reason::Busy));
    assert_eq!(b.piece(key, false), piece(3, false));
}

#[test]
fn media_that_stalls_is_told_once_and_given_up_in_the_end() {
    let mut b = Bench::armed();
    let key = b.recording(4);
    let stalled = || Event::RecordingStalled { key };
    b.pass(STALL - Duration::from_millis(1));
    assert_eq!(b.events(), []);
    b.pass(2 * SECOND);
    assert_eq!(b.events(), [stalled()]);
    assert_eq!(b.piece(key, false), piece(3, false), "it came back");
    b.pass(STALL);
    assert_eq!(b.events(), [stalled()]);
    b.pass(GIVE_UP - STALL);
    assert_eq!(b.media.calls, ["stop 1"]);
    assert_eq!(b.closes(), [(4, Reason::UnexpectedFailure)]);
    b.next_one_works();
}

#[test]
fn a_last_piece_that_never_comes_is_given_up() {
    let mut b = Bench::armed();
    let key = b.recording(4);
    b.motion(false);
    b.record(key, 10);
    b.events();
    b.pass(GIVE_UP);
    assert_eq!(b.media.calls, ["finish 1", "stop 1"]);
    assert_eq!(b.closes(), [(4, Reason::UnexpectedFailure)]);
    b.next_one_works();
}

#[test]
fn opened_without_motion_it_runs_for_a_while() {
    let mut b = Bench::armed();
    let key = b.open(4).unwrap();
    b.record(key, 9);
    assert_eq!(b.media.calls.len(), 1);
    b.pass(SECOND);
    assert_eq!(b.media.calls[1..], ["finish 1"]);
    assert_eq!(UNPROMPTED, 10 * SECOND);

    let mut b = Bench::armed();
    let key = b.open(4).unwrap();
    b.record(key, 5);
    b.motion(true);
    b.record(key, 20);
    assert_eq!(b.media.calls.len(), 1, "as long as something moves");
    b.motion(false);
    b.record(key, 9);
    assert_eq!(b.media.calls.len(), 1);
    b.pass(MOTION_HOLD);
    assert_eq!(b.media.calls[1..], ["finish 1"]);
}

#[test]
fn a_press_alone_is_recorded_for_the_time_of_the_hold() {
    let mut b = Bench::armed();
    b.camera.ring(b.now, &mut b.media);
    let key = b.open(4).unwrap();
    b.record(key, 9);
    assert_eq!(b.media.calls.len(), 1);
    b.pass(SECOND);
    assert_eq!(b.media.calls[1..], ["finish 1"]);
}

#[test]
fn motion_that_returns_after_the_end_is_the_next_recording() {
    let mut b = Bench::armed();
    let key = b.recording(4);
    b.motion(false);
    b.record(key, 10);
    b.motion(true);
    assert_eq!(b.media.calls, ["finish 1"]);
    assert_eq!(b.open(5), Err(Reason::Busy));
    b.piece(key, true).unwrap();
    b.camera.recording_acked(HUB, 4);
    b.next_one_works();
}

#[test]
fn switched_off_while_the_hub_has_not_everything_yet() {
    let mut b = Bench::armed();
    let key = b.recording(4);
    b.piece(key, true).unwrap();
    b.set_flag(iid::CAMERA_ACTIVE, false);
    assert_eq!(
        b.closes(),
        [(4, Reason::NotAllowed)],
        "what waits is not sent"
    );
    assert!(b.media.calls.is_empty());
}

#[test]
fn switched_off_when_the_hub_has_everything_it_keeps_the_clip() {
    let mut b = Bench::armed();
    let key = b.recording(4);
    b.piece(key, true).unwrap();
    b.camera.recording_acked(HUB, 4);
    b.set_flag(iid::RECORDING_ACTIVE, false);
    assert_eq!(b.closes(), []);
}

#[test]
fn stopping_the_camera_cancels_it() {
    let mut b = Bench::armed();
    b.recording(4);
    b.camera.stop_all(&mut b.media);
    assert_eq!(b.media.calls, ["stop 1"]);
    assert_eq!(b.closes(), [(4, Reason::Cancelled)]);
}

#[test]
fn a_new_selection_is_for_the_next_recording() {
    let mut b = Bench::armed();
    let key = b.recording(4);
    b.set_flag(iid::RECORDING_AUDIO_ACTIVE, true);
    assert!(b.events().contains(&Event::ArmedChanged));
    assert!(b.media.calls.is_empty());
    b.piece(key, true).unwrap();
    b.camera.recording_acked(HUB, 4);
    b.open(5).unwrap();
    assert_eq!(b.media.calls, ["record 2 1200x1600 2000 kbps with sound"]);
}
