//! Bytes that are known to be right: the requests and responses as captured from a hub, the frames
//! under keys that were computed with a second cryptographic library.

mod common;

use common::{World, bytes, events, hex, keys, output};
use hds_proto::frame::{FrameReader, Opener, Sealer};
use hds_proto::message::{Kind, Message};
use hds_proto::{
    Connection, DataType, Event, Open, OpenRequest, Pending, Reason, Status, StreamKind, Value,
};

const HELLO: &str = "2ce347726571756573744568656c6c6f4870726f746f636f6c47636f6e74726f6c426964\
                     3373af819200000000e0";
const HELLO_FRAME: &str = "0100002ebd1ce31c9ddb8f7dbfe8b02fa6a48c5143defd96180dfd88099f664205432b\
                           31d9395f59289342d7aa1352796d7eb77e7386cbb0885acc977a3b2975eece";
const HELLO_ANSWER: &str = "35e448726573706f6e73654568656c6c6f4870726f746f636f6c47636f6e74726f6c\
                            4269643373af8192000000004673746174757308e0";
const HELLO_ANSWER_FRAME: &str = "01000037cbba85070354a8b5f86960316f83661755228acf0c9ff6f7e6d4e4\
                                  f8a68c02d1a69bc9db27e8fd02552d695cd5b5a09660c07025efb5ed3c74b2\
                                  1f20a3563401043f23c21c6e61";
const HELLO_ID: i64 = 0x9281_AF73;

const OPEN: &str = "24e34772657175657374446f70656e4870726f746f636f6c486461746153656e6442696409e448\
                    73747265616d496409447479706552697063616d6572612e7265636f7264696e67467461726765\
                    744a636f6e74726f6c6c657246726561736f6e467265636f7264";
const OPENED: &str = "2de448726573706f6e7365446f70656e4870726f746f636f6c486461746153656e64426964\
                      094673746174757308e14673746174757308";
const REFUSED: &str = "2de448726573706f6e7365446f70656e4870726f746f636f6c486461746153656e64426964\
                       09467374617475730ee14673746174757311";
const DATA: &str = "1ee24870726f746f636f6c486461746153656e64456576656e744464617461e24873747265616d\
                    496409477061636b657473d1e24464617461780000000866726565486d65746164617461e54864\
                    61746154797065536d65646961496e697469616c697a6174696f6e526461746153657175656e63\
                    654e756d6265720957646174614368756e6b53657175656e63654e756d626572094f69734c6173\
                    74446174614368756e6b014d64617461546f74616c53697a6510";
const CLOSE: &str = "1fe24870726f746f636f6c486461746153656e64456576656e7445636c6f7365e24873747265\
                     616d49640946726561736f6e08";

/// An accessory that has answered the hello of the vector; what it sends, decrypted.
struct Accessory {
    connection: Connection,
    sealer: Sealer,
    opener: Opener,
}

impl Accessory {
    fn new() -> Self {
        let mut accessory = Self {
            connection: World::new().accessory,
            sealer: Sealer::new(keys().controller_to_accessory()),
            opener: Opener::new(keys().accessory_to_controller()),
        };
        assert_eq!(accessory.told(HELLO), [HELLO_ANSWER]);
        assert_eq!(events(&mut accessory.connection), [Event::Ready]);
        accessory
    }

    /// The controller sends a payload; what comes back.
    fn told(&mut self, payload: &str) -> Vec<String> {
        let payload = bytes(payload);
        let frame = self
            .sealer
            .seal(0, |out| out.extend_from_slice(&payload))
            .unwrap();
        let mut world = World::new();
        self.connection
            .input(&frame, world.now, &mut world.pending)
            .unwrap();
        self.says()
    }

    fn says(&mut self) -> Vec<String> {
        let sent = output(&mut self.connection);
        let (mut reader, mut rest) = (FrameReader::new(), &sent[..]);
        let frames = std::iter::from_fn(|| reader.next(&mut rest).unwrap());
        frames
            .map(|frame| hex(&self.opener.open(frame).unwrap()))
            .collect()
    }

    fn open_request(&mut self) -> OpenRequest {
        assert!(self.told(OPEN).is_empty());
        match self.connection.poll_event() {
            Some(Event::Open(request)) => request,
            other => panic!("{other:?}"),
        }
    }
}

fn message(protocol: &str, topic: &str, kind: Kind, body: Value) -> String {
    let (protocol, topic) = (protocol.to_owned(), topic.to_owned());
    let message = Message {
        protocol,
        topic,
        kind,
        body,
    };
    let encoded = message.encode().unwrap();
    assert_eq!(Message::decode(&encoded), Ok(message));
    hex(&encoded)
}

#[test]
fn session_keys() {
    let keys = keys();
    assert_eq!(
        hex(&**keys.accessory_to_controller()),
        "57332bcc7c799baf28e9c52b6f9427a24de5304d58e89d35b92720ba6500c67b"
    );
    assert_eq!(
        hex(&**keys.controller_to_accessory()),
        "266eda9bf60c892e1db981a5fb2fe2c918f986b1e02c0925d88f15e7610e6dd4"
    );
}

#[test]
fn hello_request() {
    let id = HELLO_ID;
    let hello = message("control", "hello", Kind::Request { id }, Value::EMPTY);
    assert_eq!(hello, HELLO);
    let mut sealer = Sealer::new(keys().controller_to_accessory());
    let frame = sealer.seal(0, |out| out.extend(bytes(HELLO))).unwrap();
    assert_eq!(hex(&frame), HELLO_FRAME);
}

#[test]
fn hello_response() {
    let mut world = World::new();
    let hello = bytes(HELLO_FRAME);
    world
        .accessory
        .input(&hello, world.now, &mut world.pending)
        .unwrap();
    assert_eq!(hex(&output(&mut world.accessory)), HELLO_ANSWER_FRAME);
    let mut opener = Opener::new(keys().accessory_to_controller());
    let frame = FrameReader::new().next(&mut &bytes(HELLO_ANSWER_FRAME)[..]);
    let payload = opener.open(frame.unwrap().unwrap()).unwrap();
    assert_eq!(hex(&payload), HELLO_ANSWER);
    let status = Status::Success;
    let kind = Kind::Response {
        id: HELLO_ID,
        status,
    };
    assert_eq!(
        message("control", "hello", kind, Value::EMPTY),
        HELLO_ANSWER
    );
}

#[test]
fn open_request() {
    let request = Accessory::new().open_request();
    let expected = OpenRequest {
        request_id: 1,
        stream_id: 1,
        kind: StreamKind::Recording,
        target: "controller".to_owned(),
        reason: Some("record".to_owned()),
        size: None,
    };
    assert_eq!(request, expected);

    // Our own controller has used identifier 1 for its hello; nothing else is different.
    let mut world = World::ready();
    world
        .controller
        .open(&Open::recording(1), world.now)
        .unwrap();
    let mut opener = Opener::new(keys().controller_to_accessory());
    World::new().controller.poll_output().map_or_else(
        || panic!("no hello"),
        |hello| {
            let frame = FrameReader::new().next(&mut &hello[..]).unwrap().unwrap();
            opener.open(frame).unwrap();
        },
    );
    let sent = output(&mut world.controller);
    let frame = FrameReader::new().next(&mut &sent[..]).unwrap().unwrap();
    let sent = hex(&opener.open(frame).unwrap());
    assert_eq!(sent.replacen("4269640a", "42696409", 1), OPEN);
}

#[test]
fn open_response() {
    let mut accessory = Accessory::new();
    let request = accessory.open_request();
    assert!(accessory.connection.accept(&request));
    assert_eq!(accessory.says(), [OPENED]);
}

#[test]
fn open_refused_for_want_of_a_configuration() {
    let mut accessory = Accessory::new();
    let request = accessory.open_request();
    accessory
        .connection
        .refuse(&request, Reason::InvalidConfiguration);
    assert_eq!(accessory.says(), [REFUSED]);
}

#[test]
fn data_and_close() {
    let mut accessory = Accessory::new();
    let request = accessory.open_request();
    accessory.connection.accept(&request);
    let init = b"\x00\x00\x00\x08free";
    let sent = accessory
        .connection
        .send_data(1, DataType::Initialization, 1, init, false);
    assert!(sent);
    assert!(accessory.connection.close_stream(1, Reason::Normal));
    assert_eq!(accessory.says(), [OPENED, DATA, CLOSE]);
}

#[test]
fn close_from_the_controller() {
    let mut accessory = Accessory::new();
    let request = accessory.open_request();
    accessory.connection.accept(&request);
    accessory.says();
    assert!(accessory.told(CLOSE).is_empty());
    let close = Event::Close {
        stream_id: 1,
        reason: Reason::Normal,
    };
    assert_eq!(events(&mut accessory.connection), [close]);
}

#[test]
fn a_controller_reads_what_the_vectors_say() {
    let mut world = World::ready();
    world
        .controller
        .open(&Open::recording(1), world.now)
        .unwrap();
    output(&mut world.controller);
    let mut sealer = Sealer::from_counter(keys().accessory_to_controller(), 1);
    let mut bytes_in = Vec::new();
    for payload in [
        // Our controller's `open` has identifier 2.
        OPENED.replacen("42696409", "4269640a", 1),
        DATA.to_owned(),
        CLOSE.to_owned(),
    ] {
        bytes_in.extend(sealer.seal(0, |out| out.extend(bytes(&payload))).unwrap());
    }
    world
        .controller
        .input(&bytes_in, world.now, &mut Pending::new())
        .unwrap();
    let events = events(&mut world.controller);
    let [
        Event::Opened { stream_id: 1 },
        Event::Data(data),
        Event::Close { .. },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    let packet = &data.packets[0];
    assert_eq!(packet.data, b"\x00\x00\x00\x08free");
    assert_eq!(packet.data_type, DataType::Initialization);
    assert_eq!((packet.sequence, packet.chunk), (1, 1));
    assert!(packet.is_last_chunk && !data.end_of_stream);
    assert_eq!(packet.total_size, Some(8));
}

#[track_caller]
fn decodes(encoding: &str, value: Value) {
    assert_eq!(Value::decode_all(&bytes(encoding)), Ok(value));
}

#[track_caller]
fn both_ways(encoding: &str, value: Value) {
    assert_eq!(hex(&value.encode()), encoding);
    decodes(encoding, value);
}

/// pyatv, tests/support/test_opack.py.
#[test]
fn values_without_back_references() {
    both_ways(
        "d309447465737402",
        Value::Array(vec![1.into(), "test".into(), false.into()]),
    );
    both_ways("31ff01", 511.into());
    both_ways("36000000000000f03f", 1.0.into());
    let mut long = vec![0x93, 0, 0, 1, 0];
    long.resize(5 + 0x1_0000, 0x61);
    both_ways(&hex(&long), vec![0x61; 0x1_0000].into());
}

/// The same.
#[test]
fn values_with_back_references() {
    decodes("d24161a0", Value::Array(vec!["a".into(), "a".into()]));
    let inner = Value::dict([("d", "a".into())]);
    let pairs = [("a", "b".into()), ("c", inner), ("d", true.into())];
    decodes("e3416141624163e14164a0a301", Value::dict(pairs));
}
