//! Correct files are walked; hostile ones are refused quickly and by name.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::testing::onnx::Message;

fn read(model: Message) -> Result<Graph, OnnxError> {
    read_bytes(&model.into_bytes())
}

fn read_bytes(file: &[u8]) -> Result<Graph, OnnxError> {
    Graph::read(Cursor::new(file), file.len() as u64)
}

/// A graph with one more initializer.
fn with_tensor(tensor: Message) -> Message {
    Message::model(Message::graph().message(5, tensor))
}

fn element(name: &str) -> ElementType {
    (1..27).filter_map(ElementType::from_id).find(|element| element.name() == name).unwrap()
}

#[test]
fn a_model_is_walked() {
    let graph = read(Message::model(Message::graph())).unwrap();
    let named = |name: &str| Dimension::Named(name.to_owned());
    let port = |name: &str, type_name: &str, dimensions: Vec<Dimension>| Port {
        name: name.to_owned(),
        element: Some(element(type_name)),
        dimensions: Some(dimensions),
    };
    let ids = |name| port(name, "INT64", vec![named("batch"), named("sequence")]);
    assert_eq!(graph.ir_version, 8);
    assert_eq!(graph.opsets, BTreeMap::from([(String::new(), 17), ("com.microsoft".to_owned(), 1)]));
    assert_eq!(graph.inputs, [ids("input_ids"), ids("attention_mask")]);
    let logits = port("logits", "F32", vec![named("batch"), named("sequence"), Dimension::Fixed(3)]);
    assert_eq!(graph.outputs, [logits]);
    assert!(graph.gives("logits") && !graph.gives("last_hidden_state"));
    assert_eq!((graph.nodes, graph.packed_bits), (1, None));
    assert_eq!(graph.domains, BTreeSet::from([String::new()]));
    assert_eq!((graph.weights.count, graph.weights.elements(), graph.weights.bytes()), (1, 1_120, 4_480));
    assert_eq!(graph.weights.dominant_type(), Some(element("F32")));
    assert!(graph.data_files.is_empty());
}

#[test]
fn subgraphs_and_functions_are_walked() {
    let weight = || Message::tensor("inner", 10, &[8]).bytes(9, &[0; 16]);
    let inner = Message::default()
        .message(1, Message::node("Add", "ai.onnx"))
        .message(5, weight())
        .message(11, Message::port("inner_input", 1, &[]))
        .message(12, Message::port("inner_output", 1, &[]));
    let branch = Message::default().text(1, "then_branch").message(6, inner);
    let constant = Message::default().text(1, "value").message(5, weight());
    let function = Message::default().message(7, Message::node("Custom", "local")).text(1, "function");
    let packed = Message::node("MatMulNBits", "com.microsoft").message(5, Message::attribute("bits", 8));
    let graph = Message::graph()
        .message(1, Message::node("If", "").message(5, branch))
        .message(1, Message::node("Constant", "").message(5, constant))
        .message(1, packed)
        .message(15, Message::default().message(1, weight()).message(2, weight()));
    let graph = read(Message::model(graph).message(25, function)).unwrap();
    assert_eq!((graph.inputs.len(), graph.outputs.len()), (2, 1));
    assert_eq!(graph.nodes, 6);
    assert_eq!(graph.packed_bits, Some(8));
    assert_eq!(graph.weights.by_type[&element("F16")], Share { elements: 32, bytes: 64 });
    assert_eq!(graph.domains.iter().collect::<Vec<_>>(), ["", "com.microsoft", "local"]);
}

#[test]
fn external_data_is_summed_up_by_file() {
    let graph = Message::graph()
        .message(5, Message::external("a", 10, "model.onnx_data", 0))
        .message(5, Message::external("b", 5, "model.onnx_data", 4_096))
        .message(5, Message::external("c", 5, "model.onnx_data", 40))
        .message(5, Message::external("d", 1, "../elsewhere", 0));
    let graph = read(Message::model(graph)).unwrap();
    let files: Vec<(&str, u64)> =
        graph.data_files.iter().map(|(path, file)| (path.as_str(), file.end)).collect();
    assert_eq!(files, [("../elsewhere", 4), ("model.onnx_data", 4_116)]);
    assert_eq!(graph.weights.bytes(), 4_480 + 84);
}

#[test]
fn data_may_be_in_fields_for_its_type() {
    fn check(tensor: Message, elements: u64) {
        let graph = read(with_tensor(tensor)).unwrap();
        assert_eq!(graph.weights.elements(), 1_120 + elements);
    }
    check(Message::tensor("f", 1, &[2]).bytes(4, &[0; 8]), 2);
    check(Message::tensor("i", 7, &[2]).number(7, 1).number(7, 2), 2);
    check(Message::tensor("unpacked", 1, &[1]).raw(&[4 << 3 | 5, 0, 0, 0, 0]), 1);
    check(Message::tensor("double", 11, &[1]).raw(&[10 << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 0]), 1);
    check(Message::tensor("s", 8, &[2]).text(6, "").text(6, "text"), 2);
    check(Message::tensor("nibbles", 22, &[3]).bytes(9, &[0; 2]), 3);
    check(Message::tensor("empty", 1, &[0]), 0);
    check(Message::tensor("scalar", 1, &[]).bytes(9, &[0; 4]), 1);
    let packed = Message::default().bytes(1, &[2, 3]).number(2, 1).bytes(9, &[0; 24]);
    check(packed, 6);
}

#[test]
fn ports_may_say_little() {
    let tensor = Message::default().number(1, 1);
    let rankless = Message::default().text(1, "x").message(2, Message::default().message(1, tensor));
    let sequence =
        Message::default().text(1, "s").message(2, Message::default().message(4, Message::default()));
    let negative = u64::MAX.to_string();
    let graph = Message::default()
        .message(11, rankless)
        .message(11, sequence)
        .message(11, Message::port("n", 1, &[negative.as_str(), ""]));
    let graph = read(Message::model(graph)).unwrap();
    assert_eq!((graph.inputs[0].element, &graph.inputs[0].dimensions), (Some(element("F32")), &None));
    assert_eq!((graph.inputs[1].element, &graph.inputs[1].dimensions), (None, &None));
    assert_eq!(graph.inputs[2].dimensions, Some(vec![Dimension::Unknown, Dimension::Unknown]));
}

#[test]
fn hostile_files_are_refused() {
    fn check_bytes(file: &[u8], expected: &str) {
        let message = read_bytes(file).unwrap_err().to_string();
        assert!(message.contains(expected), "{message:?} lacks {expected:?}");
    }
    fn check(model: Message, expected: &str) {
        check_bytes(&model.into_bytes(), expected);
    }
    fn check_tensor(tensor: Message, expected: &str) {
        check(with_tensor(tensor), expected);
    }
    check_bytes(b"", "it holds no graph");
    check_bytes(b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull");
    check_bytes(b"<!DOCTYPE html>", "a model at byte 0 is not what an ONNX file has there");
    check_bytes(b"GGUF\x03\0\0\0", "is not what an ONNX file has there");
    check(Message::default().number(1, 8), "it holds no graph");
    check(Message::default().number(7, 8), "a model at byte 0 is not");
    check(Message::default().raw(&[0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f]), "the file ends at byte 6");
    check(Message::default().raw(&[0xff; 11]), "a model at byte 0 is not");
    check(
        Message::default().raw(&[8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]),
        "is not what",
    );
    check(Message::default().raw(&[8, 0x80]), "the file ends at byte 2");
    check(Message::default().raw(&[0x0b, 0x0c]), "a model at byte 0 is not");
    check(Message::default().raw(&[0x02, 0x00]), "a model at byte 0 is not");
    check(Message::default().raw(&[0x4d, 0, 0]), "the file ends at byte 3");
    let long =
        Message::default().raw(&[0x12]).raw(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    check(Message::model(long.clone()).raw(&[0; 8]), "a graph at byte");
    check(Message::model(Message::default().raw(&[0x12, 9])).number(1, 8), "a graph at byte");

    let name = "n".repeat(1_025);
    check(Message::model(Message::default().message(11, Message::port(&name, 1, &[]))), "at most 1024");
    check(Message::model(Message::default().bytes(11, b"\x0a\x01\xff")), "an input or output at byte");
    check(Message::model(Message::default().message(11, Message::port("x", 99, &[]))), "an element type");
    check(Message::model(Message::default().message(11, Message::port("x", 1, &["1"; 33]))), "more than 32");
    let port = || Message::port("", 1, &[]);
    let ports = (0..16_385).fold(Message::default(), |graph, _| graph.message(11, port()));
    check(Message::model(ports), "more than 16384 inputs");
    let ports = (0..16_385).fold(Message::default(), |graph, _| graph.message(12, port()));
    check(Message::model(ports), "more than 16384 outputs");
    let domains =
        (0..257).fold(Message::default(), |graph, n| graph.message(1, Message::node("", &format!("d{n}"))));
    check(Message::model(domains), "more than 256 domains");
    let opsets = (0..257).fold(Message::model(Message::graph()), |model, n| {
        model.message(8, Message::default().text(1, &format!("d{n}")))
    });
    check(opsets, "more than 256 operator sets");

    check_tensor(Message::tensor("t", 0, &[1]), "\"t\", described at byte");
    check_tensor(Message::tensor("t", 99, &[1]), "has the type 99, which is unknown");
    check_tensor(Message::tensor("t", 1, &[1; 33]), "more than 32 dimensions");
    check_tensor(Message::default().bytes(1, &[1; 5_000]), "more than 32 dimensions");
    check_tensor(Message::default().bytes(1, &[0x80]), "a tensor at byte");
    check_tensor(Message::tensor("t", 1, &[u64::MAX]), "has the shape [-1], which no file can hold");
    check_tensor(Message::tensor("t", 1, &[1 << 32, 1 << 32]), "which no file can hold");
    check_tensor(Message::tensor("t", 1, &[1 << 32, 1 << 32, 0]), "which no file can hold");
    check_tensor(Message::tensor("t", 8, &[1 << 62, 4]), "which no file can hold");
    check_tensor(
        Message::tensor("t", 1, &[2]).bytes(9, &[0; 4]),
        "needs 8 bytes by its shape and type, but has 4",
    );
    check_tensor(
        Message::tensor("t", 1, &[1 << 40]),
        "needs 4398046511104 bytes by its shape and type, but has 0",
    );
    check_tensor(Message::tensor("t", 1, &[1 << 40]).bytes(4, &[0; 64]), "but has 64");
    check_tensor(Message::tensor("t", 1, &[1]).number(14, 1), "does not say where");
    let external = |key: &str, value: &str| {
        let tensor = Message::tensor("t", 1, &[1]).message(13, Message::entry("location", "x"));
        tensor.message(13, Message::entry(key, value)).number(14, 1)
    };
    check_tensor(external("offset", "-1"), "external data whose offset is \"-1\"");
    check_tensor(external("offset", "9223372036854775808"), "whose offset is \"9223372036854775808\"");
    check_tensor(external("length", "0x10"), "whose length is \"0x10\"");
    check_tensor(external("length", "5"), "needs 4 bytes by its shape and type, but has 5");
    check_tensor(external("location", &name), "the path of external data");
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: u32| {
        (1..depth).fold(Message::default(), |inner, _| {
            let attribute = Message::default().message(6, inner);
            Message::default().message(1, Message::node("If", "").message(5, attribute))
        })
    };
    assert!(read(Message::model(nested(limits::DEPTH))).is_ok());
    let error = read(Message::model(nested(limits::DEPTH + 1))).unwrap_err();
    assert!(matches!(error, OnnxError::Nesting { limit: limits::DEPTH, .. }), "{error}");
    assert!(read(Message::model(nested(5_000))).is_err());
}

#[test]
fn what_is_walked_is_bounded() {
    let operator = "x".repeat(limits::NAME_BYTES as usize);
    let node = Message::default().message(1, Message::default().text(4, &operator)).into_bytes();
    let n_nodes = limits::WALKED_BYTES as usize / node.len() + 1;
    let error = read(Message::model(Message::default().raw(&node.repeat(n_nodes)))).unwrap_err();
    assert!(matches!(error, OnnxError::TooMuch { .. }), "{error}");
}

#[test]
fn the_data_of_tensors_is_not_read() {
    /// Fails when what is read is not what the fields around the data need.
    struct Sparse {
        head: Vec<u8>,
        at: u64,
        n_read: u64,
    }
    impl Read for Sparse {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let start = (self.at as usize).min(self.head.len());
            let n = buffer.len().min(self.head.len() - start);
            buffer[..n].copy_from_slice(&self.head[start..start + n]);
            buffer[n..].fill(0);
            self.at += buffer.len() as u64;
            self.n_read += buffer.len() as u64;
            assert!(self.n_read < 1 << 20, "data is read");
            Ok(buffer.len())
        }
    }
    impl Seek for Sparse {
        fn seek(&mut self, position: std::io::SeekFrom) -> std::io::Result<u64> {
            self.at = match position {
                std::io::SeekFrom::Start(at) => at,
                std::io::SeekFrom::Current(by) => self.at.checked_add_signed(by).unwrap(),
                std::io::SeekFrom::End(_) => panic!("not needed"),
            };
            Ok(self.at)
        }
    }
    // The lengths of a gigabyte of data and of all that it is in, without the data.
    const DATA: u64 = 1 << 30;
    let tensor = Message::tensor("t", 2, &[DATA]).length(9, DATA).into_bytes();
    let graph = Message::default().length(5, tensor.len() as u64 + DATA).raw(&tensor).into_bytes();
    let head = Message::default().length(7, graph.len() as u64 + DATA).raw(&graph).into_bytes();
    let length = head.len() as u64 + DATA;
    let graph = Graph::read(Sparse { head, at: 0, n_read: 0 }, length).unwrap();
    assert_eq!(graph.weights.bytes(), DATA);
    let error = Graph::read(Cursor::new(b""), limits::FILE_BYTES + 1).unwrap_err();
    assert!(matches!(error, OnnxError::TooLarge { .. }), "{error}");
}

#[test]
fn a_cut_file_is_refused_at_every_byte() {
    let graph = Message::graph().message(5, Message::external("a", 10, "model.onnx_data", 0));
    let file = Message::model(graph).into_bytes();
    // The graph is the last field, so nothing is complete without it.
    for cut in 0..file.len() {
        assert!(read_bytes(&file[..cut]).is_err(), "{cut}");
    }
    assert!(read_bytes(&file).is_ok());
}

proptest! {
    /// A panic or an overflow fails the test; a hang or a huge allocation does too, by its cost.
    #[test]
    fn damage_gives_an_answer(
        cut in 0usize..=1_000,
        edits in prop::collection::vec((0usize..700, any::<u8>()), 1..12),
        lie in prop::option::of(0..limits::FILE_BYTES),
    ) {
        let branch = Message::default().message(6, Message::graph());
        let graph = Message::default()
            .message(1, Message::node("If", "").message(5, branch))
            .message(5, Message::external("a", 10, "model.onnx_data", 0))
            .message(5, Message::tensor("small", 1, &[2, 2]).bytes(9, &[0; 16]))
            .message(11, Message::port("input_ids", 7, &["batch", "7"]));
        let mut file = Message::model(graph).into_bytes();
        // Most bytes are data, and those that are not are worth more.
        let tail = file.len() - 300;
        file.truncate(file.len().saturating_sub(cut));
        for (place, byte) in edits {
            let place = if place < 350 { place } else { tail + place - 350 };
            if let Some(at) = file.get_mut(place) {
                *at = byte;
            }
        }
        let length = lie.unwrap_or(file.len() as u64);
        if let Ok(graph) = Graph::read(Cursor::new(&file), length) {
            prop_assert!(graph.nodes <= length);
            prop_assert!(graph.weights.count <= length);
        }
    }

    #[test]
    fn any_bytes_give_an_answer(file in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(graph) = read_bytes(&file) {
            prop_assert!(graph.weights.count <= file.len() as u64);
        }
    }
}
