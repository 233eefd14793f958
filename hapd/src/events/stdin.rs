//! Triggers as lines on standard input, for whoever starts `hapd` as a child: `CAMERA motion on`.

use std::io::{BufRead, Read, Write};

use tracing::debug;

use super::cameras::Cameras;
use super::signal::{Kind, Signal};

/// Longest line that is looked at.
const MAX_LINE: u64 = 1024;
const RIGHT: &str = "a line is CAMERA motion|occupancy|privacy on|off, or CAMERA ring";

/// Reads lines until the input ends. A thread of its own, since a read of standard input cannot be called off; the
/// process does not wait for it.
pub(super) fn start(cameras: Cameras) -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name("stdin".into());
    thread.spawn(move || {
        let mut input = std::io::stdin().lock();
        match serve(&mut input, &mut std::io::stderr(), &cameras) {
            Ok(()) => debug!("standard input has ended"),
            Err(error) => debug!(%error, "standard input cannot be read any more"),
        }
    })?;
    Ok(())
}

/// Wrong lines are answered on `answers`; whether anybody reads those is not our concern.
fn serve(
    input: &mut impl BufRead,
    answers: &mut impl Write,
    cameras: &Cameras,
) -> std::io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let whole = line.ends_with(b"\n") || (line.len() as u64) < MAX_LINE;
        let done = if whole {
            obey(&line, cameras)
        } else {
            skip_line(input)?;
            Err(format!("a line of more than {MAX_LINE} bytes"))
        };
        if let Err(reason) = done {
            let _ = writeln!(answers, "hapd: standard input: {reason}; {RIGHT}");
        }
    }
}

fn skip_line(input: &mut impl BufRead) -> std::io::Result<()> {
    let mut rest = Vec::new();
    loop {
        rest.clear();
        let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut rest)?;
        if read == 0 || rest.ends_with(b"\n") {
            return Ok(());
        }
    }
}

fn obey(line: &[u8], cameras: &Cameras) -> Result<(), String> {
    let line = std::str::from_utf8(line).map_err(|_| "not UTF-8")?.trim();
    if line.is_empty() {
        return Ok(());
    }
    let (camera, signal) = parse(line)?;
    let target = cameras.find(camera).map_err(|e| e.to_string())?;
    target.tell(signal, "stdin").map_err(|e| e.to_string())
}

/// Names may hold spaces, so a line is read from its end.
fn parse(line: &str) -> Result<(&str, Signal), String> {
    let (rest, last) = split_last(line).ok_or("one word only")?;
    if last == Kind::Ring.name() {
        return Ok((unquoted(rest), Signal::RING));
    }
    let (camera, kind) = split_last(rest).ok_or("too few words")?;
    let signal = Signal::new(kind.parse()?, Some(last.parse()?))?;
    Ok((unquoted(camera), signal))
}

fn split_last(text: &str) -> Option<(&str, &str)> {
    let (rest, last) = text.rsplit_once(char::is_whitespace)?;
    Some((rest.trim_end(), last))
}

fn unquoted(name: &str) -> &str {
    let inner = name.strip_prefix('"').and_then(|n| n.strip_suffix('"'));
    inner.unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Trigger;
    use super::super::cameras::tests::{told, two_cameras};
    use super::*;

    fn answers(cameras: &Cameras, input: &[u8]) -> String {
        let mut out = Vec::new();
        serve(&mut &*input, &mut out, cameras).expect("memory can be read");
        String::from_utf8(out).expect("answers are text")
    }

    #[test]
    fn lines_are_obeyed_and_the_end_is_harmless() {
        let cameras = two_cameras();
        let input = b"Front Door motion on\n\n  \"Front Door\" privacy  off \r\nfront ring\nyard motion pulse";
        assert_eq!(answers(&cameras, input), "");
        let front = [
            Trigger::Privacy(false),
            Trigger::Motion(true),
            Trigger::Ring,
        ];
        assert_eq!(told(&cameras, "front"), front);
        assert_eq!(
            told(&cameras, "yard"),
            [Trigger::Motion(true), Trigger::Motion(false)]
        );
    }

    #[test]
    fn wrong_lines_are_answered_and_the_next_one_is_obeyed() {
        let cameras = two_cameras();
        let long = "x".repeat(5000);
        for (line, words) in [
            ("hello", "CAMERA motion"),
            ("Back Door ring", "Front Door"),
            ("Front Door motion maybe", "\"maybe\""),
            ("Front Door moton on", "\"moton\""),
            ("Front Door motion", "CAMERA motion"),
            ("Yard ring", "doorbell = true"),
            (long.as_str(), "more than 1024"),
        ] {
            let said = answers(&cameras, format!("{line}\nyard motion on\n").as_bytes());
            assert!(
                said.contains(words) && said.lines().count() == 1,
                "{line}: {said}"
            );
            assert_eq!(
                told(&cameras, "yard"),
                [Trigger::Motion(true)],
                "after {line}"
            );
            assert_eq!(told(&cameras, "front"), []);
        }
        assert!(answers(&cameras, b"\xff\xfe ring\n").contains("UTF-8"));
    }

    proptest! {
        #[test]
        fn no_input_is_too_strange(input in proptest::collection::vec(any::<u8>(), 0..4000)) {
            answers(&two_cameras(), &input);
        }
    }
}
