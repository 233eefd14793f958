//! A thousand complete Pair Setups with a controller of each convention for leading zeros.
//!
//! One number in 256 begins with a zero byte, so an accessory that mishandles one of them fails
//! about four of a thousand. Every run draws other numbers; the seed it prints repeats one:
//! `HAP_TEST_SEED=… cargo test --release --test thousand_pair_setups`.

mod common;

use std::time::{SystemTime, UNIX_EPOCH};

use common::World;
use common::client::{Client, Controller};
use common::srp_controller::Convention;
use sha2::{Digest, Sha256};

const SETUPS: u64 = 1000;

fn seed() -> u64 {
    let given = std::env::var("HAP_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    given.unwrap_or(clock.as_nanos() as u64)
}

fn ephemeral(seed: u64, index: u64) -> [u8; 32] {
    let digest = Sha256::new().chain_update(seed.to_be_bytes());
    digest.chain_update(index.to_be_bytes()).finalize().into()
}

fn all_succeed(convention: Convention) {
    let seed = seed();
    println!("{convention:?}: HAP_TEST_SEED={seed}");
    let controller = Controller::new(1);
    for index in 0..SETUPS {
        let mut world = World::new();
        world.host.seed = seed.wrapping_add(index);
        let mut client = Client::connect(&mut world);
        let result = client.set_up(&mut world, &controller, convention, ephemeral(seed, index));
        assert_eq!(
            result,
            Ok(common::identity().ltpk()),
            "number {index} of seed {seed}"
        );
        assert_eq!(world.server.pairings().pairings.len(), 1);
    }
}

#[test]
fn thousand_with_stripped_leading_zeros() {
    all_succeed(Convention::Stripped);
}

#[test]
fn thousand_with_padded_leading_zeros() {
    all_succeed(Convention::Padded);
}
