//! `make bench`

fn main() -> anyhow::Result<()> {
    impetus_tests::bench::run()
}
