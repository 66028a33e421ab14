//! `make bench`, and `make bench-peer`, which is `bench peer`. `bench overhead [FOLDER]` measures what the gateway adds
//! alone, with the programs in that folder.

use std::path::Path;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        None => impetus_tests::bench::run(),
        Some((first, rest)) if first == "peer" => impetus_tests::bench::run_peer(rest),
        Some((first, rest)) if first == "overhead" => {
            impetus_tests::bench::run_overhead(rest.first().map(Path::new))
        }
        Some((first, _)) => {
            anyhow::bail!("{first} is nothing to measure: give `peer`, `overhead` or no argument")
        }
    }
}
