//! A card in place of a picture: light letters on dark, drawn here so that nothing can be missing or hang.

use gsthomekit::ring::Frame;

const GLYPH_WIDTH: usize = 5;
const GLYPH_HEIGHT: usize = 7;
/// A letter with the space to the next one and to the next line.
const CELL_WIDTH: usize = GLYPH_WIDTH + 1;
const CELL_HEIGHT: usize = GLYPH_HEIGHT + 4;
const DARK: u8 = 0x28;
const LIGHT: u8 = 0xd0;

/// A raw picture of exactly this size with the lines in its middle, broken where they are too long.
pub(super) fn picture(width: u16, height: u16, lines: &[&str]) -> Option<Frame> {
    let mut canvas = Canvas::new(width.into(), height.into());
    canvas.write(lines);
    let info =
        gst_video::VideoInfo::builder(gst_video::VideoFormat::Gray8, width.into(), height.into());
    let info = info
        .par(gst::Fraction::new(1, 1))
        .fps(gst::Fraction::new(0, 1))
        .build()
        .ok()?;
    let mut buffer = gst::Buffer::from_mut_slice(canvas.padded(info.stride()[0] as usize));
    buffer.get_mut()?.set_pts(gst::ClockTime::ZERO);
    Some(Frame {
        buffer,
        caps: info.to_caps().ok()?,
        key: true,
    })
}

struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![DARK; width * height],
        }
    }

    fn write(&mut self, lines: &[&str]) {
        let (scale, lines) = fit(self.width, self.height, lines);
        let block = lines.len() * CELL_HEIGHT * scale;
        let mut top = self.height.saturating_sub(block) / 2;
        for line in lines {
            let left = self.width.saturating_sub(line.len() * CELL_WIDTH * scale) / 2;
            for (n, letter) in line.bytes().enumerate() {
                self.draw(glyph(letter), left + n * CELL_WIDTH * scale, top, scale);
            }
            top += CELL_HEIGHT * scale;
        }
    }

    fn draw(&mut self, glyph: [u8; GLYPH_HEIGHT], left: usize, top: usize, scale: usize) {
        for y in 0..GLYPH_HEIGHT * scale {
            for x in 0..GLYPH_WIDTH * scale {
                let lit = glyph[y / scale] >> (GLYPH_WIDTH - 1 - x / scale) & 1 == 1;
                if lit && left + x < self.width && top + y < self.height {
                    self.pixels[(top + y) * self.width + left + x] = LIGHT;
                }
            }
        }
    }

    /// With every row as long as GStreamer's layout wants it.
    fn padded(&self, stride: usize) -> Vec<u8> {
        let mut out = vec![DARK; stride * self.height];
        for (to, from) in out.chunks_mut(stride).zip(self.pixels.chunks(self.width)) {
            to[..self.width].copy_from_slice(from);
        }
        out
    }
}

/// The largest letters with which the lines fit, and the lines broken for them.
fn fit(width: usize, height: usize, lines: &[&str]) -> (usize, Vec<String>) {
    let largest = (height / 90).max(1);
    for scale in (1..=largest).rev() {
        let broken = broken(lines, width / (CELL_WIDTH * scale));
        if broken.len() * CELL_HEIGHT * scale <= height {
            return (scale, broken);
        }
    }
    let mut broken = broken(lines, width / CELL_WIDTH);
    broken.truncate(height / CELL_HEIGHT);
    (1, broken)
}

/// Lines of at most `columns` letters, broken at spaces where there are any.
fn broken(lines: &[&str], columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut out = Vec::new();
    for line in lines {
        let mut current = String::new();
        for word in line
            .split_whitespace()
            .flat_map(|word| chunks(word, columns))
        {
            if !current.is_empty() && current.len() + 1 + word.len() > columns {
                out.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(&word);
        }
        out.push(current);
    }
    out
}

/// A word in capitals, one byte per letter, in pieces that fit.
fn chunks(word: &str, columns: usize) -> Vec<String> {
    let letters: Vec<char> = word
        .chars()
        .map(|c| {
            if c.is_ascii() {
                c.to_ascii_uppercase()
            } else {
                '*'
            }
        })
        .collect();
    letters
        .chunks(columns)
        .map(|piece| piece.iter().collect())
        .collect()
}

/// Seven rows of five pixels, the leftmost in bit 4.
fn glyph(letter: u8) -> [u8; GLYPH_HEIGHT] {
    match letter {
        b'A' => [0x0e, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11],
        b'B' => [0x1e, 0x11, 0x11, 0x1e, 0x11, 0x11, 0x1e],
        b'C' => [0x0e, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0e],
        b'D' => [0x1e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x1e],
        b'E' => [0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x1f],
        b'F' => [0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x10],
        b'G' => [0x0e, 0x11, 0x10, 0x17, 0x11, 0x11, 0x0f],
        b'H' => [0x11, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11],
        b'I' => [0x0e, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0e],
        b'J' => [0x07, 0x02, 0x02, 0x02, 0x02, 0x12, 0x0c],
        b'K' => [0x11, 0x12, 0x14, 0x18, 0x14, 0x12, 0x11],
        b'L' => [0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1f],
        b'M' => [0x11, 0x1b, 0x15, 0x15, 0x11, 0x11, 0x11],
        b'N' => [0x11, 0x19, 0x19, 0x15, 0x13, 0x13, 0x11],
        b'O' => [0x0e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e],
        b'P' => [0x1e, 0x11, 0x11, 0x1e, 0x10, 0x10, 0x10],
        b'Q' => [0x0e, 0x11, 0x11, 0x11, 0x15, 0x12, 0x0d],
        b'R' => [0x1e, 0x11, 0x11, 0x1e, 0x14, 0x12, 0x11],
        b'S' => [0x0f, 0x10, 0x10, 0x0e, 0x01, 0x01, 0x1e],
        b'T' => [0x1f, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04],
        b'U' => [0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e],
        b'V' => [0x11, 0x11, 0x11, 0x11, 0x0a, 0x0a, 0x04],
        b'W' => [0x11, 0x11, 0x11, 0x15, 0x15, 0x1b, 0x11],
        b'X' => [0x11, 0x11, 0x0a, 0x04, 0x0a, 0x11, 0x11],
        b'Y' => [0x11, 0x11, 0x0a, 0x04, 0x04, 0x04, 0x04],
        b'Z' => [0x1f, 0x01, 0x02, 0x04, 0x08, 0x10, 0x1f],
        b'0' => [0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e],
        b'1' => [0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e],
        b'2' => [0x0e, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1f],
        b'3' => [0x0e, 0x11, 0x01, 0x06, 0x01, 0x11, 0x0e],
        b'4' => [0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02],
        b'5' => [0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e],
        b'6' => [0x0e, 0x10, 0x10, 0x1e, 0x11, 0x11, 0x0e],
        b'7' => [0x1f, 0x01, 0x02, 0x02, 0x04, 0x04, 0x04],
        b'8' => [0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e],
        b'9' => [0x0e, 0x11, 0x11, 0x0f, 0x01, 0x01, 0x0e],
        b'.' => [0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x0c],
        b',' => [0x00, 0x00, 0x00, 0x00, 0x0c, 0x04, 0x08],
        b':' => [0x00, 0x0c, 0x0c, 0x00, 0x0c, 0x0c, 0x00],
        b'-' => [0x00, 0x00, 0x00, 0x1f, 0x00, 0x00, 0x00],
        b'/' => [0x01, 0x01, 0x02, 0x04, 0x08, 0x10, 0x10],
        b'(' => [0x02, 0x04, 0x08, 0x08, 0x08, 0x04, 0x02],
        b')' => [0x08, 0x04, 0x02, 0x02, 0x02, 0x04, 0x08],
        b'\'' => [0x04, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00],
        b'"' => [0x0a, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x00],
        b'*' => [0x00, 0x15, 0x0e, 0x1f, 0x0e, 0x15, 0x00],
        b' ' => [0; GLYPH_HEIGHT],
        _ => [0x0e, 0x11, 0x01, 0x02, 0x04, 0x00, 0x04],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(width: usize, height: usize, lines: &[&str]) -> Vec<String> {
        let mut canvas = Canvas::new(width, height);
        canvas.write(lines);
        let row = |row: &[u8]| {
            row.iter()
                .map(|p| if *p == LIGHT { '#' } else { '.' })
                .collect()
        };
        canvas.pixels.chunks(width).map(row).collect()
    }

    #[test]
    fn letters_are_drawn() {
        let rows = drawn(16, 16, &["Hi"]);
        assert_eq!(
            &rows[2..10],
            [
                "..#...#..###....",
                "..#...#...#.....",
                "..#...#...#.....",
                "..#####...#.....",
                "..#...#...#.....",
                "..#...#...#.....",
                "..#...#..###....",
                "................",
            ]
        );
    }

    #[test]
    fn long_lines_are_broken_at_spaces() {
        assert_eq!(
            broken(&["no picture", "connection refused"], 10),
            ["NO PICTURE", "CONNECTION", "REFUSED"]
        );
        assert_eq!(broken(&["abcdefgh ij"], 3), ["ABC", "DEF", "GH", "IJ"]);
        assert_eq!(broken(&["Tür"], 9), ["T*R"]);
    }

    #[test]
    fn every_size_can_be_written_on() {
        for (width, height) in [(16, 16), (17, 4096), (4096, 16), (320, 240), (1921, 1081)] {
            let rows = drawn(
                width,
                height,
                &["no picture", "not authorised: check user name and password"],
            );
            assert_eq!((rows.len(), rows[0].len()), (height, width));
            assert!(rows.iter().any(|row| row.contains('#')), "{width}x{height}");
        }
    }

    #[test]
    fn the_picture_has_the_size_asked_for() {
        gst::init().unwrap();
        let frame = picture(321, 241, &["x"]).unwrap();
        let info = gst_video::VideoInfo::from_caps(&frame.caps).unwrap();
        assert_eq!(
            (info.width(), info.height(), info.size()),
            (321, 241, frame.buffer.size())
        );
    }
}
