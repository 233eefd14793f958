//! A verified, encrypted connection to a paired accessory.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hap_crypto::ControllerKeypair;
use hap_transport::{EventNotification, HapResponse, SecureSession};
use hds_proto::SessionKeys as DataStreamKeys;
use serde_json::{Value as Json, json};
use tokio::sync::{broadcast, mpsc, watch};

use crate::address;
use crate::admin::{self, Pairing};
use crate::database::{CharId, Database};
use crate::discovery;
use crate::failure::{Failure, Kind, Result};
use crate::pairing::{self, SharedSecret};
use crate::status;
use crate::store::{Record, Store};
use crate::value;

const HAP_JSON: &str = "application/hap+json";
/// Events waiting for a slow reader; older ones are dropped beyond that.
const EVENT_BACKLOG: usize = 1024;
/// How long a paired accessory is looked for by mDNS when its address no longer answers.
const SEARCH: Duration = Duration::from_secs(4);

/// What to ask for beside the value in `GET /characteristics`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadFlags {
    /// Format, unit and limits.
    pub meta: bool,
    /// Permissions.
    pub perms: bool,
    /// Type.
    pub kind: bool,
    /// Whether events are on.
    pub ev: bool,
}

/// One write of `PUT /characteristics`.
#[derive(Debug, Clone)]
pub struct Write {
    /// Where.
    pub id: CharId,
    /// What.
    pub value: Json,
    /// Whether the value after the write is wanted back (HAP's `r`).
    pub response: bool,
}

/// The accessory's answer for one characteristic.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Which one.
    pub id: CharId,
    /// HAP status; 0 when the accessory gave none.
    pub status: i64,
    /// The value, if any.
    pub value: Option<Json>,
    /// The entry as received.
    pub raw: Json,
}

impl Reply {
    /// Refuses a status other than 0.
    ///
    /// # Errors
    /// [`Kind::Refused`] with the meaning of the status.
    pub fn ok(self) -> Result<Self> {
        match self.status {
            0 => Ok(self),
            code => Err(status::failure(code).context(self.id)),
        }
    }
}

/// A picture from `/resource`.
#[derive(Debug)]
pub struct Picture {
    /// The bytes as received.
    pub jpeg: Vec<u8>,
}

/// A verified session. Dropping it closes the connection, which ends what it started.
pub struct Session {
    secure: SecureSession,
    peer: SocketAddr,
    timeout: Duration,
    events: broadcast::Sender<Json>,
    /// Its sender is dropped when the connection is over.
    alive: watch::Receiver<()>,
    shared: SharedSecret,
    /// A request was given up; its answer may still come and would be taken for the next one's.
    broken: AtomicBool,
}

impl Session {
    /// Connects to the accessory of `record` and runs Pair Verify.
    ///
    /// When the stored address does not answer, the accessory is looked for by mDNS and the store
    /// learns its new address.
    ///
    /// # Errors
    /// [`Kind::Unreachable`], [`Kind::Authentication`] or [`Kind::Protocol`].
    pub async fn open(store: &Store, record: &Record, timeout: Duration) -> Result<Self> {
        let controller = store.controller()?;
        let addresses = address::resolve(&record.address).await;
        let first = match addresses {
            Ok(list) => Self::open_at(&list, record, &controller, timeout).await,
            Err(e) => Err(e),
        };
        match first {
            Err(e) if e.kind() == Kind::Unreachable => {
                Self::find(store, record, &controller, timeout, e).await
            }
            other => other,
        }
    }

    /// Connects to one of `addresses` and runs Pair Verify.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub async fn open_at(
        addresses: &[SocketAddr],
        record: &Record,
        controller: &ControllerKeypair,
        timeout: Duration,
    ) -> Result<Self> {
        let (mut connection, peer) = pairing::connect(addresses, timeout).await?;
        let keys = pairing::pair_verify(&mut connection, &record.pairing, controller, timeout);
        let (keys, shared) = keys.await.map_err(|e| e.context("Pair Verify"))?;
        Ok(Self::start(connection.upgrade(keys), shared, peer, timeout))
    }

    async fn find(
        store: &Store,
        record: &Record,
        controller: &ControllerKeypair,
        timeout: Duration,
        first: Failure,
    ) -> Result<Self> {
        let id = &record.pairing.pairing_id;
        let Some(found) = discovery::find(|a| a.id.eq_ignore_ascii_case(id), SEARCH).await? else {
            return Err(first);
        };
        let addresses = found.addresses();
        let session = Self::open_at(&addresses, record, controller, timeout).await?;
        store.save(&Record {
            address: session.peer.to_string(),
            ..record.clone()
        })?;
        Ok(session)
    }

    fn start(
        secure: SecureSession,
        shared: SharedSecret,
        peer: SocketAddr,
        timeout: Duration,
    ) -> Self {
        let (events, _) = broadcast::channel(EVENT_BACKLOG);
        let (living, alive) = watch::channel(());
        tokio::spawn(forward_events(secure.events(), events.clone(), living));
        Self {
            secure,
            peer,
            timeout,
            events,
            alive,
            shared,
            broken: AtomicBool::new(false),
        }
    }

    /// The accessory's address.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Event messages from now on, one JSON body each.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Json> {
        self.events.subscribe()
    }

    /// Waits until the accessory closes the connection.
    pub async fn closed(&self) {
        let mut alive = self.alive.clone();
        while alive.changed().await.is_ok() {}
    }

    /// The keys of a data stream that is set up on this connection.
    #[must_use]
    pub fn data_stream_keys(&self, ours: &[u8; 32], theirs: &[u8; 32]) -> DataStreamKeys {
        DataStreamKeys::derive(&self.shared, ours, theirs)
    }

    async fn request(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Result<HapResponse> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(Failure::new(
                Kind::Unreachable,
                "an earlier request was never answered",
            ));
        }
        let kind = pairing::with_host(kind);
        let answer = pairing::limited(self.timeout, self.secure.request(method, path, &kind, body));
        answer.await.map_err(|e| {
            self.broken.store(true, Ordering::Relaxed);
            e.context(format_args!("{method} {}", endpoint(path)))
        })
    }

    /// `GET /accessories`, as received.
    ///
    /// # Errors
    /// [`Kind::Refused`] unless the answer is 200.
    pub async fn accessories_body(&self) -> Result<Vec<u8>> {
        let reply = self.request("GET", "/accessories", HAP_JSON, b"").await?;
        match reply.status {
            200 => Ok(reply.body),
            _ => Err(http_failure("/accessories", &reply)),
        }
    }

    /// `GET /accessories`.
    ///
    /// # Errors
    /// As [`Session::accessories_body`]; [`Kind::Protocol`] for malformed JSON.
    pub async fn accessories(&self) -> Result<Database> {
        Database::parse(&self.accessories_body().await?)
    }

    /// `GET /characteristics`.
    ///
    /// # Errors
    /// [`Kind::Refused`] unless the answer is 200 or 207; single failures are in the replies.
    pub async fn read(&self, ids: &[CharId], flags: ReadFlags) -> Result<Vec<Reply>> {
        let path = read_path(ids, flags);
        let reply = self.request("GET", &path, HAP_JSON, b"").await?;
        replies("GET /characteristics", &reply)
    }

    /// Reads one `tlv8` characteristic.
    ///
    /// # Errors
    /// [`Kind::Refused`] for a status other than 0.
    pub async fn read_tlv8(&self, id: CharId) -> Result<Vec<u8>> {
        let mut replies = self.read(&[id], ReadFlags::default()).await?;
        match replies.pop() {
            Some(reply) => value::tlv8(reply.ok()?.value.as_ref()),
            None => Err(Failure::new(Kind::Protocol, format!("no answer for {id}"))),
        }
    }

    /// `PUT /characteristics`; no replies mean that all succeeded (204).
    ///
    /// # Errors
    /// [`Kind::Refused`] unless the answer is 200, 204 or 207; single failures are in the replies.
    pub async fn write(&self, writes: &[Write], pid: Option<u64>) -> Result<Vec<Reply>> {
        self.put(&write_body(writes, pid)).await
    }

    /// A timed write: `PUT /prepare`, then `PUT /characteristics` with the same `pid`.
    ///
    /// `hap-model` puts `pid` into each entry; it belongs beside them (HAP R1 §5.7.2.4), so the
    /// bodies are made here.
    ///
    /// # Errors
    /// As [`Session::write`].
    pub async fn write_timed(&self, writes: &[Write], ttl: Duration) -> Result<Vec<Reply>> {
        let mut pid = [0u8; 8];
        crate::random(&mut pid)?;
        // JSON numbers above 2^53 lose digits in some parsers.
        let pid = u64::from_le_bytes(pid) >> 11;
        let body = json!({"ttl": u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX), "pid": pid});
        let body = body.to_string();
        let reply = self
            .request("PUT", "/prepare", HAP_JSON, body.as_bytes())
            .await?;
        let status = json_status(&reply.body).unwrap_or(0);
        match (reply.status, status) {
            (200 | 204, 0) => self.write(writes, Some(pid)).await,
            (200 | 207, code) => Err(status::failure(code).context("PUT /prepare")),
            _ => Err(http_failure("PUT /prepare", &reply)),
        }
    }

    /// Writes one `tlv8` characteristic.
    ///
    /// # Errors
    /// [`Kind::Refused`] for a status other than 0.
    pub async fn write_tlv8(&self, id: CharId, bytes: &[u8]) -> Result<()> {
        let write = Write {
            id,
            value: value::from_tlv8(bytes),
            response: false,
        };
        all_ok(self.write(&[write], None).await?)
    }

    /// Turns events on or off.
    ///
    /// # Errors
    /// [`Kind::Refused`] when one of them refuses.
    pub async fn subscribe(&self, ids: &[CharId], on: bool) -> Result<()> {
        let entries: Vec<Json> = ids
            .iter()
            .map(|id| json!({"aid": id.aid, "iid": id.iid, "ev": on}))
            .collect();
        let body = json!({"characteristics": entries}).to_string();
        all_ok(self.put(body.as_bytes()).await?)
    }

    async fn put(&self, body: &[u8]) -> Result<Vec<Reply>> {
        let reply = self
            .request("PUT", "/characteristics", HAP_JSON, body)
            .await?;
        replies("PUT /characteristics", &reply)
    }

    /// `POST /resource`: a picture of accessory `aid` (HAP R1 §11.5).
    ///
    /// # Errors
    /// [`Kind::Refused`] when the camera will not make one.
    pub async fn snapshot(
        &self,
        aid: u64,
        (width, height): (u16, u16),
        reason: Option<u8>,
    ) -> Result<Picture> {
        let mut body = json!({
            "image-width": width, "image-height": height, "resource-type": "image", "aid": aid,
        });
        if let Some(reason) = reason {
            body["reason"] = reason.into();
        }
        let body = body.to_string();
        let reply = self
            .request("POST", "/resource", HAP_JSON, body.as_bytes())
            .await?;
        match (reply.status, json_status(&reply.body)) {
            (200, None) => Ok(Picture { jpeg: reply.body }),
            (200 | 207, Some(code)) => Err(status::failure(code).context("/resource")),
            _ => Err(http_failure("/resource", &reply)),
        }
    }

    /// All pairings of the accessory.
    ///
    /// # Errors
    /// [`Kind::Authentication`] when this controller is no administrator.
    pub async fn pairings(&self) -> Result<Vec<Pairing>> {
        admin::listed(&self.post_pairings(&admin::list()).await?)
    }

    /// Adds a pairing or changes its permission.
    ///
    /// # Errors
    /// As [`Session::pairings`].
    pub async fn add_pairing(&self, pairing: &Pairing) -> Result<()> {
        admin::done(&self.post_pairings(&admin::add(pairing)).await?)
    }

    /// Removes a pairing.
    ///
    /// # Errors
    /// As [`Session::pairings`].
    pub async fn remove_pairing(&self, id: &str) -> Result<()> {
        admin::done(&self.post_pairings(&admin::remove(id)).await?)
    }

    async fn post_pairings(&self, body: &[u8]) -> Result<Vec<u8>> {
        let reply = self
            .request("POST", admin::PATH, pairing::PAIRING_TLV8, body)
            .await?;
        match reply.status {
            200 => Ok(reply.body),
            _ => Err(http_failure(admin::PATH, &reply)),
        }
    }
}

/// Keeps the transport's small event channel empty: it stops reading the socket when that is full.
async fn forward_events(
    mut from: mpsc::Receiver<EventNotification>,
    to: broadcast::Sender<Json>,
    _living: watch::Sender<()>,
) {
    while let Some(event) = from.recv().await {
        match serde_json::from_slice(&event.body) {
            // Nobody listening is fine.
            Ok(body) => drop(to.send(body)),
            Err(e) => tracing::warn!("an event message is malformed: {e}"),
        }
    }
}

fn endpoint(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

fn read_path(ids: &[CharId], flags: ReadFlags) -> String {
    let list: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let mut path = format!("/characteristics?id={}", list.join(","));
    let asked = [
        ("meta", flags.meta),
        ("perms", flags.perms),
        ("type", flags.kind),
        ("ev", flags.ev),
    ];
    for (name, _) in asked.iter().filter(|(_, on)| *on) {
        path.push_str(&format!("&{name}=1"));
    }
    path
}

fn write_body(writes: &[Write], pid: Option<u64>) -> Vec<u8> {
    let entries: Vec<Json> = writes.iter().map(write_entry).collect();
    let mut body = json!({"characteristics": entries});
    if let Some(pid) = pid {
        body["pid"] = pid.into();
    }
    body.to_string().into_bytes()
}

fn write_entry(write: &Write) -> Json {
    let mut entry = json!({"aid": write.id.aid, "iid": write.id.iid, "value": write.value});
    if write.response {
        entry["r"] = true.into();
    }
    entry
}

fn replies(what: &str, reply: &HapResponse) -> Result<Vec<Reply>> {
    if reply.status == 204 {
        return Ok(Vec::new());
    }
    if !matches!(reply.status, 200 | 207) {
        return match parse_replies(&reply.body) {
            // Some accessories answer 400 when every entry failed, with the entries.
            Ok(entries) if entries.iter().any(|r| r.status != 0) => Ok(entries),
            _ => Err(http_failure(what, reply)),
        };
    }
    parse_replies(&reply.body).map_err(|e| e.context(what))
}

fn parse_replies(body: &[u8]) -> Result<Vec<Reply>> {
    let malformed = |why: String| Failure::new(Kind::Protocol, format!("malformed answer: {why}"));
    let body: Json = serde_json::from_slice(body).map_err(|e| malformed(e.to_string()))?;
    let entries = body["characteristics"].as_array();
    entries
        .ok_or_else(|| malformed("no \"characteristics\"".into()))?
        .iter()
        .map(|entry| parse_reply(entry).ok_or_else(|| malformed("an entry without IDs".into())))
        .collect()
}

fn parse_reply(entry: &Json) -> Option<Reply> {
    Some(Reply {
        id: CharId {
            aid: entry["aid"].as_u64()?,
            iid: entry["iid"].as_u64()?,
        },
        status: entry["status"].as_i64().unwrap_or(0),
        value: entry.get("value").cloned(),
        raw: entry.clone(),
    })
}

/// Refuses when one of the replies has a status other than 0.
///
/// # Errors
/// [`Kind::Refused`] for the first of them.
pub fn all_ok(replies: Vec<Reply>) -> Result<()> {
    replies.into_iter().try_for_each(|r| r.ok().map(drop))
}

/// The entries of an event message, doubled ones dropped: the newest value comes first.
#[must_use]
pub fn event_entries(body: &Json) -> Vec<(CharId, Json)> {
    let mut seen = HashSet::new();
    let entries = body["characteristics"].as_array();
    entries
        .into_iter()
        .flatten()
        .filter_map(parse_reply)
        .filter(|r| seen.insert(r.id))
        .map(|r| (r.id, r.value.unwrap_or(Json::Null)))
        .collect()
}

fn json_status(body: &[u8]) -> Option<i64> {
    serde_json::from_slice::<Json>(body).ok()?["status"].as_i64()
}

fn http_failure(what: &str, reply: &HapResponse) -> Failure {
    let code = reply.status;
    if code == 470 {
        return Failure::new(
            Kind::Authentication,
            format!("{what}: the accessory wants Pair Verify first (HTTP 470)"),
        );
    }
    match json_status(&reply.body) {
        Some(hap) => status::failure(hap).context(format_args!("{what} answered HTTP {code}")),
        None => Failure::new(Kind::Refused, format!("{what} answered HTTP {code}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: CharId = CharId { aid: 1, iid: 9 };
    const B: CharId = CharId { aid: 1, iid: 10 };

    #[test]
    fn read_paths_name_only_what_is_asked() {
        assert_eq!(
            read_path(&[A, B], ReadFlags::default()),
            "/characteristics?id=1.9,1.10"
        );
        let flags = ReadFlags {
            meta: true,
            ev: true,
            ..ReadFlags::default()
        };
        assert_eq!(
            read_path(&[A], flags),
            "/characteristics?id=1.9&meta=1&ev=1"
        );
    }

    #[test]
    fn the_prepare_id_stands_beside_the_entries() {
        let write = Write {
            id: A,
            value: json!(true),
            response: true,
        };
        let body: Json = serde_json::from_slice(&write_body(&[write], Some(7))).unwrap();
        assert_eq!(
            body,
            json!({"pid": 7, "characteristics": [{"aid": 1, "iid": 9, "value": true, "r": true}]})
        );
    }

    #[test]
    fn replies_carry_status_and_value() {
        let body = br#"{"characteristics":[{"aid":1,"iid":9,"value":null},
                        {"aid":1,"iid":10,"status":-70409}]}"#;
        let replies = parse_replies(body).unwrap();
        assert_eq!(replies[0].value, Some(Json::Null));
        assert!(replies[0].clone().ok().is_ok());
        let e = replies[1].clone().ok().unwrap_err();
        assert_eq!(e.kind(), Kind::Refused);
        assert!(e.to_string().starts_with("1.10"));
        assert!(all_ok(replies).is_err());
    }

    #[test]
    fn the_newest_of_doubled_events_wins() {
        let body = json!({"characteristics": [
            {"aid": 1, "iid": 9, "value": 2}, {"aid": 1, "iid": 9, "value": 1},
            {"aid": 1, "iid": 10, "value": 3}]});
        assert_eq!(event_entries(&body), vec![(A, json!(2)), (B, json!(3))]);
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_replies(&bytes);
            let _ = json_status(&bytes);
        }
    }
}
