//! A data directory that becomes read-only under a running node, as Linux makes a file system after an error of its disk:
//! the node goes on answering, edits are refused in words that help, and nothing that was acknowledged is lost.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use hickory_server::proto::rr::RecordType;

use super::client::lookup;
use super::harness::{Node, ORIGIN, PROGRAM, Scene, ZONE, is_root, run, said, text, until};

fn has(node: &Node, label: &str) -> bool {
    !lookup(node.dns, &format!("{label}.{ORIGIN}."), RecordType::A).is_empty()
}

fn add(node: &Node, label: &str) -> std::process::Output {
    node.ctl(&["record", "add", ORIGIN, label, "A", "192.0.2.7"])
}

/// Edits are refused by command and held by file; what is there is served.
fn refuses_edits(node: &Node, refused: &str, saved: &str) {
    let output = add(node, refused);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(said(&output).contains("Read-only file system"), "{}", said(&output));
    node.sed(ORIGIN, &format!("$ a {saved} A 192.0.2.8"));
    until("the saved file to be held, and why", || node.told(&["status"]).contains("Read-only file system"));
    assert!(has(node, "before") && !has(node, refused) && !has(node, saved), "it is served as it was");
}

/// A file system in a file, with a journal, on a loop device of its own.
struct Ext4 {
    image: String,
    at: String,
}

impl Ext4 {
    fn make(image: String, at: &str) -> Option<Ext4> {
        fs::File::create(&image).and_then(|file| file.set_len(64 << 20)).expect("room for an image");
        let made = is_root() && run("mkfs.ext4", &["-q", &image]).status.success();
        let disk = Ext4 { image, at: at.to_owned() };
        (made && disk.mount()).then_some(disk)
    }

    fn mount(&self) -> bool {
        run("mount", &["-o", "loop", &self.image, &self.at]).status.success()
    }

    /// What the kernel does by itself when the journal cannot be written: no write gets through from now on.
    fn abort(&self) {
        // It says that the file system is read-only by now, which is the aim.
        run("mount", &["-o", "remount,abort", &self.at]);
    }

    /// Takes it off, mends it and puts it back.
    fn mend(&self) {
        assert!(run("umount", &[&self.at]).status.success());
        // 1: errors were corrected.
        let code = run("e2fsck", &["-fp", &self.image]).status.code();
        assert!(matches!(code, Some(0 | 1)), "{code:?}");
        assert!(self.mount());
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        // Lazily: a node that outlives a failed test may still use it.
        run("umount", &["-l", &self.at]);
    }
}

#[test]
fn a_file_system_that_turns_read_only_refuses_edits_and_keeps_what_was_acknowledged() {
    let scene = Scene::new();
    let mut node = scene.node("node");
    let image = text(&scene.path("image")).to_owned();
    let Some(disk) = Ext4::make(image, text(&node.data)) else {
        return eprintln!("not shown: only the superuser may mount a file system");
    };
    node.save(ORIGIN, ZONE);
    node.start();
    until("the zone to be served", || has(&node, "www"));
    assert!(add(&node, "before").status.success());
    until("its file to be there", || node.read_file(ORIGIN).contains("before"));
    disk.abort();
    refuses_edits(&node, "refused", "saved");
    node.kill();
    disk.mend();
    node.start();
    // The save was in the file all the time, and counts now; what was refused does not.
    until("the saved file to be taken over", || has(&node, "saved"));
    assert!(has(&node, "before") && !has(&node, "refused"));
    assert!(add(&node, "refused").status.success() && has(&node, "refused"));
    drop(node);
}

/// The answer of a read-only file system to each call that would change the node's store, as long as this lives. A mount
/// would not do: Linux refuses to make one read-only while a file on it is open for writing.
struct ReadOnly(Child);

impl ReadOnly {
    fn impose(node: &Node, process: &str) -> ReadOnly {
        let calls = "pwrite64,pwritev,write,ftruncate,fallocate,fsync,fdatasync,openat,rename,renameat2";
        let mut tracer = Command::new("strace")
            .args(["-f", "-p", process, "-o", "/dev/null", "-P", text(&node.data.join("grapevine.redb"))])
            .args(["-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:error=EROFS")])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace is installed: scripts/setup test");
        let mut said = String::new();
        BufReader::new(tracer.stderr.take().expect("a pipe")).read_line(&mut said).expect("strace speaks");
        assert!(said.contains("attached"), "{said}");
        ReadOnly(tracer)
    }

    fn lift(mut self) {
        let id = self.0.id().to_string();
        assert!(run("kill", &["-s", "INT", &id]).status.success());
        self.0.wait().expect("a child can be waited for");
    }
}

#[test]
fn once_the_file_system_can_be_written_again_edits_go_on_without_a_restart() {
    if !is_root() {
        return eprintln!("not shown: only the superuser may come between a node and its disk");
    }
    let scene = Scene::new();
    let mut node = scene.serving_node("node");
    assert!(add(&node, "before").status.success());
    until("its file to be there", || node.read_file(ORIGIN).contains("before"));
    let read_only = ReadOnly::impose(&node, &node.id());
    refuses_edits(&node, "refused", "saved");
    read_only.lift();
    until("the saved file to be taken over by itself", || has(&node, "saved"));
    assert!(!has(&node, "refused"));
    assert!(add(&node, "after").status.success());
    assert!(run(PROGRAM, &["status", "--control", text(&node.data)]).status.success());
    // And it is so after a crash, too.
    node.kill();
    node.start();
    until("what it kept to be served", || has(&node, "after"));
    assert!(has(&node, "before") && has(&node, "saved") && !has(&node, "refused"));
}
