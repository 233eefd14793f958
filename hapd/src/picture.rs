//! The picture of a camera's source, for which recordings are offered.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::media::Camera;
use crate::state::Picture;

/// How often a camera is asked whether its picture is known.
const TICK: Duration = Duration::from_millis(50);

/// What recordings of the camera show, of at most the size `most`, as far as that is known.
#[must_use]
pub fn of(camera: &Camera, most: (u16, u16)) -> Option<Picture> {
    let video = camera.recorded(most)?;
    let side = |pixels: u32| u16::try_from(pixels).ok().filter(|pixels| *pixels > 0);
    Some(Picture {
        width: side(video.width)?,
        height: side(video.height)?,
        fps: video.fps.round().clamp(0.0, 120.0) as u8,
    })
}

/// The same, once it is known; `None` if that takes longer than until `deadline`.
pub async fn wait(camera: &Camera, most: (u16, u16), deadline: Instant) -> Option<Picture> {
    loop {
        let picture = of(camera, most);
        if picture.is_some() || Instant::now() >= deadline {
            return picture;
        }
        sleep(TICK).await;
    }
}

/// Its size, made to fit into `most`, upright or not, in its own shape.
#[must_use]
pub fn within(picture: Picture, most: (u16, u16)) -> (u16, u16) {
    let (width, height) = (f64::from(picture.width), f64::from(picture.height));
    let (long, short) = (f64::from(most.0.max(most.1)), f64::from(most.0.min(most.1)));
    let scale = (long / width.max(height))
        .min(short / width.min(height))
        .min(1.0);
    let side = |pixels: f64| (pixels * scale).round() as u16 & !1;
    (side(width), side(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_keeps_its_shape() {
        let within = |width, height| {
            let picture = Picture {
                width,
                height,
                fps: 0,
            };
            super::within(picture, (1920, 1080))
        };
        assert_eq!(within(640, 360), (640, 360));
        assert_eq!(within(3840, 2160), (1920, 1080));
        assert_eq!(within(2560, 1920), (1440, 1080));
        assert_eq!(within(1080, 1920), (1080, 1920));
        assert_eq!(within(2160, 3840), (1080, 1920));
    }
}
