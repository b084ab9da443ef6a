//! `conv.bat`: the batch file that unpacks a `.his` file and names, averages and copies its frames.
//!
//! It is interpreted as a list of names, never run. Must not know: files on disk.

use std::collections::HashMap;

/// Frame `number` (from 1) of the sequence `stem`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub stem: String,
    pub number: u32,
}

/// What a batch file makes: images by name, each the mean of some frames.
#[derive(Default)]
pub(crate) struct ConvBat {
    /// `.his` files: stem and file name, in order.
    pub sequences: Vec<(String, String)>,
    images: HashMap<String, Vec<Source>>,
    /// Lines with other commands or unknown names.
    pub ignored: usize,
}

/// Lower-case name without folder and extension.
pub(crate) fn stem(name: &str) -> String {
    let name = name.trim_matches('"').rsplit(['/', '\\']).next().unwrap_or_default();
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_ascii_lowercase()
}

/// `q0012` and `q12` are the same image.
fn key(name: &str) -> String {
    let stem = stem(name);
    let letters = stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    match stem[letters..].parse::<u32>() {
        Ok(number) => format!("{}{number}", &stem[..letters]),
        Err(_) => stem,
    }
}

impl ConvBat {
    /// Interprets `his2img`/`his2tif`, `img_ave`/`tif_ave`, `ren`/`rename`/`mv`/`move`, `copy`/`cp`. `hp2do` and other
    /// programs that only print, comments and `@echo` are passed over; everything else counts as ignored.
    pub(crate) fn parse(text: &str) -> Self {
        let mut bat = ConvBat::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some((command, names)) = words.split_first() else { continue };
            let command = stem(command.trim_start_matches('@'));
            let understood = match (command.as_str(), names) {
                ("his2img" | "his2tif" | "his2tif6", [name, ..]) => {
                    bat.sequences.push((stem(name), name.trim_matches('"').to_owned()));
                    true
                }
                ("img_ave" | "tif_ave", [inputs @ .., output]) if !inputs.is_empty() => {
                    let sources: Option<Vec<Vec<Source>>> = inputs.iter().map(|n| bat.sources(n)).collect();
                    sources.map(|s| bat.images.insert(key(output), s.concat())).is_some()
                }
                ("ren" | "rename" | "mv" | "move", [from, to]) => match bat.sources(from) {
                    Some(sources) => {
                        bat.images.remove(&key(from));
                        bat.images.insert(key(to), sources);
                        true
                    }
                    None => false,
                },
                ("copy" | "cp", [from, to]) => match bat.sources(from) {
                    Some(sources) => {
                        bat.images.insert(key(to), sources);
                        true
                    }
                    None => false,
                },
                ("hp2do" | "tf2do" | "echo" | "rem" | "#" | "::" | "del" | "rm" | "exit" | "pause" | "set", _) => true,
                (command, _) => command.starts_with('#') || command.starts_with("::"),
            };
            bat.ignored += usize::from(!understood);
        }
        bat
    }

    /// Frames behind a name: an image made before, or a frame of an unpacked sequence.
    fn sources(&self, name: &str) -> Option<Vec<Source>> {
        if let Some(sources) = self.images.get(&key(name)) {
            return Some(sources.clone());
        }
        let stem = stem(name);
        let (sequence, _) = self.sequences.iter().find(|(s, _)| {
            stem.strip_prefix(s.as_str()).is_some_and(|rest| !rest.is_empty() && rest.parse::<u32>().is_ok())
        })?;
        let number = stem[sequence.len()..].parse().ok()?;
        Some(vec![Source { stem: sequence.clone(), number }])
    }

    /// Frames of a named image such as `dark`.
    pub(crate) fn named(&self, name: &str) -> Option<&[Source]> {
        self.images.get(&key(name)).map(Vec::as_slice)
    }

    /// Frames of a numbered image such as q12.
    pub(crate) fn numbered(&self, letter: char, number: u32) -> Option<&[Source]> {
        self.named(&format!("{letter}{number}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_averages_renames_and_copies() {
        let bat = ConvBat::parse(
            "@echo off\r\nhis2img a.his\r\nimg_ave a001.img a002.img dark.img\r\nimg_ave a003.img a004.img q001.img\r\n\
             ren a005.img q002.img\r\nmv a006.img q003.img\r\nimg_ave a009.img a008.img q004.img\r\n\
             copy q004.img q005.img\r\ncopy a007.img q006.img\r\nhp2do dark q001 q002 dark q005 q006 > offset.dat\r\n\
             format c:\r\n",
        );
        let numbers = |s: Option<&[Source]>| s.map(|s| s.iter().map(|s| s.number).collect::<Vec<_>>());
        assert_eq!(bat.sequences, [("a".to_owned(), "a.his".to_owned())]);
        assert_eq!(numbers(bat.named("dark")), Some(vec![1, 2]));
        assert_eq!(numbers(bat.numbered('q', 3)), Some(vec![6]));
        assert_eq!(numbers(bat.numbered('q', 5)), Some(vec![9, 8]));
        assert_eq!(numbers(bat.numbered('q', 6)), Some(vec![7]));
        assert_eq!(numbers(bat.numbered('q', 7)), None);
        assert_eq!(bat.ignored, 1);
    }
}
