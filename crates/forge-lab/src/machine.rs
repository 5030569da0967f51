//! What the figures were measured on: processor, cores, page size, system.

use serde_json::{Value, json};

/// The machine, as far as it can be told. An unknown property is `None` and printed as "unknown".
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    processor: Option<String>,
    cores: Option<usize>,
    page_bytes: usize,
    system: String,
}

impl Machine {
    /// Describes the machine that this process runs on.
    pub(crate) fn this() -> Self {
        Self {
            processor: processor_model(),
            cores: std::thread::available_parallelism().ok().map(usize::from),
            page_bytes: forge_os::page_size(),
            system: system_name(),
        }
    }

    /// Returns one line for the header of a table.
    pub(crate) fn line(&self) -> String {
        let processor = self.processor.as_deref().unwrap_or("unknown processor");
        let cores = match self.cores {
            Some(1) => "1 core".to_string(),
            Some(cores) => format!("{cores} cores"),
            None => "unknown number of cores".to_string(),
        };
        format!("{processor}, {cores}, {} KiB pages, {}", self.page_bytes / 1024, self.system)
    }

    /// Returns the same as JSON.
    pub(crate) fn json(&self) -> Value {
        json!({
            "processor": self.processor,
            "cores": self.cores,
            "page_bytes": self.page_bytes,
            "system": self.system,
        })
    }
}

fn processor_model() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

fn system_name() -> String {
    let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
    match std::fs::read_to_string("/proc/sys/kernel/osrelease") {
        Ok(release) => format!("{system} {} {processor}", release.trim()),
        Err(_) => format!("{system} {processor}"),
    }
}
