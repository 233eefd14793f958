use crate::Extension;

/// Which way up a picture is (coordination of video orientation, 3GPP TS 26.114 §7.4.5), carried in
/// a header extension.
///
/// ```text
/// |0 0 0 0 C F R1 R0|
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Orientation {
    /// The camera looks away from the user (`C`).
    pub back_camera: bool,
    /// The receiver has to mirror the picture horizontally (`F`).
    pub flip: bool,
    /// How the receiver has to turn the picture.
    pub rotation: Rotation,
}

/// How far a receiver turns the picture before it shows it, clockwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Rotation {
    /// Not at all.
    #[default]
    None = 0,
    /// By 90°.
    Quarter = 1,
    /// By 180°.
    Half = 2,
    /// By 270°.
    ThreeQuarters = 3,
}

impl Orientation {
    /// What names this extension in a session description.
    pub const URI: &str = "urn:3gpp:video-orientation";

    /// The byte of the extension.
    pub fn to_byte(self) -> u8 {
        u8::from(self.back_camera) << 3 | u8::from(self.flip) << 2 | self.rotation as u8
    }

    /// From the byte of the extension; its upper bits mean nothing here.
    pub fn from_byte(byte: u8) -> Self {
        Self {
            back_camera: byte & 8 != 0,
            flip: byte & 4 != 0,
            rotation: Rotation::from_bits(byte),
        }
    }

    /// The header extension; `None` unless `id` is 1 to 14.
    pub fn extension(self, id: u8) -> Option<Extension> {
        Extension::new(id, &[self.to_byte()])
    }
}

impl Rotation {
    fn from_bits(byte: u8) -> Self {
        match byte & 3 {
            0 => Self::None,
            1 => Self::Quarter,
            2 => Self::Half,
            _ => Self::ThreeQuarters,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes() {
        let orientation = Orientation {
            back_camera: true,
            flip: false,
            rotation: Rotation::ThreeQuarters,
        };
        assert_eq!(orientation.to_byte(), 0b1011);
        for byte in 0..16 {
            assert_eq!(Orientation::from_byte(byte).to_byte(), byte);
        }
        assert_eq!(Orientation::default().to_byte(), 0);
    }
}
