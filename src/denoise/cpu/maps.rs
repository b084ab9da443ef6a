//! Images with channels side by side, and a border of one pixel of zeros, so that convolutions need no cases at edges. Must not
//! know networks.

use crate::memory::zeros;

/// Channels come in multiples of this: a whole number of registers of every instruction set.
pub(super) const BLOCK: usize = 16;

/// Sizes of a stack of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub images: usize,
    pub rows: usize,
    pub cols: usize,
    pub channels: usize,
}

impl Shape {
    /// From one pixel to the next, floats. Pixels that are a large power of two of bytes apart would share few places of the
    /// nearest cache.
    pub fn step(self) -> usize {
        self.channels + if self.channels.is_multiple_of(256) { BLOCK } else { 0 }
    }
    /// From one line to the next, floats.
    pub fn line(self) -> usize {
        (self.cols + 2) * self.step()
    }
    /// Lines, those of the borders too.
    pub fn lines(self) -> usize {
        self.images * (self.rows + 2)
    }
    /// Floats.
    pub fn len(self) -> usize {
        self.lines() * self.line()
    }
    /// Bytes.
    pub fn bytes(self) -> u64 {
        4 * self.len() as u64
    }
    /// Image and row of a line; none of the border.
    pub fn place(self, line: usize) -> Option<(usize, usize)> {
        let (image, row) = (line / (self.rows + 2), line % (self.rows + 2));
        (1..=self.rows).contains(&row).then(|| (image, row - 1))
    }
    /// Where a pixel lies.
    pub fn at(self, image: usize, row: usize, col: usize) -> usize {
        self.around(image, row, col, 1, 1)
    }
    /// Where a neighbour of a pixel lies; `down` and `right` of 1 are the pixel itself.
    pub fn around(self, image: usize, row: usize, col: usize, down: usize, right: usize) -> usize {
        (image * (self.rows + 2) + row + down) * self.line() + (col + right) * self.step()
    }
    /// Where the pixels that a convolution of 3 x 3 sees for pixel 0 of a row lie.
    pub fn neighbours(self, image: usize, row: usize) -> [usize; 9] {
        std::array::from_fn(|tap| self.around(image, row, 0, tap / 3, tap % 3))
    }
    /// The same images with other channels.
    pub fn with_channels(self, channels: usize) -> Shape {
        Shape { channels, ..self }
    }
    /// The images `level` levels further down.
    pub fn below(self, level: usize) -> Shape {
        Shape { rows: self.rows >> level, cols: self.cols >> level, ..self }
    }
}

/// A stack of images, `[image][row][col][channel]` with borders.
pub(super) struct Maps {
    pub shape: Shape,
    pub data: Vec<f32>,
}

impl Maps {
    /// Zeros.
    pub fn new(shape: Shape) -> Maps {
        Maps { shape, data: zeros(shape.len()) }
    }
    /// The pixels of a line, channels of the first one first.
    pub fn row(&self, image: usize, row: usize) -> &[f32] {
        let from = self.shape.at(image, row, 0);
        &self.data[from..from + self.shape.cols * self.shape.step()]
    }
    /// Becomes images of another shape, of which only the border is certain to be 0.
    pub fn reshape(&mut self, shape: Shape) {
        if self.shape == shape {
            return;
        }
        if self.data.len() < shape.len() {
            self.data = zeros(shape.len());
        }
        self.shape = shape;
        let (line, step) = (shape.line(), shape.step());
        for (i, pixels) in self.data[..shape.len()].chunks_exact_mut(line).enumerate() {
            match shape.place(i) {
                None => pixels.fill(0.0),
                Some(_) => {
                    pixels[..step].fill(0.0);
                    pixels[line - step..].fill(0.0);
                }
            }
        }
    }
}
