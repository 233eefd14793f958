//! `PUT /characteristics`.

use std::collections::HashSet;
use std::time::Instant;

use base64::Engine;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

use crate::database::{Characteristic, Database};
use crate::events::Events;
use crate::host::{CharId, ConnContext, Host, WriteContext};
use crate::http::Response;
use crate::status::Status;
use crate::timed_write::TimedWrite;
use crate::value::{BASE64, Value, flag};

#[derive(Deserialize)]
struct Body {
    characteristics: Vec<Entry>,
    #[serde(default)]
    pid: Option<u64>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(flatten)]
    id: CharId,
    /// `null` is a value, too.
    #[serde(default, deserialize_with = "present")]
    value: Option<Json>,
    #[serde(default)]
    ev: Option<Json>,
    #[serde(default, rename = "authData")]
    auth_data: Option<String>,
    #[serde(default)]
    remote: Option<Json>,
    #[serde(default)]
    r: Option<Json>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

impl Entry {
    fn wants_response(&self) -> bool {
        self.r.as_ref().and_then(flag).unwrap_or(false)
    }

    fn is_remote(&self) -> bool {
        self.remote.as_ref().and_then(flag).unwrap_or(false)
    }
}

#[derive(Serialize)]
struct ResponseBody {
    characteristics: Vec<Written>,
}

#[derive(Serialize)]
struct Written {
    #[serde(flatten)]
    id: CharId,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Json>,
}

/// How a request relates to `PUT /prepare`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timing {
    /// No `pid`.
    Plain,
    /// The prepared `pid`, in time.
    Timed,
    /// Another `pid`, or too late: nothing is written.
    Invalid,
}

/// What an entry asks for, checked before anything is done.
struct Plan {
    value: Option<Value>,
    ev: Option<bool>,
    auth_data: Option<Vec<u8>>,
}

/// Everything a write needs.
pub(crate) struct Writer<'a> {
    pub(crate) database: &'a Database,
    pub(crate) events: &'a mut Events,
    pub(crate) timed_write: &'a mut TimedWrite,
    pub(crate) context: ConnContext<'a>,
    pub(crate) now: Instant,
    pub(crate) host: &'a mut dyn Host,
}

impl Writer<'_> {
    /// Answers a request: 204 if every write succeeds and no value is wanted back, 207 otherwise.
    pub(crate) fn write(&mut self, body: &[u8]) -> Response {
        let Ok(body) = serde_json::from_slice::<Body>(body) else {
            return Response::status(400, Status::InvalidValue);
        };
        if has_duplicates(&body.characteristics) {
            return Response::status(422, Status::InvalidValue);
        }
        let timing = self.timing(body.pid);
        let entries = body.characteristics.iter();
        let characteristics: Vec<Written> =
            entries.map(|entry| self.entry(entry, timing)).collect();
        let complete = characteristics
            .iter()
            .all(|written| written.status.is_success());
        if complete && !body.characteristics.iter().any(Entry::wants_response) {
            return Response::no_content();
        }
        Response::json(207, &ResponseBody { characteristics })
    }

    fn timing(&mut self, pid: Option<u64>) -> Timing {
        match pid {
            None => Timing::Plain,
            Some(pid) if self.timed_write.take(pid, self.now) => Timing::Timed,
            Some(_) => Timing::Invalid,
        }
    }

    fn entry(&mut self, entry: &Entry, timing: Timing) -> Written {
        let id = entry.id;
        match self.execute(entry, timing) {
            Ok(value) => Written {
                id,
                status: Status::Success,
                value,
            },
            Err(status) => Written {
                id,
                status,
                value: None,
            },
        }
    }

    fn execute(&mut self, entry: &Entry, timing: Timing) -> Result<Option<Json>, Status> {
        if timing == Timing::Invalid {
            return Err(Status::InvalidValue);
        }
        let characteristic = self
            .database
            .characteristic(entry.id)
            .ok_or(Status::NotFound)?;
        let plan = self.plan(entry, characteristic, timing)?;
        let response = match &plan.value {
            Some(value) => self.set(entry, value, plan.auth_data.as_deref(), timing)?,
            None => None,
        };
        if let Some(on) = plan.ev {
            self.subscribe(entry.id, on);
        }
        let wanted = response.filter(|_| entry.wants_response());
        Ok(wanted.map(|value| value.to_json(characteristic.format)))
    }

    fn plan(&self, entry: &Entry, c: &Characteristic, timing: Timing) -> Result<Plan, Status> {
        if entry.value.is_none() && entry.ev.is_none() {
            return Err(Status::InvalidValue);
        }
        let ev = entry
            .ev
            .as_ref()
            .map(|ev| flag(ev).ok_or(Status::InvalidValue))
            .transpose()?;
        if ev.is_some() && !c.perms.can_notify() {
            return Err(Status::NotificationNotSupported);
        }
        let Some(json) = &entry.value else {
            return Ok(Plan {
                value: None,
                ev,
                auth_data: None,
            });
        };
        let auth_data = self.permit(entry, c, timing)?;
        let value = Value::from_json(c.format, json).filter(|value| c.allows(value));
        let value = Some(value.ok_or(Status::InvalidValue)?);
        Ok(Plan {
            value,
            ev,
            auth_data,
        })
    }

    /// Checks the permissions of a write and returns its authorization data.
    fn permit(
        &self,
        entry: &Entry,
        c: &Characteristic,
        timing: Timing,
    ) -> Result<Option<Vec<u8>>, Status> {
        if !c.perms.can_write() {
            return Err(Status::ReadOnly);
        }
        if c.admin_only_write && !self.context.admin {
            return Err(Status::InsufficientPrivileges);
        }
        let auth_data = entry
            .auth_data
            .as_ref()
            .and_then(|text| BASE64.decode(text).ok());
        if c.perms.needs_authorization() && auth_data.is_none() {
            return Err(Status::InsufficientAuthorization);
        }
        if c.perms.needs_timed_write() && timing != Timing::Timed {
            return Err(Status::InvalidValue);
        }
        if entry.wants_response() && !c.perms.can_respond() {
            return Err(Status::WriteOnly);
        }
        Ok(auth_data)
    }

    fn set(
        &mut self,
        entry: &Entry,
        value: &Value,
        auth_data: Option<&[u8]>,
        timing: Timing,
    ) -> Result<Option<Value>, Status> {
        let context = WriteContext {
            auth_data,
            remote: entry.is_remote(),
            timed: timing == Timing::Timed,
            response_wanted: entry.wants_response(),
        };
        self.host.write(&self.context, entry.id, value, &context)
    }

    fn subscribe(&mut self, id: CharId, on: bool) {
        if self.events.subscribe(id, on) {
            self.host.subscribed(&self.context, id, on);
        }
    }
}

fn has_duplicates(entries: &[Entry]) -> bool {
    let mut seen = HashSet::new();
    entries.iter().any(|entry| !seen.insert(entry.id))
}
