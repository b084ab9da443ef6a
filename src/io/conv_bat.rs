//! `conv.bat`: the batch file that unpacks a `.his` file and names, averages and copies its frames.
//!
//! It is interpreted as a list of names, never run. Must not know: files on disk.

use std::collections::BTreeMap;

/// Frame `number` (from 1) of the sequence `stem`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub stem: String,
    pub number: u32,
}

/// An image that the batch file makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// As it is written there.
    pub name: String,
    /// Line, from 1.
    pub line: usize,
    /// Frames that it is the mean of.
    pub sources: Vec<Source>,
    /// It is a single frame under another name; the frame is not there any more.
    pub moved: bool,
}

/// What a batch file makes: images by name, each the mean of some frames.
#[derive(Default)]
pub(crate) struct ConvBat {
    /// `.his` files: stem and file name, in order.
    pub sequences: Vec<(String, String)>,
    images: BTreeMap<String, Made>,
    /// Lines with other commands or unknown names: number from 1, text.
    pub ignored: Vec<(usize, String)>,
}

/// Lower-case name without folder and extension.
pub(crate) fn stem(name: &str) -> String {
    let name = name.trim_matches('"').rsplit(['/', '\\']).next().unwrap_or_default();
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_ascii_lowercase()
}

/// Where the digits at the end of a name begin.
fn digits_at(name: &str) -> usize {
    name.trim_end_matches(|c: char| c.is_ascii_digit()).len()
}

/// `q0012` and `q12` are the same image.
fn key(name: &str) -> String {
    let stem = stem(name);
    let letters = digits_at(&stem);
    match stem[letters..].parse::<u32>() {
        Ok(number) => format!("{}{number}", &stem[..letters]),
        Err(_) => stem,
    }
}

impl ConvBat {
    /// Interprets `his2img`/`his2tif`, `img_ave`/`tif_ave`, `ren`/`rename`/`mv`/`move`, `copy`/`cp`, `del`/`rm` of an image.
    /// `hp2do` and other programs that only print, comments and `@echo` are passed over; everything else counts as ignored.
    pub(crate) fn parse(text: &str) -> Self {
        let mut bat = ConvBat::default();
        // DOS tools end a text with Ctrl-Z.
        for (i, text) in text.split('\u{1a}').next().unwrap_or_default().lines().enumerate() {
            let words: Vec<&str> = text.split_whitespace().collect();
            let Some((command, names)) = words.split_first() else { continue };
            let command = stem(command.trim_start_matches('@'));
            let line = i + 1;
            let understood = match (command.as_str(), names) {
                ("his2img" | "his2tif" | "his2tif6", [name, ..]) => {
                    bat.sequences.push((stem(name), name.trim_matches('"').to_owned()));
                    true
                }
                ("img_ave" | "tif_ave", [inputs @ .., output]) if !inputs.is_empty() => {
                    let sources: Option<Vec<Vec<Source>>> = inputs.iter().map(|n| bat.sources(n)).collect();
                    bat.make(output, line, sources.map(|s| s.concat()), false)
                }
                ("ren" | "rename" | "mv" | "move", [from, to]) => {
                    let sources = bat.sources(from);
                    let moved = bat.images.remove(&key(from)).is_none_or(|made| made.moved);
                    bat.make(to, line, sources, moved)
                }
                ("copy" | "cp", [from, to]) => {
                    let sources = bat.sources(from);
                    bat.make(to, line, sources, false)
                }
                ("del" | "rm", names) => {
                    names.iter().for_each(|name| drop(bat.images.remove(&key(name))));
                    true
                }
                ("hp2do" | "tf2do" | "echo" | "rem" | "#" | "::" | "exit" | "pause" | "set", _) => true,
                (command, _) => command.starts_with('#') || command.starts_with("::"),
            };
            if !understood {
                bat.ignored.push((line, text.trim().to_owned()));
            }
        }
        bat
    }

    /// All images, in the order of their lines.
    pub(crate) fn images(&self) -> Vec<&Made> {
        let mut images: Vec<&Made> = self.images.values().collect();
        images.sort_by_key(|made| made.line);
        images
    }

    /// Sequences that images are made of, each once: those that are unpacked, in order, then files that are there already.
    pub(crate) fn stems(&self) -> Vec<String> {
        let mut stems: Vec<String> = self.sequences.iter().map(|(stem, _)| stem.clone()).collect();
        for source in self.images.values().flat_map(|made| &made.sources) {
            if !stems.contains(&source.stem) {
                stems.push(source.stem.clone());
            }
        }
        stems
    }

    /// Frames of a named image such as `dark`.
    pub(crate) fn named(&self, name: &str) -> Option<&[Source]> {
        self.images.get(&key(name)).map(|made| made.sources.as_slice())
    }

    /// Frames of a numbered image such as q12.
    pub(crate) fn numbered(&self, letter: char, number: u32) -> Option<&[Source]> {
        self.named(&format!("{letter}{number}"))
    }

    /// Notes an image; false if what it is made of is not known.
    fn make(&mut self, to: &str, line: usize, sources: Option<Vec<Source>>, moved: bool) -> bool {
        let Some(sources) = sources else { return false };
        self.images.insert(key(to), Made { name: to.trim_matches('"').to_owned(), line, sources, moved });
        true
    }

    /// Frames behind a name: an image made before, or a frame of a sequence.
    fn sources(&self, name: &str) -> Option<Vec<Source>> {
        if let Some(made) = self.images.get(&key(name)) {
            return Some(made.sources.clone());
        }
        let name = stem(name);
        let unpacked = self.sequences.iter().map(|(stem, _)| stem.as_str());
        let unpacked = unpacked
            .into_iter()
            .find(|stem| name.strip_prefix(stem).is_some_and(|rest| !rest.is_empty() && rest.parse::<u32>().is_ok()));
        // Files that were there before conv.bat.
        let stem = unpacked.unwrap_or(&name[..digits_at(&name)]);
        let number = name[stem.len()..].parse().ok()?;
        (!stem.is_empty()).then(|| vec![Source { stem: stem.to_owned(), number }])
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
             ren a010.img q009.img\r\ndel q009.img\r\nformat c:\r\n\u{1a}rest",
        );
        let numbers = |s: Option<&[Source]>| s.map(|s| s.iter().map(|s| s.number).collect::<Vec<_>>());
        assert_eq!(bat.sequences, [("a".to_owned(), "a.his".to_owned())]);
        assert_eq!(numbers(bat.named("dark")), Some(vec![1, 2]));
        assert_eq!(numbers(bat.numbered('q', 3)), Some(vec![6]));
        assert_eq!(numbers(bat.numbered('q', 5)), Some(vec![9, 8]));
        assert_eq!(numbers(bat.numbered('q', 6)), Some(vec![7]));
        assert_eq!(numbers(bat.numbered('q', 7)), None);
        assert_eq!(numbers(bat.numbered('q', 9)), None);
        assert_eq!(bat.ignored, [(13, "format c:".to_owned())]);
        let moved: Vec<_> = bat.images().iter().filter(|made| made.moved).map(|made| made.name.clone()).collect();
        assert_eq!(moved, ["q002.img", "q003.img"]);
    }

    #[test]
    fn frames_may_be_there_as_files() {
        let bat = ConvBat::parse("tif_ave a001.tif a002.tif dark.tif\nmv a003.tif q001.tif\n");
        assert_eq!(bat.stems(), ["a"]);
        assert_eq!(bat.numbered('q', 1), Some([Source { stem: "a".into(), number: 3 }].as_slice()));
    }
}
