//! A small controller. Its pairing is written against the protocol, not against the server's code.

use std::collections::VecDeque;

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use hap_proto::ConnId;
use hap_proto::http::{
    ContentType, HttpLimits, Message, MessageKind, MessageParser, Method, Request,
};
use hap_proto::record::{Opener, Sealer};
use hap_tlv8::{Tlv, Writer};
use hkdf::Hkdf;
use serde_json::Value as Json;
use sha2::Sha512;
use x25519_dalek::{PublicKey, StaticSecret};

use super::srp_controller::{Convention, SrpController};
use super::{CODE, DEVICE, World};

/// Who a controller is.
#[derive(Clone)]
pub struct Controller {
    pub id: String,
    pub key: SigningKey,
}

impl Controller {
    pub fn new(number: u8) -> Self {
        let id = format!("11223344-5566-7788-99AA-BBCCDDEEFF{number:02X}");
        Self {
            id,
            key: SigningKey::from_bytes(&[number; 32]),
        }
    }

    pub fn ltpk(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }
}

/// The error of a pairing message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    pub http: u16,
    pub state: u64,
    pub error: u64,
}

/// One connection of a controller.
pub struct Client {
    pub conn: ConnId,
    session: Option<(Sealer, Opener)>,
    parser: MessageParser,
    pub events: VecDeque<Json>,
    pub responses: VecDeque<Message>,
}

pub fn hkdf(secret: &[u8], salt: &str, info: &str) -> [u8; 32] {
    let mut key = [0; 32];
    let kdf = Hkdf::<Sha512>::new(Some(salt.as_bytes()), secret);
    kdf.expand(info.as_bytes(), &mut key).unwrap();
    key
}

fn cipher(key: &[u8; 32]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(key.into())
}

fn nonce(label: &str) -> Nonce {
    let mut nonce = Nonce::default();
    nonce[4..].copy_from_slice(label.as_bytes());
    nonce
}

pub fn tlv(build: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    build(&mut writer);
    writer.into_vec()
}

impl Client {
    pub fn connect(world: &mut World) -> Self {
        let limits = HttpLimits {
            head: 4096,
            body: 1 << 20,
        };
        Self {
            conn: world.connect(),
            session: None,
            parser: MessageParser::new(limits),
            events: VecDeque::new(),
            responses: VecDeque::new(),
        }
    }

    /// A verified connection of a paired controller.
    pub fn verified(world: &mut World, controller: &Controller) -> Self {
        let mut client = Self::connect(world);
        client.verify(world, controller, [0x11; 32]).unwrap();
        client
    }

    /// Encrypts if there is a session.
    pub fn encode(&mut self, bytes: &[u8]) -> Vec<u8> {
        match &mut self.session {
            Some((sealer, _)) => sealer.seal(bytes),
            None => bytes.to_vec(),
        }
    }

    pub fn send(&mut self, world: &mut World, bytes: &[u8]) {
        let bytes = self.encode(bytes);
        world.send(self.conn, &bytes);
        self.receive(world);
    }

    /// Sorts what has arrived into responses and events.
    pub fn receive(&mut self, world: &mut World) {
        let bytes = world.received(self.conn);
        let mut rest = bytes.as_slice();
        match &mut self.session {
            None => self.parser.push(rest),
            Some((_, opener)) => {
                while let Some(plaintext) = opener.next(&mut rest).expect("server's frames decrypt")
                {
                    self.parser.push(&plaintext);
                }
            }
        }
        while let Some(message) = self.parser.poll_message().expect("server speaks HTTP") {
            match message.kind {
                MessageKind::Response => self.responses.push_back(message),
                MessageKind::Event => self.events.push_back(event_entries(&message)),
            }
        }
    }

    pub fn request(
        &mut self,
        world: &mut World,
        method: Method,
        target: &str,
        body: &[u8],
    ) -> Message {
        self.request_as(world, method, target, body, ContentType::Json)
    }

    fn request_as(
        &mut self,
        world: &mut World,
        method: Method,
        target: &str,
        body: &[u8],
        content_type: ContentType,
    ) -> Message {
        let request = Request::new(method, target, body.to_vec());
        self.send(world, &request.to_bytes("camera.local", content_type));
        self.responses.pop_front().expect("an answer")
    }

    pub fn get(&mut self, world: &mut World, target: &str) -> (u16, Json) {
        json(&self.request(world, Method::Get, target, b""))
    }

    pub fn put(&mut self, world: &mut World, target: &str, body: &Json) -> (u16, Json) {
        json(&self.request(world, Method::Put, target, body.to_string().as_bytes()))
    }

    pub fn post(&mut self, world: &mut World, target: &str, body: &Json) -> Message {
        self.request(world, Method::Post, target, body.to_string().as_bytes())
    }

    /// A pairing message and its answer, as they are.
    pub fn pairing_message(&mut self, world: &mut World, target: &str, body: &[u8]) -> Message {
        self.request_as(world, Method::Post, target, body, ContentType::Pairing)
    }

    /// A pairing message; an error is an `Err`.
    pub fn pairing(
        &mut self,
        world: &mut World,
        target: &str,
        body: &[u8],
    ) -> Result<Tlv, Refused> {
        let message = self.pairing_message(world, target, body);
        assert_eq!(message.content_type, "application/pairing+tlv8");
        let tlv = Tlv::parse(&message.body).expect("server writes TLV8");
        let (http, state) = (message.status, tlv.uint(6).expect("a state"));
        match tlv.opt_uint(7).expect("an integer") {
            Some(error) => Err(Refused { http, state, error }),
            None => Ok(tlv),
        }
    }

    /// Pair Setup with the right code; returns the accessory's LTPK.
    pub fn set_up(
        &mut self,
        world: &mut World,
        controller: &Controller,
        convention: Convention,
        a: [u8; 32],
    ) -> Result<[u8; 32], Refused> {
        let key = self.agree(world, CODE, convention, a, None)?;
        self.exchange(world, controller, &key)
    }

    /// M1 to M4; returns K.
    pub fn agree(
        &mut self,
        world: &mut World,
        code: &str,
        convention: Convention,
        a: [u8; 32],
        flags: Option<u32>,
    ) -> Result<[u8; 64], Refused> {
        let m1 = tlv(|w| {
            w.u8(6, 1).u8(0, 0);
            flags.iter().for_each(|&flags| {
                w.uint(0x13, u64::from(flags));
            });
        });
        let m2 = self.pairing(world, "/pair-setup", &m1)?;
        assert_eq!(m2.uint(6), Ok(2));
        let srp = SrpController::new(&a, convention);
        let (b, salt) = (m2.bytes(3).unwrap(), m2.bytes(2).unwrap());
        let proofs = srp.respond(b"Pair-Setup", code.as_bytes(), salt, b);
        let m3 = tlv(|w| {
            w.u8(6, 3).bytes(3, &srp.sent()).bytes(4, &proofs.m1);
        });
        let m4 = self.pairing(world, "/pair-setup", &m3)?;
        assert_eq!(m4.bytes(4).unwrap(), proofs.m2, "the accessory's proof");
        Ok(proofs.key)
    }

    /// M5 and M6.
    pub fn exchange(
        &mut self,
        world: &mut World,
        who: &Controller,
        key: &[u8; 64],
    ) -> Result<[u8; 32], Refused> {
        let x = hkdf(
            key,
            "Pair-Setup-Controller-Sign-Salt",
            "Pair-Setup-Controller-Sign-Info",
        );
        let signature = who
            .key
            .sign(&[&x[..], who.id.as_bytes(), &who.ltpk()].concat());
        let m5 = self.m5(key, &who.id, &who.ltpk(), &signature.to_bytes());
        let m6 = self.pairing(world, "/pair-setup", &m5)?;
        let encrypt = hkdf(key, "Pair-Setup-Encrypt-Salt", "Pair-Setup-Encrypt-Info");
        let inner = cipher(&encrypt)
            .decrypt(&nonce("PS-Msg06"), m6.bytes(5).unwrap())
            .unwrap();
        let inner = Tlv::parse(&inner).unwrap();
        let ltpk: [u8; 32] = inner.array(3).unwrap();
        assert_eq!(inner.str(1), Ok(DEVICE));
        let x = hkdf(
            key,
            "Pair-Setup-Accessory-Sign-Salt",
            "Pair-Setup-Accessory-Sign-Info",
        );
        verify(&ltpk, &[&x[..], DEVICE.as_bytes(), &ltpk].concat(), &inner);
        Ok(ltpk)
    }

    pub fn m5(&self, key: &[u8; 64], id: &str, ltpk: &[u8], signature: &[u8]) -> Vec<u8> {
        let encrypt = hkdf(key, "Pair-Setup-Encrypt-Salt", "Pair-Setup-Encrypt-Info");
        let inner = tlv(|w| {
            w.str(1, id).bytes(3, ltpk).bytes(10, signature);
        });
        let sealed = cipher(&encrypt)
            .encrypt(&nonce("PS-Msg05"), inner.as_slice())
            .unwrap();
        tlv(|w| {
            w.u8(6, 5).bytes(5, &sealed);
        })
    }

    /// Pair Verify; the connection is encrypted afterwards.
    pub fn verify(
        &mut self,
        world: &mut World,
        who: &Controller,
        ephemeral: [u8; 32],
    ) -> Result<(), Refused> {
        let (m3, shared) = self.verify_start(world, who, ephemeral)?;
        self.pairing(world, "/pair-verify", &m3)?;
        self.secure(&shared);
        Ok(())
    }

    /// M1 and M2; returns M3 and the shared secret.
    pub fn verify_start(
        &mut self,
        world: &mut World,
        who: &Controller,
        ephemeral: [u8; 32],
    ) -> Result<(Vec<u8>, [u8; 32]), Refused> {
        let secret = StaticSecret::from(ephemeral);
        let public = PublicKey::from(&secret).to_bytes();
        let m1 = tlv(|w| {
            w.u8(6, 1).bytes(3, &public);
        });
        let m2 = self.pairing(world, "/pair-verify", &m1)?;
        let accessory: [u8; 32] = m2.array(3).unwrap();
        let shared = secret
            .diffie_hellman(&PublicKey::from(accessory))
            .to_bytes();
        let key = hkdf(
            &shared,
            "Pair-Verify-Encrypt-Salt",
            "Pair-Verify-Encrypt-Info",
        );
        let inner = cipher(&key)
            .decrypt(&nonce("PV-Msg02"), m2.bytes(5).unwrap())
            .unwrap();
        let ltpk = super::identity().ltpk();
        let signed = [&accessory[..], DEVICE.as_bytes(), &public].concat();
        verify(&ltpk, &signed, &Tlv::parse(&inner).unwrap());
        let signature = who
            .key
            .sign(&[&public[..], who.id.as_bytes(), &accessory].concat());
        let inner = tlv(|w| {
            w.str(1, &who.id).bytes(10, &signature.to_bytes());
        });
        let sealed = cipher(&key)
            .encrypt(&nonce("PV-Msg03"), inner.as_slice())
            .unwrap();
        let m3 = tlv(|w| {
            w.u8(6, 3).bytes(5, &sealed);
        });
        Ok((m3, shared))
    }

    /// Encrypts from now on, with the keys of a verified session.
    pub fn secure(&mut self, shared: &[u8; 32]) {
        let key = |info| hkdf(shared, "Control-Salt", info);
        let write = key("Control-Write-Encryption-Key");
        self.secure_with(&write, &key("Control-Read-Encryption-Key"));
    }

    pub fn secure_with(&mut self, write: &[u8; 32], read: &[u8; 32]) {
        self.session = Some((Sealer::new(write), Opener::new(read)));
    }

    pub fn add_pairing(
        &mut self,
        world: &mut World,
        who: &Controller,
        admin: bool,
    ) -> Result<Tlv, Refused> {
        let request = tlv(|w| {
            w.u8(6, 1)
                .u8(0, 3)
                .str(1, &who.id)
                .bytes(3, &who.ltpk())
                .u8(0x0B, u8::from(admin));
        });
        self.pairing(world, "/pairings", &request)
    }

    pub fn remove_pairing(&mut self, world: &mut World, id: &str) -> Result<Tlv, Refused> {
        let request = tlv(|w| {
            w.u8(6, 1).u8(0, 4).str(1, id);
        });
        self.pairing(world, "/pairings", &request)
    }

    pub fn list_pairings(&mut self, world: &mut World) -> Result<Vec<(String, bool)>, Refused> {
        let request = tlv(|w| {
            w.u8(6, 1).u8(0, 5);
        });
        let list = self.pairing(world, "/pairings", &request)?;
        let groups = list.groups();
        let entry = |group: &Tlv| (group.str(1).unwrap().to_owned(), group.uint(0x0B) == Ok(1));
        Ok(groups.iter().map(entry).collect())
    }
}

fn verify(ltpk: &[u8; 32], signed: &[u8], inner: &Tlv) {
    let signature = Signature::from_bytes(&inner.array(10).unwrap());
    let key = VerifyingKey::from_bytes(ltpk).unwrap();
    key.verify(signed, &signature)
        .expect("the accessory's signature");
}

pub fn json(message: &Message) -> (u16, Json) {
    let body = match message.body.as_slice() {
        [] => Json::Null,
        body => {
            assert_eq!(message.content_type, "application/hap+json");
            serde_json::from_slice(body).expect("server writes JSON")
        }
    };
    (message.status, body)
}

fn event_entries(message: &Message) -> Json {
    json(message).1["characteristics"].clone()
}

/// A world with one paired admin.
pub fn paired() -> (World, Controller) {
    let admin = Controller::new(0x33);
    let pairing = hap_proto::Pairing {
        id: admin.id.clone(),
        ltpk: admin.ltpk(),
        admin: true,
    };
    let state = hap_proto::PairingState {
        pairings: vec![pairing],
        failed_attempts: 0,
    };
    (World::with(hap_proto::Limits::default(), state), admin)
}
