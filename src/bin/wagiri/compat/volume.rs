//! Programs on 32-bit volumes, slice by slice: to 8 and 16 bits, crop, binning, histogram, descriptions.

use super::gaussians::rec_gf;
use super::slicewise::{Fields, Header, context, each, headers, numbered, of_one_size, output_folder, range_of};
use super::stacking::rec_stk;
use super::{Call, Program, Variants};
use crate::terminal::say;
use ndarray::{ArrayView2, s};
use std::ops::Range;
use std::path::Path;
use wagiri::io::{GreyTags, SampleType, read_descriptions, read_image, write_image};
use wagiri::post::{Bins, Blocks, Quantiser};
use wagiri::{Context, Error, Result};

pub const PROGRAMS: &[Program] = &[
    Program {
        stem: "tif_f2i",
        variants: Variants::Plain,
        usage: &[
            "bit rec out",
            "bit rec out LACmin LACmax",
            "bit rec out LACmin LACmax start end",
            "bit rec out LACmin LACmax x1 y1 x2 y2",
        ],
        does: "converts slices to 8 or 16 bits (ro%05d.tif, rh%05d.tif); bit 0 prints first, last, bit, min and max",
        same_as: "volume path=rec | volume.crop right_px=0 bottom_px=0 | write.tiff type=u8 min=-1 max=12",
        differs: "descriptions are those of the input with min and max of what is written (ct-rec's are garbage on Linux); missing \
                  numbers, long folder names and rectangles beyond the slice do no harm; a bit other than 0, 8, 16 and NaN are refused",
        checked: "every value of ct-rec's 8- and 16-bit volume; all argument forms against the definition",
        run: tif_f2i,
    },
    Program {
        stem: "rec_crop",
        variants: Variants::Plain,
        usage: &["in out", "in out x1 y1 x2 y2"],
        does: "cuts out a rectangle, both corners included; the last row or column of an odd size is dropped",
        same_as: "volume path=in | volume.crop left_px=10 top_px=20 right_px=28 bottom_px=17 | write.tiff",
        differs: "a folder with one slice works; min and max of the descriptions are those of what is written",
        checked: "every value of ct-rec's cropped volume",
        run: rec_crop,
    },
    Program {
        stem: "rec_gf",
        variants: Variants::Plain,
        usage: &["rec radius out"],
        does: "smooths in three dimensions by exp(-r^2 / radius^2), a standard deviation of radius / sqrt(2)",
        same_as: "volume path=rec | filter.gaussian sigma_px=1.06066 sigma_z_px=1.06066 | write.tiff",
        differs: "only the slices that the kernel reaches are in memory, all of them for small radii or few slices; min and max \
                  of the descriptions are true. Kept, because it decides the numbers: sizes that are a power of two wrap, so that \
                  what is bright at one edge reaches around to the opposite one, and beyond other edges lies 0; filter.gaussian does \
                  neither",
        checked: "ct-rec's smoothed volume within 1e-6 of its maximum; long volumes against the definition",
        run: rec_gf,
    },
    Program {
        stem: "rec_sir",
        variants: Variants::Plain,
        usage: &["in out B"],
        does: "means of B x B x B voxels; what is left over is dropped",
        same_as: "volume path=in | volume.bin bin=3 | write.tiff",
        differs: "the axis of a block is the mean over its slices (a tilted axis differs between them)",
        checked: "ct-rec's binned volume within 1e-6 of its maximum, descriptions included",
        run: rec_sir,
    },
    Program {
        stem: "rec_stk",
        variants: Variants::Plain,
        usage: &["num start end", "--print num start end"],
        does: "moves slices start to end of 001/rec, 002/rec ... one after the other into whole/rec",
        same_as: "wagiri run 'stack paths=\"001/rec 002/rec\" overlap=0' whole/rec",
        differs: "moves by itself instead of printing commands (--print prints them); nothing is moved if one slice is missing or \
                  would be overwritten",
        checked: "by definition on a series of three scans",
        run: rec_stk,
    },
    Program {
        stem: "tif2hst",
        variants: Variants::Plain,
        usage: &["rec", "rec x1 y1 x2 y2"],
        does: "prints how often values occur, in bins of 0.01: upper end and count",
        same_as: "volume path=rec | volume.histogram path=histogram.txt | write.tiff",
        differs: "the form with a rectangle and folders with one slice work; values beyond the range in the descriptions count in \
                  the outermost bins",
        checked: "by definition on values whose counts are known",
        run: tif2hst,
    },
    Program {
        stem: "pid",
        variants: Variants::Plain,
        usage: &["tif {tif...}"],
        does: "prints the description of every image in TIFF files",
        same_as: "wagiri info rec",
        differs: "an image without description gives an empty line and a remark",
        checked: "ct-rec's line; a file of several images",
        run: pid,
    },
];

/// Columns and lines of the rectangle with the corners `x1 y1 x2 y2` at `first`, both included, or of the whole slice.
fn rectangle(call: &Call, first: Option<usize>, [height, width]: [usize; 2]) -> Result<[Range<usize>; 2]> {
    let Some(first) = first else { return Ok([0..width, 0..height]) };
    let corner = |what, i: usize| call.whole(what, first + i, 0).map(|v| v as usize);
    let (x1, y1, x2, y2) = (corner("x1", 0)?, corner("y1", 1)?, corner("x2", 2)?, corner("y2", 3)?);
    if x1 > x2 || y1 > y2 || x2 >= width || y2 >= height {
        let accepted = format!("expected x1 <= x2 < {width} and y1 <= y2 < {height}");
        return Err(Error::invalid(&call.name, accepted).with("rectangle", format!("{x1} {y1} {x2} {y2}")));
    }
    Ok([x1..x2 + 1, y1..y2 + 1])
}

/// The same without its last column or row if their number is odd.
fn even(call: &Call, [x, y]: [Range<usize>; 2]) -> Result<[Range<usize>; 2]> {
    let cut = |r: Range<usize>| r.start..r.end - r.len() % 2;
    let (x, y) = (cut(x), cut(y));
    if x.is_empty() || y.is_empty() {
        let message = "nothing would be left: odd sizes lose a row or column, so at least 2 x 2 pixels are expected";
        return Err(Error::invalid(&call.name, message));
    }
    Ok([x, y])
}

/// The smallest height and width.
fn smallest(headers: &[Header]) -> [usize; 2] {
    let least = |i: usize| headers.iter().map(|h| h.size[i]).min().unwrap_or(0);
    [least(0), least(1)]
}

/// Smallest and largest value: what the descriptions tell, and where one does not, that of the pixels.
fn range(call: &Call, context: &Context, headers: &[Header]) -> Result<(f64, f64)> {
    let largest = headers.iter().map(Header::bytes).max().unwrap_or(0);
    let ranges = each(call, context, headers, largest, |header| match header.fields() {
        Some(fields) => Ok(fields.range()),
        None => read_image(&header.path).map(|image| range_of(&image.pixels)),
    })?;
    let untold = headers.iter().filter(|h| h.fields().is_none()).count();
    if untold > 0 {
        call.remark(format_args!("{untold} slices have no readable description: their pixels tell the range"));
    }
    Ok(ranges.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), r| (a.min(r.0), b.max(r.1))))
}

fn tif_f2i(call: &Call) -> Result<()> {
    let a = &call.args;
    if ![3, 5, 7, 9].contains(&a.len()) {
        return Err(call.usage());
    }
    let (sample, white, prefix) = match call.whole("bit", 0, 0)? {
        0 => (None, 255, ""),
        8 => (Some(SampleType::U8), 255, "ro"),
        16 => (Some(SampleType::U16), 65535, "rh"),
        bit => return Err(Error::invalid(&call.name, "bit: expected 0, 8 or 16").with("bit", bit)),
    };
    let given = if a.len() > 3 { Some((call.number("LACmin", 3)?, call.number("LACmax", 4)?)) } else { None };
    if let Some((min, max)) = given.filter(|(min, max)| min >= max) {
        let accepted = "expected LACmin less than LACmax";
        return Err(Error::invalid(&call.name, accepted).with("LACmin", min).with("LACmax", max));
    }
    let mut slices = numbered(Path::new(&a[1]))?;
    if a.len() == 7 {
        let (start, end) = (call.whole("start", 5, 0)? as usize, call.whole("end", 6, 0)? as usize);
        slices.retain(|slice| (start..=end).contains(&slice.number));
        if slices.is_empty() {
            return Err(Error::not_found(&a[1], "no slice from start to end").with("start", start).with("end", end));
        }
    }
    let context = context()?;
    let headers = headers(&context, slices)?;
    let [x, y] = even(call, rectangle(call, (a.len() == 9).then_some(5), smallest(&headers))?)?;
    let (min, max) = given.map_or_else(|| range(call, &context, &headers), Ok)?;
    // A volume of one value has no range of its own: all of it becomes 0.
    let max = if max > min { max } else { min + 1.0 };
    let Some(sample) = sample else {
        let (first, last) = (headers[0].number, headers[headers.len() - 1].number);
        say!("{first}\t{last}\t{}\t{min:.6}\t{max:.6}", a[0]);
        return Ok(());
    };
    let out = output_folder(&a[2], &[Path::new(&a[1])])?;
    let levels = Quantiser::new(min, max, white)?;
    let bytes = headers.iter().map(Header::bytes).max().unwrap_or(0);
    let beyond = each(call, &context, &headers, 3 * bytes, |header| {
        let pixels = read_image(&header.path)?.pixels;
        let part = pixels.slice(s![y.clone(), x.clone()]);
        let text = match header.fields() {
            Some(fields) => format!("{}\t{min:.6}\t{max:.6}", fields.with_range(range_of(part.iter()))),
            None => format!("{min:.6}\t{max:.6}"),
        };
        let path = out.join(format!("{prefix}{:05}.tif", header.number));
        let pixel_um = header.fields().map(|f| f.number(0));
        let tags = GreyTags { description: Some(&text), artist: "tif_f2i", pixel_um };
        write_image(&path, part.mapv(|v| f32::from(levels.level(v))).view(), sample, &tags)?;
        // Descriptions have six digits behind the point.
        Ok(part.iter().map(|v| f64::from(*v)).filter(|v| *v < min - 1e-6 || *v > max + 1e-6).count())
    })?;
    let beyond: usize = beyond.iter().sum();
    if given.is_none() && beyond > 0 {
        call.remark(format_args!(
            "{beyond} values lie beyond {min}..{max}, the range that the descriptions tell, which is not theirs: they became 0 or \
             {white}; give LACmin LACmax"
        ));
    }
    call.log_command(Path::new("."), "");
    Ok(())
}

/// The description of a slice that was changed.
pub fn redescribed(header: &Header, pixels: ArrayView2<f32>) -> Option<String> {
    let changed = header.fields().map(|fields| fields.with_range(range_of(pixels.iter())));
    changed.or_else(|| header.description.clone())
}

fn rec_crop(call: &Call) -> Result<()> {
    let a = &call.args;
    if ![2, 6].contains(&a.len()) {
        return Err(call.usage());
    }
    let context = context()?;
    let headers = headers(&context, numbered(Path::new(&a[0]))?)?;
    let [x, y] = even(call, rectangle(call, (a.len() == 6).then_some(2), smallest(&headers))?)?;
    let out = output_folder(&a[1], &[Path::new(&a[0])])?;
    let bytes = headers.iter().map(Header::bytes).max().unwrap_or(0);
    each(call, &context, &headers, 2 * bytes, |header| {
        let pixels = read_image(&header.path)?.pixels;
        let part = pixels.slice(s![y.clone(), x.clone()]);
        let text = redescribed(header, part);
        let pixel_um = header.fields().map(|f| f.number(0));
        let tags = GreyTags { description: text.as_deref(), artist: "rec_gf", pixel_um };
        write_image(&out.join(format!("rec{:05}.tif", header.number)), part, header.sample, &tags)
    })?;
    call.log_command(Path::new("."), "");
    Ok(())
}

fn rec_sir(call: &Call) -> Result<()> {
    let a = &call.args;
    if a.len() != 3 {
        return Err(call.usage());
    }
    let bin = call.whole("B", 2, 1)? as usize;
    let context = context()?;
    let headers = headers(&context, numbered(Path::new(&a[0]))?)?;
    let [height, width] = of_one_size(&headers)?;
    if bin > height.min(width).min(headers.len()) {
        let message = format!("B: expected at most the size of the volume, {width} x {height} x {}", headers.len());
        return Err(Error::invalid(&call.name, message).with("B", bin));
    }
    let out = output_folder(&a[1], &[Path::new(&a[0])])?;
    let first = headers[0].number;
    let blocks: Vec<(usize, &[Header])> = headers.chunks_exact(bin).enumerate().collect();
    each(call, &context, &blocks, 2 * headers[0].bytes(), |(k, block)| {
        let mut means = Blocks::new([height, width], [bin, bin], false);
        for header in *block {
            means.add(read_image(&header.path)?.pixels.view());
        }
        let pixels = means.take_means().mapv(|v| v as f32);
        let all: Option<Vec<Fields>> = block.iter().map(Header::fields).collect();
        let fields = all.map(|all| {
            let (size, mut fields) = (bin as f64, all[0].clone());
            let axis = all.iter().map(|f| f.number(1)).sum::<f64>() / size;
            fields.set(0, fields.number(0) * size);
            fields.set(1, (axis - (size - 1.0) / 2.0) / size);
            fields
        });
        let text = fields.as_ref().map(|f| f.with_range(range_of(&pixels)));
        let pixel_um = fields.map(|f| f.number(0));
        let tags = GreyTags { description: text.as_deref(), artist: "rec_sir", pixel_um };
        write_image(&out.join(format!("rec{:05}.tif", first + k)), pixels.view(), block[0].sample, &tags)
    })?;
    let (nx, ny, nz) = (width / bin, height / bin, blocks.len());
    let trailer = format!("\t   % binning {bin}  {width}x{height}x{} -> {nx}x{ny}x{nz}", headers.len());
    call.log_command(Path::new("."), &trailer);
    Ok(())
}

/// Width of a bin of tif2hst, and as many bins as a person could want.
const BIN: f64 = 0.01;
const MOST_BINS: f64 = 1e7;

fn tif2hst(call: &Call) -> Result<()> {
    let a = &call.args;
    if ![1, 5].contains(&a.len()) {
        return Err(call.usage());
    }
    let context = context()?;
    let headers = headers(&context, numbered(Path::new(&a[0]))?)?;
    let [x, y] = rectangle(call, (a.len() == 5).then_some(1), smallest(&headers))?;
    let (min, max) = range(call, &context, &headers)?;
    let count = ((max - min) / BIN).floor() + 1.0;
    if count > MOST_BINS {
        let message = "more than ten million bins of 0.01 are between the smallest and the largest value";
        return Err(Error::limit(&call.name, message).with("min", min).with("max", max));
    }
    let mut bins = Bins::new(min, BIN, count as usize);
    let bytes = headers.iter().map(Header::bytes).max().unwrap_or(0) + 8 * count as u64;
    // Some slices at a time, so that not all of their counts are in memory.
    for part in headers.chunks(256) {
        let counted = each(call, &context, part, bytes, |header| {
            let mut own = Bins::new(min, BIN, count as usize);
            own.add(read_image(&header.path)?.pixels.slice(s![y.clone(), x.clone()]).iter().copied());
            Ok(own)
        })?;
        counted.iter().for_each(|own| bins.merge(own));
    }
    bins.upper_ends().for_each(|(end, n)| say!("{end:8.2}, {n}"));
    call.log_command(Path::new("."), "");
    Ok(())
}

fn pid(call: &Call) -> Result<()> {
    if call.args.is_empty() {
        return Err(call.usage());
    }
    for file in &call.args {
        for text in read_descriptions(Path::new(file))? {
            if text.is_none() {
                call.remark(format_args!("{file}: an image has no description that can be read"));
            }
            say!("{}", text.unwrap_or_default().trim_end_matches(['\0', '\n']));
        }
    }
    Ok(())
}
