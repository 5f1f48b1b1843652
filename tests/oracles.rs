//! Replays what the fuzzers have found worth keeping, and some bytes at random, through the oracles.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "fuzz/ includes the same files as its own module")]
#![allow(missing_docs, reason = "they are no interface")]

#[path = "oracles/mod.rs"]
mod oracles;

use std::path::Path;
use std::{fs, panic};

use proptest::prelude::*;

/// Every file under `tests/data/fuzz/TARGET`. Each target has some.
#[test]
fn what_was_found_stays_fixed() {
    for (name, oracle) in oracles::ALL {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz").join(name);
        let files = fs::read_dir(&directory).expect("a directory of inputs");
        let mut count = 0;
        for file in files.flatten() {
            let data = fs::read(file.path()).expect("a file");
            let result = panic::catch_unwind(|| oracle(&data));
            assert!(result.is_ok(), "{name} does not hold for {}", file.path().display());
            count += 1;
        }
        assert!(count > 0, "no inputs in {}", directory.display());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn oracles_hold_for_random_bytes(data in prop::collection::vec(any::<u8>(), 0..400)) {
        for (_, oracle) in oracles::ALL {
            oracle(&data);
        }
    }
}
