//! `make chaos`

fn main() -> anyhow::Result<()> {
    impetus_tests::chaos::run()
}
