//! Gives `gst-inspect-1.0` the commit and date of this build.

fn main() {
    gst_plugin_version_helper::info();
}
