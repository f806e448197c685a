//! A disk that keeps only what was synced, and that can be told to fail.

use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

/// Storage in memory that outlives the database opened over it. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    live: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Change>,
    /// How many more changes and syncs succeed.
    changes_left: Option<u64>,
    syncs_fail: bool,
    syncs: u64,
}

#[derive(Debug, Clone)]
enum Change {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

/// Sectors are written whole or not at all.
const SECTOR_BYTES: usize = 512;

impl Disk {
    pub(super) fn fail_after(&self, changes: u64) {
        self.state().changes_left = Some(changes);
    }

    pub(super) fn fail_syncs(&self) {
        self.state().syncs_fail = true;
    }

    pub(super) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// What another machine would find after this one went down: all that was synced, and of each later write nothing, everything,
    /// or some first sectors, as `fates` has it.
    pub(super) fn after_crash(&self, fates: &[u8]) -> Self {
        let state = self.state();
        let mut bytes = state.synced.clone();
        for (change, fate) in state.unsynced.iter().zip(fates.iter().cycle()) {
            match (change, fate % 4) {
                (_, 0) => {}
                (Change::Bytes(at, written), 1) => {
                    let sectors = written.len() / SECTOR_BYTES * usize::from(*fate) / 256;
                    Change::Bytes(*at, written[..sectors * SECTOR_BYTES].to_vec()).make(&mut bytes);
                }
                _ => change.make(&mut bytes),
            }
        }
        Self(Arc::new(Mutex::new(State { live: bytes.clone(), synced: bytes, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn change(&self, change: Change) -> Result<(), Error> {
        let mut state = self.state();
        state.use_up()?;
        change.make(&mut state.live);
        state.unsynced.push(change);
        Ok(())
    }
}

impl State {
    fn use_up(&mut self) -> Result<(), Error> {
        match &mut self.changes_left {
            Some(0) => Err(Error::other("the disk fails")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Change {
    fn make(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => bytes.resize(*length, 0),
            Self::Bytes(at, written) => {
                let end = at + written.len();
                if end > bytes.len() {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(written);
            }
        }
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.state().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let state = self.state();
        let bytes = state.live.get(index(offset)..index(offset) + out.len());
        out.copy_from_slice(bytes.ok_or(Error::from(ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.change(Change::Length(index(len)))
    }

    fn sync_data(&self) -> Result<(), Error> {
        let mut guard = self.state();
        let state = &mut *guard;
        state.use_up()?;
        if state.syncs_fail {
            return Err(Error::other("the disk does not sync"));
        }
        state.syncs += 1;
        for change in state.unsynced.drain(..) {
            change.make(&mut state.synced);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.change(Change::Bytes(index(offset), data.to_vec()))
    }
}
