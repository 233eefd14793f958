//! HAP status codes (HAP R1 table 5-12, and -70412 which came later).

use crate::failure::{Failure, Kind};

/// What a status code means.
#[must_use]
pub fn meaning(code: i64) -> &'static str {
    match code {
        0 => "success",
        -70401 => "insufficient privileges",
        -70402 => "unable to communicate",
        -70403 => "busy",
        -70404 => "read only",
        -70405 => "write only",
        -70406 => "notification not supported",
        -70407 => "out of resources",
        -70408 => "timed out",
        -70409 => "does not exist",
        -70410 => "invalid value",
        -70411 => "insufficient authorization",
        -70412 => "not allowed in the current state",
        _ => "unknown status",
    }
}

fn advice(code: i64) -> Option<&'static str> {
    match code {
        -70401 => Some("an administrator may be needed: `hapctl pairings NAME list`"),
        -70402 | -70408 => Some("the camera itself may be off or hung; see the accessory's log"),
        -70403 => Some("all streams may be in use; try again when one has ended"),
        -70409 => Some("`hapctl accessories NAME` shows what exists"),
        -70410 => Some("`hapctl get NAME ID --meta` shows format and limits; it may want --timed"),
        -70412 => Some("the camera may be switched off in its `active` characteristics"),
        _ => None,
    }
}

/// The failure for a status other than 0.
#[must_use]
pub fn failure(code: i64) -> Failure {
    let failure = Failure::new(Kind::Refused, format!("{} ({code})", meaning(code)));
    match advice(code) {
        Some(text) => failure.hint(text),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_protocol_has_a_meaning() {
        for code in -70412..=-70401 {
            assert_ne!(meaning(code), "unknown status", "{code}");
        }
        assert_eq!(failure(-70403).to_string(), "busy (-70403)");
    }
}
