//! What element messages say about motion.

/// What one message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It begins, or ends.
    Motion(bool),
    /// Something happened; its end is never told.
    Pulse,
}

/// What a message says; `None` if it is not one of this name.
pub(super) fn said(message: &gst::StructureRef, name: &str) -> Option<Said> {
    if message.name() != name {
        return None;
    }
    if let Ok(motion) = message.get::<bool>("motion") {
        return Some(Said::Motion(motion));
    }
    // What motioncells calls begin and end. The first of a stream says both: it has begun.
    let has = |field| message.has_field(field);
    Some(
        match (
            has("motion_begin"),
            has("motion_finished") || has("no_motion"),
        ) {
            (true, _) => Said::Motion(true),
            (false, true) => Said::Motion(false),
            (false, false) => Said::Pulse,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, fields: &str) -> Option<Said> {
        gst::init().unwrap();
        let text = format!("{name}{fields};");
        said(&text.parse::<gst::Structure>().unwrap(), "seen")
    }

    #[test]
    fn messages_are_understood() {
        for (fields, expected) in [
            (
                ", motion=(boolean)true, score=(double)0.5",
                Said::Motion(true),
            ),
            (", motion=(boolean)false", Said::Motion(false)),
            (", motion_begin=(guint64)5", Said::Motion(true)),
            (", motion_finished=(guint64)5", Said::Motion(false)),
            (", no_motion=(guint64)5", Said::Motion(false)),
            (", motion=(int)1", Said::Pulse),
            (", faces=(int)2", Said::Pulse),
            ("", Said::Pulse),
        ] {
            assert_eq!(of("seen", fields), Some(expected), "{fields}");
        }
        assert_eq!(of("other", ", motion=(boolean)true"), None);
    }
}
