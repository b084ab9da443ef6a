//! Corrupted descriptions of a plugin: a sentence or a stage comes out, never a crash. Pointers are NULL or lead to
//! something of their kind, for no host can check more; everything else is nonsense.

use super::bridge::Factory;
use super::describe::Described;
use super::{describe, loader};
use crate::chain::{Params, Registry, Setup, StageFactory};
use crate::error::{Error, ErrorKind};
use crate::geometry::{Center, Geometry};
use crate::scan::ScanShape;
use crate::slab::{Domain, SlabShape};
use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wagiri_plugin::abi;

/// At least this many, then more until the time is over.
static LEAST: usize = 10_000;
const MOST: usize = 200_000;
const TIME: Duration = Duration::from_secs(15);

/// Reproducible pseudo-random numbers (Knuth's MMIX constants).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % n
    }
    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
    fn bits(&mut self) -> u64 {
        (self.below(1 << 31) as u64) << 33 | (self.below(1 << 31) as u64) << 2
    }
    fn float(&mut self) -> f64 {
        match self.below(3) {
            0 => f64::from_bits(self.bits()),
            _ => self.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1.0, 1e308, 5e-324]),
        }
    }
    /// A number near the border of something, or any.
    fn number(&mut self) -> u32 {
        let near = [0, 1, 2, 3, 4, 8, 47, 48, 49, 64, 65, 71, 72, 95, 96, 97, 111, 112, 113, 256, 257, 4096, 4097];
        match self.below(4) {
            0 => self.bits() as u32,
            1 => self.pick(&[u32::MAX, 1 << 31, (1 << 31) - 1, 0x10000, 0x10001, 0x1ffff, 0x20000]),
            _ => self.pick(&near),
        }
    }
}

unsafe extern "C" fn create(
    _: *const abi::Host,
    _: *const abi::Setup,
    _: *const abi::Value,
    _: *mut c_char,
    _: usize,
) -> *mut c_void {
    (&raw const LEAST).cast_mut().cast()
}
thread_local! {
    /// Where the nonsense of `plan` comes from.
    static PLANS: RefCell<Numbers> = const { RefCell::new(Numbers(9)) };
}

unsafe extern "C" fn plan(
    _: *const c_void,
    _: *const abi::SlabShape,
    out: *mut abi::StagePlan,
    _: *mut c_char,
    _: usize,
) -> i32 {
    // SAFETY: the host's own, for this call.
    let out = unsafe { &mut *out };
    PLANS.with_borrow_mut(|n| {
        let large = |n: &mut Numbers| n.bits() >> n.below(64);
        match n.below(6) {
            0 => out.halo_below = n.number(),
            1 => out.halo_above = n.number(),
            2 => out.dims[n.below(2)] = large(n),
            3 => out.scratch_bytes = large(n),
            4 => out.cost_per_row = n.float(),
            _ => return n.number() as i32,
        }
        abi::OK
    })
}
unsafe extern "C" fn worker_new(_: *const c_void, _: *const abi::StagePlan, _: *mut c_char, _: usize) -> *mut c_void {
    std::ptr::null_mut()
}
unsafe extern "C" fn process(
    _: *mut c_void,
    _: *const abi::Host,
    _: *const abi::Slab,
    _: *const abi::SlabOut,
    _: *mut c_char,
    _: usize,
) -> i32 {
    abi::OK
}
unsafe extern "C" fn free(_: *mut c_void) {}
unsafe extern "C" fn survey(_: *mut c_void, _: *const abi::Host, _: *const abi::Slab, _: *mut c_char, _: usize) -> i32 {
    abi::OK
}
unsafe extern "C" fn survey_done(_: *mut c_void, _: *const abi::Host, _: *mut c_char, _: usize) -> i32 {
    abi::OK
}

/// Texts that descriptions point to.
struct Texts(Vec<Vec<u8>>);

impl Texts {
    fn new() -> Self {
        let mut texts: Vec<Vec<u8>> = [
            "",
            "a",
            "size_px",
            "mode",
            "test.good",
            "test.",
            ".test",
            "a.b.c",
            "Test.good",
            "recon.fbp",
            "raw",
            "write.tiff",
            "test good",
            "with|bar",
            "with=sign",
            "line\nend\tand\u{7}",
            "輪切り",
            "1",
            "1.5",
            "-1",
            "nan",
            "inf",
            "-inf",
            "1e400",
            "99999999999999999999",
            "true",
            "auto",
            "AUTO",
            "fast",
            "good",
            "px",
            "\"",
            "{}",
            "%s%n",
        ]
        .iter()
        .map(|text| text.bytes().collect())
        .collect();
        texts.extend([
            vec![0xff],
            b"test.\xe3\x81".to_vec(),
            vec![b'x'; 64],
            vec![b'x'; 65],
            vec![b'y'; 4096],
            vec![b'z'; 5000],
        ]);
        texts.iter_mut().for_each(|text| text.push(0));
        Texts(texts)
    }
    fn named(&self, text: &str) -> *const c_char {
        let found = self.0.iter().find(|t| t[..t.len() - 1] == *text.as_bytes());
        found.map_or(std::ptr::null(), |t| t.as_ptr().cast())
    }
    fn any(&self, numbers: &mut Numbers) -> *const c_char {
        match numbers.below(self.0.len() + 4) {
            i if i < self.0.len() => self.0[i].as_ptr().cast(),
            _ => std::ptr::null(),
        }
    }
}

/// Room in every table, so that a count that is accepted never leads beyond it.
const ROOM: usize = 300;

/// A whole plugin in memory.
struct Plugin {
    entry: abi::PluginEntry,
    stages: Vec<abi::StageDesc>,
    params: Vec<abi::ParamDesc>,
    words: Vec<*const c_char>,
    stage_table: Vec<*const abi::StageDesc>,
    param_table: Vec<*const abi::ParamDesc>,
}

impl Plugin {
    /// A good one: two stages with three parameters.
    fn new(texts: &Texts) -> Self {
        let text = |text| texts.named(text);
        let param = |kind, name, default| abi::ParamDesc {
            struct_size: size_of::<abi::ParamDesc>() as u32,
            kind,
            name: text(name),
            unit: text(""),
            help: text("a"),
            default_text: text(default),
            min: -2.0,
            max: 9.0,
            choices: std::ptr::null(),
            choice_count: 0,
            allow_auto: 0,
        };
        let stage = |id| abi::StageDesc {
            struct_size: size_of::<abi::StageDesc>() as u32,
            input: abi::VOLUME,
            output: abi::VOLUME,
            threading: abi::SERIAL,
            id: text(id),
            summary: text("good"),
            params: std::ptr::null(),
            param_count: 3,
            reserved: 0,
            create: Some(create),
            plan: Some(plan),
            worker_new: Some(worker_new),
            process: Some(process),
            worker_free: Some(free),
            destroy: Some(free),
            survey: Some(survey),
            survey_done: Some(survey_done),
        };
        let entry = abi::PluginEntry {
            struct_size: size_of::<abi::PluginEntry>() as u32,
            abi: abi::ABI,
            id: text("a"),
            version: text("1"),
            vendor: text("a"),
            stages: std::ptr::null(),
            stage_count: 2,
            reserved: 0,
        };
        let params =
            vec![param(abi::INT, "size_px", "1"), param(abi::CHOICE, "mode", "fast"), param(abi::TEXT, "a", "")];
        let mut plugin = Plugin {
            entry,
            stages: vec![stage("test.good"), stage("a.b.c")],
            params,
            words: [text("fast"), text("good")].into_iter().chain([std::ptr::null(); ROOM]).collect(),
            stage_table: Vec::new(),
            param_table: Vec::new(),
        };
        plugin.link();
        plugin
    }

    fn link(&mut self) {
        self.stage_table = self.stages.iter().map(|s| &raw const *s).chain([std::ptr::null(); ROOM]).collect();
        self.param_table = self.params.iter().map(|p| &raw const *p).chain([std::ptr::null(); ROOM]).collect();
        self.params[1].choices = self.words.as_ptr();
        self.params[1].choice_count = 2;
        for stage in &mut self.stages {
            stage.params = self.param_table.as_ptr();
        }
        self.entry.stages = self.stage_table.as_ptr();
    }

    /// Puts nonsense into one place.
    fn corrupt(&mut self, texts: &Texts, n: &mut Numbers) {
        let null_sometimes = |n: &mut Numbers| n.below(3) == 0;
        match n.below(5) {
            0 => {
                let e = &mut self.entry;
                match n.below(7) {
                    0 => e.struct_size = n.number(),
                    1 => e.abi = n.number(),
                    2 => e.id = texts.any(n),
                    3 => e.version = texts.any(n),
                    4 => e.vendor = texts.any(n),
                    5 if null_sometimes(n) => e.stages = std::ptr::null(),
                    _ => e.stage_count = n.number(),
                }
            }
            1 | 2 => {
                let i = n.below(self.stages.len());
                let s = &mut self.stages[i];
                match n.below(17) {
                    0 => s.struct_size = n.number(),
                    1 => s.input = n.number() as i32,
                    2 => s.output = n.number() as i32,
                    3 => s.threading = n.number() as i32,
                    4 | 5 => s.id = texts.any(n),
                    6 => s.summary = texts.any(n),
                    7 if null_sometimes(n) => s.params = std::ptr::null(),
                    7 | 8 => s.param_count = n.number(),
                    9 => s.create = None,
                    10 => s.plan = None,
                    11 => s.worker_new = None,
                    12 => s.process = None,
                    13 => s.worker_free = None,
                    14 => s.destroy = None,
                    15 => s.survey = None,
                    _ => s.survey_done = None,
                }
            }
            3 => {
                let i = n.below(self.params.len());
                let words = self.words.as_ptr();
                let p = &mut self.params[i];
                match n.below(11) {
                    0 => p.struct_size = n.number(),
                    1 | 2 => p.kind = n.number() as i32,
                    3 => p.name = texts.any(n),
                    4 => p.unit = texts.any(n),
                    5 => p.help = texts.any(n),
                    6 => p.default_text = texts.any(n),
                    7 => p.min = n.float(),
                    8 => p.max = n.float(),
                    9 => {
                        p.choices = if null_sometimes(n) { std::ptr::null() } else { words };
                        // Within the room, or more than the host reads.
                        p.choice_count = n.number();
                    }
                    _ => p.allow_auto = n.number() as i32,
                }
            }
            _ => {
                let i = n.below(4);
                let misaligned = n.below(2) == 0;
                match n.below(3) {
                    0 => self.words[i] = texts.any(n),
                    1 if misaligned => self.stage_table[i] = self.stage_table[0].wrapping_byte_add(1),
                    1 => self.stage_table[i] = n.pick(&[std::ptr::null(), self.stage_table[0], self.stage_table[1]]),
                    _ if misaligned => self.param_table[i] = self.param_table[0].wrapping_byte_add(4),
                    _ => self.param_table[i] = n.pick(&[std::ptr::null(), self.param_table[0], self.param_table[2]]),
                }
            }
        }
    }

    /// As when it is loaded: ids of its stages, or the message.
    fn load(&self) -> Result<Vec<String>, String> {
        let told = |message: String| Error::plugin("x.so", message).to_string();
        // SAFETY: whatever the entry says, its pointers are null or lead to what they should, in tables with room.
        let entry = unsafe { loader::read_entry(&self.entry) }.map_err(told)?;
        let stages = describe::plugin(entry).map_err(told)?.stages;
        let mut registry = Registry::built_in();
        let known = registry.infos().count();
        let factories = stages.into_iter().map(|stage| Arc::new(Factory::new(stage)) as _).collect();
        registry.add_all(factories).map_err(|e| e.to_string())?;
        let infos = registry.infos().skip(known);
        Ok(infos
            .map(|info| {
                let mut params = Params::defaults(info);
                for p in info.params {
                    for text in ["1", "auto", "fast", "nan", ""] {
                        // Refused or not: it must return.
                        let _ = params.set_text(p.name, text);
                    }
                    // What was accepted as the default must be so again.
                    params.set_text(p.name, &p.default.to_string()).expect("the default");
                }
                info.id.to_owned()
            })
            .collect())
    }
}

#[test]
fn corrupted_descriptions_give_a_sentence_and_never_a_crash() {
    let texts = Texts::new();
    assert_eq!(Plugin::new(&texts).load(), Ok(vec!["test.good".to_owned(), "a.b.c".to_owned()]));
    let mut numbers = Numbers(4);
    let (begun, mut accepted, mut messages) = (Instant::now(), 0, std::collections::BTreeSet::new());
    let mut tried = 0;
    while tried < LEAST || (tried < MOST && begun.elapsed() < TIME) {
        let mut plugin = Plugin::new(&texts);
        for _ in 0..=numbers.below(3) {
            plugin.corrupt(&texts, &mut numbers);
        }
        tried += 1;
        match plugin.load() {
            Ok(_) => accepted += 1,
            Err(message) => {
                assert!(message.starts_with("x.so: ") || message.contains("exists already"), "{message}");
                assert!(message.len() > 20 && message.lines().count() == 1, "{message:?}");
                messages.insert(message.chars().filter(|c| !c.is_ascii_digit()).collect::<String>());
            }
        }
    }
    println!("{tried} descriptions, {accepted} of them accepted");
    // Both sides of the checks were reached, and many of them.
    assert!(
        accepted > tried / 100 && messages.len() > 50,
        "{accepted} of {tried} accepted, {} messages",
        messages.len()
    );
}

/// Plans that make no sense are refused; the others have sizes that no sum of the planner can overflow.
#[test]
fn nonsense_in_plans_is_refused() {
    let texts = Texts::new();
    let plugin = Plugin::new(&texts);
    // SAFETY: a good entry.
    let entry = unsafe { loader::read_entry(&plugin.entry) }.expect("an entry");
    let stage = describe::plugin(entry).expect("stages").stages.swap_remove(0);
    let factory = Factory::new(Arc::new(Described { destroy: None, ..Arc::into_inner(stage).expect("the only one") }));
    let params = Params::defaults(factory.info());
    let geometry = Geometry { angles_rad: vec![0.0; 4], center: Center::Fixed(3.0), pixel_um: 1.0 };
    let shape = ScanShape { views: 4, rows: 50, cols: 6, flats: 1 };
    let setup = Setup { shape, geometry, edge_over_mean: 0.0, threads: 8 };
    let mut accepted = 0;
    for i in 0..LEAST {
        let made = factory.create(&params, &setup).expect("a stage");
        match made.plan(SlabShape { domain: Domain::Volume, rows: 1 + i % 300, dims: [6, 6] }) {
            Ok(plan) => {
                accepted += 1;
                assert!(plan.halo.below.max(plan.halo.above) <= 1 << 16 && plan.output.rows <= 300);
                assert!(plan.output.row_bytes() > 0 && plan.output.row_bytes() <= 1 << 42);
                assert!(plan.cost_per_row.is_finite() && plan.cost_per_row >= 0.0);
            }
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::Plugin);
                assert_eq!(e.to_string().lines().count(), 1);
            }
        }
    }
    assert!((LEAST / 10..LEAST).contains(&accepted), "{accepted}");
}
