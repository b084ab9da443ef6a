//! Programs around series of scans: splitting them into folders.

use super::environment::whole;
use super::frames::{digits, split};
use super::{Call, Program, Variants, own};
use crate::terminal::{counting, say};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use wagiri::{Error, Result};

pub const PROGRAMS: &[Program] = &[
    Program {
        stem: "spl",
        variants: Variants::Plain,
        usage: &["N-shot N-split", "--print N-shot N-split"],
        does: "splits a.his into 001/raw ... and puts conv.bat and output.log there; --print shows the commands instead",
        same_as: "wagiri zscan a.his OUT --scans N",
        differs: "does the work itself",
        checked: "folders and frames, in the chain of a z-scan",
        run: spl,
    },
    Program {
        stem: "act_spl",
        variants: Variants::Plain,
        usage: &["N-shot N-split {radius}", "--print N-shot N-split"],
        does: "moves a000001.tif ... into 001/raw/a001.tif ..., or smooths them there by gf_sd with a radius, and puts \
               conv.bat, adapted to TIFF files, and output.log there",
        same_as: "wagiri zscan DIR OUT --scans N",
        differs: "conv.bat in the current folder stays as it is; only the command of a line is adapted, not every 'ren' and \
                  'copy' in it; can be repeated after it was stopped",
        checked: "names of frames, conv.bat",
        run: act_spl,
    },
    Program {
        stem: "act_spl2",
        variants: Variants::Plain,
        usage: &["N-shot N-split {median {sigma}}"],
        does: "the same through tif_mgf, which copies",
        same_as: "wagiri zscan DIR OUT --scans N",
        differs: "as act_spl",
        checked: "names of frames",
        run: act_spl,
    },
    Program {
        stem: "stop_watch",
        variants: Variants::Plain,
        usage: &["command ..."],
        does: "runs a command and prints the seconds that it took",
        same_as: "wagiri run SCAN OUT",
        differs: "starts the command itself, without a shell: words are passed on as they are; names of ct-rec's programs \
                  are wagiri's",
        checked: "a program of ct-rec",
        run: stop_watch,
    },
];

/// Arguments without a leading `--print`, and whether it was there.
pub fn printing(call: &Call) -> (bool, &[String]) {
    match call.args.split_first() {
        Some((first, rest)) if first == "--print" => (true, rest),
        _ => (false, &call.args),
    }
}

/// Folder of a scan, from 0.
pub fn folder(scan: usize) -> String {
    format!("{:03}", scan + 1)
}

fn numbers(call: &Call, at: usize) -> Result<(usize, usize)> {
    let (shots, scans) = (call.whole("N-shot", at, 1)? as usize, call.whole("N-split", at + 1, 1)? as usize);
    if scans > 999 {
        return Err(Error::invalid(&call.name, "N-split: expected at most 999 scans").with("value", scans));
    }
    Ok((shots, scans))
}

fn spl(call: &Call) -> Result<()> {
    let (print, args) = printing(call);
    if args.len() != 2 {
        return Err(call.usage());
    }
    let (shots, scans) = numbers(call, usize::from(print))?;
    if print {
        print_folders(scans);
        say!("his_spl_E a.his {shots} {scans}");
        return Ok(());
    }
    split_his(call, shots, scans)?;
    call.log_command(Path::new("."), "");
    Ok(())
}

fn print_folders(scans: usize) {
    let (copy, slash) = if cfg!(windows) { ("copy", '\\') } else { ("cp", '/') };
    for name in (0..scans).map(folder) {
        say!("mkdir {name}\nmkdir {name}{slash}raw");
        say!("{copy} conv.bat {name}{slash}raw\n{copy} output.log {name}{slash}raw");
    }
}

/// `a.his` of the current folder into `001/raw` ..., with `conv.bat` and `output.log`.
pub fn split_his(call: &Call, shots: usize, scans: usize) -> Result<()> {
    let file = Path::new("a.his");
    // Before anything is written.
    let texts = both_texts()?;
    split(call, file, shots, scans, "his_spl_E")?;
    spread(scans, &texts)
}

/// `conv.bat` and `output.log` of the current folder.
fn both_texts() -> Result<[(&'static str, Vec<u8>); 2]> {
    let read = |name: &'static str| Ok((name, fs::read(name).map_err(|e| Error::io(name, "read", e))?));
    Ok([read("conv.bat")?, read("output.log")?])
}

fn spread(scans: usize, texts: &[(&str, Vec<u8>)]) -> Result<()> {
    for raw in (0..scans).map(|scan| Path::new(&folder(scan)).join("raw")) {
        fs::create_dir_all(&raw).map_err(|e| Error::io(raw.display(), "make the folder", e))?;
        for (name, text) in texts {
            let path = raw.join(name);
            fs::write(&path, text).map_err(|e| Error::io(path.display(), "write", e))?;
        }
    }
    Ok(())
}

/// `conv.bat` for TIFF frames and this system's commands.
fn for_tiff(text: &str) -> String {
    let text = text.replace("img", "tif");
    if cfg!(windows) {
        return text;
    }
    let adapted = text.lines().map(|line| {
        let start = line.len() - line.trim_start().len();
        let (command, rest) = line[start..].split_once(char::is_whitespace).unwrap_or((&line[start..], ""));
        let command = match command.trim_start_matches('@') {
            "ren" | "rename" => "mv",
            "copy" => "cp",
            _ => command,
        };
        format!("{command} {rest}").trim_end().to_owned() + "\n"
    });
    adapted.collect()
}

/// What becomes of a frame on its way into the folder of its scan.
enum Way {
    Moved,
    /// By a program: its name, and the arguments behind the files (tif_mgf) or between them (gf_sd).
    Through(&'static str, Vec<String>),
}

fn act_spl(call: &Call) -> Result<()> {
    let (print, args) = printing(call);
    let second = call.program.stem == "act_spl2";
    if !(2..=if second { 4 } else { 3 }).contains(&args.len()) || (print && args.len() > 2) {
        return Err(call.usage());
    }
    let at = usize::from(print);
    let (shots, scans) = numbers(call, at)?;
    let digits = digits(shots);
    let frames: Vec<(PathBuf, PathBuf)> = (0..shots.saturating_mul(scans))
        .map(|i| {
            let name = format!("{}/raw/a{:0digits$}.tif", folder(i / shots), i % shots + 1);
            (PathBuf::from(format!("a{:06}.tif", i + 1)), PathBuf::from(name))
        })
        .collect();
    if print {
        print_folders(scans);
        let program = if second {
            "tif_mgf"
        } else if cfg!(windows) {
            "move"
        } else {
            "mv"
        };
        frames.iter().for_each(|(from, to)| say!("{program} {} {}", from.display(), to.display()));
        return Ok(());
    }
    let extra = (2..args.len()).map(|i| Ok(call.number("radius", i)?.to_string())).collect::<Result<Vec<_>>>()?;
    let way = match second {
        true => Way::Through("tif_mgf", extra),
        false if !extra.is_empty() => Way::Through("gf_sd", extra),
        false => Way::Moved,
    };
    let moved = matches!(way, Way::Moved);
    let there = |(from, to): &(PathBuf, PathBuf)| from.is_file() || (moved && to.is_file());
    if let Some((missing, _)) = frames.iter().find(|frame| !there(frame)) {
        let message = format!("{scans} scans of {shots} frames need the files a000001.tif to a{:06}.tif", frames.len());
        return Err(Error::not_found(missing.display(), message));
    }
    let [(bat, text), log] = both_texts()?;
    spread(scans, &[(bat, for_tiff(&String::from_utf8_lossy(&text)).into_bytes()), log])?;
    let mut progress = counting(&call.name, "frame");
    let all = frames.len();
    match &way {
        Way::Moved => {
            for (done, (from, to)) in frames.iter().enumerate() {
                progress.report(done, all, done as f64 / all as f64)?;
                if from.is_file() {
                    fs::rename(from, to).map_err(|e| Error::io(from.display(), "move", e))?;
                }
            }
        }
        Way::Through(program, extra) => each_through(call, &frames, program, extra, &mut progress)?,
    }
    progress.report(all, all, 1.0)?;
    call.log_command(Path::new("."), "");
    Ok(())
}

/// `ACT_SPL_JOBS` frames at a time, 8 at most as many as processors.
fn each_through(
    call: &Call,
    frames: &[(PathBuf, PathBuf)],
    program: &'static str,
    extra: &[String],
    progress: &mut wagiri::Progress,
) -> Result<()> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = whole("ACT_SPL_JOBS").unwrap_or(8).clamp(1, processors.max(1));
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let flag = progress.flag();
    let work = || -> Result<()> {
        while failed.load(Ordering::Relaxed) == 0 && !flag.is_cancelled() {
            let Some((from, to)) = frames.get(next.fetch_add(1, Ordering::Relaxed)) else { return Ok(()) };
            let (from, to) = (from.to_string_lossy(), to.to_string_lossy());
            let mut words = vec![program, &from];
            match program {
                "gf_sd" => words.extend(extra.iter().map(String::as_str).chain([to.as_ref()])),
                _ => words.extend([to.as_ref()].into_iter().chain(extra.iter().map(String::as_str))),
            }
            own::run(call, Path::new("."), &words).inspect_err(|_| failed.store(1, Ordering::Relaxed))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        while workers.iter().any(|worker| !worker.is_finished()) {
            let done = next.load(Ordering::Relaxed).min(frames.len());
            // Asked to stop: the workers see the same flag.
            let _ = progress.report(done, frames.len(), done as f64 / frames.len() as f64);
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let joined = workers.into_iter().map(|worker| worker.join());
        let ended = joined.map(|r| r.unwrap_or_else(|_| Err(Error::internal(&call.name, "a worker failed"))));
        ended.collect::<Result<Vec<()>>>()
    })?;
    progress.poll()
}

fn stop_watch(call: &Call) -> Result<()> {
    let [program, rest @ ..] = call.args.as_slice() else { return Err(call.usage()) };
    let started = std::time::Instant::now();
    let mut command = match super::find(program, rest) {
        Some(_) => {
            let own = std::env::current_exe().map_err(|e| Error::io("wagiri", "find its own file", e))?;
            let mut command = std::process::Command::new(own);
            command.args([own::AS, program]);
            command
        }
        None => std::process::Command::new(program),
    };
    let status = command.args(rest).status().map_err(|e| Error::io(program, "start the command", e))?;
    say!("{:.3} s", started.elapsed().as_secs_f64());
    if status.success() {
        return Ok(());
    }
    let code = status.code().map_or("none, it was stopped".to_owned(), |code| code.to_string());
    Err(Error::invalid(&call.name, "the command failed").with("exit_code", code))
}
