//! A wagiri plugin that works on finished volumes: labels the objects of a volume, measures them into a table, and filters
//! slices. It uses nothing of wagiri but the plugin interface, so it serves as a model of a real plugin.
//!
//! | stage | what it does |
//! | --- | --- |
//! | `slice.label` | gives each object a number, 1 to n in the order of first voxels |
//! | `slice.measure` | passes the volume on and writes a table of the objects |
//! | `slice.erode`, `slice.dilate` | smallest and largest value within a disc or ball |
//! | `slice.open`, `slice.close` | one after the other |

mod filters;
mod label;
mod measure;
mod objects;
mod runs;
#[cfg(test)]
mod tests;

use wagiri_plugin::{Param, Result, Value};

/// The plugin. wagiri holds it; `examples/slice-tools-plugin.rs` makes a file of it.
pub const PLUGIN: wagiri_plugin::abi::PluginEntry = wagiri_plugin::entry! {
    id: c"org.wagiri.slice-tools",
    vendor: c"The wagiri authors",
    stages: [label::Label, measure::Measure, filters::Erode, filters::Dilate, filters::Open, filters::Close],
};

const LOW: Param =
    Param::float(c"low", c"1.0").unit(c"1/cm").range(-1e9, 1e9).help(c"Smallest value that belongs to an object");
const HIGH: Param = Param::float(c"high", c"auto")
    .unit(c"1/cm")
    .range(-1e9, 1e9)
    .or_auto()
    .help(c"Largest value that belongs to an object; auto: there is none");

/// The values that belong to objects: [`LOW`] to [`HIGH`], both included.
#[derive(Clone, Copy, Debug)]
struct Range {
    low: f64,
    high: f64,
}

impl Range {
    /// From the values of [`LOW`] and [`HIGH`], the first two parameters of a stage.
    fn of(values: &[Value]) -> Result<Range> {
        let low = values.first().and_then(Value::float).ok_or("low is not a number")?;
        let high = values.get(1).and_then(Value::float).unwrap_or(f64::INFINITY);
        if low > high {
            return Err(format!("low = {low} is above high = {high}; expected low to be at most high").into());
        }
        Ok(Range { low, high })
    }
    fn holds(&self, value: f32) -> bool {
        (self.low..=self.high).contains(&f64::from(value))
    }
}
