//! Compiles `schemas/journal.proto` without a `protoc` on the machine.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::path::Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../schemas");
    let schema = root.join("journal.proto");
    println!("cargo::rerun-if-changed={}", schema.display());
    let files = protox::compile([&schema], [&root])?;
    prost_build::Config::new().boxed(".smartlinks.journal.v1.Event.body.click").compile_fds(files)?;
    Ok(())
}
