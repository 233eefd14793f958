//! The `source = "..."` of a camera.

use std::path::{Path, PathBuf};

use crate::media::{RtspTransport, Secret, Source};

const FORMS: &str = "\"test\", \"file:/path/to/video.mp4\", \"rtsp://user:password@host/path\", \"v4l2:/dev/video0\", \
                     \"libcamera:\" or \"launch:<GStreamer description>\"";

/// Reads a source.
///
/// # Errors
/// What is wrong with it and what would be right. Never repeats the text, which may hold credentials.
pub(super) fn parse(text: &str, transport: RtspTransport) -> Result<Source, String> {
    let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
    match scheme {
        "test" if rest.is_empty() => Ok(Source::Test),
        "rtsp" | "rtsps" => rtsp(text, rest, transport),
        "file" => file(rest),
        "v4l2" => device(rest),
        "libcamera" => Ok(Source::Libcamera(
            (!rest.is_empty()).then(|| rest.to_owned()),
        )),
        "launch" if !rest.trim().is_empty() => Ok(Source::Launch(Secret::new(rest.trim()))),
        "launch" => Err(
            "launch: needs a GStreamer description, for example \"launch:videotestsrc ! x264enc\""
                .into(),
        ),
        _ => Err(format!("not a source; one of {FORMS}")),
    }
}

fn rtsp(url: &str, rest: &str, transport: RtspTransport) -> Result<Source, String> {
    let authority = rest
        .strip_prefix("//")
        .and_then(|r| r.split('/').next())
        .unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if host.is_empty() || url.contains(char::is_whitespace) {
        return Err("an RTSP URL looks like rtsp://user:password@192.0.2.7:554/stream1".into());
    }
    Ok(Source::Rtsp {
        url: Secret::new(url),
        transport,
    })
}

fn file(rest: &str) -> Result<Source, String> {
    let path = Path::new(rest.strip_prefix("//").unwrap_or(rest));
    if !path.is_absolute() {
        return Err("file: needs an absolute path, for example \"file:/srv/video.mp4\"".into());
    }
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() => Ok(Source::File(path.into())),
        Ok(_) => Err(format!("{} is not a file", path.display())),
        Err(e) => Err(format!("{}: {e}", path.display())),
    }
}

fn device(rest: &str) -> Result<Source, String> {
    let path = PathBuf::from(if rest.is_empty() { "/dev/video0" } else { rest });
    if path.is_absolute() {
        Ok(Source::V4l2(path))
    } else {
        Err("v4l2: needs a device, for example \"v4l2:/dev/video0\"".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let parse = |t| parse(t, RtspTransport::Auto);
        assert_eq!(parse("test"), Ok(Source::Test));
        assert_eq!(parse("libcamera:"), Ok(Source::Libcamera(None)));
        assert_eq!(parse("v4l2:"), Ok(Source::V4l2("/dev/video0".into())));
        assert!(matches!(parse("rtsp://a:b@h/x"), Ok(Source::Rtsp { .. })));
        assert!(matches!(
            parse("launch: videotestsrc"),
            Ok(Source::Launch(_))
        ));
        for bad in [
            "",
            "tset",
            "rtsp:",
            "rtsp://",
            "rtsp://u:p@/x",
            "file:x.mp4",
            "file:/",
            "launch:",
            "v4l2:x",
            "test:1",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn errors_do_not_repeat_credentials() {
        let error = parse("rtsp://user:geheim@/x y", RtspTransport::Auto).unwrap_err();
        assert!(!error.contains("geheim"));
        assert!(
            !parse("rtps://user:geheim@h/x", RtspTransport::Auto)
                .unwrap_err()
                .contains("geheim")
        );
    }
}
