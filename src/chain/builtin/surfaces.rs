//! `volume.view`, `volume.surface`: the volume passes, and the surface of what has at least a given value is drawn or written
//! aside.

use super::aside::{AsideStage, Look, file, path};
use crate::chain::params::Params;
use crate::chain::stage::{ParamInfo, ParamKind, ParamValue, Run, Setup, Stage, StageFactory, StageInfo};
use crate::error::{Error, Result};
use crate::io::{Aside, StlWriter, png_bytes};
use crate::post::surface::{Extent, MarchingCubes, Triangle, normal};
use crate::post::{BirdsEye, finite_range};
use crate::slab::{Domain, SlabShape};
use ndarray::ArrayView3;

const LEVEL: ParamInfo =
    ParamInfo::float("level", "1/cm", 1.0, "Value at the surface; what has at least this value is inside")
        .range(-1e9, 1e9);

static VIEW: StageInfo = StageInfo {
    id: "volume.view",
    summary: "Passes the volume on and writes a bird's-eye picture (PNG) of the surface at a value, shaded by light and depth",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        file("The picture, view.png for example"),
        LEVEL,
        ParamInfo::float(
            "azimuth_deg",
            "deg",
            30.0,
            "Where it is seen from: 0 from the bottom side of the slices, 90 from their right side",
        )
        .range(-360.0, 360.0),
        ParamInfo::float(
            "elevation_deg",
            "deg",
            35.0,
            "How far from above: 0 from the side, first slice on top; 90 as slices are seen",
        )
        .range(-90.0, 90.0),
        ParamInfo::int("size_px", "px", 1000, "Longer side of the picture").range(16.0, 8192.0),
    ],
};

static SURFACE: StageInfo = StageInfo {
    id: "volume.surface",
    summary: "Passes the volume on and writes the surface at a value as triangles in micrometres (binary STL)",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        file("The surface, surface.stl for example"),
        LEVEL,
        ParamInfo::choice(
            "ends",
            &["closed", "open"],
            "closed",
            "Whether the surface is closed where what is inside meets the ends of the volume",
        ),
        ParamInfo::new(
            "pixel_um",
            ParamKind::Float,
            "um",
            ParamValue::Auto,
            "Edge of a voxel; auto: the pixel size of the scan",
        )
        .or_auto()
        .range(1e-6, 1e6),
    ],
};

/// All stages of this file.
pub(super) const STAGES: [Surfaces; 2] = [Surfaces(&VIEW), Surfaces(&SURFACE)];

#[derive(Clone, Copy)]
pub(super) struct Surfaces(&'static StageInfo);

impl StageFactory for Surfaces {
    fn info(&self) -> &'static StageInfo {
        self.0
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        let stage = if self.0.id == VIEW.id { view(params, setup) } else { surface(params, setup) };
        Ok(Box::new(stage?))
    }
}

fn level(params: &Params) -> f32 {
    params.float("level").unwrap_or(1.0) as f32
}

fn view(params: &Params, setup: &Setup) -> Result<AsideStage> {
    let angle = |name| params.float(name).unwrap_or(0.0);
    let (azimuth, elevation) = (angle("azimuth_deg"), angle("elevation_deg"));
    let (path, level, size_px) = (path(params)?, level(params), params.int("size_px").unwrap_or(1000) as usize);
    let (rows, threads) = (setup.shape.rows, setup.threads);
    let begin = move |[height, width]: [usize; 2]| -> Result<Box<dyn Look>> {
        let picture = BirdsEye::new([rows, height, width], azimuth, elevation, size_px);
        let to = Canvas { picture, file: Aside::create(&path)? };
        Ok(Box::new(SurfaceLook { info: &VIEW, level, closed: true, cubes: None, found: 0, range: NOTHING, to }))
    };
    let scratch = move |input: SlabShape| MarchingCubes::scratch_bytes(input.dims, threads) + BirdsEye::bytes(size_px);
    Ok(AsideStage { kept_bytes: Box::new(scratch), ..AsideStage::new(&VIEW, setup, 4.0, Box::new(begin)) })
}

fn surface(params: &Params, setup: &Setup) -> Result<AsideStage> {
    let (path, level) = (path(params)?, level(params));
    let closed = params.text("ends") != Some("open");
    let (pixel_um, threads) = (params.float("pixel_um").unwrap_or(setup.geometry.pixel_um), setup.threads);
    let begin = move |_| -> Result<Box<dyn Look>> {
        let to = Stl { file: StlWriter::create(&path)?, pixel_um, extent: Extent::default(), closed };
        Ok(Box::new(SurfaceLook { info: &SURFACE, level, closed, cubes: None, found: 0, range: NOTHING, to }))
    };
    let scratch = move |input: SlabShape| MarchingCubes::scratch_bytes(input.dims, threads);
    Ok(AsideStage { kept_bytes: Box::new(scratch), ..AsideStage::new(&SURFACE, setup, 4.0, Box::new(begin)) })
}

const NOTHING: (f32, f32) = (f32::INFINITY, f32::NEG_INFINITY);

/// Where triangles go.
trait Triangles: Send {
    fn add(&mut self, triangles: &[Triangle]) -> Result<()>;
    /// Writes the file, unless it is not `wanted`; what the user should know comes back.
    fn finish(self, wanted: bool, run: &mut Run<'_, '_>) -> Result<Vec<String>>;
}

/// The surface of all slices.
struct SurfaceLook<T> {
    info: &'static StageInfo,
    level: f32,
    closed: bool,
    /// From the first slice on.
    cubes: Option<MarchingCubes>,
    /// Triangles.
    found: u64,
    /// Of the values.
    range: (f32, f32),
    to: T,
}

impl<T: Triangles> Look for SurfaceLook<T> {
    fn slices(&mut self, first: usize, slices: ArrayView3<f32>, run: &mut Run<'_, '_>) -> Result<()> {
        let [count, height, width] = [0, 1, 2].map(|i| slices.shape()[i]);
        if self.found == 0 {
            // For the sentence about a surface that is not there.
            let range = slices.as_standard_layout().as_slice().and_then(finite_range).unwrap_or(NOTHING);
            self.range = (self.range.0.min(range.0), self.range.1.max(range.1));
        }
        let (level, closed) = (self.level, self.closed);
        let cubes = self.cubes.get_or_insert_with(|| MarchingCubes::new(level, closed, [height, width], first as i64));
        let (found, to, pool) = (&mut self.found, &mut self.to, run.context.pool());
        let mut out = |triangles: &[Triangle]| {
            *found += triangles.len() as u64;
            to.add(triangles)
        };
        debug_assert!(count > 0);
        cubes.add(pool, slices, &mut out, &mut |part| run.tick(part))
    }
    fn finish(self: Box<Self>, wanted: bool, run: &mut Run<'_, '_>) -> Result<Vec<String>> {
        let SurfaceLook { info, level, cubes, mut found, range, mut to, .. } = *self;
        let mut out = |triangles: &[Triangle]| {
            found += triangles.len() as u64;
            to.add(triangles)
        };
        cubes.map_or(Ok(()), |cubes| cubes.finish(run.context.pool(), &mut out))?;
        if found == 0 && wanted {
            let message = "there is no surface at this level; expected one that some values reach and others do not";
            let values = format!("{} to {}", range.0, range.1);
            return Err(Error::invalid(info.id, message).with("level", level).with("values", values));
        }
        to.finish(wanted, run)
    }
}

struct Canvas {
    picture: BirdsEye,
    file: Aside,
}

impl Triangles for Canvas {
    fn add(&mut self, triangles: &[Triangle]) -> Result<()> {
        self.picture.add(triangles);
        Ok(())
    }
    fn finish(mut self, wanted: bool, run: &mut Run<'_, '_>) -> Result<Vec<String>> {
        if wanted {
            self.file.write(&png_bytes(&self.picture.finish(run.context.pool()))?)?;
            self.file.finish()?;
        }
        Ok(Vec::new())
    }
}

struct Stl {
    file: StlWriter,
    pixel_um: f64,
    extent: Extent,
    closed: bool,
}

impl Triangles for Stl {
    fn add(&mut self, triangles: &[Triangle]) -> Result<()> {
        self.extent.add(triangles);
        for t in triangles {
            let n = normal(t);
            let length = n.iter().map(|v| v * v).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
            let corners = t.map(|p| p.map(|v| (f64::from(v) * self.pixel_um) as f32));
            self.file.add(n.map(|v| (v / length) as f32), corners)?;
        }
        Ok(())
    }
    fn finish(self, wanted: bool, _: &mut Run<'_, '_>) -> Result<Vec<String>> {
        let Stl { file, pixel_um, extent: Extent { triangles, area, volume }, closed } = self;
        if wanted {
            file.finish()?;
        }
        let mut remark = format!("{triangles} triangles, area {:.6e} um2", area * pixel_um.powi(2));
        if closed {
            remark += &format!(", volume {:.6e} um3", volume * pixel_um.powi(3));
        }
        Ok(vec![remark])
    }
}
