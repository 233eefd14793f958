use super::*;

const FPS: u32 = 5;

/// Pictures of a scene with texture, made anew for each moment.
struct Scene {
    width: usize,
    height: usize,
    noise: Vec<f32>,
    plain: bool,
    random: u32,
    picture: Vec<f32>,
    bytes: Vec<u8>,
    time: Duration,
    detector: Detector,
    changes: Vec<(Duration, bool)>,
}

impl Scene {
    fn new() -> Self {
        Self::sized(640, 360)
    }

    fn sized(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            noise: Vec::new(),
            plain: false,
            random: 1,
            picture: Vec::new(),
            bytes: Vec::new(),
            time: Duration::ZERO,
            detector: Detector::new(Settings::default()),
            changes: Vec::new(),
        }
        .noise(3.0)
    }

    /// A wall without a pattern.
    fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// Noise of the sensor of that deviation.
    fn noise(mut self, deviation: f32) -> Self {
        self.noise = (0..1 << 16)
            .map(|_| {
                // The sum of four bytes is nearly normal, with a deviation of 148.
                let bytes = self.random().to_le_bytes();
                let sum: i32 = bytes.iter().map(|&byte| i32::from(byte)).sum();
                (sum - 510) as f32 / 148.0 * deviation
            })
            .collect();
        self
    }

    fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        self.detector.set(settings);
        self
    }

    fn random(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }

    fn random_below(&mut self, end: usize) -> usize {
        self.random() as usize % end
    }

    /// Walls, windows and a pavement: areas with edges, and texture.
    fn background(&mut self) {
        let (width, height) = (self.width, self.height);
        let scale = 640.0 / width as f32;
        self.picture.clear();
        if self.plain {
            self.picture.resize(width * height, 110.0);
            return;
        }
        self.picture.extend((0..width * height).map(|i| {
            let x = ((i % width) as f32 * scale) as usize;
            let y = ((i / width) as f32 * scale) as usize;
            let wall = 70.0 + 50.0 * ((x / 90 + y / 70) % 3) as f32;
            let window = if x % 90 > 60 && y % 70 > 30 {
                -45.0
            } else {
                0.0
            };
            wall + window + ((x * 7 + y * 13) % 11) as f32
        }));
    }

    /// Something that hides what is behind it: an area of the same luma.
    fn square(&mut self, corner: (f32, f32), size: (usize, usize), luma: f32) {
        self.area(corner, size, |pixel| *pixel = luma);
    }

    fn area(
        &mut self,
        (left, top): (f32, f32),
        (width, height): (usize, usize),
        change: impl Fn(&mut f32),
    ) {
        let (left, top) = (left as usize, top as usize);
        let columns = left.min(self.width)..(left + width).min(self.width);
        for y in top..(top + height).min(self.height) {
            self.picture[y * self.width..][columns.clone()]
                .iter_mut()
                .for_each(&change);
        }
    }

    fn light(&mut self, gain: f32, offset: f32) {
        self.picture
            .iter_mut()
            .for_each(|pixel| *pixel = *pixel * gain + offset);
    }

    fn rain(&mut self, streaks: usize) {
        for _ in 0..streaks {
            let (x, y) = (
                self.random_below(self.width),
                self.random_below(self.height),
            );
            let size = (1 + self.random_below(2), 10 + self.random_below(16));
            self.area((x as f32, y as f32), size, |pixel| *pixel += 70.0);
        }
    }

    /// The picture with noise of the sensor, shown to the detector.
    fn show(&mut self) {
        self.bytes.clear();
        for row in 0..self.height {
            let pixels = &self.picture[row * self.width..][..self.width];
            let from = self.random as usize % (self.noise.len() - self.width);
            let noise = &self.noise[from..];
            let noisy = pixels
                .iter()
                .zip(noise)
                .map(|(pixel, noise)| (pixel + noise) as u8);
            self.bytes.extend(noisy);
            self.random();
        }
        let luma = Luma {
            data: &self.bytes,
            stride: self.width,
            step: 1,
            width: self.width,
            height: self.height,
        };
        let change = self.detector.look(&luma, self.time);
        self.changes
            .extend(change.map(|change| (self.time, change.motion)));
        self.time += Duration::from_secs(1) / FPS;
    }

    /// Shows so many seconds of what `change` makes of the background; it gets the seconds since the beginning.
    fn play(&mut self, seconds: f32, mut change: impl FnMut(&mut Self, f32)) {
        for i in 0..(seconds * FPS as f32) as usize {
            self.background();
            change(self, i as f32 / FPS as f32);
            self.show();
        }
    }

    fn still(&mut self, seconds: f32) {
        self.play(seconds, |_, _| {});
    }

    fn starts(&self) -> usize {
        self.changes.iter().filter(|(_, motion)| *motion).count()
    }

    /// A square crosses the picture in four seconds, from left to right.
    fn cross(&mut self, size: (usize, usize), luma: f32) {
        let speed = self.width as f32 / 4.0;
        let top = self.height as f32 * 0.55;
        self.play(4.0, |scene, t| scene.square((t * speed, top), size, luma));
    }

    #[track_caller]
    fn assert_quiet(&self) {
        assert_eq!(self.changes, []);
    }

    #[track_caller]
    fn assert_moved_once(&self) {
        let motions: Vec<bool> = self.changes.iter().map(|(_, motion)| *motion).collect();
        assert_eq!(motions, [true, false], "{:?}", self.changes);
    }
}

#[test]
fn noise_is_no_motion() {
    for noise in [0.0, 2.0, 6.0, 12.0, 20.0] {
        let mut scene = Scene::new().noise(noise);
        scene.still(40.0);
        scene.assert_quiet();
    }
}

#[test]
fn squares_of_many_sizes_and_contrasts_are_seen() {
    for (size, contrast) in [
        ((12, 26), 45.0),
        ((20, 40), 25.0),
        ((20, 40), -40.0),
        ((60, 120), 18.0),
        ((60, 120), 90.0),
        ((200, 160), -60.0),
        ((300, 300), 50.0),
    ] {
        let mut scene = Scene::new().plain();
        scene.still(4.0);
        scene.assert_quiet();
        scene.cross(size, 110.0 + contrast);
        assert_eq!(
            scene.starts(),
            1,
            "{size:?} {contrast}: {:?}",
            scene.changes
        );
        scene.still(4.0);
        scene.assert_moved_once();
    }
}

#[test]
fn what_is_too_small_or_too_faint_is_not() {
    for (size, contrast) in [((4, 5), 60.0), ((60, 120), 3.0)] {
        let mut scene = Scene::new().plain();
        scene.still(4.0);
        scene.cross(size, 110.0 + contrast);
        scene.assert_quiet();
    }
}

#[test]
fn sensitivity_and_minimum_area_decide() {
    let seen = |sensitivity, min_area, size, contrast: f32| {
        let mut scene = Scene::new().plain().settings(|settings| {
            settings.sensitivity = sensitivity;
            settings.min_area = min_area;
        });
        scene.still(4.0);
        scene.cross(size, 110.0 + contrast);
        scene.starts() > 0
    };
    assert!(!seen(0.5, 0.0, (60, 120), 5.0) && seen(1.0, 0.0, (60, 120), 8.0));
    assert!(seen(0.5, 0.0, (30, 50), 15.0) && !seen(0.0, 0.0, (30, 50), 15.0));
    assert!(!seen(0.5, 0.02, (30, 50), 60.0) && seen(0.5, 0.02, (100, 100), 60.0));
}

#[test]
fn at_night_a_person_stands_out_of_the_noise() {
    let mut scene = Scene::new().noise(8.0);
    let night = |scene: &mut Scene| scene.light(0.25, 5.0);
    scene.play(6.0, |scene, _| night(scene));
    scene.play(4.0, |scene, t| {
        scene.square((t * 100.0, 150.0), (40, 90), 30.0);
        night(scene);
    });
    scene.play(4.0, |scene, _| night(scene));
    scene.assert_moved_once();
}

#[test]
fn slow_light_is_no_motion() {
    for (gain, offset) in [(0.0, 2.0), (0.0, -3.0), (0.02, 0.0), (-0.02, 0.0)] {
        let mut scene = Scene::new();
        scene.still(3.0);
        scene.play(20.0, |scene, t| scene.light(1.0 + gain * t, offset * t));
        scene.assert_quiet();
    }
}

#[test]
fn a_light_switch_is_no_motion_and_what_comes_after_is_seen() {
    for (gain, offset) in [(0.3, 0.0), (1.6, 0.0), (1.0, 40.0), (0.6, -10.0)] {
        let mut scene = Scene::new();
        scene.still(5.0);
        scene.play(5.0, |scene, t| {
            scene.light(gain, offset);
            // What the camera does about it.
            scene.light(1.0 + 0.1 * (1.0 - t).max(0.0), 0.0);
        });
        scene.assert_quiet();
        scene.play(4.0, |scene, t| {
            scene.square((t * 100.0, 150.0), (50, 90), 30.0);
            scene.light(gain, offset);
        });
        assert_eq!(scene.starts(), 1, "{gain} {offset}: {:?}", scene.changes);
    }
}

#[test]
fn day_to_night_is_no_motion() {
    let mut scene = Scene::new();
    scene.still(5.0);
    // Infrared: what was dark is bright, and the reverse.
    scene.play(6.0, |scene, _| scene.light(-0.8, 220.0));
    scene.assert_quiet();
}

#[test]
fn someone_in_changing_light_is_seen() {
    let mut scene = Scene::new();
    scene.still(3.0);
    scene.play(8.0, |scene, t| {
        if t > 4.0 {
            scene.square(((t - 4.0) * 120.0, 150.0), (40, 90), 30.0);
        }
        scene.light(1.0 - 0.04 * t, 0.0);
    });
    assert_eq!(scene.starts(), 1, "{:?}", scene.changes);
    assert!(scene.changes[0].0 > Duration::from_secs(7));
}

#[test]
fn rain_is_no_motion_and_a_person_in_it_is_seen() {
    for streaks in [10, 60, 200] {
        let mut scene = Scene::new();
        scene.play(40.0, |scene, _| scene.rain(streaks));
        assert_eq!(scene.changes, [], "{streaks} streaks");
        scene.play(5.0, |scene, t| {
            scene.square((t * 100.0, 120.0), (50, 110), 30.0);
            scene.rain(streaks);
        });
        assert_eq!(scene.starts(), 1, "{streaks} streaks: {:?}", scene.changes);
    }
}

#[test]
fn rain_that_begins_is_no_motion() {
    let mut scene = Scene::new();
    scene.still(10.0);
    scene.play(30.0, |scene, t| scene.rain((t * 5.0) as usize));
    scene.assert_quiet();
}

#[test]
fn a_picture_that_shakes_by_a_pixel_is_no_motion() {
    let mut scene = Scene::new();
    let shift = |scene: &mut Scene, pixels: usize| scene.picture.rotate_right(pixels);
    scene.still(5.0);
    scene.play(15.0, |scene, _| {
        let pixels = scene.random_below(2) + 640 * scene.random_below(2);
        shift(scene, pixels);
    });
    scene.assert_quiet();
}

#[test]
fn what_comes_to_rest_ends_motion_and_becomes_background() {
    let mut scene = Scene::new();
    scene.still(4.0);
    let car = |scene: &mut Scene, x| scene.square((x, 150.0), (150, 80), 30.0);
    scene.play(3.0, |scene, t| car(scene, t * 100.0));
    scene.play(10.0, |scene, _| car(scene, 290.0));
    scene.assert_moved_once();
    // Someone passes in front of it, and it leaves.
    scene.play(90.0, |scene, _| car(scene, 290.0));
    scene.assert_moved_once();
    scene.play(3.0, |scene, t| car(scene, 290.0 + t * 100.0));
    assert_eq!(scene.starts(), 2);
}

#[test]
fn motion_is_held() {
    for hold in [500, 4000] {
        let mut scene =
            Scene::new().settings(|settings| settings.hold = Duration::from_millis(hold));
        scene.still(4.0);
        scene.cross((60, 100), 30.0);
        scene.still(8.0);
        scene.assert_moved_once();
        let gone = Duration::from_secs(8);
        let off = scene.changes[1].0;
        let held = Duration::from_millis(hold);
        assert!(
            off > gone.saturating_sub(Duration::from_millis(800)) + held,
            "{off:?}"
        );
        assert!(off < gone + held + Duration::from_millis(1200), "{off:?}");
    }
}

#[test]
fn only_zones_count() {
    let seen = |zones: &str, top: f32| {
        let zones = Zones::parse(zones).unwrap();
        let mut scene = Scene::new().settings(|settings| settings.zones = zones);
        scene.still(4.0);
        scene.play(5.0, |scene, t| {
            scene.square((t * 120.0, top), (50, 80), 30.0)
        });
        scene.starts() > 0
    };
    let lower = "0,0.5 1,0.5 1,1 0,1";
    assert!(seen(lower, 250.0) && !seen(lower, 50.0));
    let two = "0,0 0.2,0 0.2,0.4 0,0.4; 0.8,0.6 1,0.6 1,1 0.8,1";
    assert!(seen(two, 20.0) && seen(two, 260.0) && seen("", 20.0));
    let middle = "0.4,0.9 0.6,0.9 0.5,1";
    assert!(!seen(middle, 100.0));
}

#[test]
fn another_resolution_is_learned_anew() {
    let mut scene = Scene::new();
    scene.still(5.0);
    (scene.width, scene.height) = (320, 180);
    scene.still(5.0);
    (scene.width, scene.height) = (640, 480);
    scene.still(5.0);
    scene.assert_quiet();
    scene.cross((60, 100), 30.0);
    assert_eq!(scene.starts(), 1);
}

#[test]
fn sizes_from_tiny_to_large_work() {
    for (width, height) in [
        (160, 120),
        (320, 180),
        (360, 640),
        (1280, 720),
        (1920, 1080),
    ] {
        let mut scene = Scene::sized(width, height);
        scene.still(4.0);
        scene.assert_quiet();
        scene.cross((width / 12, height / 4), 30.0);
        assert_eq!(scene.starts(), 1, "{width}x{height}: {:?}", scene.changes);
    }
}

#[test]
fn pictures_too_small_or_too_short_are_passed_over() {
    let mut detector = Detector::new(Settings::default());
    for (width, height, length) in [(0, 0, 0), (8, 8, 64), (640, 360, 100)] {
        let data = vec![0; length];
        let luma = Luma {
            data: &data,
            stride: width,
            step: 1,
            width,
            height,
        };
        assert_eq!(detector.look(&luma, Duration::ZERO), None);
    }
}

#[test]
fn one_picture_a_second_is_enough() {
    for speed in [60.0, 150.0] {
        let mut scene = Scene::new();
        let slow = |scene: &mut Scene, seconds: usize, x: Option<f32>| {
            for i in 0..seconds {
                scene.background();
                if let Some(x) = x {
                    scene.square((x + i as f32 * speed, 150.0), (60, 110), 30.0);
                }
                scene.show();
                scene.time += Duration::from_millis(800);
            }
        };
        slow(&mut scene, 20, None);
        scene.assert_quiet();
        slow(&mut scene, 4, Some(20.0));
        slow(&mut scene, 6, None);
        scene.assert_moved_once();
    }
}

#[test]
fn stopping_ends_motion() {
    let mut scene = Scene::new();
    scene.still(4.0);
    scene.play(2.0, |scene, t| {
        scene.square((t * 100.0, 100.0), (60, 100), 30.0)
    });
    assert!(scene.detector.motion());
    let change = scene.detector.stop().unwrap();
    assert!(
        !change.motion && change.score > 0.01 && change.score < 0.2,
        "{change:?}"
    );
    assert_eq!(scene.detector.stop(), None);
}
