//! What the programs on volumes share: slices by the number in their names, jobs of one slice each, descriptions.

use super::Call;
use super::environment::whole;
use crate::terminal::progress;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use wagiri::io::{SampleType, TiffSink, image_size, read_description};
use wagiri::{Context, ContextOptions, Error, Result};

/// A file `rec%05d.tif`.
#[derive(Clone)]
pub struct Slice {
    pub number: usize,
    pub path: PathBuf,
}

/// The slices in a folder, by their number. ct-rec looks for five digits; any count is accepted.
pub fn numbered(folder: &Path) -> Result<Vec<Slice>> {
    if !folder.is_dir() {
        return Err(Error::not_found(folder.display(), "no such folder of slices"));
    }
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder.display(), "list", e))?;
    let mut slices = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::io(folder.display(), "list", e))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let number = name.strip_prefix("rec").and_then(|rest| rest.strip_suffix(".tif"));
        let digits = number.filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
        if let Some(number) = digits.and_then(|n| n.parse().ok()) {
            slices.push(Slice { number, path });
        }
    }
    slices.sort_by_key(|slice| slice.number);
    if slices.is_empty() {
        return Err(Error::not_found(folder.display(), "no slice: expected files rec00000.tif, rec00001.tif ..."));
    }
    if let Some(pair) = slices.windows(2).find(|pair| pair[0].number == pair[1].number) {
        let message = "two files have the same number";
        return Err(Error::invalid(pair[0].path.display(), message).with("other", pair[1].path.display()));
    }
    Ok(slices)
}

/// Makes the output folder; it must not be one that is read.
pub fn output_folder(out: &str, inputs: &[&Path]) -> Result<PathBuf> {
    let out = PathBuf::from(out);
    let inputs: Vec<PathBuf> = inputs.iter().map(|path| path.to_path_buf()).collect();
    TiffSink::check_dir(&out, &inputs)?;
    std::fs::create_dir_all(&out).map_err(|e| Error::io(out.display(), "make the output folder", e))?;
    Ok(out)
}

/// Refuses to write an output file over an input.
pub fn output_file<'a>(out: &'a str, input: &Path) -> Result<&'a Path> {
    let out = Path::new(out);
    let same = std::fs::canonicalize(out).is_ok_and(|a| std::fs::canonicalize(input).is_ok_and(|b| a == b));
    if same {
        return Err(Error::invalid(out.display(), "the output is the input; choose another name"));
    }
    Ok(out)
}

/// Threads as ct-rec's OpenMP programs take them, but no more than there are cores.
pub fn context() -> Result<Context> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = whole("OMP_NUM_THREADS").map(|n| n.min(cores));
    Context::new(ContextOptions { threads, ..ContextOptions::default() })
}

/// Does `work` for each of `items`, as many at a time as threads and memory allow, and returns what came out in their order.
pub fn each<T: Sync, R: Send>(
    call: &Call,
    context: &Context,
    items: &[T],
    bytes_each: u64,
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let fit = context.memory_bytes() / bytes_each.max(1);
    if fit == 0 {
        let message = "the memory budget does not hold a slice";
        return Err(Error::limit(&call.name, message).with("bytes", bytes_each).with("budget", context.memory_bytes()));
    }
    let at_once = context.threads().min(usize::try_from(fit).unwrap_or(usize::MAX));
    let (mut progress, total) = (progress(&call.name), items.len());
    let mut results = Vec::with_capacity(total);
    for chunk in items.chunks(at_once.max(1)) {
        progress.report(results.len(), total, results.len() as f64 / total as f64)?;
        let done: Result<Vec<R>> = context.pool().install(|| chunk.par_iter().map(&work).collect());
        results.extend(done?);
    }
    progress.report(total, total, 1.0)?;
    Ok(results)
}

/// Tab-separated fields of a description that was written by ct-rec or wagiri.
#[derive(Clone)]
pub struct Fields(Vec<String>);

impl Fields {
    /// `None` unless there are six numbers.
    pub fn parse(text: Option<&str>) -> Option<Self> {
        let fields: Vec<String> =
            text?.trim_end_matches(['\0', '\n']).split('\t').map(|f| f.trim().to_owned()).collect();
        let numbers = fields.iter().all(|f| f.parse::<f64>().is_ok_and(f64::is_finite));
        (fields.len() >= 6 && numbers).then_some(Fields(fields))
    }
    /// Field `i`, counted from 0.
    pub fn number(&self, i: usize) -> f64 {
        self.0[i].parse().unwrap_or(0.0)
    }
    pub fn range(&self) -> (f64, f64) {
        (self.number(4), self.number(5))
    }
    pub fn set(&mut self, i: usize, value: f64) {
        self.0[i] = format!("{value:.6}");
    }
    /// The first six fields with another range.
    pub fn with_range(&self, (low, high): (f64, f64)) -> String {
        // 0 is never written as -0.
        format!("{}\t{:.6}\t{:.6}", self.0[..4].join("\t"), low + 0.0, high + 0.0)
    }
    /// All eight fields of an integer slice whose grey levels lie in another range than before.
    pub fn of_levels(&self, (low, high): (f64, f64), sample: SampleType) -> String {
        let white = if sample == SampleType::U8 { 255.0 } else { 65535.0 };
        let level = |v: f64| (v + 0.5).floor().clamp(0.0, white);
        if self.0.len() < 8 {
            return self.with_range((level(low), level(high)));
        }
        let (min, max) = (self.number(6), self.number(7));
        let value = |v: f64| min + level(v) * (max - min) / white;
        format!("{}\t{}\t{}", self.with_range((value(low), value(high))), self.0[6], self.0[7])
    }
}

/// Smallest and largest value of a slice that is not empty.
pub fn range_of<'a>(values: impl IntoIterator<Item = &'a f32>) -> (f64, f64) {
    let all = values.into_iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    (all.0.into(), all.1.into())
}

/// What the header of a slice tells.
pub struct Header {
    pub number: usize,
    pub path: PathBuf,
    /// Height and width.
    pub size: [usize; 2],
    pub sample: SampleType,
    pub description: Option<String>,
}

impl Header {
    pub fn fields(&self) -> Option<Fields> {
        Fields::parse(self.description.as_deref())
    }
    /// Bytes of its pixels in memory.
    pub fn bytes(&self) -> u64 {
        4 * (self.size[0] * self.size[1]) as u64
    }
}

/// Looks at all headers; samples must be of one type.
pub fn headers(context: &Context, slices: Vec<Slice>) -> Result<Vec<Header>> {
    let look = |Slice { number, path }: Slice| {
        let (size, sample) = image_size(&path)?;
        let description = read_description(&path).ok();
        Ok(Header { number, path, size, sample, description })
    };
    let all: Result<Vec<Header>> = context.pool().install(|| slices.into_par_iter().map(look).collect());
    let all = all?;
    if let Some(other) = all.iter().find(|h| h.sample != all[0].sample) {
        let message = "the samples of this slice are of another type than those of the first: all slices must be alike";
        return Err(Error::format(other.path.display(), message));
    }
    Ok(all)
}

/// Refuses slices of different sizes.
pub fn of_one_size(headers: &[Header]) -> Result<[usize; 2]> {
    let first = headers[0].size;
    match headers.iter().find(|h| h.size != first) {
        None => Ok(first),
        Some(other) => {
            Err(Error::format(other.path.display(), "the slice has another size than the first: all must be alike")
                .with("size", format!("{} x {}", other.size[1], other.size[0]))
                .with("first", format!("{} x {}", first[1], first[0])))
        }
    }
}
