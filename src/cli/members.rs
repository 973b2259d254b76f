//! `grapevine members`: who is in the cluster, as this node sees it.

use super::age::{ago, now_ms};
use super::control::{ControlArgs, JsonArgs, ask};
use super::exit::{Exit, Failure};
use super::output::{print, print_json};
use super::table::{Side, Table};
use crate::node::{MemberState, MemberView};

/// Shows the members of the cluster
#[derive(clap::Args, Debug)]
pub(super) struct MembersArgs {
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn run(args: &MembersArgs) -> Result<Exit, Failure> {
    let members = ask(args.control.client()?.status())?.view.members;
    if args.json.json {
        print_json(&members)?
    } else {
        print(&render(&members, now_ms()))?
    }
    Ok(Exit::Ok)
}

/// The table of members.
pub(super) fn render(members: &[MemberView], now_ms: u64) -> String {
    let mut table = Table::new(&[
        ("MEMBER", Side::Left),
        ("STATE", Side::Left),
        ("SINCE", Side::Left),
        ("GOSSIP", Side::Left),
        ("ZONES", Side::Left),
    ]);
    for member in members {
        let zones = match (member.this_node, member.in_sync, member.state) {
            (true, ..) => "this node",
            (_, _, MemberState::Down | MemberState::Left) => "-",
            (_, true, _) => "same",
            (_, false, _) => "differ",
        };
        table.row([
            member.name.clone(),
            word(member.state).to_owned(),
            ago(member.since_ms, now_ms),
            member.gossip.to_string(),
            zones.to_owned(),
        ]);
    }
    table.render()
}

fn word(state: MemberState) -> &'static str {
    match state {
        MemberState::Alive => "alive",
        MemberState::Suspect => "suspect",
        MemberState::Down => "down",
        MemberState::Left => "left",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_has_its_state_and_since_when() {
        let member = |name: &str, state, this_node, in_sync| MemberView {
            name: name.to_owned(),
            gossip: ([127, 0, 0, 1], 7301).into(),
            state,
            since_ms: 1_000,
            this_node,
            in_sync,
        };
        let members = [
            member("n1", MemberState::Alive, true, true),
            member("n2", MemberState::Suspect, false, false),
            member("n3", MemberState::Down, false, true),
        ];
        let expected = "\
MEMBER  STATE    SINCE       GOSSIP          ZONES
n1      alive    3m 12s ago  127.0.0.1:7301  this node
n2      suspect  3m 12s ago  127.0.0.1:7301  differ
n3      down     3m 12s ago  127.0.0.1:7301  -
";
        assert_eq!(render(&members, 193_000), expected);
    }
}
