//! This crate for programs in other languages: commands come on standard input, answers go to standard
//! output, each a line of JSON.
//!
//! ```text
//! {"do": "encode", "value": {"array": [{"int": 1}, {"text": "a"}]}}    -> {"hex": "d2094161"}
//! {"do": "decode", "hex": "d2094161"}                                  -> {"value": {"array": ...}}
//! {"do": "record", "port": 51000, "shared": ..., "controller_salt": ..., "accessory_salt": ...,
//!  "streams": [1, 2]}                                                  -> what each stream held
//! {"do": "serve", "shared": ..., "controller_salt": ..., "accessory_salt": ...,
//!  "pieces": [700, 500000]}                    -> {"port": 51000}, then how the streams ended
//! ```
//!
//! `record` plays a controller that records once per stream identifier, `serve` an accessory that takes
//! one connection and sends pieces of these lengths on each stream. Byte `i` of piece `n` is the low byte
//! of `7 i + n`; whoever receives tells length and SHA-256.

mod live;
mod tagged;

use std::io::{BufRead, Write};

use hds_proto::Value;
use serde_json::{Value as Json, json};

fn main() {
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input is text");
        let command: Json = serde_json::from_str(&line).expect("each line is JSON");
        let answer = obey(&command).unwrap_or_else(|error| json!({ "error": error }));
        say(&answer);
    }
}

/// Writes one answer.
fn say(answer: &Json) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}").expect("somebody reads");
    out.flush().expect("somebody reads");
}

fn obey(command: &Json) -> Result<Json, String> {
    match command["do"].as_str() {
        Some("encode") => {
            let value = tagged::value(&command["value"])?;
            Ok(json!({ "hex": tagged::hex(&value.encode()) }))
        }
        Some("decode") => {
            let bytes = tagged::bytes(&command["hex"])?;
            let value = Value::decode_all(&bytes).map_err(|error| error.to_string())?;
            Ok(json!({ "value": tagged::of(&value) }))
        }
        Some("record") => live::record(command),
        Some("serve") => live::serve(command),
        _ => Err("unknown command".to_owned()),
    }
}
