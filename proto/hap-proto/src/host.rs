//! What the server asks of the program around it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::pairings::PairingState;
use crate::status::Status;
use crate::value::Value;

/// A TCP connection. The caller chooses the number and never uses it for another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// A characteristic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CharId {
    /// Accessory instance ID.
    pub aid: u64,
    /// Characteristic instance ID.
    pub iid: u64,
}

/// The connection a request came on.
#[derive(Clone, Copy)]
pub struct ConnContext<'a> {
    /// The connection.
    pub id: ConnId,
    /// The pairing identifier of the controller, if Pair Verify has told it.
    pub controller: Option<&'a str>,
    /// Whether that controller is an admin.
    pub admin: bool,
    /// The shared secret of Pair Verify; HomeKit Data Stream derives its keys from it.
    pub shared_secret: Option<&'a [u8; 32]>,
}

impl fmt::Debug for ConnContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnContext")
            .field("id", &self.id)
            .field("controller", &self.controller)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

/// How a value was written.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteContext<'a> {
    /// The authorization data; always there if the characteristic has `aa`.
    pub auth_data: Option<&'a [u8]>,
    /// The controller says that it is not at home.
    pub remote: bool,
    /// The write was timed.
    pub timed: bool,
    /// The controller wants a value back; only if the characteristic has `wr`.
    pub response_wanted: bool,
}

/// A request for a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceRequest {
    /// The accessory.
    pub aid: u64,
    /// Width in pixels, at least 1.
    pub width: u16,
    /// Height in pixels, at least 1.
    pub height: u16,
    /// `"image"`; other kinds are refused before the host is asked.
    pub kind: String,
    /// Why the controller asks: 0 periodically, 1 because of an event.
    pub reason: Option<u8>,
}

/// The host's answer to a [`ResourceRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceReply {
    /// The answer comes through [`Server::resource_ready`](crate::Server::resource_ready).
    Later,
    /// A JPEG picture.
    Image(Vec<u8>),
    /// There is none.
    Error(Status),
}

/// The pairing state could not be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pairing state not stored: {0}")]
pub struct StoreError(pub String);

/// The program around the server. Every call has to return at once.
pub trait Host {
    /// Stores the pairing state. It must survive a power failure once this returns `Ok`; the
    /// controller is told afterwards only.
    ///
    /// # Errors
    /// The state was not stored; the server goes on with the state before.
    fn store(&mut self, state: &PairingState) -> Result<(), StoreError>;

    /// Fills `out` from a cryptographically secure random number generator.
    fn random(&mut self, out: &mut [u8]);

    /// The first pairing was added, or the last one removed: `sf` in mDNS has to change.
    fn pairing_changed(&mut self, paired: bool);

    /// Identify, by an unpaired controller.
    fn identify(&mut self);

    /// The value of a characteristic that is neither constant nor event-only.
    ///
    /// # Errors
    /// The status the controller is told.
    fn read(&mut self, conn: &ConnContext<'_>, id: CharId) -> Result<Value, Status>;

    /// Writes a value, which keeps to the characteristic's format and metadata. Returns the value
    /// for a write-response, if the characteristic has one. Other controllers learn of the change
    /// when the host calls [`Server::notify`](crate::Server::notify) afterwards.
    ///
    /// # Errors
    /// The status the controller is told.
    fn write(
        &mut self,
        conn: &ConnContext<'_>,
        id: CharId,
        value: &Value,
        context: &WriteContext<'_>,
    ) -> Result<Option<Value>, Status>;

    /// A connection subscribed to a characteristic's events, or no longer wants them. Not called
    /// when a connection ends: see [`Host::connection_closed`].
    fn subscribed(&mut self, _conn: &ConnContext<'_>, _id: CharId, _on: bool) {}

    /// A snapshot is wanted.
    fn resource(&mut self, conn: &ConnContext<'_>, request: ResourceRequest) -> ResourceReply;

    /// A connection ended, for whatever reason; called once for each. Its streams have to stop.
    fn connection_closed(&mut self, conn: ConnId);
}
