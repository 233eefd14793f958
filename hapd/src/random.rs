//! The system's random source.

/// Fills `out` with secure random bytes.
///
/// # Panics
/// When the kernel has no randomness to give: nothing that this daemon does is safe without it.
pub fn fill(out: &mut [u8]) {
    getrandom::fill(out).expect("the kernel's random source never fails once the system is up");
}
