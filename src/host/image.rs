//! Looks at the first bytes of a library file, so that the user reads "built for aarch64" and not a loader's riddle, and
//! so that a truncated ELF file is refused instead of crashing the process when its missing pages are touched.
//!
//! Formats: ELF (System V ABI, gabi), PE/COFF (Microsoft), Mach-O. A pure function on bytes.

/// How many bytes of a file [`check`] wants to see, at most.
pub(super) const HEAD_BYTES: u64 = 16 << 10;

/// Refuses a file that cannot be a shared library for this system. `head` are its first bytes, `len` its size; `os` and
/// `arch` as in `std::env::consts`.
pub(super) fn check(head: &[u8], len: u64, os: &str, arch: &str) -> Result<(), String> {
    if len == 0 {
        return Err("the file is empty; expected a shared library".into());
    }
    let (format, machine) = match head {
        [0x7f, b'E', b'L', b'F', ..] => ("Linux (ELF)", elf(head, len)?),
        [b'M', b'Z', ..] => ("Windows (PE)", pe(head).ok_or("the file is not a 64-bit Windows library")?),
        [0xcf, 0xfa, 0xed, 0xfe, ..] => ("macOS (Mach-O)", mach(head).ok_or(TRUNCATED)?),
        // A universal file holds several machines; the system's loader picks.
        [0xca, 0xfe, 0xba, 0xbe, ..] => ("macOS (Mach-O)", arch.to_owned()),
        _ => return Err("the file is not a shared library".into()),
    };
    let wanted = match os {
        "windows" => "Windows (PE)",
        "macos" => "macOS (Mach-O)",
        _ => "Linux (ELF)",
    };
    if format != wanted {
        return Err(format!("the library is for {format}, this system needs {wanted}"));
    }
    if machine != arch {
        return Err(format!("the library is built for {machine}, this program is {arch}"));
    }
    Ok(())
}

const TRUNCATED: &str = "the library is truncated";

fn bytes<const N: usize>(head: &[u8], at: usize) -> Option<[u8; N]> {
    head.get(at..at.checked_add(N)?)?.try_into().ok()
}
fn u16_at(head: &[u8], at: usize) -> Option<u16> {
    bytes(head, at).map(u16::from_le_bytes)
}
fn u32_at(head: &[u8], at: usize) -> Option<u32> {
    bytes(head, at).map(u32::from_le_bytes)
}
fn u64_at(head: &[u8], at: usize) -> Option<u64> {
    bytes(head, at).map(u64::from_le_bytes)
}

fn elf(head: &[u8], len: u64) -> Result<String, String> {
    // e_ident[EI_CLASS] = 64 bit, e_ident[EI_DATA] = little endian: all supported machines.
    if head.get(4..6) != Some(&[2, 1]) {
        return Err("the library is not a 64-bit little-endian one".into());
    }
    let fields =
        || Some((u16_at(head, 16)?, u16_at(head, 18)?, u64_at(head, 32)?, u16_at(head, 54)?, u16_at(head, 56)?));
    let (kind, machine, table, entry_len, entries) = fields().ok_or(TRUNCATED)?;
    if kind != 3 {
        return Err("the file is an ELF file but not a shared library".into());
    }
    for i in 0..u64::from(entries) {
        let at = table.saturating_add(i * u64::from(entry_len));
        // Linkers put the table right after the header; elsewhere the system's loader must judge.
        if at + 40 > HEAD_BYTES {
            break;
        }
        let at = at as usize;
        let segment = || Some((u32_at(head, at)?, u64_at(head, at + 8)?, u64_at(head, at + 32)?));
        let (kind, offset, size) = segment().ok_or(TRUNCATED)?;
        if kind == 1 && offset.saturating_add(size) > len {
            return Err(format!("{TRUNCATED}: it has {len} bytes and needs {}", offset.saturating_add(size)));
        }
    }
    Ok(match machine {
        62 => "x86_64".into(),
        183 => "aarch64".into(),
        other => format!("ELF machine {other}"),
    })
}

fn pe(head: &[u8]) -> Option<String> {
    let at = u32_at(head, 0x3c)? as usize;
    (bytes(head, at)? == *b"PE\0\0").then_some(())?;
    Some(match u16_at(head, at + 4)? {
        0x8664 => "x86_64".into(),
        0xaa64 => "aarch64".into(),
        other => format!("PE machine {other:#x}"),
    })
}

fn mach(head: &[u8]) -> Option<String> {
    Some(match u32_at(head, 4)? {
        0x0100_0007 => "x86_64".into(),
        0x0100_000c => "aarch64".into(),
        other => format!("Mach-O processor {other:#x}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pe_file(machine: u16) -> Vec<u8> {
        let mut file = vec![0; 0x88];
        file[..2].copy_from_slice(b"MZ");
        file[0x3c] = 0x80;
        file[0x80..0x84].copy_from_slice(b"PE\0\0");
        file[0x84..0x86].copy_from_slice(&machine.to_le_bytes());
        file
    }

    #[test]
    fn other_systems_and_machines_are_named() {
        let file = pe_file(0xaa64);
        let say = |os, arch| check(&file, file.len() as u64, os, arch);
        assert_eq!(say("windows", "aarch64"), Ok(()));
        assert_eq!(say("windows", "x86_64").unwrap_err(), "the library is built for aarch64, this program is x86_64");
        let message = "the library is for Windows (PE), this system needs Linux (ELF)";
        assert_eq!(say("linux", "aarch64").unwrap_err(), message);
        let mach = [0xcf, 0xfa, 0xed, 0xfe, 7, 0, 0, 1];
        assert_eq!(check(&mach, 8, "macos", "x86_64"), Ok(()));
        assert!(check(&mach, 8, "macos", "aarch64").is_err());
    }

    #[test]
    fn no_cut_of_a_header_is_accepted_or_panics() {
        // A header with one loadable segment of 0x1000 bytes, as the gabi lays it out.
        let mut elf = vec![0; 64 + 56];
        elf[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        for (at, value) in [(16, 3), (18, 62), (32, 64), (54, 56), (56, 1), (64, 1)] {
            elf[at] = value;
        }
        elf[64 + 33] = 0x10;
        assert_eq!(check(&elf, 0x1000, "linux", "x86_64"), Ok(()));
        assert_eq!(
            check(&elf, 0xfff, "linux", "x86_64").unwrap_err(),
            "the library is truncated: it has 4095 bytes and needs 4096"
        );
        for file in [elf, pe_file(0x8664)] {
            for n in 0..file.len().min(0x86) {
                assert!(check(&file[..n], n as u64, "linux", "x86_64").is_err(), "{n}");
                assert!(check(&file[..n], n as u64, "windows", "x86_64").is_err(), "{n}");
            }
        }
    }
}
