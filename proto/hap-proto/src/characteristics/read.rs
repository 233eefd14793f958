//! `GET /characteristics`.

use serde::Serialize;
use serde_json::Value as Json;

use super::present;
use super::query::Query;
use crate::database::{Characteristic, Database, Metadata, Perms, Uuid};
use crate::events::Events;
use crate::host::{CharId, ConnContext, Host};
use crate::http::Response;
use crate::status::Status;
use crate::value::Value;

#[derive(Serialize)]
struct Body {
    characteristics: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    id: CharId,
    #[serde(flatten)]
    about: About,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Json>,
    /// Left out of the body when every entry succeeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

/// What the flags of the query add.
#[derive(Serialize, Default)]
struct About {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    perms: Option<Perms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ev: Option<bool>,
    #[serde(flatten)]
    metadata: Option<Metadata>,
}

/// Everything a read needs.
pub(crate) struct Reader<'a> {
    pub(crate) database: &'a Database,
    pub(crate) events: &'a Events,
    pub(crate) context: ConnContext<'a>,
    pub(crate) host: &'a mut dyn Host,
}

impl Reader<'_> {
    /// Answers a query: 200 if every read succeeds, 207 otherwise.
    pub(crate) fn read(&mut self, query: &Query) -> Response {
        let entries = query.ids.iter().map(|&id| self.entry(id, query));
        let mut characteristics: Vec<Entry> = entries.collect();
        let complete = characteristics
            .iter()
            .all(|entry| entry.status == Some(Status::Success));
        if complete {
            characteristics
                .iter_mut()
                .for_each(|entry| entry.status = None);
        }
        Response::json(if complete { 200 } else { 207 }, &Body { characteristics })
    }

    fn entry(&mut self, id: CharId, query: &Query) -> Entry {
        let Some(characteristic) = self.database.characteristic(id) else {
            let (about, status) = (About::default(), Some(Status::NotFound));
            return Entry {
                id,
                about,
                value: None,
                status,
            };
        };
        let about = self.about(id, characteristic, query);
        match self.value(id, characteristic) {
            Ok(value) => Entry {
                id,
                about,
                value: Some(value),
                status: Some(Status::Success),
            },
            Err(status) => Entry {
                id,
                about,
                value: None,
                status: Some(status),
            },
        }
    }

    fn value(&mut self, id: CharId, characteristic: &Characteristic) -> Result<Json, Status> {
        if !characteristic.perms.can_read() {
            return Err(Status::WriteOnly);
        }
        let value = present(id, characteristic, &self.context, self.host)?;
        Ok(value.to_json(characteristic.format))
    }

    fn about(&self, id: CharId, characteristic: &Characteristic, query: &Query) -> About {
        let notifies = characteristic.perms.can_notify();
        About {
            kind: query.kind.then_some(characteristic.kind),
            perms: query.perms.then_some(characteristic.perms),
            ev: (query.ev && notifies).then(|| self.events.is_subscribed(id)),
            metadata: query.meta.then(|| characteristic.metadata()),
        }
    }
}

/// `GET /accessories` reads the same way; a value that cannot be read is `null` there.
impl crate::accessories::Live for Reader<'_> {
    fn value(&mut self, id: CharId, characteristic: &Characteristic) -> Json {
        let value = present(id, characteristic, &self.context, self.host);
        value.unwrap_or(Value::Null).to_json(characteristic.format)
    }

    fn subscribed(&self, id: CharId) -> bool {
        self.events.is_subscribed(id)
    }
}
