//! Corrupted text of chains: an error in one line or a chain, never a crash or a hang. Corrupted descriptions of plugins are
//! in `src/host/tests.rs`.
//!
//! The numbers are the same every time; a faster machine tries more of them.

#[path = "common/plugins.rs"]
mod plugins;

use std::time::{Duration, Instant};
use wagiri::chain::Registry;
use wagiri::{Chain, Context, ContextOptions};

/// At least this many for each kind of text, then more until the time is over.
const LEAST: usize = 10_000;
const TIME: Duration = Duration::from_secs(15);
/// A text this short is understood or refused at once; a whole minute for it would be a hang.
const HANG: Duration = Duration::from_secs(60);

/// Reproducible pseudo-random numbers (Knuth's MMIX constants).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// With stages of a plugin, which have parameters of every kind.
fn registry() -> Registry {
    let ctx = Context::new(ContextOptions { threads: Some(1), ..Default::default() }).expect("a context");
    ctx.load_plugin(plugins::contract()).expect("a plugin");
    ctx.registry()
}

/// Changes, doubles, removes and swaps pieces of `text`; puts in words of `tokens`.
fn corrupt(text: &str, tokens: &[&str], n: &mut Numbers) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=n.below(4) {
        let at = n.below(chars.len() + 1);
        let end = (at + n.below(12)).min(chars.len());
        match n.below(6) {
            0 => drop(chars.drain(at..end)),
            1 => {
                let piece = chars[at..end].to_vec();
                chars.splice(at..at, piece);
            }
            2 => {
                let c = char::from_u32(n.below(0x300) as u32).unwrap_or('\u{fffd}');
                chars.insert(at, c);
            }
            3 if !chars.is_empty() => {
                let (a, b) = (n.below(chars.len()), n.below(chars.len()));
                chars.swap(a, b);
            }
            4 => {
                let token = n.pick(tokens).chars().collect::<Vec<_>>();
                chars.splice(at..end, token);
            }
            _ => {
                let token = n.pick(tokens).chars().collect::<Vec<_>>();
                chars.splice(at..at, token);
            }
        }
    }
    chars.into_iter().collect()
}

/// Words in any order.
fn babble(tokens: &[&str], n: &mut Numbers) -> String {
    (0..n.below(30)).map(|_| n.pick(tokens)).collect()
}

/// Feeds corrupted `seeds` and rows of `tokens` to the parser of chains.
fn fuzz(seeds: &[&str], tokens: &[&str], seed: u64) {
    let registry = registry();
    let mut numbers = Numbers(seed);
    let (begun, mut tried, mut accepted) = (Instant::now(), 0, 0);
    let mut messages = std::collections::BTreeSet::new();
    for text in seeds {
        Chain::parse(&registry, text).unwrap_or_else(|e| panic!("'{text}' is good: {e}"));
    }
    while tried < LEAST || begun.elapsed() < TIME {
        let text = match numbers.below(4) {
            0 => babble(tokens, &mut numbers),
            _ => {
                let seed = numbers.pick(seeds);
                corrupt(seed, tokens, &mut numbers)
            }
        };
        tried += 1;
        let started = Instant::now();
        match Chain::parse(&registry, &text) {
            Ok(chain) => {
                accepted += 1;
                // What was understood can be written down, and is understood as the same.
                let line = chain.to_string();
                let values = |chain: &Chain| {
                    let values = chain.params().map(|p| p.iter().map(|(p, v)| (p.name, v.clone())).collect::<Vec<_>>());
                    format!("{:?}", values.collect::<Vec<_>>())
                };
                for written in [&line, &chain.to_toml()] {
                    let again = Chain::parse(&registry, written);
                    let again = again.unwrap_or_else(|e| panic!("{text:?} gave {written:?}: {e}"));
                    assert_eq!(again.to_string(), line, "from {text:?}");
                    assert_eq!(values(&again), values(&chain), "{text:?} gave {written:?}");
                }
            }
            Err(e) => {
                let message = e.to_string();
                assert!(message.lines().count() == 1 && message.len() > 10, "{text:?}: {message:?}");
                messages.insert(message.chars().take(40).collect::<String>());
            }
        }
        assert!(started.elapsed() < HANG, "{text:?} took {:?}", started.elapsed());
    }
    println!("{tried} texts, {accepted} of them accepted");
    // Both sides of the checks were reached, and many of them.
    assert!(
        accepted > tried / 200 && messages.len() > 30,
        "{accepted} of {tried} accepted, {} messages",
        messages.len()
    );
}

const LINES: &[&str] = &[
    Chain::DEFAULT,
    "raw | normalise air=edges | ring.sort kernel_px=7 | recon.fbp filter=chesler center_px=1023.5 pixel_um=0.7",
    "normalise | recon.fbp center_px=0:1023.5,450:1025 angle_offset_deg=-30 | write.tiff type=u16 min=-1 max=1e2",
    "normalise | test.echo radius_px=9 level=auto on=false mode=fast name=\"two words | and a bar\" | test.broken way=fail",
    "test.mean-serial | test.mean-parallel | normalise | test.echo level=-2.5e-3",
];

const LINE_TOKENS: &[&str] = &[
    " ",
    " ",
    " ",
    "|",
    "|",
    " | ",
    "=",
    "\"",
    "\"\"",
    "\n",
    "\t",
    "\r\n",
    "\0",
    "\u{7}",
    "\u{2028}",
    "\u{feff}",
    "輪切り",
    "é",
    "raw",
    "normalise",
    "ring.sort",
    "recon.fbp",
    "write.tiff",
    "test.echo",
    "test.broken",
    "test.mean-serial",
    "ring.",
    ".",
    "kernel_px=",
    "center_px=",
    "pixel_um=",
    "filter=",
    "air=",
    "type=",
    "min=",
    "max=",
    "dir=",
    "name=",
    "level=",
    "on=",
    "way=",
    "auto",
    "AUTO",
    "ramp",
    "u16",
    "true",
    "fail",
    "nan",
    "-nan",
    "inf",
    "-inf",
    "1e999",
    "-0",
    "0",
    "1",
    "7",
    "1.5",
    "-1",
    "1e-320",
    "0x10",
    "1_000",
    "9223372036854775807",
    "9223372036854775808",
    "99999999999999999999999999",
    "1:2,3:4",
    "1:2,1:4",
    "0:nan,1:2",
    ",,,",
    "::",
    "{}",
    "%s%n",
    "../../x",
    "<b>",
    "\\",
    "'",
];

#[test]
fn corrupted_chain_lines_give_a_sentence_and_never_a_crash() {
    fuzz(LINES, LINE_TOKENS, 1);
}

const FILES: &[&str] = &[
    "[[stage]]\nid = \"normalise\"\nair = \"edges\"\n\n[[stage]]\nid = \"recon.fbp\"\ncenter_px = 1023.5\n",
    "# a chain\n[[stage]]\nid = 'raw'\n[[stage]]\nid = 'normalise' # counts\nrepair = false\n[[stage]]\nid = 'ring.sort'\nkernel_px = 7\n",
    "[[stage]]\nid = \"test.echo\"\nname = \"\"\"two\nlines \\u00e9\"\"\"\nlevel = -2.5e-3\non = true\n[[stage]]\nid = \"write.tiff\"\ntype = \"u8\"\nmin = 0\n",
];

const FILE_TOKENS: &[&str] = &[
    "\n",
    "\n",
    "\n",
    " = ",
    " = ",
    "=",
    "[[stage]]",
    "[[stage]]\n",
    "[stage]",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    ",",
    ".",
    "#",
    "stage",
    "stages",
    "id",
    "id = ",
    "\"",
    "\"\"\"",
    "'",
    "'''",
    "\\",
    "\\u12",
    "\\ud800",
    "\0",
    "\u{7}",
    "\u{feff}",
    "輪切り",
    " ",
    "\t",
    "\r",
    "\"normalise\"",
    "'ring.sort'",
    "\"recon.fbp\"",
    "\"write.tiff\"",
    "\"test.echo\"",
    "\"volume\"",
    "kernel_px = ",
    "center_px = ",
    "pixel_um = ",
    "name = ",
    "type = ",
    "min = ",
    "path = ",
    "true",
    "false",
    "7",
    "1.5",
    "-0.0",
    "+1",
    "1e999",
    "nan",
    "inf",
    "-inf",
    "0x1f",
    "0b1",
    "1_000",
    "99999999999999999999",
    "1979-05-27T07:32:00Z",
    "[1, 2]",
    "{ a = 1 }",
    "\"auto\"",
    "\"u16\"",
];

#[test]
fn corrupted_chain_files_give_a_sentence_and_never_a_crash() {
    fuzz(FILES, FILE_TOKENS, 2);
}

#[test]
fn long_lines_take_no_longer_than_they_are() {
    let registry = registry();
    for (piece, count) in [("normalise | ", 20_000), ("x", 300_000), ("\"", 200_001), ("a=", 100_000), ("| ", 100_000)]
    {
        let started = Instant::now();
        let e = Chain::parse(&registry, &piece.repeat(count)).map(|_| ()).expect_err("nonsense").to_string();
        assert_eq!(e.lines().count(), 1);
        assert!(started.elapsed() < HANG, "{count} times {piece:?} took {:?}", started.elapsed());
    }
}
