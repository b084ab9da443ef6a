//! Programs on integer volumes, the si_* family, and the Gaussians of single images.

use super::gaussians::{Volume, radius, single_gaussian, smooth};
use super::recon::{of_ct_rec, print_remarks};
use super::slicewise::{Fields, context, each, output_folder, range_of};
use super::{Call, Program, Variants};
use crate::terminal::progress;
use ndarray::{Array2, Array3, ArrayView2, Axis};
use std::io::Read as _;
use std::path::Path;
use wagiri::chain::{Registry, RunOptions};
use wagiri::io::{GreyTags, SampleType, VolumeOptions, open_volume, read_description, write_image};
use wagiri::post::Blocks;
use wagiri::scan::{Scan, ScanOptions};
use wagiri::{Chain, Error, Result};

const NAMES: &str = "names: -, --r, --n, --rn, '-a.tif b.tif' or a text file";

pub const PROGRAMS: &[Program] = &[
    Program {
        stem: "si_rar",
        variants: Variants::Plain,
        usage: &[
            "orgDir nameFile hAxis vAxis dAxis newDir",
            "orgDir nameFile hAxis vAxis dAxis sliceNo newTIFF",
            "orgDir nameFile < lines of hAxis vAxis dAxis sliceNo newTIFF",
        ],
        does: "re-slices: the axes +x, -x, +y ... of the images run right, down and across the new ones",
        same_as: "volume path=orgDir pad=zero axes='+y +z +x' | write.tiff type=same names=%0*d.tif description=none",
        differs: "32-bit volumes are taken too; slices of 8 and of 16 bits together are refused",
        checked: "every value of ct-rec's re-sliced volume; single slices and lines against it",
        run: si_rar,
    },
    Program {
        stem: "si_sir",
        variants: Variants::Plain,
        usage: &["orgDir nameFile Bxyz newDir", "orgDir nameFile Bx By Bz newDir"],
        does: "means of blocks of voxels, rounded half up; those cut off at the end are divided by what they have",
        same_as: "volume path=orgDir pad=zero | volume.bin bin=2 partial=keep | write.tiff type=same names=%0*d.tif description=none",
        differs: "",
        checked: "every value of ct-rec's binned volume; incomplete blocks by definition",
        run: si_sir,
    },
    Program {
        stem: "si_sir_a",
        variants: Variants::Plain,
        usage: &["orgDir nameFile Bxyz newDir", "orgDir nameFile Bx By Bz newDir"],
        does: "the same into a%0*d.tif, counted from 1",
        same_as: "volume path=orgDir pad=zero | volume.bin bin=2 partial=keep | write.tiff type=same names=a%0*d.tif first=1 description=none",
        differs: "",
        checked: "by definition",
        run: si_sir,
    },
    Program {
        stem: "si_sir_a6",
        variants: Variants::Plain,
        usage: &["orgDir nameFile Bxyz newDir", "orgDir nameFile Bx By Bz newDir"],
        does: "the same into a%06d.tif, counted from 1",
        same_as: "volume path=orgDir pad=zero | volume.bin bin=2 partial=keep | write.tiff type=same names=a%06d.tif first=1 description=none",
        differs: "",
        checked: "by definition",
        run: si_sir,
    },
    Program {
        stem: "si_sir_s",
        variants: Variants::Plain,
        usage: &["orgDir nameFile Bxyz newDir", "orgDir nameFile Bx By Bz newDir"],
        does: "sums of blocks of voxels, 16 bits, into a%0*d.tif, counted from 1",
        same_as: "volume path=orgDir pad=zero | volume.bin bin=2 mode=sum partial=keep | write.tiff type=same names=a%0*d.tif first=1",
        differs: "sums above 65535 become 65535 and are counted, where ct-rec begins at 0 again",
        checked: "by definition",
        run: si_sir,
    },
    Program {
        stem: "si_gf",
        variants: Variants::Plain,
        usage: &["orgDir nameFile radius {bias} newDir"],
        does: "smooths in three dimensions by exp(-r^2 / radius^2); bias (0) is what lies beyond the volume",
        same_as: "volume path=orgDir pad=zero | filter.gaussian sigma_px=1.06066 sigma_z_px=1.06066 | write.tiff type=same names=keep",
        differs: "as rec_gf; sums in double precision, so that values halfway between two levels may round the other way",
        checked: "ct-rec's smoothed volume: 13 of 49152 values differ, by one level, where the exact value is within 0.001 of a half",
        run: si_gf,
    },
    Program {
        stem: "gf_sd",
        variants: Variants::Plain,
        usage: &["in.tif radius {bias} out.tif"],
        does: "smooths one image by exp(-r^2 / radius^2), summed up pixel by pixel; beyond the edge it is bias (0)",
        same_as: "volume path=in.tif | filter.gaussian sigma_px=1.4142 boundary=zero | write.tiff type=same",
        differs: "weights sum up to 1, so that a radius below 1 does not change the grey level",
        checked: "by definition: a point becomes the kernel, a flat image of the bias stays",
        run: single_gaussian,
    },
    Program {
        stem: "gf_fd",
        variants: Variants::Plain,
        usage: &["in.tif radius {bias} out.tif"],
        does: "the same by Fourier transforms",
        same_as: "volume path=in.tif | filter.gaussian sigma_px=1.4142 boundary=zero | write.tiff type=same",
        differs: "kept: sides that are a power of two wrap, so that a bright edge reaches around to the opposite one",
        checked: "by definition, against the kernel and gf_sd's values",
        run: single_gaussian,
    },
];

/// The images of `orgDir` that `nameFile` chooses; smaller ones get zeros.
fn open(call: &Call, axes: Option<String>) -> Result<Scan> {
    let (folder, names) = (Path::new(call.arg(0)?), call.arg(1)?.to_owned());
    let options = VolumeOptions { names: Some(names), pad: true, axes };
    open_volume(folder, &options).map_err(|e| e.with("nameFile", NAMES))
}

/// The sample type, if it is one that these programs know.
fn whole_samples(call: &Call, scan: &Scan) -> Result<SampleType> {
    match scan.info().sample {
        Some(sample @ (SampleType::U8 | SampleType::U16)) => Ok(sample),
        _ => Err(Error::unsupported(
            &call.name,
            "expected images of 8 or 16 bits; rec_sir and rec_gf take 32-bit slices",
        )),
    }
}

/// Slice `z`, all of it.
fn slice(scan: &Scan, z: usize) -> Result<Array2<f32>> {
    let shape = scan.shape();
    let mut out = Array3::zeros([1, shape.views, shape.cols]);
    scan.source().read_band(0..shape.views, z..z + 1, out.view_mut())?;
    Ok(out.index_axis_move(Axis(0), 0))
}

fn bytes(scan: &Scan) -> u64 {
    4 * (scan.shape().views * scan.shape().cols) as u64
}

fn si_rar(call: &Call) -> Result<()> {
    let a = &call.args;
    let axes = |words: &[String]| words.join(" ");
    match a.len() {
        6 => {
            let mut chain = Chain::parse(
                &Registry::built_in(),
                "volume pad=zero | write.tiff type=same names=%0*d.tif description=none",
            )?;
            chain.set("volume", "names", &a[1])?;
            chain.set("volume", "axes", &axes(&a[2..5]))?;
            chain.locate(Some(Path::new(&a[0])), &ScanOptions::default())?;
            let (context, scan) = (context()?, chain.open().map_err(|e| e.with("nameFile", NAMES))?);
            let options = RunOptions { artist: Some(call.name.clone()), ..of_ct_rec() };
            let summary = chain.run(&context, &scan, Path::new(&a[5]), &options, &mut progress(&call.name))?;
            print_remarks(&summary.remarks);
        }
        7 => one_slice(call, &a[2..7]).map_err(|e| e.at(&call.name))?,
        2 => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|e| Error::io("standard input", "read", e))?;
            for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
                if words.len() != 5 {
                    let accepted = "expected hAxis vAxis dAxis sliceNo newTIFF in each line";
                    return Err(Error::invalid(&call.name, accepted).with("line", i + 1));
                }
                one_slice(call, &words).map_err(|e| e.with("line", i + 1))?;
            }
        }
        _ => return Err(call.usage()),
    }
    call.log_command(Path::new("."), "");
    Ok(())
}

/// `hAxis vAxis dAxis sliceNo newTIFF`.
fn one_slice(call: &Call, words: &[String]) -> Result<()> {
    let scan = open(call, Some(words[..3].join(" ")))?;
    let slices = scan.shape().rows;
    let z = words[3].parse().ok().filter(|z| *z < slices).ok_or_else(|| {
        let accepted = format!("sliceNo: expected 0 to {}", slices - 1);
        Error::invalid(&call.name, accepted).with("value", format!("'{}'", words[3]))
    })?;
    let out = Path::new(&words[4]);
    let (folder, there) = (std::fs::canonicalize(&call.args[0]).ok(), std::fs::canonicalize(out).ok());
    if there.as_ref().is_some_and(|there| there.parent() == folder.as_deref()) {
        return Err(Error::invalid(out.display(), "this is one of the images that are read; choose another name"));
    }
    let Some(sample) = scan.info().sample else { return whole_samples(call, &scan).map(drop) };
    write_image(out, slice(&scan, z)?.view(), sample, &GreyTags { artist: &call.name, ..GreyTags::default() })
}

fn si_sir(call: &Call) -> Result<()> {
    let a = &call.args;
    if ![4, 6].contains(&a.len()) {
        return Err(call.usage());
    }
    let size = |what, index| call.whole(what, index, 1).map(|v| v as usize);
    let [bx, by, bz] = match a.len() {
        4 => [size("Bxyz", 2)?; 3],
        _ => [size("Bx", 2)?, size("By", 3)?, size("Bz", 4)?],
    };
    let scan = open(call, None)?;
    let sample = whole_samples(call, &scan)?;
    let out = output_folder(&a[a.len() - 1], &[Path::new(&a[0])])?;
    let (sums, stem) = (call.program.stem == "si_sir_s", call.program.stem);
    let (shape, sample) = (scan.shape(), if sums { SampleType::U16 } else { sample });
    let blocks: Vec<usize> = (0..shape.rows.div_ceil(bz)).collect();
    let (first, prefix, artist) = if stem == "si_sir" { (0, "", "si_sir") } else { (1, "a", "tif_f2i") };
    let digits = if stem == "si_sir_a6" { 6 } else { (blocks.len() - 1 + first).to_string().len() };
    let too_much = each(call, &context()?, &blocks, 3 * bytes(&scan), |k| {
        let mut block = Blocks::new([shape.views, shape.cols], [by, bx], true);
        for z in k * bz..((k + 1) * bz).min(shape.rows) {
            block.add(slice(&scan, z)?.view());
        }
        // Rounded here: f32 does not resolve what is left of a large mean.
        let values = if sums { block.take_sums() } else { block.take_means().mapv_into(|v| (v + 0.5).floor()) };
        let path = out.join(format!("{prefix}{:0digits$}.tif", k + first));
        let tags = GreyTags { artist, ..GreyTags::default() };
        write_image(&path, values.mapv(|v| v as f32).view(), sample, &tags)?;
        Ok(values.iter().filter(|v| **v > 65535.0).count())
    })?;
    let too_much: usize = too_much.iter().sum();
    if too_much > 0 {
        call.remark(format_args!("{too_much} sums exceed 65535 and were cut off there; ct-rec begins at 0 again"));
    }
    call.log_command(Path::new("."), "");
    Ok(())
}

fn si_gf(call: &Call) -> Result<()> {
    let a = &call.args;
    if ![4, 5].contains(&a.len()) {
        return Err(call.usage());
    }
    let radius_px = radius(call, 2)?;
    let bias = if a.len() == 5 { call.number("bias", 3)? as f32 } else { 0.0 };
    let scan = open(call, None)?;
    let sample = whole_samples(call, &scan)?;
    let folder = Path::new(&a[0]);
    let out = output_folder(&a[a.len() - 1], &[folder])?;
    let names = &scan.info().slice_names;
    let mut once = std::collections::BTreeSet::new();
    if let Some(twice) = names.iter().find(|name| !once.insert(name.as_str())) {
        return Err(Error::invalid(&call.name, format!("nameFile names {twice} twice, but outputs keep the names")));
    }
    let read = |z: usize| slice(&scan, z).map(|slice| slice.mapv_into(|v| v - bias));
    let write = |z: usize, pixels: ArrayView2<f32>| {
        let pixels = pixels.mapv(|v| v + bias);
        let text = read_description(&folder.join(&names[z])).ok();
        let text = Fields::parse(text.as_deref()).map(|f| f.of_levels(range_of(&pixels), sample)).or(text);
        let tags = GreyTags { description: text.as_deref(), artist: "si_gf", pixel_um: None };
        write_image(&out.join(&names[z]), pixels.view(), sample, &tags)
    };
    let size = [scan.shape().views, scan.shape().cols];
    smooth(call, &context()?, &Volume { slices: scan.shape().rows, size, radius_px, read: &read, write: &write })?;
    call.log_command(Path::new("."), "");
    Ok(())
}
