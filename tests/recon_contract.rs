//! What the reconstruction promises its callers: memory orders, progress, cancelling, refusals.

mod common;

use common::engine::*;
use ndarray::{Array3, Axis, stack};
use std::f64::consts::PI;
use wagiri::geometry::{uniform_angles, view_weights};
use wagiri::recon::{Engine, Fbp, FbpOptions};
use wagiri::{Error, ErrorKind};

#[test]
fn arrays_with_other_memory_orders_give_the_same() {
    let angles = uniform_angles(40, 0.0, PI);
    let fbp = fbp(&angles, 30, 1.0, CHESLER);
    let sinos = stack![Axis(0), noise(40, 30, 1), noise(40, 30, 2)];
    let whole = volume(&fbp, &pool(1), &sinos, &[14.5; 2]).unwrap();
    let (turned, mut out) = (sinos.t().as_standard_layout().into_owned(), Array3::zeros((30, 30, 2)));
    let (view, out_view) = (turned.view().reversed_axes(), out.view_mut().reversed_axes());
    fbp.reconstruct(&pool(1), view, &[14.5; 2], out_view, &mut |_| Ok(())).unwrap();
    assert_eq!(out.t(), whole);
}

#[test]
fn an_error_of_tick_stops_the_work_inside_a_slice() {
    let angles = uniform_angles(700, 0.0, PI);
    let caller = std::thread::current().id();
    for engine in [Engine::Direct, Engine::Fourier, Engine::Reference] {
        let fbp = fbp(&angles, 320, 1.0, FbpOptions { engine, ..CHESLER });
        let sinos = noise(700, 320, 3).insert_axis(Axis(0));
        let mut out = Array3::zeros((1, 320, 320));
        let mut seen = Vec::new();
        let result = fbp.reconstruct(&pool(2), sinos.view(), &[150.0], out.view_mut(), &mut |part| {
            assert_eq!(std::thread::current().id(), caller);
            seen.push(part);
            if seen.len() == 3 { Err(Error::cancelled("test")) } else { Ok(()) }
        });
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(seen.len() == 3 && seen[2] < 1.0 && seen.is_sorted(), "{seen:?}");
    }
}

#[test]
fn progress_rises_from_0_to_1() {
    let angles = uniform_angles(300, 0.0, PI);
    let sinos = stack![Axis(0), noise(300, 64, 1), noise(300, 64, 2), noise(300, 64, 3)];
    for engine in [Engine::Direct, Engine::Fourier, Engine::Reference] {
        let fbp = fbp(&angles, 64, 1.0, FbpOptions { engine, ..CHESLER });
        let (mut seen, mut out) = (Vec::new(), Array3::zeros((3, 64, 64)));
        let mut tick = |part: f64| {
            seen.push(part);
            Ok(())
        };
        fbp.reconstruct(&pool(2), sinos.view(), &[31.0, 31.0, 32.0], out.view_mut(), &mut tick).unwrap();
        assert!(seen.is_sorted() && seen.first() == Some(&0.0) && seen.last() == Some(&1.0), "{seen:?}");
    }
}

#[test]
fn what_cannot_be_computed_is_refused_in_words() {
    let angles = uniform_angles(10, 0.0, PI);
    let weights = view_weights(&angles);
    let new = |angles: &[f64], weights: &[f64], cols, pixel| Fbp::new(angles, weights, cols, pixel, &CHESLER).err();
    for error in [
        new(&[], &[], 8, 1.0),
        new(&angles, &weights[1..], 8, 1.0),
        new(&angles, &weights, 0, 1.0),
        new(&angles, &weights, usize::MAX, 1.0),
        new(&angles, &weights, 8, 0.0),
        new(&angles, &weights, 8, f64::NAN),
        new(&[f64::NAN; 10], &weights, 8, 1.0),
        new(&angles, &[f64::INFINITY; 10], 8, 1.0),
    ] {
        assert_eq!(error.unwrap().kind(), ErrorKind::Invalid);
    }
    for engine in [Engine::Direct, Engine::Fourier, Engine::Reference] {
        let fbp = fbp(&angles, 8, 1.0, FbpOptions { engine, ..CHESLER });
        let good = noise(10, 8, 1).insert_axis(Axis(0));
        let message = |sinos: &Array3<f32>, centers: &[f64]| {
            let mut out = Array3::zeros((1, 8, 8));
            let error = fbp.reconstruct(&pool(1), sinos.view(), centers, out.view_mut(), &mut |_| Ok(())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            error.to_string()
        };
        for center in [-0.1, 7.1, f64::NAN] {
            let text = message(&good, &[center]);
            assert!(text.contains("0 to 7 px") && text.contains(&format!("center_px = {center}")), "{text}");
        }
        assert!(message(&good, &[]).contains("one rotation axis per row"));
        let narrow = noise(10, 7, 1).insert_axis(Axis(0));
        assert!(message(&narrow, &[3.0]).contains("[1, 10, 8]"));
        for (view, value) in [(4, f32::NAN), (5, f32::INFINITY)] {
            let mut bad = good.clone();
            bad[[0, view, 6]] = value;
            let text = message(&bad, &[3.0]);
            assert!(text.contains(&format!("view = {view}")) && text.contains("column = 6"), "{text}");
        }
        let mut huge = good.clone();
        huge[[0, 9, 3]] = 3e38;
        assert!(message(&huge, &[3.0]).contains("too large"));
    }
}
