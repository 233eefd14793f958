//! What H.264 and H.265 have in common: access units of NAL units, cut into RTP payloads and put
//! together again. Only the layout of headers differs; [`Codec`] stands for it.

mod bits;
mod codec;
mod depacketizer;
mod packetizer;
mod parameter_sets;
mod payloads;
mod split;

pub(crate) use bits::Bits;
pub use codec::Codec;
pub(crate) use codec::{FragmentHeader, Shape, Syntax};
pub use depacketizer::{Depacketizer, ReceivedAccessUnit};
pub use packetizer::Packetizer;
pub(crate) use parameter_sets::{ParameterSets, Record};
pub use payloads::{AccessUnit, Payload, Payloads};
pub use split::{Format, MAX_ACCESS_UNIT, MAX_NAL_UNITS};
