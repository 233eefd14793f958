//! Launch files a person can paste: `gst-launch-1.0 $(grep -v '^#' FILE)`.

/// One of the files in `presets/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// File name without its ending.
    pub name: &'static str,
    /// The whole file: lines of comment that start with `#`, then the pipeline.
    pub text: &'static str,
}

impl Preset {
    /// The pipeline without the comments.
    pub fn pipeline(&self) -> String {
        let lines = self.text.lines().filter(|line| !line.starts_with('#'));
        lines.collect::<Vec<_>>().join(" ").trim().to_owned()
    }
}

macro_rules! presets {
    ($($name:literal),* $(,)?) => {
        /// Every file in `presets/`.
        pub const PRESETS: &[Preset] =
            &[$(Preset { name: $name, text: include_str!(concat!("../presets/", $name, ".launch")) }),*];
    };
}

presets![
    "test-pattern-to-viewer",
    "ring-two-viewers",
    "rtsp-passthrough-to-viewer",
    "v4l2-to-viewer",
    "rtpbin-to-viewer",
    "test-source",
    "snapshot",
    "motion",
    "hksv-fragments",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_in_the_list() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/presets");
        let files = std::fs::read_dir(folder).unwrap();
        let mut files: Vec<_> = files
            .map(|file| file.unwrap().path().file_stem().unwrap().to_owned())
            .collect();
        let mut listed: Vec<_> = PRESETS
            .iter()
            .map(|p| std::ffi::OsString::from(p.name))
            .collect();
        files.sort();
        listed.sort();
        assert_eq!(files, listed);
    }

    #[test]
    fn every_preset_explains_itself_and_has_one_pipeline() {
        for preset in PRESETS {
            assert!(preset.text.starts_with("# "), "{}", preset.name);
            assert!(preset.pipeline().contains(" ! "), "{}", preset.name);
            assert!(!preset.pipeline().contains('#'), "{}", preset.name);
        }
    }
}
