//! The command line: `wagiri COMMAND ...`, and ct-rec's programs under their own names (`wagiri hp_tg_t_c ...`, or a
//! link of that name).
//!
//! Must not know: algorithms. It turns words into a chain, runs it and prints.

mod args;
mod commands;
mod compat;
mod contact;
mod job;
mod json;
mod learning;
mod n2i;
mod n2i_args;
mod picture;
mod terminal;
mod zscan;

use std::process::ExitCode;

fn main() -> ExitCode {
    terminal::init_logger();
    let mut words: Vec<String> = Vec::new();
    for word in std::env::args_os() {
        match word.into_string() {
            Ok(word) => words.push(word),
            Err(word) => {
                terminal::complain(format_args!("the argument {word:?} is not valid UTF-8"));
                return ExitCode::from(wagiri::ErrorKind::Invalid.exit_code());
            }
        }
    }
    let called_as = words.first().and_then(|w| std::path::Path::new(w).file_stem()?.to_str()).unwrap_or_default();
    let rest = |from: usize| words.get(from..).unwrap_or_default();
    let old = match words.get(1) {
        // A program that calls another one names it, whatever the file of this program is called.
        Some(word) if word == compat::AS => words.get(2).and_then(|name| compat::find(name, rest(3))),
        _ => compat::find(called_as, rest(1)).or_else(|| compat::find(words.get(1)?, rest(2))),
    };
    let result = if let Some(call) = old {
        call.run()
    } else {
        match args::command().try_get_matches_from(&words) {
            Ok(matches) => commands::run(&matches),
            Err(e) => {
                let usage = e.use_stderr();
                // Nothing sensible can be done if the terminal is gone.
                let _ = e.print();
                return if usage { ExitCode::from(wagiri::ErrorKind::Invalid.exit_code()) } else { ExitCode::SUCCESS };
            }
        }
    };
    match result {
        Ok(()) if terminal::answer_lost() => ExitCode::from(wagiri::ErrorKind::Io.exit_code()),
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            terminal::fail(&e);
            ExitCode::from(e.kind().exit_code())
        }
    }
}
