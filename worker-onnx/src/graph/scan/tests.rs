use super::*;

/// A field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("tests are short");
    assert!(length < 128, "one byte of length");
    [&[number << 3 | 2, length], bytes].concat()
}

fn external(place: &str, offset: &str, length: &str) -> Vec<u8> {
    let entry = |name: &str, value: &str| {
        // Field 13.
        let entry = [field(1, name.as_bytes()), field(2, value.as_bytes())].concat();
        field(13, &entry)
    };
    [entry("location", place), entry("offset", offset), entry("length", length)].concat()
}

fn check(model: &[u8], files: &[(&str, usize)]) -> Result<Scan, String> {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("model.onnx"), model).unwrap();
    for (name, bytes) in files {
        std::fs::write(place.path().join(name), vec![0; *bytes]).unwrap();
    }
    let folder = Folder::open(place.path(), place.path()).unwrap();
    Scan::check(&folder, "model.onnx").map_err(|error| error.to_string())
}

#[test]
fn weights_outside_of_the_file_are_found_wherever_they_are() {
    let tensor = external("w", "8", "4");
    let in_graph = |part: Vec<u8>| field(7, &part);
    let attribute = |part: Vec<u8>| in_graph(field(1, &field(5, &part)));
    for model in [
        in_graph(field(5, &tensor)),
        in_graph(field(15, &field(1, &tensor))),
        attribute(field(5, &tensor)),
        attribute(field(10, &tensor)),
        attribute(field(6, &field(5, &tensor))),
        attribute(field(11, &field(1, &field(5, &field(5, &tensor))))),
    ] {
        let scan = check(&model, &[("w", 12)]).unwrap();
        assert_eq!(scan.external, BTreeMap::from([("w".to_owned(), 12)]));
        assert_eq!(scan.bytes, model.len() as u64 + 12);
        assert!(!scan.is_row_wise);
    }
    let node = field(1, &field(4, ROW_WISE.as_bytes()));
    assert!(check(&in_graph(node), &[]).unwrap().is_row_wise);
}

#[test]
fn what_is_wrong_is_named() {
    let check = |model: &[u8], files: &[(&str, usize)], expected: &[&str]| {
        let error = check(model, files).expect_err("it is wrong");
        assert!(expected.iter().all(|word| error.contains(word)), "{error}");
    };
    let model = |place: &str| field(7, &field(5, &external(place, "8", "4")));
    check(&model("w"), &[], &["`w`"]);
    check(&model("w"), &[("w", 11)], &["`w`", "11 bytes", "12", "model.onnx"]);
    for outside in ["../w", "/etc/passwd", "*/_ORT_MEM_ADDR_/*"] {
        check(&model(outside), &[("w", 12)], &[outside]);
    }
    let whole = model("w");
    check(&whole[..whole.len() - 1], &[("w", 12)], &["model.onnx", "not written or copied whole"]);
    check(b"<html>", &[], &["model.onnx", "no ONNX file"]);
    let deep = (0..MAX_DEPTH).fold(Vec::new(), |inner, _| {
        [
            &[1 << 3 | 2],
            long(&[&[5 << 3 | 2][..], &long(&[&[6 << 3 | 2][..], &long(&inner)].concat())].concat())
                .as_slice(),
        ]
        .concat()
    });
    check(&[&[7 << 3 | 2][..], &long(&deep)].concat(), &[], &["16 deep"]);
}

/// Bytes with their length in two bytes before them.
fn long(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len();
    [&[(length & 0x7f) as u8 | 0x80, (length >> 7) as u8], bytes].concat()
}
