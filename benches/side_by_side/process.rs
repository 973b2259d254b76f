//! What the kernel says of a server's processes: the CPU time they took and the memory they hold.

use std::fs;
use std::io;
use std::ops::Sub;

/// Clock ticks in a second, as /proc counts them: 100 on Linux, whatever the kernel's own clock (USER_HZ, proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cpu {
    /// In the program.
    pub(crate) user_s: f64,
    /// In the kernel for it.
    pub(crate) system_s: f64,
}

impl Cpu {
    /// Both together.
    pub(crate) fn total_s(self) -> f64 {
        self.user_s + self.system_s
    }

    /// What a million of something took, if this many took so long.
    pub(crate) fn per_million(self, count: u64) -> Cpu {
        let share = 1e6 / count.max(1) as f64;
        Cpu { user_s: self.user_s * share, system_s: self.system_s * share }
    }
}

impl Sub for Cpu {
    type Output = Cpu;

    fn sub(self, earlier: Cpu) -> Cpu {
        Cpu { user_s: self.user_s - earlier.user_s, system_s: self.system_s - earlier.system_s }
    }
}

/// The processes of a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group(pub(crate) u32);

impl Group {
    /// CPU time of all processes of the group, and of those of their children that have ended.
    pub(crate) fn cpu(self) -> io::Result<Cpu> {
        let mut sum = Cpu::default();
        for (_, fields) in self.members()? {
            // user, system, and the same of children that were waited for: fields 14 to 17 of proc(5).
            let ticks = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
            sum.user_s += (ticks(14) + ticks(16)) / TICKS_PER_SECOND;
            sum.system_s += (ticks(15) + ticks(17)) / TICKS_PER_SECOND;
        }
        Ok(sum)
    }

    /// Proportional set size of all processes of the group in MB: pages that several share count once.
    pub(crate) fn pss_mb(self) -> io::Result<f64> {
        let mut kilobytes = 0.0;
        for (pid, _) in self.members()? {
            let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { continue };
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
            let number = line.and_then(|rest| rest.split_whitespace().next()).and_then(|text| text.parse::<f64>().ok());
            kilobytes += number.unwrap_or(0.0);
        }
        Ok(kilobytes / 1000.0 * 1.024)
    }

    /// The most memory any process of the group ever held, in MB (VmHWM).
    pub(crate) fn peak_mb(self) -> io::Result<f64> {
        let mut kilobytes: f64 = 0.0;
        for (pid, _) in self.members()? {
            let Ok(text) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let number = line.and_then(|rest| rest.split_whitespace().next()).and_then(|text| text.parse::<f64>().ok());
            kilobytes = kilobytes.max(number.unwrap_or(0.0));
        }
        Ok(kilobytes / 1000.0 * 1.024)
    }

    /// Each process with the fields of its stat file from the third on.
    fn members(self) -> io::Result<Vec<(u32, Vec<String>)>> {
        let mut members = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            // A process may end while it is looked at.
            let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            // The second field is a name in brackets that may hold anything.
            let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
            let fields: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
            if fields.get(2).is_some_and(|group| *group == self.0.to_string()) {
                members.push((pid, fields));
            }
        }
        Ok(members)
    }
}
