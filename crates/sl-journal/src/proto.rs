//! What prost makes of `schemas/journal.proto`.
#![expect(unreachable_pub, reason = "generated code knows no narrower visibility")]

include!(concat!(env!("OUT_DIR"), "/smartlinks.journal.v1.rs"));
