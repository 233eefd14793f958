//! Objects from picture to picture.

use std::time::Duration;

use super::objects::Object;

/// Time in which an object moves by no more than its own size, and the most of these that count.
const OWN_SIZE: Duration = Duration::from_millis(300);
const FARTHEST: u128 = 3;

/// An object over several pictures.
#[derive(Debug, Clone, Copy)]
struct Track {
    object: Object,
    since: Duration,
    pictures: u32,
    missed: bool,
}

/// Objects that were there in the pictures before.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    tracks: Vec<Track>,
    before: Vec<Track>,
    last: Duration,
}

impl Tracks {
    pub(super) fn clear(&mut self) {
        self.tracks.clear();
    }

    /// Whether nothing was there in the last picture.
    pub(super) fn is_empty(&self) -> bool {
        self.tracks.is_empty()
    }

    /// Follows the objects into this picture. Returns the area of the largest that was seen in `pictures` of them over
    /// at least `span`.
    pub(super) fn follow(
        &mut self,
        objects: impl Iterator<Item = Object>,
        now: Duration,
        span: Duration,
        pictures: u32,
    ) -> Option<usize> {
        let since = now.saturating_sub(std::mem::replace(&mut self.last, now));
        let reach = (since.as_millis() / OWN_SIZE.as_millis()).clamp(1, FARTHEST) as usize;
        std::mem::swap(&mut self.tracks, &mut self.before);
        self.tracks.clear();
        self.tracks.extend(objects.map(|object| {
            let same = self
                .before
                .iter()
                .filter(|track| object.follows(&track.object, reach));
            let oldest = same.max_by_key(|track| track.pictures);
            Track {
                object,
                since: oldest.map_or(now, |track| track.since),
                pictures: 1 + oldest.map_or(0, |track| track.pictures),
                missed: false,
            }
        }));
        let lasting = self
            .tracks
            .iter()
            .filter(|track| track.pictures >= pictures && now.saturating_sub(track.since) >= span);
        let largest = lasting.map(|track| track.object.area).max();
        self.keep_missed(reach);
        largest
    }

    /// An object may be missed in one picture.
    fn keep_missed(&mut self, reach: usize) {
        let (tracks, before) = (&mut self.tracks, &self.before);
        let found = tracks.len();
        for track in before.iter().filter(|track| !track.missed) {
            if !tracks[..found]
                .iter()
                .any(|new| new.object.follows(&track.object, reach))
            {
                tracks.push(Track {
                    missed: true,
                    ..*track
                });
            }
        }
    }
}
