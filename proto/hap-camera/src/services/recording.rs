//! What a recording camera has beside its streams: Camera Operating Mode, Camera Event Recording Management and Data
//! Stream Transport Management. A hub arms none that lacks one of them.

use hap_proto::Value;
use hap_proto::database::{Characteristic, Format, Perms, Service, Uuid};

use super::{Description, iid, service, switch};
use crate::data_stream;
use crate::recording::SupportedRecording;

pub(super) fn services(d: &Description) -> Vec<Service> {
    let mut services = Vec::new();
    if d.has_operating_mode() {
        services.push(operating_mode(d));
    }
    if let Some(supported) = &d.recording {
        services.extend([management(d, supported), data_stream()]);
    }
    services
}

fn operating_mode(d: &Description) -> Service {
    let perms = Perms::new().pr().pw().ev();
    let mut characteristics = vec![
        switch(iid::EVENT_SNAPSHOTS_ACTIVE, 0x223, perms),
        switch(iid::CAMERA_ACTIVE, 0x21B, perms),
        switch(iid::PERIODIC_SNAPSHOTS_ACTIVE, 0x225, perms),
    ];
    if d.privacy_switch {
        let (kind, perms) = (Uuid::short(0x227), Perms::new().pr().ev());
        let disabled = Characteristic::new(iid::MANUALLY_DISABLED, kind, Format::Bool, perms);
        characteristics.push(disabled);
    }
    service(0x21A, iid::OPERATING_MODE, characteristics)
}

fn management(d: &Description, supported: &SupportedRecording) -> Service {
    let perms = Perms::new().pr().pw().ev();
    let selected = Uuid::short(0x209);
    let selected = Characteristic {
        admin_only_write: true,
        ..Characteristic::new(iid::SELECTED_RECORDING, selected, Format::Tlv8, perms)
    };
    let offer = |iid, kind, value| Characteristic {
        perms: Perms::new().pr().ev(),
        ..Characteristic::constant(iid, Uuid::short(kind), Format::Tlv8, Value::Tlv8(value))
    };
    let characteristics = vec![
        switch(iid::RECORDING_ACTIVE, 0xB0, perms),
        offer(iid::SUPPORTED_RECORDING, 0x205, supported.encode_general()),
        offer(
            iid::SUPPORTED_VIDEO_RECORDING,
            0x206,
            supported.video.encode(),
        ),
        offer(
            iid::SUPPORTED_AUDIO_RECORDING,
            0x207,
            supported.audio.encode(),
        ),
        selected,
        switch(iid::RECORDING_AUDIO_ACTIVE, 0x226, perms.tw()),
    ];
    let mut linked = vec![iid::DATA_STREAM, iid::MOTION];
    if d.occupancy {
        linked.push(iid::OCCUPANCY);
    }
    Service {
        linked,
        ..service(0x204, iid::RECORDING, characteristics)
    }
}

fn data_stream() -> Service {
    let constant =
        |iid, kind, format, value| Characteristic::constant(iid, Uuid::short(kind), format, value);
    let supported = Value::Tlv8(data_stream::SUPPORTED.to_vec());
    let version = Value::String(data_stream::VERSION.into());
    let setup = Characteristic::new(
        iid::SETUP_DATA_STREAM,
        Uuid::short(0x131),
        Format::Tlv8,
        Perms::new().pr().pw().wr(),
    );
    let characteristics = vec![
        constant(iid::SUPPORTED_DATA_STREAM, 0x130, Format::Tlv8, supported),
        setup,
        constant(iid::DATA_STREAM_VERSION, 0x37, Format::String, version),
    ];
    service(0x129, iid::DATA_STREAM, characteristics)
}
