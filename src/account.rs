//! The name of a user of this machine, for the zones' history.

use std::fs;

/// The user's name by the local list of accounts, or `uid N`. Users that only a directory service knows have no name
/// here: nothing waits for a network to write a line of history.
pub fn name_of(uid: u32) -> String {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    find(&accounts, uid).unwrap_or_else(|| format!("uid {uid}"))
}

/// Looks a number up in a list as passwd(5) describes it.
fn find(accounts: &str, uid: u32) -> Option<String> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_the_list_of_accounts() {
        let accounts = "# accounts\nroot:x:0:0:root:/:/bin/sh\nbroken\nns:x:53:53::/:/bin/false\n";
        assert_eq!(find(accounts, 53).as_deref(), Some("ns"));
        assert_eq!(find(accounts, 54), None);
        assert_eq!(name_of(4_000_000_001), "uid 4000000001");
    }
}
