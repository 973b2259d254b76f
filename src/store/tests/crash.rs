//! Sudden ends: of the process, and of the machine.

use std::io::{self, BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redb::backends::FileBackend;
use redb::{Builder, StorageBackend};

use super::*;

/// Names the data directory to the child that [`a_killed_writer_loses_nothing_that_it_acknowledged`] starts.
const CHILD: &str = "GRAPEVINE_TEST_STORE";

/// Not a test by itself: the process that is killed. Writes entry after entry and says so after each.
#[test]
#[ignore = "started by another test"]
fn writing_child() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let (mut store, saved) = Store::open(Path::new(&directory)).expect("the store opens");
    for position in positions(&saved).len() as u64.. {
        let write = Write::Journal { position, batch: batch(ZONE, position, position as usize % 5000) };
        store.commit(&[&[write]]).expect("a commit");
        println!("kept {position}");
        io::stdout().flush().expect("the parent listens");
    }
}

#[test]
fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    let directory = directory();
    let mut random = StdRng::seed_from_u64(1982);
    let mut acknowledged = 0;
    for _ in 0..8 {
        let mut child = Command::new(std::env::current_exe().expect("this test binary"))
            .args(["--ignored", "--exact", "store::tests::crash::writing_child", "--nocapture"])
            .env(CHILD, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        // Killed while it works on one of the next entries; what it said before lies in the pipe still.
        let patience = random.random_range(1..40);
        let mut heard = 0;
        for line in output.lines().map_while(Result::ok) {
            let Some((_, position)) = line.split_once("kept ") else { continue };
            acknowledged = position.trim().parse::<u64>().expect("a position") + 1;
            heard += 1;
            if heard == patience {
                child.kill().expect("the child is ours");
            }
        }
        child.wait().expect("the child ends");
        assert!(heard >= patience, "the child ended by itself");
        let (_store, saved) = Store::open(directory.path()).expect("the store opens");
        let kept = &saved.zones[0].journal;
        assert!(kept.len() as u64 >= acknowledged, "{} kept, {acknowledged} acknowledged", kept.len());
        for (index, (position, found)) in (0u64..).zip(kept) {
            assert_eq!((*position, found), (index, &batch(ZONE, index, index as usize % 5000)));
        }
    }
}

/// One thing that a file was told.
#[derive(Clone, Debug)]
enum Step {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
    /// The store answered for entries before this one.
    Acknowledged(u64),
}

/// A file that remembers all it was told.
#[derive(Debug)]
struct Recorder {
    file: FileBackend,
    steps: Arc<Mutex<Vec<Step>>>,
}

impl Recorder {
    fn note(&self, step: Step) {
        self.steps.lock().expect("no panic").push(step);
    }
}

impl StorageBackend for Recorder {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.note(Step::SetLen(len));
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.note(Step::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(Step::Write(offset, data.to_vec()));
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

/// The file as a power cut after `steps` could leave it: what was not synced may be there, or not, or in part.
fn image(start: &[u8], steps: &[Step], random: &mut StdRng) -> Vec<u8> {
    const SECTOR: usize = 512;
    let synced = steps.iter().rposition(|step| matches!(step, Step::Sync)).unwrap_or(0);
    let mut file = start.to_vec();
    for (index, step) in steps.iter().enumerate() {
        match step {
            Step::SetLen(len) => file.resize(*len as usize, 0),
            Step::Write(offset, data) => {
                for (sector, bytes) in data.chunks(SECTOR).enumerate() {
                    if index < synced || random.random_bool(0.5) {
                        let at = *offset as usize + sector * SECTOR;
                        file[at..at + bytes.len()].copy_from_slice(bytes);
                    }
                }
            }
            Step::Sync | Step::Acknowledged(_) => {}
        }
    }
    file
}

#[test]
fn a_power_cut_between_any_two_writes_loses_nothing_acknowledged() {
    let directory = directory();
    drop(Store::open(directory.path()).expect("a new store"));
    let path = directory.path().join("grapevine.redb");
    let start = fs::read(&path).expect("the file");
    let steps = Arc::new(Mutex::new(Vec::new()));
    let opener = {
        let steps = steps.clone();
        Box::new(move |path: &Path| {
            let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
            Builder::new().create_with_backend(Recorder { file: FileBackend::new(file)?, steps: steps.clone() })
        })
    };
    let (mut store, _) = Store::open_with(directory.path(), opener).expect("the store opens");
    for position in 0..25u64 {
        let batch = batch(ZONE, position, (position as usize % 7) * 3000);
        store.commit(&[&[Write::Journal { position, batch }]]).expect("a commit");
        steps.lock().expect("no panic").push(Step::Acknowledged(position + 1));
    }
    drop(store);
    let steps = std::mem::take(&mut *steps.lock().expect("no panic"));
    let mut random = StdRng::seed_from_u64(2181);
    for _ in 0..150 {
        let cut = random.random_range(0..=steps.len());
        fs::write(&path, image(&start, &steps[..cut], &mut random)).expect("the file");
        let acknowledged = steps[..cut].iter().rev().find_map(|step| match step {
            Step::Acknowledged(count) => Some(*count),
            _ => None,
        });
        let (_store, saved) =
            Store::open(directory.path()).unwrap_or_else(|error| panic!("cut after step {cut}: {error}"));
        let kept = positions(&saved);
        assert!(kept.len() as u64 >= acknowledged.unwrap_or(0), "cut after step {cut}: {kept:?}");
        assert!(kept.iter().copied().eq(0..kept.len() as u64), "cut after step {cut}: {kept:?}");
    }
}
