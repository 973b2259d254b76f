//! `grapevine metrics`: the counters and gauges as Prometheus reads them.

use std::collections::BTreeMap;

use super::control::{ControlArgs, JsonArgs, ask};
use super::exit::{Exit, Failure};
use super::output::{print, print_json};

/// Shows the counters and gauges in Prometheus' text format
#[derive(clap::Args, Debug)]
pub(super) struct MetricsArgs {
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn run(args: &MetricsArgs) -> Result<Exit, Failure> {
    let page = ask(args.control.client()?.metrics())?;
    if args.json.json {
        print_json(&samples(&page))?
    } else {
        print(&page)?
    }
    Ok(Exit::Ok)
}

/// Each sample's name with its labels, and its value.
fn samples(page: &str) -> BTreeMap<&str, u64> {
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_keep_their_labels() {
        let page = "# HELP a x\n# TYPE a counter\na 1\nb{zone=\"x y.\"} 7\n";
        assert_eq!(samples(page), BTreeMap::from([("a", 1), ("b{zone=\"x y.\"}", 7)]));
    }
}
