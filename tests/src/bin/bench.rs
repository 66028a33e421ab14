//! `make bench`: the parts that are named, or all; and `make bench-peer`, which is `bench peer`.

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "peer" => impetus_tests::bench::run_peer(rest),
        _ => impetus_tests::bench::run(&arguments),
    }
}
