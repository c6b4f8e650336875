//! The program that libFuzzer drives: one for all targets, so that the instrumented tree is built once.
//! `cargo xtask fuzz` builds it, sets the variable and passes libFuzzer's own flags.

#![no_main]

use std::sync::OnceLock;

use fuzz::Target;

static CHOSEN: OnceLock<&Target> = OnceLock::new();

fn chosen() -> &'static Target {
    let name = std::env::var(fuzz::TARGET_VARIABLE).unwrap_or_default();
    fuzz::target(&name).expect("xtask checks the name before it starts this program")
}

/// Written before libFuzzer reads its folders, of which this is one.
fn write_seeds() {
    let Some(folder) = std::env::var_os(fuzz::SEEDS_VARIABLE) else {
        return;
    };
    for (number, bytes) in (chosen().seeds)().iter().enumerate() {
        let file = std::path::Path::new(&folder).join(format!("seed-{number}"));
        std::fs::write(file, bytes).expect("xtask made this folder");
    }
}

libfuzzer_sys::fuzz_target!(init: write_seeds(), |bytes: &[u8]| {
    (CHOSEN.get_or_init(chosen).run)(bytes);
});
