//! Launch strings.
