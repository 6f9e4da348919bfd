//! Cores, CPU time and memory of processes.

use std::{collections::BTreeMap, error::Error, fs};

use rustix::{
    process::Pid,
    thread::{CpuSet, sched_setaffinity},
};

/// Puts this thread, and what it starts from now on, on one core.
///
/// # Errors
/// The system's.
pub fn pin(core: usize) -> Result<(), Box<dyn Error>> {
    Ok(sched_setaffinity(None, &set([core]))?)
}

/// Lets this thread, and what it starts from now on, run on every core again.
///
/// # Errors
/// The system's.
pub fn unpin() -> Result<(), Box<dyn Error>> {
    Ok(sched_setaffinity(None, &set(0..CpuSet::MAX_CPU))?)
}

/// Puts every thread of a process that runs already on one core, or on every core again.
///
/// # Errors
/// The system's.
pub fn pin_process(process: u32, core: Option<usize>) -> Result<(), Box<dyn Error>> {
    let set = core.map_or_else(|| set(0..CpuSet::MAX_CPU), |core| set([core]));
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let number = task?.file_name().to_string_lossy().parse()?;
        match sched_setaffinity(Pid::from_raw(number), &set) {
            // It has ended meanwhile.
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn set(cores: impl IntoIterator<Item = usize>) -> CpuSet {
    let mut set = CpuSet::new();
    cores.into_iter().for_each(|core| set.set(core));
    set
}

/// Seconds of CPU of all threads of a process so far.
///
/// # Errors
/// When there is no such process.
pub fn cpu_seconds(process: u32) -> Result<f64, Box<dyn Error>> {
    Ok(cpu_by_thread(process)?.values().sum())
}

/// The same by the name of the thread; those of one name are added up.
///
/// # Errors
/// As [`cpu_seconds`].
pub fn cpu_by_thread(process: u32) -> Result<BTreeMap<String, f64>, Box<dyn Error>> {
    let mut seconds = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let path = task?.path();
        let (Ok(name), Ok(text)) =
            (fs::read_to_string(path.join("comm")), fs::read_to_string(path.join("schedstat")))
        else {
            // It has ended meanwhile.
            continue;
        };
        let nanos: f64 = text.split(' ').next().unwrap_or_default().parse()?;
        *seconds.entry(name.trim().to_owned()).or_default() += nanos / 1e9;
    }
    Ok(seconds)
}

/// Resident memory of a process in MiB.
#[must_use]
pub fn resident_mib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
}
