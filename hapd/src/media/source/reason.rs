//! What failed, in words for the person who set the camera up.

use super::super::redact;

/// Texts of the system and of GStreamer, and what they mean for the camera.
const MEANINGS: [(&str, &str); 14] = [
    ("connection refused", "connection refused"),
    ("no route to host", "host not reachable"),
    ("host is unreachable", "host not reachable"),
    ("network is unreachable", "network not reachable"),
    ("name or service not known", "host name unknown"),
    ("temporary failure in name resolution", "host name unknown"),
    ("could not resolve", "host name unknown"),
    ("error resolving", "host name unknown"),
    ("connection reset", "connection reset by the camera"),
    ("timed out", "no answer in time"),
    ("timeout", "no answer in time"),
    ("unauthorized", NOT_AUTHORISED),
    ("forbidden", NOT_AUTHORISED),
    (
        "device or resource busy",
        "the device is in use by another program",
    ),
];

const NOT_AUTHORISED: &str = "not authorised: check user name and password";

/// Whether the error only says that there is no connection.
pub(super) fn is_connection_failure(reason: &str) -> bool {
    reason.contains("Failed to connect")
}

/// Explains a GStreamer error without credentials.
pub(super) fn explain(error: &gst::glib::Error, debug: Option<&str>, secrets: &[String]) -> String {
    if error.matches(gst::ResourceError::NotAuthorized) {
        return NOT_AUTHORISED.to_owned();
    }
    let message = error.message();
    let debug = debug.map(last_line).unwrap_or_default();
    let all = format!("{message} {debug}").to_lowercase();
    if let Some((_, meaning)) = MEANINGS.iter().find(|(text, _)| all.contains(text)) {
        return (*meaning).to_owned();
    }
    let text = match debug {
        "" => message.to_owned(),
        detail if message.contains(detail) => message.to_owned(),
        detail => format!("{} ({detail})", message.trim_end_matches('.')),
    };
    redact::text_with(&text, secrets)
}

/// The detail behind GStreamer's `file(line): function (): /path/of/element:`.
fn last_line(debug: &str) -> &str {
    match debug.split_once(":\n") {
        Some((_, detail)) => detail.trim(),
        None if debug.contains("(): /") => "",
        None => debug.trim(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(kind: gst::ResourceError, message: &str, debug: &str) -> String {
        explain(
            &gst::glib::Error::new(kind, message),
            Some(debug),
            &["hunter2".to_owned()],
        )
    }

    #[test]
    fn common_failures_have_short_names() {
        let open = gst::ResourceError::OpenReadWrite;
        let at = "../gst/rtsp/gstrtspsrc.c(7893): gst_rtspsrc_retrieve_sdp (): /GstPipeline:p/GstRTSPSrc:s:\n";
        for (debug, reason) in [
            (
                "Failed to connect. (Could not connect to 127.0.0.1: Connection refused)",
                "connection refused",
            ),
            (
                "Failed to connect. (Timeout while waiting for server response)",
                "no answer in time",
            ),
            (
                "Error resolving “nowhere.invalid”: Name or service not known",
                "host name unknown",
            ),
        ] {
            assert_eq!(
                explained(
                    open,
                    "Could not open resource for reading and writing.",
                    &format!("{at}{debug}")
                ),
                reason
            );
        }
        assert_eq!(
            explained(gst::ResourceError::NotAuthorized, "x", "y"),
            NOT_AUTHORISED
        );
    }

    #[test]
    fn other_failures_keep_their_detail_but_no_credentials() {
        let reason = explained(
            gst::ResourceError::Failed,
            "Internal data stream error.",
            "a.c(1): f (): /GstPipeline:p:\nrtsp://bob:pw@cam/x said hunter2",
        );
        assert_eq!(
            reason,
            "Internal data stream error (rtsp://***@cam/x said ***)"
        );
    }

    #[test]
    fn places_in_source_code_are_left_out() {
        assert_eq!(
            explained(
                gst::ResourceError::Failed,
                "Broken.",
                "a.c(1): f (): /GstPipeline:p"
            ),
            "Broken."
        );
    }
}
