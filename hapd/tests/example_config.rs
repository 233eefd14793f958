//! The configuration that is installed as an example is one.

use hapd::config::Config;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/hapd.toml");

fn read(text: &str) -> Config {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Config::read(file.path()).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"))
}

/// `# key = value` and `# [table]` without the mark.
fn setting(line: &str) -> Option<&str> {
    let bare = line.strip_prefix("# ")?;
    let key = |c: char| c.is_ascii_lowercase() || c == '_';
    let is_key = bare
        .split_once(" = ")
        .is_some_and(|(name, _)| name.chars().all(key));
    (is_key || bare.starts_with('[')).then_some(bare)
}

#[test]
fn as_it_is_installed() {
    let text = std::fs::read_to_string(EXAMPLE).unwrap();
    assert_eq!(read(&text).cameras.len(), 1);
}

#[test]
fn with_all_that_it_shows() {
    let text = std::fs::read_to_string(EXAMPLE).unwrap();
    let on = |line: &str| match setting(line) {
        Some(set) if set.starts_with("http_token") => set.replace("...", "twelve letters"),
        // Triggers of things that the camera does not have are mistakes.
        Some(set) => set.replacen(" = false ", " = true ", 1),
        None => line.to_owned(),
    };
    let all: Vec<String> = text.lines().map(on).collect();
    // A file has to exist.
    let config = read(&all.join("\n").replace("/srv/video.mp4", EXAMPLE));
    assert_eq!(config.cameras.len(), 6);
    let door = &config.cameras[0];
    assert!(door.security.doorbell && door.security.occupancy && door.security.privacy_switch);
}
