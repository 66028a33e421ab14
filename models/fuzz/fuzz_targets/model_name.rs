//! Any text as a model's name and as the stem that one is made from.

#![no_main]

use impetus_models::ModelName;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let name = ModelName::from_stem(text);
    assert_eq!(ModelName::new(name.as_str()).as_ref(), Ok(&name));
    if let Ok(name) = ModelName::new(text) {
        assert_eq!(name.as_str(), text);
        assert_eq!(ModelName::from_stem(text), name);
        assert!(!text.contains(['/', '\\', '\0']) && !text.starts_with('.'));
    }
});
