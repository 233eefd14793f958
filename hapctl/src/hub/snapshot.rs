//! A picture over the data stream.

use std::time::{Duration, Instant};

use hds_proto::{Event, Open, Reason};

use super::link::Link;
use super::poster::Incoming;
use super::recording::packet_of;
use crate::clip::rule::Findings;
use crate::failure::{Failure, Kind, Result};

/// The only stream of the connection.
const STREAM: i64 = 1;

/// A picture and what is wrong with the way it came.
#[derive(Debug)]
pub struct Snapshot {
    /// The picture.
    pub jpeg: Vec<u8>,
    /// From `open` to its last byte.
    pub took: Duration,
    /// What was found.
    pub findings: Findings,
}

/// Asks for a picture of `size` because of `reason`.
///
/// # Errors
/// [`Kind::Refused`] when the camera makes none.
pub async fn take(link: &mut Link, size: (u16, u16), reason: Option<&str>) -> Result<Snapshot> {
    let start = Instant::now();
    let size = (size.0.into(), size.1.into());
    link.open_stream(&Open::snapshot(STREAM, size, reason))?;
    let (mut incoming, mut findings) = (Incoming::default(), Findings::default());
    while !incoming.ended() {
        match link.next().await? {
            Event::Data(data) if data.stream_id == STREAM => {
                let last = data.packets.len().wrapping_sub(1);
                for (n, packet) in data.packets.iter().enumerate() {
                    let packet = packet_of(packet, data.end_of_stream && n == last);
                    incoming.packet(&packet, &mut findings);
                }
            }
            Event::Refused { reason, .. } => return Err(refused("refused it", reason)),
            Event::Close { reason, .. } => return Err(refused("closed the stream", reason)),
            other => tracing::debug!("{other:?}"),
        }
    }
    let took = start.elapsed();
    link.ack(STREAM);
    link.close_stream(STREAM, Reason::Normal);
    link.flush(Duration::from_millis(500)).await;
    let jpeg = incoming.take();
    let jpeg =
        jpeg.ok_or_else(|| Failure::new(Kind::Protocol, "the picture did not come whole"))?;
    Ok(Snapshot {
        jpeg,
        took,
        findings,
    })
}

fn refused(what: &str, reason: Reason) -> Failure {
    let code = reason.code();
    Failure::new(
        Kind::Refused,
        format!("the camera {what}: {reason} ({code})"),
    )
}
