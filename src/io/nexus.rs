//! Where an HDF5 file keeps what: DataExchange (`/exchange/data`) and NXtomo (`image_key`, `rotation_angle`).
//!
//! Sources: <https://dxfile.readthedocs.io> and <https://manual.nexusformat.org/classes/applications/NXtomo.html>.
//! Must not know: how bands are read.

use super::angles::{checked, view_angles};
use super::hdf5::{Group, Stack, explain, numbers, type_name};
use super::his::ranges;
use crate::error::{Error, Result};
use crate::scan::{ScanInfo, ScanOptions};
use hdf5_reader::error::Error as Hdf5Error;
use hdf5_reader::{Dataset, Hdf5File};
use std::path::Path;

/// Frames of a scan by role.
pub(crate) struct Plan {
    pub data: Stack,
    /// Frame numbers of the projections in `data`.
    pub views: Vec<usize>,
    /// In order of time.
    pub flats: Vec<Group>,
    /// `None`: zeros.
    pub dark: Option<Group>,
}

/// Groups are looked into this deep and this many of them when searching for `image_key`.
const SEARCH_DEPTH: usize = 6;
const SEARCH_GROUPS: usize = 2000;

/// A file being looked at.
struct Lookup<'a> {
    path: &'a Path,
    file: &'a Hdf5File,
}

impl Lookup<'_> {
    /// The dataset, or `None` if there is no such path.
    fn dataset(&self, name: &str) -> Result<Option<Dataset>> {
        match self.file.dataset(name) {
            Ok(data) => Ok(Some(data)),
            Err(e) => {
                let mut inner = &e;
                while let Hdf5Error::Context { source, .. } = inner {
                    inner = source;
                }
                match inner {
                    Hdf5Error::DatasetNotFound(_) | Hdf5Error::GroupNotFound(_) => Ok(None),
                    _ => Err(explain(self.path, name, e)),
                }
            }
        }
    }
    fn stack(&self, name: &str) -> Result<Option<Stack>> {
        self.dataset(name)?.map(|data| Stack::new(self.path, name, data)).transpose()
    }
    fn whole(&self, name: &str) -> Result<Option<Group>> {
        Ok(self.stack(name)?.map(|stack| Group { frames: (0..stack.frames).collect(), stack }))
    }
    fn units(data: &Dataset) -> Option<String> {
        let text = data.attribute("units").ok()?.read_string().ok()?;
        Some(text.trim().trim_end_matches('\0').to_lowercase())
    }
    /// Angles in radians; degrees unless the units say `rad`.
    fn angles(&self, name: &str) -> Result<Option<Vec<f64>>> {
        let Some(data) = self.dataset(name)? else { return Ok(None) };
        let radians = Self::units(&data).is_some_and(|u| u.starts_with("rad"));
        let values = numbers(self.path, name, &data)?;
        Ok(Some(if radians { values } else { values.into_iter().map(f64::to_radians).collect() }))
    }
    /// A pixel size in µm.
    fn pixel_um(&self, name: &str, info: &mut ScanInfo) -> Option<f64> {
        let data = self.dataset(name).ok()??;
        let value = *numbers(self.path, name, &data).ok()?.first()?;
        let factor = match Self::units(&data).as_deref() {
            Some("m" | "meter" | "metre") => 1e6,
            Some("mm" | "millimeter" | "millimetre") => 1e3,
            Some("um" | "µm" | "μm" | "micron" | "microns" | "micrometer" | "micrometre") => 1.0,
            Some("nm" | "nanometer" | "nanometre") => 1e-3,
            unit => {
                info.notes.push(format!("{name} is not used: its unit is {}", unit.unwrap_or("not given")));
                return None;
            }
        };
        (value * factor).is_finite().then_some(value * factor).filter(|v| *v > 0.0)
    }
    /// The group that holds `image_key` and `data`, nearest to the root.
    fn detector(&self) -> Option<String> {
        let mut level = vec![(String::new(), self.file.root_group().ok()?)];
        let mut seen = 0;
        for _ in 0..SEARCH_DEPTH {
            let mut next = Vec::new();
            for (path, group) in level {
                seen += 1;
                if seen > SEARCH_GROUPS {
                    return None;
                }
                // A branch that cannot be listed (a link to a file that is not here) is not the one.
                let Ok((groups, datasets)) = group.member_names() else { continue };
                let has = |name: &str| datasets.iter().any(|d| d == name);
                if has("image_key") && has("data") {
                    return Some(path);
                }
                for name in groups {
                    if let Ok(child) = group.group(&name) {
                        next.push((format!("{path}/{name}"), child));
                    }
                }
            }
            level = next;
        }
        None
    }
}

/// Finds the parts of a scan and fills in what the file says about it.
pub(crate) fn plan(path: &Path, file: &Hdf5File, options: &ScanOptions, info: &mut ScanInfo) -> Result<Plan> {
    let look = Lookup { path, file };
    let plan = if let Some(name) = &options.dataset {
        let stack = look.stack(name)?;
        let stack =
            stack.ok_or_else(|| Error::not_found(path.display(), "there is no such dataset").with("dataset", name))?;
        separate(&look, stack, options, info, "HDF5")?
    } else if let Some(stack) = look.stack("/exchange/data")? {
        separate(&look, stack, options, info, "HDF5 DataExchange")?
    } else if let Some(detector) = look.detector() {
        nxtomo(&look, &detector, options, info)?
    } else {
        let message = "no projections found: expected /exchange/data (DataExchange), or data with image_key (NXtomo); \
                       name the dataset with the option dataset";
        return Err(Error::not_found(path.display(), message));
    };
    if plan.dark.is_none() {
        info.notes.push("no dark frame: zero is subtracted".to_owned());
    }
    Ok(plan)
}

fn parent(name: &str) -> &str {
    name.trim_end_matches('/').rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Projections, dark and direct-beam frames in datasets of their own, beside each other unless the options say where.
fn separate(look: &Lookup, data: Stack, options: &ScanOptions, info: &mut ScanInfo, kind: &str) -> Result<Plan> {
    let folder = parent(&data.name).to_owned();
    let mut taken = vec![false; data.frames];
    let mut role = |option: &'static str, given: Option<&str>, usual: &str| -> Result<Vec<(Group, f64)>> {
        if let Some(ranges) = given.and_then(ranges) {
            let mut groups = Vec::new();
            for range in ranges {
                if range.is_empty() || range.end > data.frames {
                    return Err(Error::invalid(option, format!("expected frames A..B within 0..{}", data.frames)));
                }
                taken[range.clone()].fill(true);
                let middle = (range.start + range.end - 1) as f64 / 2.0;
                groups.push((Group { stack: data.clone(), frames: range.collect() }, middle));
            }
            groups.sort_by(|a, b| a.1.total_cmp(&b.1));
            return Ok(groups);
        }
        let name = given.map_or_else(|| format!("{folder}/{usual}"), str::to_owned);
        let group = look.whole(&name)?.filter(|g| !g.frames.is_empty()).ok_or_else(|| {
            let message = format!(
                "there is no dataset {name} with the {option} frames; name it with {option}=DATASET, \
                                   or choose frames of the projections with {option}=A..B"
            );
            Error::not_found(look.path.display(), message)
        })?;
        Ok(vec![(group, 0.0)])
    };
    let dark = match options.dark.as_deref() {
        Some("none") => None,
        given => role("dark", given, "data_dark")?
            .into_iter()
            .map(|(group, _)| group)
            .reduce(|a, b| Group { frames: [a.frames, b.frames].concat(), ..a }),
    };
    let (flats, flat_time): (Vec<Group>, Vec<f64>) =
        role("flat", options.flat.as_deref(), "data_white")?.into_iter().unzip();
    let views: Vec<usize> = (0..data.frames).filter(|&i| !taken[i]).collect();
    let theta = format!("{folder}/theta");
    let angles = match &options.angles {
        Some(text) => view_angles(text, info.path.parent().unwrap_or(Path::new("")), views.len())?,
        None => {
            let all = look.angles(&theta)?.ok_or_else(|| {
                let message = format!(
                    "there is no dataset {theta} with the angles; give the option angles=FILE or a \
                                       span in degrees such as angles=180"
                );
                Error::not_found(look.path.display(), message)
            })?;
            // One angle per frame or per projection.
            if all.len() == data.frames { views.iter().map(|&i| all[i]).collect() } else { all }
        }
    };
    count(look.path, &theta, angles.len(), views.len())?;
    info.angles_rad = checked(look.path, angles)?;
    info.view_time = views.iter().map(|&i| i as f64).collect();
    info.flat_time = flat_time;
    describe(info, kind, &data, dark.as_ref(), &flats);
    Ok(Plan { data, views, flats, dark })
}

fn count(path: &Path, name: &str, angles: usize, views: usize) -> Result<()> {
    if angles == views {
        return Ok(());
    }
    let message = format!(
        "{name} holds {angles} angles, but there are {views} projections; give the angles with the \
                           option angles (a span such as 180, or FILE:A..B)"
    );
    Err(Error::format(path.display(), message))
}

fn describe(info: &mut ScanInfo, kind: &str, data: &Stack, dark: Option<&Group>, flats: &[Group]) {
    let sample = type_name(data.data.dtype()).unwrap_or("unknown");
    let chunks = match data.data.chunks() {
        Some(c) => format!("chunks of {}", c.iter().map(u32::to_string).collect::<Vec<_>>().join(" x ")),
        None => "contiguous".to_owned(),
    };
    let white: usize = flats.iter().map(|g| g.frames.len()).sum();
    let darks = dark.map_or(0, |g| g.frames.len());
    info.details = format!("{kind}, {}, {sample}, {chunks}, {darks} dark and {white} direct-beam frames", data.name);
}

/// One dataset with all frames, and a key for each: 0 projection, 1 direct beam, 2 dark, others not used. Direct-beam
/// frames that follow each other are one group, at their mean frame number in time.
fn nxtomo(look: &Lookup, detector: &str, options: &ScanOptions, info: &mut ScanInfo) -> Result<Plan> {
    if options.dark.as_deref().is_some_and(|d| d != "none") || options.flat.is_some() {
        let message = "image_key says which frames are dark and direct beam; name the dataset with the option dataset \
                       to choose others";
        return Err(Error::invalid(look.path.display(), message));
    }
    let place = look.path.display();
    let name = format!("{detector}/data");
    let data = look.stack(&name)?.ok_or_else(|| Error::not_found(&place, format!("there is no dataset {name}")))?;
    let keys = |name: &str| -> Result<Option<Vec<f64>>> {
        look.dataset(name)?.map(|d| numbers(look.path, name, &d)).transpose()
    };
    let key_name = format!("{detector}/image_key");
    let mut key = keys(&key_name)?.unwrap_or_default();
    if key.len() != data.frames {
        let message = format!("{key_name} has {} values, but {name} has {} frames", key.len(), data.frames);
        return Err(Error::format(place, message));
    }
    // Frames for alignment, taken out of order at the end of a scan, are marked -1 in a second key.
    if let Some(control) = keys(&format!("{detector}/image_key_control"))?.filter(|c| c.len() == key.len()) {
        for (k, c) in key.iter_mut().zip(control) {
            if c == -1.0 {
                *k = 3.0;
            }
        }
    }
    let with_key = |wanted: f64| (0..key.len()).filter(|&i| key[i] == wanted).collect::<Vec<usize>>();
    let (views, dark) = (with_key(0.0), with_key(2.0));
    let dark = match options.dark.as_deref() {
        Some(_) => None,
        None if dark.is_empty() => {
            let message = format!("{key_name} marks no dark frame (2); dark=none goes without");
            return Err(Error::not_found(place, message));
        }
        None => Some(Group { stack: data.clone(), frames: dark }),
    };
    let mut flats: Vec<Group> = Vec::new();
    for i in with_key(1.0) {
        match flats.last_mut() {
            Some(group) if group.frames.last() == Some(&(i - 1)) => group.frames.push(i),
            _ => flats.push(Group { stack: data.clone(), frames: vec![i] }),
        }
    }
    info.flat_time = flats.iter().map(|g| g.frames.iter().sum::<usize>() as f64 / g.frames.len() as f64).collect();
    info.view_time = views.iter().map(|&i| i as f64).collect();
    let (up, up2) = (parent(detector), parent(parent(detector)));
    let angles = match &options.angles {
        Some(text) => view_angles(text, info.path.parent().unwrap_or(Path::new("")), views.len())?,
        None => {
            let names = [detector, &format!("{up2}/sample"), &format!("{up}/sample"), &format!("{up2}/data")]
                .map(|group| format!("{group}/rotation_angle"));
            let mut found = None;
            for name in names {
                if let Some(all) = look.angles(&name)? {
                    found = Some((name, all));
                    break;
                }
            }
            let (name, all) = found.ok_or_else(|| {
                let message = "there is no dataset rotation_angle; give the option angles=FILE or a span in degrees \
                               such as angles=180";
                Error::not_found(&place, message)
            })?;
            let angles: Vec<f64> = if all.len() == data.frames { views.iter().map(|&i| all[i]).collect() } else { all };
            count(look.path, &name, angles.len(), views.len())?;
            angles
        }
    };
    info.angles_rad = checked(look.path, angles)?;
    for group in [&format!("{up2}/sample"), &format!("{up}/sample"), detector, &format!("{up}/instrument/detector")] {
        if info.pixel_um.is_none() {
            info.pixel_um = look.pixel_um(&format!("{group}/x_pixel_size"), info);
        }
    }
    describe(info, "HDF5 NXtomo", &data, dark.as_ref(), &flats);
    Ok(Plan { data, views, flats, dark })
}
