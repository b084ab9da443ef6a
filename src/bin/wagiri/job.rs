//! What a command works on: a chain, its data, where the result goes; from the words that are no options.

use crate::args;
use clap::ArgMatches;
use std::path::{Path, PathBuf};
use wagiri::Domain;
use wagiri::chain::Registry;
use wagiri::{Chain, Context, Error, Result, Scan};

/// What a command works on.
pub struct Job {
    /// With everything that the options say.
    pub chain: Chain,
    /// The data, unless the chain names them.
    pub data: Option<PathBuf>,
    /// Where to, unless the chain names it.
    pub out: Option<PathBuf>,
}

impl Job {
    /// Opens the data. Without a word of where they are, raw projections are in the folder `raw`, as SPring-8 lays them out.
    pub fn open(&mut self, m: &ArgMatches) -> Result<Scan> {
        let usual = Path::new("raw");
        let named = self.data.is_some() || self.chain.path().is_some();
        let usual = (!named && self.chain.input() == Domain::Counts && usual.is_dir()).then_some(usual);
        self.chain.locate(self.data.as_deref().or(usual), &args::scan_options(m)?)?;
        self.chain.open()
    }
    /// The output folder or file name.
    pub fn out(&self) -> Result<PathBuf> {
        let out = self.out.clone().or_else(|| self.chain.out_dir().map(Path::to_owned));
        out.ok_or_else(|| {
            Error::invalid("OUT", "no output named: expected it as the last word, or write.tiff dir=FOLDER")
        })
    }
}

/// True if a word is a chain and not a scan: a line of stages, or a chain file.
fn is_chain(word: &str, registry: &Registry) -> bool {
    let first = word.split_whitespace().next().unwrap_or_default();
    word.contains('|')
        || word.ends_with(".toml")
        || (registry.all().any(|info| info.id == first) && !Path::new(word).exists())
}

/// The words of the command line: `SCAN [OUT]`, with `--chain` or without, or `CHAIN [SCAN] [OUT]`.
pub fn job(m: &ArgMatches, context: &Context) -> Result<Job> {
    let words: Vec<&String> = m.try_get_many::<String>("words").ok().flatten().into_iter().flatten().collect();
    let leads = words.first().is_some_and(|word| is_chain(word, &context.registry()));
    if leads && args::text(m, "chain").is_some() {
        return Err(Error::invalid("--chain", "the chain is given twice"));
    }
    let chain = chain(m, context, if leads { Some(words[0].as_str()) } else { args::text(m, "chain") })?;
    let names_data = chain.path().is_some();
    let path = |word: &String| Some(PathBuf::from(word));
    let (data, out) = match words[usize::from(leads)..] {
        [] => (None, None),
        [one] if leads && names_data => (None, path(one)),
        [one] => (path(one), None),
        [data, out, ..] => (path(data), path(out)),
    };
    Ok(Job { chain, data, out })
}

fn is_file(text: &str) -> bool {
    text.ends_with(".toml") && !text.contains('|')
}

/// The text of a chain, or of the file that it names.
fn chain_text(text: &str) -> Result<String> {
    if !is_file(text) {
        return Ok(text.to_owned());
    }
    std::fs::read_to_string(text).map_err(|e| Error::io(text, "read", e))
}

/// The chain of text or file `given`, or the default one, with what the options say.
pub fn chain(m: &ArgMatches, context: &Context, given: Option<&str>) -> Result<Chain> {
    let given_text = given.map(chain_text).transpose()?;
    let parsed = Chain::parse(&context.registry(), given_text.as_deref().unwrap_or(Chain::DEFAULT));
    let mut chain = match (parsed, given) {
        (Err(e), Some(file)) if is_file(file) => return Err(e.at(file)),
        (parsed, _) => parsed?,
    };
    args::set_params(m, &mut chain)?;
    Ok(chain)
}
