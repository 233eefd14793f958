//! `/characteristics`: reading and writing (HAP R1 §5.7.2, §5.7.3).

pub(crate) mod query;
pub(crate) mod read;
pub(crate) mod write;

use crate::database::Characteristic;
use crate::host::{CharId, ConnContext, Host};
use crate::status::Status;
use crate::value::Value;

/// The present value of a characteristic.
fn present(
    id: CharId,
    characteristic: &Characteristic,
    context: &ConnContext<'_>,
    host: &mut dyn Host,
) -> Result<Value, Status> {
    if characteristic.event_only {
        return Ok(Value::Null);
    }
    match &characteristic.initial {
        Some(value) => Ok(value.clone()),
        None => host.read(context, id),
    }
}
