//! The processes that are measured: this program in another role, and the real `demur`.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

/// How long a process may take until it listens: seconds, on a machine that is left alone.
const START: Duration = Duration::from_secs(120);

/// A process that listens on loopback; it ends with this value.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Where its metrics are, for a gateway.
    pub(crate) ops: Option<SocketAddr>,
}

impl Process {
    /// This program in a role. It writes its address to its output.
    pub(crate) fn role(role: &str, upstream: Option<SocketAddr>) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--role", role]);
        if let Some(upstream) = upstream {
            command.arg("--upstream").arg(upstream.to_string());
        }
        Self::start(command, role, |line| Some((line.strip_prefix("listening on ")?.parse().ok()?, None)))
    }

    /// The gateway in front of a model, as an operator starts it. Its log goes to a file of this name.
    pub(crate) fn demur(name: &str, policy: &str, upstream: SocketAddr) -> anyhow::Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_demur"));
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--ops-listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
        ]);
        command.args(["--policy", policy, "--upstream", &format!("http://{upstream}/v1")]);
        Self::start(command, name, |line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            let address = |key: &str| line[key].as_str()?.parse().ok();
            if line["message"] == "serving" { Some((address("listen")?, address("ops"))) } else { None }
        })
    }

    fn start(
        mut command: Command,
        name: &str,
        read: impl Fn(&str) -> Option<(SocketAddr, Option<SocketAddr>)>,
    ) -> anyhow::Result<Self> {
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{name}.log"));
        let file = File::create(&log)?;
        let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn();
        let child = child.with_context(|| format!("can't start `{name}`"))?;
        // From here on the process ends with this value, whatever comes.
        let mut process = Self { child, address: ([127, 0, 0, 1], 0).into(), ops: None };
        let started = Instant::now();
        while started.elapsed() < START {
            let said = fs::read_to_string(&log)?;
            if let Some((address, ops)) = said.lines().find_map(&read) {
                (process.address, process.ops) = (address, ops);
                return Ok(process);
            }
            if let Some(status) = process.child.try_wait()? {
                bail!("`{name}` ended with {status}:\n{said}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("`{name}` did not listen within {START:?}")
    }
}

impl Process {
    /// The processor time it has used until now; nothing where the system has no `/proc` as Linux does
    /// (`proc_pid_stat(5)`: the fields `utime` and `stime`, in hundredths of a second).
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        let ticks: Option<Vec<u64>> =
            fields.split_whitespace().skip(11).take(2).map(|field| field.parse().ok()).collect();
        Some(Duration::from_millis(10 * ticks?.iter().sum::<u64>()))
    }

    /// Its resident memory in MiB; nothing where the system has no `/proc` as Linux does (`proc_pid_status(5)`).
    pub(crate) fn memory(&self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: f64 = resident.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
