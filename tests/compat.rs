//! All programs of ct-rec and slice together: their names, links, usage lines and what the guide says is the same.

use std::path::Path;
use std::process::{Command, Output};

fn wagiri(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wagiri")).args(args).output().expect("wagiri must start")
}

/// The columns of the tables of the guide: program, arguments, what it does, the same in wagiri.
fn programs() -> Vec<[String; 4]> {
    let tables = String::from_utf8(wagiri(&["compat", "list", "--markdown"]).stdout).expect("UTF-8");
    // An escaped bar is none between cells.
    let rows = tables.lines().map(|line| line.replace("\\|", "\u{1}")).filter(|line| line.starts_with("| `"));
    let cells = |row: String| -> Option<[String; 4]> {
        let cells: Vec<String> =
            row.trim_matches('|').split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect();
        cells.try_into().ok()
    };
    rows.filter_map(cells).collect()
}

/// What ct-rec's users call, but for endings.
const NAMES: &str = "hp_tg_t_c hp_tg_g_s ct_rec_t_r ct_rec_g_c ct_rec_loop ct_rec_loop.sh ct_rec_loop.bat p_rec_t_c p_rec_g_r sf_rec_t_c \
    rec2rec_c rec2rec_g_s ofct_DO ofct_DO_g ofct_srec_t_c ofct_srec_g_c ofct_rec_t_c hp2DO hp2do tf2DO sinog of_sinog ct_prj_f \
    ict_prj_fc ct_prj_fc ct_sub_f tif_f2i rec_gf rec_crop rec_sir rec_stk tif2hst pid tif_gsf tif_gsf_g tif_mdf tif_mdf_g \
    tif_blf tif_blf_g tif_nlm_g tif_adf_g tif_tvd_g tif_wvd_g tif_bm4d_g tif_mgf tif_mgf_g si_rar si_sir si_sir_a si_sir_s \
    si_sir_a6 si_gf gf_sd gf_fd his2img his2tif6 his_spl_E his_spl_K his_spl_e_nd his_spl_tif his_ave img_ave tif_ave q3_ave \
    q4_ave spl act_spl act_spl2 chk-rc set-rc ofsfa tif2img rc-check gen-all";

#[test]
fn every_name_is_known() {
    for name in NAMES.split_whitespace() {
        let output = wagiri(&["compat", "list", name]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Chains must parse; commands must be wagiri's.
#[test]
fn what_the_guide_calls_the_same_exists() {
    let programs = programs();
    assert!(programs.len() > 50, "{}", programs.len());
    for [program, _, _, same] in &programs {
        let same = same.trim_matches('`');
        if let Some(command) = same.strip_prefix("wagiri ") {
            let word = command.split_whitespace().next().unwrap_or_default();
            let help = wagiri(&[word, "--help"]);
            assert!(help.status.success(), "{program}: wagiri {word}: {}", String::from_utf8_lossy(&help.stderr));
        } else {
            let check = wagiri(&["check", same]);
            assert!(check.status.success(), "{program}: {same}: {}", String::from_utf8_lossy(&check.stderr));
        }
    }
}

#[test]
fn ten_arguments_too_many_are_answered_with_the_usage_line() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in NAMES.split_whitespace() {
        // Some take any number of files: those that do not exist are named.
        let output = Command::new(env!("CARGO_BIN_EXE_wagiri"))
            .current_dir(folder.path())
            .arg(name)
            .args(["no-such-file"; 12])
            .output()
            .expect("wagiri must start");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{name} must fail");
        assert!(said.contains("usage:") || said.contains("no-such-file"), "{name}: {said}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("it").count(), 0, "{name} left something behind");
    }
}

#[cfg(unix)]
#[test]
fn links_of_all_names_are_installed_and_others_files_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let bin = folder.path().join("new/bin");
    let install = |bin: &Path| wagiri(&["compat", "install", bin.to_str().expect("UTF-8")]);
    for _ in 0..2 {
        assert!(install(&bin).status.success());
    }
    let output = Command::new(bin.join("hp_tg_t_c")).output().expect("the link must start");
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage: hp_tg_t_c raw Dr RC RA0 rec"));
    // A program of the same name that is not ours stays, and nothing else is made.
    let bin = folder.path().join("old");
    std::fs::create_dir(&bin).expect("a folder");
    std::fs::write(bin.join("pid"), "#!/bin/sh\n").expect("a file");
    let output = install(&bin);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("pid"));
    assert_eq!(std::fs::read_dir(&bin).expect("it").count(), 1);
    assert_eq!(std::fs::read(bin.join("pid")).expect("it"), b"#!/bin/sh\n");
}
