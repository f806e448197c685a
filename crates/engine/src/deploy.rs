//! From a configured version to one that may run: verify, compile, describe, and for a replacement fold the whole history
//! beside the version that runs.

use std::collections::HashSet;
use std::sync::Arc;

use pelton_model::{
    Activated, Builtin, Consumer, EffectsFrom, Event, Json, NewEvent, Phase, Reason, Rejected, StreamPath, TypePatterns, Version,
};
use pelton_store::{Append, CheckpointChange, CheckpointWrite, Refusal, Write};
use pelton_wasm::{Component, Manifest, ReduceFailed, Reducer};

use crate::AppendError;
use crate::components::{HOST_ERROR, host_fault};
use crate::feed::{Feed, ReadAhead};
use crate::runner::identity;
use crate::tenant::Core;
use crate::turns::Turn;

/// A version that has proven it can be loaded, and for a replacement that it can fold what there is.
pub(crate) struct Prepared {
    version: Version,
    manifest: Manifest,
    fold: Fold,
    /// What the version that runs meanwhile wants.
    predecessor: Option<Wants>,
    _turn: Turn,
}

/// A state under construction, with the next cursor to fold.
struct Fold {
    feed: Feed,
    pages: ReadAhead,
    consumes: TypePatterns,
    reducer: Reducer,
    state: Json,
    reduced: u64,
}

/// Why a version does not run: its own fault, which is recorded, or the host's, which is tried again.
pub(crate) enum NotPrepared {
    Rejected(Reason),
    HostFault(String),
}

impl From<Reason> for NotPrepared {
    fn from(reason: Reason) -> Self {
        if reason.code == HOST_ERROR { Self::HostFault(reason.message) } else { Self::Rejected(reason) }
    }
}

impl From<pelton_store::StoreError> for NotPrepared {
    fn from(error: pelton_store::StoreError) -> Self {
        Self::HostFault(error.to_string())
    }
}

/// Blocking. `confirmed` is the version that runs meanwhile, `turn` what lets it block; it is given back when all is done.
pub(crate) fn prepare(
    core: &Arc<Core>,
    stream: &StreamPath,
    version: Version,
    confirmed: Option<&Version>,
    turn: Turn,
) -> Result<Prepared, NotPrepared> {
    let configured = &version.configured;
    let quotas = core.quotas.lowered_by(&configured.limits);
    check_size(configured.component.size, quotas.component_bytes_max)?;
    check_scope(configured.include_children, confirmed)?;
    let component: Component = core.components.load(&core.store, &configured.component.digest, &quotas)?;
    let config = configured.config.clone().unwrap_or_else(pelton_model::JsonObject::empty);
    let identity = identity(core, stream, &version);
    let manifest = component.describe(Some(identity.clone()), config.clone(), &quotas).map_err(|error| error.reason())?;
    let fold = Fold {
        feed: Feed::new(stream, configured.include_children),
        pages: ReadAhead::default(),
        consumes: configured.consumes.clone().unwrap_or_else(|| manifest.consumes.clone()),
        reducer: component.reducer(identity, config, quotas),
        state: manifest.initial_state.clone(),
        reduced: 1,
    };
    let predecessor = confirmed.map(|confirmed| Wants::of(confirmed, core));
    let mut prepared = Prepared { version, manifest, fold, predecessor, _turn: turn };
    // The running version moves on meanwhile; what is left when it stops is then little.
    while confirmed.is_some() && prepared.catch_up(core, stream)? {}
    Ok(prepared)
}

impl Prepared {
    /// Folds up to where the running version is, which is where this one takes over. Blocking; whether it moved.
    fn catch_up(&mut self, core: &Core, stream: &StreamPath) -> Result<bool, NotPrepared> {
        let before = self.fold.reduced;
        if let Some(handled) = self.handled_before(core, stream)? {
            self.fold.up_to(core, handled)?;
        }
        Ok(self.fold.reduced > before)
    }

    /// The first cursor that the running version has not dealt with. Its acknowledged cursor on disk may lag behind over events that it does
    /// not want, so those are passed over here.
    fn handled_before(&self, core: &Core, stream: &StreamPath) -> Result<Option<u64>, NotPrepared> {
        let Some(checkpoint) = core.store.checkpoint(stream, &self.consumer())? else { return Ok(None) };
        let Some(predecessor) = &self.predecessor else { return Ok(Some(checkpoint.acknowledged)) };
        let feed = &self.fold.feed;
        let (mut cursor, end) = (checkpoint.acknowledged, feed.tail(&core.store, &core.tails)?.next());
        while cursor < end {
            let page = feed.read(&core.store, cursor, end)?;
            if let Some((wanted, _)) = page.events.iter().find(|(cursor, event)| predecessor.wants(*cursor, event)) {
                return Ok(Some(*wanted));
            }
            cursor = page.next;
        }
        Ok(Some(cursor))
    }

    /// Blocking, with the running version at rest: folds the rest and gives the write that makes this version the confirmed one.
    pub fn activation(mut self, core: &Core, stream: &StreamPath) -> Result<Write, NotPrepared> {
        let replaces = core.store.checkpoint(stream, &self.consumer())?;
        let acknowledged = match self.handled_before(core, stream)? {
            // Asked once: the log goes on meanwhile, and the state must not include an event that is still to be acted on.
            Some(handled) => {
                self.fold.up_to(core, handled)?;
                handled
            }
            None => self.first_effect(core, stream)?,
        };
        let (configured, consumer) = (&self.version.configured, self.consumer());
        let activated = Activated {
            slug: configured.slug.clone(),
            digest: configured.component.digest,
            configured_offset: self.version.configured_offset,
            manifest: self.manifest.json,
        };
        let checkpoint = CheckpointWrite {
            stream: stream.clone(),
            consumer,
            revision: replaces.map_or(0, |checkpoint| checkpoint.revision),
            change: CheckpointChange::Put {
                configured_offset: self.version.configured_offset,
                reduced: self.fold.reduced,
                acknowledged,
                state: Some(self.fold.state),
            },
        };
        let event = NewEvent::builtin(Builtin::ProcessorActivated, &activated);
        Ok(Write { appends: vec![Append { stream: stream.clone(), event }], checkpoint: Some(checkpoint), ..Write::default() })
    }

    fn consumer(&self) -> Consumer {
        Consumer::Processor(self.version.configured.slug.clone())
    }

    fn first_effect(&self, core: &Core, stream: &StreamPath) -> Result<u64, NotPrepared> {
        Ok(match self.version.configured.effects_from {
            EffectsFrom::Configured => self.fold.feed.cursor_of(&core.store, stream, self.version.configured_offset)?,
            EffectsFrom::Start => 1,
            EffectsFrom::Offset(offset) => offset.get(),
        })
    }
}

/// Which events a version handles at all.
pub(crate) struct Wants {
    consumes: TypePatterns,
    skip_reduce: HashSet<u64>,
}

impl Wants {
    pub fn of(version: &Version, core: &Core) -> Self {
        let configured = version.configured.consumes.clone();
        let consumes = configured.or_else(|| Some(manifest(version, core)?.consumes)).unwrap_or_else(TypePatterns::all);
        let skipped = version.skipped.iter().filter(|skip| skip.phase == Phase::Reduce);
        Self { consumes, skip_reduce: skipped.map(|skip| skip.cursor).collect() }
    }

    pub fn wants(&self, cursor: u64, event: &Event) -> bool {
        self.consumes.matches(event.event_type.as_str()) && !self.skip_reduce.contains(&cursor)
    }
}

/// The manifest of an activated version.
pub(crate) fn manifest(version: &Version, core: &Core) -> Option<Manifest> {
    Manifest::parse(version.manifest.as_ref()?.as_str(), &core.quotas).ok()
}

impl Fold {
    fn up_to(&mut self, core: &Core, before: u64) -> Result<(), NotPrepared> {
        while self.reduced < before {
            self.page(core, before)?;
        }
        Ok(())
    }

    fn page(&mut self, core: &Core, before: u64) -> Result<(), NotPrepared> {
        let page = self.pages.read(&self.feed, &core.store, self.reduced, before)?;
        let events: Vec<Event> =
            page.events.into_iter().map(|(_, event)| event).filter(|event| self.consumes.matches(event.event_type.as_str())).collect();
        if !events.is_empty() {
            let state = std::mem::replace(&mut self.state, Json::from_checked("null"));
            let reduced = self.reducer.reduce(state, &events).map_err(|failed| NotPrepared::Rejected(replay_failed(failed, &events)))?;
            self.state = reduced.state;
        }
        self.reduced = page.next;
        Ok(())
    }
}

fn replay_failed(failed: ReduceFailed, events: &[Event]) -> Reason {
    let mut reason = failed.error.reason();
    if let Some(event) = events.get(failed.index) {
        reason.message = format!("reduce failed at offset {} of {} in the history: {}", event.offset, event.stream_path, reason.message);
    }
    reason
}

/// Answers a version that will never run.
pub(crate) async fn reject(core: &Core, stream: &StreamPath, version: &Version, reason: Reason, running: bool) -> Result<(), AppendError> {
    let configured = &version.configured;
    tracing::info!(tenant = %core.name, %stream, slug = %configured.slug, offset = %version.configured_offset,
        code = reason.code, reason = reason.message, "rejected");
    let rejected = Rejected {
        slug: configured.slug.clone(),
        digest: configured.component.digest,
        configured_offset: version.configured_offset,
        reason,
        running,
    };
    let event = NewEvent::builtin(Builtin::ProcessorRejected, &rejected);
    let write = Write { appends: vec![Append { stream: stream.clone(), event }], ..Write::default() };
    core.writer.write(write).await.map(drop)
}

/// Why a version that would run is rejected all the same.
pub(crate) fn no_room(refusal: &Refusal) -> Reason {
    Reason { code: "control-state-too-large".to_owned(), message: refusal.to_string(), expected: None, found: None, location: None }
}

fn check_size(size: Option<u64>, max: usize) -> Result<(), Reason> {
    match size {
        Some(size) if size > max as u64 => Err(Reason {
            code: "component-too-large".to_owned(),
            message: "the component is larger than this tenant may upload".to_owned(),
            expected: Some(format!("at most {max} bytes")),
            found: Some(format!("{size} bytes")),
            location: None,
        }),
        _ => Ok(()),
    }
}

/// The cursors of the two scopes count different things, so that one cannot take over from the other.
fn check_scope(include_children: bool, confirmed: Option<&Version>) -> Result<(), Reason> {
    match confirmed {
        Some(version) if version.configured.include_children != include_children => Err(Reason {
            code: "scope-changed".to_owned(),
            message: "a replacement reads what the version before it read; remove the processor first to change includeChildren".to_owned(),
            expected: Some(format!("includeChildren: {}", version.configured.include_children)),
            found: Some(format!("includeChildren: {include_children}")),
            location: None,
        }),
        _ => Ok(()),
    }
}

pub(crate) fn task_failed(error: &tokio::task::JoinError) -> NotPrepared {
    NotPrepared::HostFault(host_fault(error).message)
}
