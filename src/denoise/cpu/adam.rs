//! How a step changes the weights. Must not know the network.

use super::super::{State, Update};
use crate::simd::{Kernel, widest};
use rayon::prelude::*;

const BETA: [f64; 2] = [0.9, 0.999];
const EPSILON: f32 = 1e-8;
/// Numbers of a job.
const CHUNK: usize = 1 << 14;

/// L2 norm.
pub(super) fn norm(values: &[f32]) -> f64 {
    let squares = |values: &[f32]| values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>();
    let chunks: Vec<f64> = values.par_chunks(CHUNK).map(squares).collect();
    chunks.iter().sum::<f64>().sqrt()
}

/// Some numbers of a state and their gradient.
struct Step<'a> {
    parameters: &'a mut [f32],
    moment1: &'a mut [f32],
    moment2: &'a mut [f32],
    averaged: &'a mut [f32],
    gradient: &'a [f32],
    /// Factor of the gradient.
    clip: f32,
    /// Length of the step with the correction of the first moment.
    rate: f32,
    /// One over the root of the correction of the second moment.
    correction: f32,
    average: f32,
}

impl Kernel for Step<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let [beta1, beta2] = BETA.map(|beta| beta as f32);
        let [rest1, rest2] = BETA.map(|beta| (1.0 - beta) as f32);
        let moments = self.moment1.iter_mut().zip(self.moment2);
        let weights = self.parameters.iter_mut().zip(self.averaged);
        for ((parameter, averaged), ((moment1, moment2), gradient)) in weights.zip(moments.zip(self.gradient)) {
            let gradient = self.clip * gradient;
            *moment1 = beta1 * *moment1 + rest1 * gradient;
            *moment2 = beta2 * *moment2 + rest2 * gradient * gradient;
            *parameter -= self.rate * *moment1 / (moment2.sqrt() * self.correction + EPSILON);
            *averaged = self.average * *averaged + (1.0 - self.average) * *parameter;
        }
    }
}

/// One step: weights along `gradient`, which has the L2 norm `norm`, and statistics to `statistics`.
pub(super) fn step(state: &mut State, gradient: &[f32], norm: f64, statistics: &[f32], update: &Update) {
    state.steps += 1;
    // Beyond this the correction is 1 to all digits.
    let steps = state.steps.min(1 << 30) as i32;
    let [correction1, correction2] = BETA.map(|beta| 1.0 - beta.powi(steps));
    let clip = if norm > update.clip_norm { update.clip_norm / norm } else { 1.0 };
    let average = update.average as f32;
    let chunks = state
        .parameters
        .par_chunks_mut(CHUNK)
        .zip(state.averaged_parameters.par_chunks_mut(CHUNK))
        .zip(state.moment1.par_chunks_mut(CHUNK).zip(state.moment2.par_chunks_mut(CHUNK)))
        .zip(gradient.par_chunks(CHUNK));
    chunks.for_each(|(((parameters, averaged), (moment1, moment2)), gradient)| {
        widest(Step {
            parameters,
            moment1,
            moment2,
            averaged,
            gradient,
            clip: clip as f32,
            rate: (update.learning_rate / correction1) as f32,
            correction: (1.0 / correction2.sqrt()) as f32,
            average,
        });
    });
    state.statistics.copy_from_slice(statistics);
    for (averaged, new) in state.averaged_statistics.iter_mut().zip(statistics) {
        *averaged = average * *averaged + (1.0 - average) * new;
    }
}
