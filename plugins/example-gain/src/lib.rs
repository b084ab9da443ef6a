//! The smallest wagiri plugin: multiplies a volume by a number.

use wagiri_plugin::{Domain, Host, Input, Output, Param, Plan, Result, Setup, Stage, Value};

struct Gain {
    factor: f32,
}

impl Stage for Gain {
    const ID: &'static std::ffi::CStr = c"example.gain";
    const SUMMARY: &'static std::ffi::CStr = c"Multiplies each voxel by a number";
    const INPUT: Domain = Domain::Volume;
    const OUTPUT: Domain = Domain::Volume;
    const PARAMS: &'static [&'static Param] =
        &[&Param::float(c"factor", c"1.0").range(-1e6, 1e6).help(c"What each voxel is multiplied by")];
    type Worker = ();

    fn create(_: &Host, _: &Setup, values: &[Value]) -> Result<Self> {
        let factor = values.first().and_then(Value::float).ok_or("factor is not a number")?;
        Ok(Gain { factor: factor as f32 })
    }

    fn worker(&self, _: &Plan) -> Result<()> {
        Ok(())
    }

    fn process(&self, _: &mut (), _: &Host, input: Input, output: Output) -> Result<()> {
        for (out, value) in output.data.iter_mut().zip(input.data) {
            *out = self.factor * value;
        }
        Ok(())
    }
}

wagiri_plugin::export! { id: c"org.example.gain", vendor: c"The wagiri authors", stages: [Gain] }
