//! Generates the gRPC code without a `protoc` binary.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = [
        "error",
        "worker",
        "supervisor",
        "launch",
        "key",
        "cache",
        "fetch",
        "store",
        "upgrade",
        "event",
        "level",
        "settings",
    ]
    .map(|name| format!("impetus/{name}.proto"));
    let descriptors = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
