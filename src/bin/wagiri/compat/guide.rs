//! What the programs say of themselves: the list, a page for one, and the tables of `docs/ct-rec.md`.

use super::{Call, GROUPS, Program};
use crate::terminal::say;

/// The programs, a line each.
pub fn print_list() {
    for (group, programs) in GROUPS {
        say!("{group}");
        for program in programs {
            say!("  {:<18} {}", program.pattern(), program.does);
        }
    }
    say!("P: t (threads) or g (graphics card); F: c (Chesler), s (Shepp-Logan) or r (ramp)");
}

/// One program, everything that is known of it.
pub fn print_one(call: &Call) {
    let Program { does, same_as, differs, checked, usage, .. } = call.program;
    say!("{}: {does}", call.program.pattern());
    for form in *usage {
        say!("  {} {form}", call.name);
    }
    say!("The same in wagiri: {same_as}");
    if !differs.is_empty() {
        say!("Differs from ct-rec: {differs}");
    }
    say!("Checked: {checked}");
}

/// The tables of `docs/ct-rec.md`.
pub fn print_markdown() {
    for (group, programs) in GROUPS {
        say!("### {group}\n");
        say!("| program | arguments | what it does | the same in wagiri |\n| --- | --- | --- | --- |");
        for program in programs {
            let forms: Vec<String> = program.usage.iter().map(|form| format!("`{}`", cell(form))).collect();
            let (name, forms) = (program.pattern(), forms.join("<br>"));
            say!("| `{name}` | {forms} | {} | `{}` |", cell(program.does), cell(program.same_as));
        }
        say!("\n| program | differs from ct-rec | reproduced, how far, on which data |\n| --- | --- | --- |");
        for program in programs {
            let differs = if program.differs.is_empty() { "-" } else { program.differs };
            say!("| `{}` | {} | {} |", program.pattern(), cell(differs), cell(program.checked));
        }
        say!("");
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
