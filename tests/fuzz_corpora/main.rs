//! The corpora of the fuzz targets as ordinary tests: what libFuzzer found worth keeping, and every finding since fixed.
//!
//! `fuzz/` shows how the targets are run; the oracles are its own.

#[path = "../../fuzz/src/oracles/mod.rs"]
#[expect(unreachable_pub, reason = "the library of the fuzz crate shows them to its targets")]
mod oracles;

mod conversation;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

/// Checks every file of a target's corpus, and names those that fail.
fn check_corpus(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("the repository is readable").path()).collect();
    paths.sort();
    assert!(paths.len() > 10, "{} holds {} files: is the checkout whole?", corpus.display(), paths.len());
    let fails = |path: &&std::path::PathBuf| {
        let data = fs::read(path).expect("the repository is readable");
        catch_unwind(|| check(&data)).is_err()
    };
    let failing: Vec<_> = paths.iter().filter(fails).collect();
    assert!(failing.is_empty(), "the panics above are of {failing:#?}");
}

#[test]
fn every_query_of_the_corpus_is_answered_as_it_should() {
    check_corpus("query", oracles::query::check);
}

#[test]
fn every_master_file_of_the_corpus_is_kept_without_loss_or_refused() {
    check_corpus("master_file", oracles::master_file::check);
}

#[test]
fn an_honest_conversation_of_two_nodes_is_taken_as_it_is() {
    let seeds = conversation::record();
    assert!(seeds.len() > 10, "{} seeds", seeds.len());
    for (name, seed) in seeds {
        oracles::gossip_frame::check(&seed);
        // To be done when the wire format changes, so that the fuzzer begins with what nodes say.
        if std::env::var_os("UPDATE_SEEDS").is_some() {
            let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/gossip_frame");
            fs::write(corpus.join(format!("seed-{name}")), seed).expect("the source tree is writable");
        }
    }
}

#[test]
fn no_gossip_of_the_corpus_harms_a_node() {
    check_corpus("gossip_frame", oracles::gossip_frame::check);
}

#[test]
fn rdata_of_the_corpus_and_its_text_are_the_same() {
    check_corpus("rdata_text", oracles::rdata_text::check);
}
