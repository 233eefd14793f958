//! `POST /resource`: snapshots.

use serde::Deserialize;

use crate::database::Database;
use crate::host::ResourceRequest;
use crate::http::{ContentType, Response};
use crate::status::Status;

#[derive(Deserialize)]
struct Body {
    /// Absent from accessories that are no bridge.
    #[serde(default = "first_accessory")]
    aid: u64,
    #[serde(rename = "resource-type")]
    kind: String,
    #[serde(rename = "image-width")]
    width: u16,
    #[serde(rename = "image-height")]
    height: u16,
    #[serde(default)]
    reason: Option<u8>,
}

fn first_accessory() -> u64 {
    1
}

/// Reads a request.
///
/// # Errors
/// The response that refuses it.
pub(crate) fn request(body: &[u8], database: &Database) -> Result<ResourceRequest, Response> {
    let body: Body =
        serde_json::from_slice(body).map_err(|_| Response::status(400, Status::InvalidValue))?;
    if body.kind != "image" || !database.has_accessory(body.aid) {
        return Err(Response::status(404, Status::NotFound));
    }
    let Body {
        aid,
        kind,
        width,
        height,
        reason,
    } = body;
    if width == 0 || height == 0 {
        return Err(Response::status(400, Status::InvalidValue));
    }
    Ok(ResourceRequest {
        aid,
        width,
        height,
        kind,
        reason,
    })
}

/// The response for what the host has, or has not. Errors of a camera are 207.
pub(crate) fn response(result: Result<Vec<u8>, Status>) -> Response {
    match result {
        Ok(image) => Response::new(200, ContentType::Jpeg, image),
        Err(status) => Response::status(207, status),
    }
}
