//! Runs the hot paths of a crate: by criterion, or a number of times for a tool that counts instructions.
//!
//! ```text
//! cargo bench -p hap-srtp                      criterion
//! hot_paths names                              what there is
//! hot_paths count protect-1200 1000            a thousand times, and nothing else
//! ```

use criterion::Criterion;

/// What is measured, one call at a time, and its name.
pub(crate) type HotPath = (&'static str, Box<dyn FnMut()>);

/// Does what the command line says.
pub(crate) fn run(paths: Vec<HotPath>) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["names"] => paths.iter().for_each(|(name, _)| println!("{name}")),
        ["count", name, times] => count(paths, name, times.parse().expect("a number of times")),
        _ => measure(paths),
    }
}

fn count(paths: Vec<HotPath>, wanted: &str, times: u32) {
    let found = paths.into_iter().find(|(name, _)| *name == wanted);
    let (_, mut path) = found.expect("one of the names");
    (0..times).for_each(|_| path());
}

fn measure(paths: Vec<HotPath>) {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, mut path) in paths {
        criterion.bench_function(name, |bencher| bencher.iter(&mut path));
    }
    criterion.final_summary();
}
