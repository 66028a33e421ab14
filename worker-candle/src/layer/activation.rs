//! The functions inside feed-forward networks.

use crate::{
    config::Activation,
    kernel::{gelu_erf, gelu_tanh, silu},
};

/// Applies `activation` to each of `values`.
pub(crate) fn activate(activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::Silu => silu(values),
        Activation::GeluTanh => gelu_tanh(values),
        Activation::GeluErf => gelu_erf(values),
        Activation::Relu => values.iter_mut().for_each(|x| *x = x.max(0.0)),
        Activation::Tanh => values.iter_mut().for_each(|x| *x = x.tanh()),
    }
}

/// The logistic function.
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
