//! Caps at the open ends of a launch description.

use std::borrow::Cow;

/// GStreamer's short form of caps stands between two elements only; at an open end it becomes the element it is short for.
/// Anything else stays as it is.
pub(super) fn spelled_out(description: &str) -> Cow<'_, str> {
    let pieces = pieces(description);
    let last = pieces.len() - 1;
    let mut out = Vec::with_capacity(pieces.len());
    let mut changed = false;
    for (index, piece) in pieces.into_iter().enumerate() {
        match open_end(piece, index == last).filter(|_| index > 0) {
            Some((caps, rest)) => {
                changed = true;
                out.push(Cow::Owned(element(caps, rest)));
            }
            None => out.push(Cow::Borrowed(piece)),
        }
    }
    match changed {
        true => Cow::Owned(out.join("!")),
        false => Cow::Borrowed(description),
    }
}

fn element(caps: &str, rest: &str) -> String {
    let caps = caps.replace('\\', "\\\\").replace('"', "\\\"");
    format!(" capsfilter caps=\"{caps}\" {rest}")
}

/// What is linked by `!`, which means nothing within quotes.
fn pieces(description: &str) -> Vec<&str> {
    let mut quoted = None;
    description
        .split(|c| {
            match quoted {
                Some(quote) if c == quote => quoted = None,
                None if c == '"' || c == '\'' => quoted = Some(c),
                _ => {}
            }
            quoted.is_none() && c == '!'
        })
        .collect()
}

/// The caps with which `piece` begins, and the next chain, if they are not linked to it.
fn open_end(piece: &str, last: bool) -> Option<(&str, &str)> {
    let piece = piece.trim_start();
    let name = piece.split([',', '(', ' ']).next()?;
    let (kind, _) = name.split_once('/')?;
    if !["video", "audio", "image", "application", "text"].contains(&kind) {
        return None;
    }
    let end = end_of_caps(piece);
    let (caps, rest) = piece.split_at(end);
    (last || !rest.trim().is_empty()).then_some((caps.trim_end(), rest))
}

/// Where white space separates the caps from what follows: not before or after a comma, within brackets or quotes.
fn end_of_caps(text: &str) -> usize {
    let (mut depth, mut quoted, mut before) = (0_usize, false, ' ');
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' | '>' => depth = depth.saturating_sub(1),
            c if c.is_whitespace() && depth == 0 => {
                let next = text[at..].trim_start().chars().next();
                let joined = |c| [',', ';', '='].contains(&c);
                if !joined(before) && !next.is_some_and(joined) {
                    return at;
                }
                continue;
            }
            _ => {}
        }
        before = c;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_at_an_open_end_become_an_element() {
        for (written, meant) in [
            (
                "v4l2src ! video/x-raw, width=640 ,height=480",
                "v4l2src ! capsfilter caps=\"video/x-raw, width=640 ,height=480\" ",
            ),
            (
                "a ! video/x-raw(memory:DMABuf),framerate=(fraction)[ 1/1, 30/1 ] b ! audio/x-raw , rate=48000\n",
                "a ! capsfilter caps=\"video/x-raw(memory:DMABuf),framerate=(fraction)[ 1/1, 30/1 ]\"  b \
                 ! capsfilter caps=\"audio/x-raw , rate=48000\" \n",
            ),
            (
                r#"a ! video/x-h264,profile="main""#,
                r#"a ! capsfilter caps="video/x-h264,profile=\"main\"" "#,
            ),
        ] {
            assert_eq!(spelled_out(written), meant);
        }
    }

    #[test]
    fn all_else_stays() {
        for text in [
            "",
            "!",
            "videotestsrc",
            "a ! video/x-raw,width=640 ! b",
            "a ! capsfilter caps=video/x-raw",
            "filesrc location=\"a ! video/x-raw\" ! b name=c c. ! d",
            "filesrc location=/video/x-raw ! /video/x",
            "video/x-raw",
        ] {
            assert!(matches!(spelled_out(text), Cow::Borrowed(_)), "{text}");
        }
    }
}
