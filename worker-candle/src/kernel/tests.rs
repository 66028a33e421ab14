use half::{bf16, f16};

use super::{Matrix, Packed, Strided, WeightRows, mix, multiply, multiply_into, products};

/// Numbers that a short binary fraction holds, so that all three types agree.
fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|idx| ((idx * 37 + seed * 11) % 63) as f32 / 16.0 - 2.0).collect()
}

fn expected(weight: &[f32], depth: usize, inputs: &[f32]) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>() as f32
    };
    inputs
        .chunks(depth)
        .flat_map(|input| weight.chunks(depth).map(|row| dot(row, input)).collect::<Vec<_>>())
        .collect()
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-3, "{what}: {found} is not {expected}");
    }
}

#[test]
fn products_are_right_for_every_type() {
    let check = |rows: usize, width: usize, depth: usize| {
        let (weight, inputs) = (numbers(width * depth, 1), numbers(rows * depth, 2));
        let expected = expected(&weight, depth, &inputs);
        let halves: Vec<f16> = weight.iter().map(|&x| f16::from_f32(x)).collect();
        let brains: Vec<bf16> = weight.iter().map(|&x| bf16::from_f32(x)).collect();
        for (name, kind) in [
            ("f32", WeightRows::F32(&weight)),
            ("f16", WeightRows::F16(&halves)),
            ("bf16", WeightRows::Bf16(&brains)),
        ] {
            let mut outputs = vec![f32::NAN; rows * width];
            multiply(&Packed::of(kind, depth), &inputs, &mut outputs);
            assert_close(&outputs, &expected, &format!("{name} {rows}x{width}x{depth}"));
        }
    };
    check(1, 1, 1);
    check(1, 33, 31);
    check(3, 70, 65);
    check(5, 71, 40);
    check(8, 256, 96);
    check(40, 1500, 700);
    check(200, 40, 300);
}

/// What the engine's promise about batches rests on.
#[test]
fn a_row_does_not_depend_on_its_neighbours() {
    let check = |n_rows: usize, width: usize, depth: usize| {
        let weight = Packed::of(WeightRows::F32(&numbers(width * depth, 3)), depth);
        let inputs: Vec<f32> = (0..n_rows * depth).map(|idx| (idx as f32 * 0.37).sin()).collect();
        let mut all = vec![0.0; n_rows * width];
        multiply(&weight, &inputs, &mut all);
        for together in [1, 2, 3, 4, 5, 6, 7, 8, 13, 30] {
            for row in (0..n_rows - together).step_by(together.div_ceil(3)) {
                let mut some = vec![0.0; together * width];
                multiply(&weight, &inputs[row * depth..(row + together) * depth], &mut some);
                assert_eq!(some, all[row * width..(row + together) * width], "{together} from row {row} on");
            }
        }
    };
    check(40, 133, 100);
    check(40, 133, 600);
    check(250, 20, 300);
}

#[test]
fn attention_products_skip_the_other_heads() {
    // Three rows of two heads of size two; head one.
    let keys = [9.0, 9.0, 1.0, 2.0, 9.0, 9.0, 3.0, 4.0, 9.0, 9.0, 5.0, 6.0];
    let mut scores = [0.0; 3];
    products(Strided { values: &keys[2..], depth: 2, stride: 4 }, &[1.0, 10.0], &mut scores);
    assert_close(&scores, &[21.0, 43.0, 65.0], "scores");
    let mut sum = [f32::NAN; 2];
    mix(&[1.0, 0.0, 2.0], &keys[2..], 4, &mut sum);
    assert_close(&sum, &[11.0, 14.0], "sum");

    let left = Matrix { values: &[1.0, 10.0], row_stride: 2, column_stride: 1 };
    let right = Matrix { values: &keys[2..], row_stride: 1, column_stride: 4 };
    let mut product = [0.0; 3];
    multiply_into(left, right, [1, 3, 2], &mut product, 3);
    assert_close(&product, &scores, "product");
}
