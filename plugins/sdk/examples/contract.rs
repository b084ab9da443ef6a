//! A plugin that uses every part of the interface and breaks its contract on demand; wagiri's tests run it.

use std::ffi::CStr;
use wagiri_plugin::*;

/// Writes its parameters and what it knows of the scan into the pixels.
struct Echo(Vec<f32>);

const WORDS: &[Text] = &c_text_array([c"fast", c"good"]);

impl Stage for Echo {
    const ID: &'static CStr = c"test.echo";
    const SUMMARY: &'static CStr = c"Writes what it was given";
    const INPUT: Domain = Domain::Sinogram;
    const OUTPUT: Domain = Domain::Volume;
    const PARAMS: &'static [&'static Param] = &[
        &Param::int(c"radius_px", c"3").range(0.0, 9.0).unit(c"px").help(c"A whole number"),
        &Param::float(c"level", c"auto").or_auto(),
        &Param::bool(c"on", c"true"),
        &Param::choice(c"mode", c"good", WORDS),
        &Param::text(c"name", c""),
    ];
    type Worker = ();

    fn create(_: &Host, setup: &Setup, values: &[Value]) -> Result<Self> {
        let number = |v: &Value| match v {
            Value::Auto => -1.0,
            Value::Int(v) => *v as f32,
            Value::Float(v) => *v as f32,
            Value::Bool(v) => f32::from(*v),
            Value::Text(v) => v.len() as f32,
        };
        let mut pixels: Vec<f32> = values.iter().map(number).collect();
        pixels.extend([setup.views, setup.rows, setup.cols, setup.flats].map(|n| n as f32));
        pixels.push(setup.angles_rad.iter().sum::<f64>() as f32);
        pixels.extend([setup.center_px, setup.center_px_per_row, setup.pixel_um].map(|v| v as f32));
        Ok(Echo(pixels))
    }
    fn plan(&self, input: SlabShape) -> Result<Plan> {
        Ok(Plan { dims: [1, self.0.len()], ..Plan::same(input) })
    }
    fn worker(&self, _: &Plan) -> Result<()> {
        Ok(())
    }
    fn process(&self, _: &mut (), _: &Host, _: Input, output: Output) -> Result<()> {
        output.data.chunks_mut(self.0.len()).for_each(|row| row.copy_from_slice(&self.0));
        Ok(())
    }
}

fn mean(row: usize, input: &Input, out: &mut [f32]) {
    let len = out.len();
    for (i, out) in out.iter_mut().enumerate() {
        *out = (0..4).map(|k| input.data[(row + k) * len + i]).sum::<f32>() / 4.0;
    }
}

fn mean_plan(input: SlabShape) -> Result<Plan> {
    let scratch_bytes = 4 * (input.rows * input.dims[0] * input.dims[1]) as u64;
    Ok(Plan { halo_below: 1, halo_above: 2, scratch_bytes, ..Plan::same(input) })
}

/// Mean over four rows, row by row.
struct MeanOfRows;

impl Stage for MeanOfRows {
    const ID: &'static CStr = c"test.mean-parallel";
    const SUMMARY: &'static CStr = c"Mean over four rows";
    const INPUT: Domain = Domain::Counts;
    const OUTPUT: Domain = Domain::Counts;
    /// Calls so far: the type shows that a worker's state survives.
    type Worker = usize;

    fn create(_: &Host, _: &Setup, _: &[Value]) -> Result<Self> {
        Ok(MeanOfRows)
    }
    fn plan(&self, input: SlabShape) -> Result<Plan> {
        mean_plan(input)
    }
    fn worker(&self, _: &Plan) -> Result<usize> {
        Ok(0)
    }
    fn process(&self, calls: &mut usize, _: &Host, input: Input, output: Output) -> Result<()> {
        *calls += 1;
        if (input.shape.rows, output.shape.rows) != (4, 1) {
            return Err("a parallel stage must get one output row at a time".into());
        }
        mean(0, &input, output.data);
        Ok(())
    }
}

/// The same over a whole slab, with the host's threads and scratch memory.
struct MeanOfSlab;

impl Stage for MeanOfSlab {
    const ID: &'static CStr = c"test.mean-serial";
    const SUMMARY: &'static CStr = c"Mean over four rows";
    const INPUT: Domain = Domain::Counts;
    const OUTPUT: Domain = Domain::Counts;
    const THREADING: Threading = Threading::Serial;
    type Worker = ();

    fn create(_: &Host, _: &Setup, _: &[Value]) -> Result<Self> {
        Ok(MeanOfSlab)
    }
    fn plan(&self, input: SlabShape) -> Result<Plan> {
        mean_plan(input)
    }
    fn worker(&self, _: &Plan) -> Result<()> {
        Ok(())
    }
    fn process(&self, _: &mut (), host: &Host, input: Input, output: Output) -> Result<()> {
        let len = input.shape.dims[0] * input.shape.dims[1];
        let scratch = host.scratch(output.data.len())?;
        if scratch.as_ptr().align_offset(64) != 0 || scratch.iter().any(|v| *v != 0.0) {
            return Err("scratch memory is not aligned and zero".into());
        }
        if host.scratch(input.data.len()).is_ok() {
            return Err("more scratch memory than planned".into());
        }
        let rows: Vec<std::sync::Mutex<&mut [f32]>> = scratch.chunks_mut(len).map(std::sync::Mutex::new).collect();
        host.parallel_for(rows.len() as u32, |row| {
            let mut out = rows[row as usize].lock().unwrap();
            mean(row as usize, &input, &mut out);
        })?;
        drop(rows);
        output.data.copy_from_slice(scratch);
        host.log(LogLevel::Info, "one slab");
        Ok(())
    }
}

/// Breaks the contract in the way that it is told.
struct Broken(String, std::sync::atomic::AtomicUsize);

const WAYS: &[Text] = &c_text_array([
    c"create",
    c"create-panic",
    c"plan",
    c"worker",
    c"fail",
    c"panic",
    c"loop-panic",
    c"wait",
    c"halo",
    c"dims",
]);

impl Stage for Broken {
    const ID: &'static CStr = c"test.broken";
    const SUMMARY: &'static CStr = c"Fails";
    const INPUT: Domain = Domain::Volume;
    const OUTPUT: Domain = Domain::Volume;
    const THREADING: Threading = Threading::Serial;
    const PARAMS: &'static [&'static Param] = &[&Param::choice(c"way", c"fail", WAYS)];
    type Worker = ();

    fn create(_: &Host, _: &Setup, values: &[Value]) -> Result<Self> {
        match values[0].text().unwrap_or_default() {
            "create" => Err("create failed".into()),
            "create-panic" => panic!("in create"),
            way => Ok(Broken(way.to_owned(), 0.into())),
        }
    }
    fn plan(&self, input: SlabShape) -> Result<Plan> {
        let calls = self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut plan = Plan::same(input);
        match self.0.as_str() {
            "plan" => return Err("plan failed".into()),
            "halo" => plan.halo_below = calls as u32,
            "dims" => plan.dims[0] += calls,
            _ => {}
        }
        Ok(plan)
    }
    fn worker(&self, _: &Plan) -> Result<()> {
        if self.0 == "worker" { Err("worker failed".into()) } else { Ok(()) }
    }
    fn process(&self, _: &mut (), host: &Host, _: Input, _: Output) -> Result<()> {
        match self.0.as_str() {
            "panic" => panic!("in row {}", 7),
            "loop-panic" => host.parallel_for(8, |i| assert!(i != 5, "in a loop")),
            "wait" => {
                while !host.cancelled() {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                Err(Failure::Cancelled)
            }
            _ => Err("the sample is too hot".into()),
        }
    }
}

export! {
    id: c"org.example.contract",
    vendor: c"The wagiri authors",
    stages: [Echo, MeanOfRows, MeanOfSlab, Broken],
}
