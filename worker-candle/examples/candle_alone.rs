//! The engine alone, for `make bench`: see `impetus_runtime::engine::alone`.

fn main() -> Result<(), impetus_runtime::engine::alone::Failure> {
    impetus_runtime::engine::alone::run::<impetus_worker_candle::Candle>()
}
