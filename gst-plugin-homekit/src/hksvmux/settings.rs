//! What the application sets.

/// Longest fragment, in milliseconds: what hubs select.
pub(super) const DEFAULT_FRAGMENT_DURATION: u32 = 4000;

/// How long a fragment waits for sound, in milliseconds: encoders of sound are some 100 ms behind.
pub(super) const DEFAULT_AUDIO_WAIT: u32 = 500;

#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// In milliseconds.
    pub(super) fragment_duration: u32,
    /// In milliseconds.
    pub(super) audio_wait: u32,
    /// Nanoseconds since 1970; 0: to be found out.
    pub(super) start_time: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            fragment_duration: DEFAULT_FRAGMENT_DURATION,
            audio_wait: DEFAULT_AUDIO_WAIT,
            start_time: 0,
        }
    }
}
