//! The two types in which counts leave a reader: `f32`, and `u16` for samples that fit into it.
//!
//! Must not know: formats.

use super::bytes::{Sample, decode};
use crate::scan::CountType;
use ndarray::ArrayViewMut1;

impl Sample {
    /// The smallest type that holds every sample.
    pub(crate) fn count_type(self) -> CountType {
        match self {
            Sample::U8 | Sample::Packed12 | Sample::U16 => CountType::U16,
            _ => CountType::F32,
        }
    }
}

/// `u16` is only asked for where [`Sample::count_type`] says so.
pub(crate) trait Count: Copy {
    /// Decodes pixels into one row; see [`decode`].
    fn decode(bytes: &[u8], sample: Sample, big_endian: bool, first: u64, out: ArrayViewMut1<Self>);
    fn from_u8(v: u8) -> Self;
    fn from_u16(v: u16) -> Self;
    fn from_f32(v: f32) -> Self;
}

impl Count for f32 {
    fn decode(bytes: &[u8], sample: Sample, big_endian: bool, first: u64, out: ArrayViewMut1<f32>) {
        decode(bytes, sample, big_endian, first, out);
    }
    fn from_u8(v: u8) -> f32 {
        f32::from(v)
    }
    fn from_u16(v: u16) -> f32 {
        f32::from(v)
    }
    fn from_f32(v: f32) -> f32 {
        v
    }
}

impl Count for u16 {
    fn decode(bytes: &[u8], sample: Sample, big_endian: bool, first: u64, mut out: ArrayViewMut1<u16>) {
        match sample {
            Sample::U16 => {
                let words = bytes.as_chunks::<2>().0;
                // One loop for each byte order: the usual one is then a copy of memory.
                if big_endian {
                    out.iter_mut().zip(words).for_each(|(o, b)| *o = u16::from_be_bytes(*b));
                } else {
                    out.iter_mut().zip(words).for_each(|(o, b)| *o = u16::from_le_bytes(*b));
                }
            }
            Sample::U8 => out.iter_mut().zip(bytes).for_each(|(o, b)| *o = u16::from(*b)),
            Sample::Packed12 => {
                let odd = (first % 2) as usize;
                let (head, pairs) = bytes.split_at((3 * odd).min(bytes.len()));
                let mut out = out.iter_mut();
                if let (&[_, middle, low], Some(o)) = (head, if odd == 1 { out.next() } else { None }) {
                    *o = 256 * u16::from(middle & 15) + u16::from(low);
                }
                for bytes in pairs.chunks(3) {
                    let at = |i: usize| bytes.get(i).map_or(0, |b| u16::from(*b));
                    if let Some(o) = out.next() {
                        *o = 16 * at(0) + (at(1) >> 4);
                    }
                    if let Some(o) = out.next() {
                        *o = 256 * (at(1) & 15) + at(2);
                    }
                }
            }
            // Types that 16 bits do not hold are read as f32.
            _ => debug_assert!(false, "{} samples as 16 bits", sample.name()),
        }
    }
    fn from_u8(v: u8) -> u16 {
        u16::from(v)
    }
    fn from_u16(v: u16) -> u16 {
        v
    }
    fn from_f32(v: f32) -> u16 {
        v as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array1;

    #[test]
    fn whole_numbers_and_floats_come_out_alike() {
        let bytes: Vec<u8> = (0..64u32).map(|i| (i * i * 37 + 11 * i + 5) as u8).collect();
        for sample in [Sample::U8, Sample::Packed12, Sample::U16] {
            for (big_endian, first, count) in [(false, 0, 9), (true, 1, 8), (false, 3, 5), (false, 2, 1), (true, 5, 2)]
            {
                let (at, len) = sample.span(first, count);
                let part = &bytes[at as usize..(at + len) as usize];
                let mut float = Array1::<f32>::zeros(count as usize);
                let mut whole = Array1::<u16>::zeros(count as usize);
                <f32 as Count>::decode(part, sample, big_endian, first, float.view_mut());
                <u16 as Count>::decode(part, sample, big_endian, first, whole.view_mut());
                assert_eq!(whole.mapv(f32::from), float, "{sample:?} from {first}");
            }
        }
    }
}
