fn main() { println!("{:?}", llama_cpp_2::max_devices()); }
