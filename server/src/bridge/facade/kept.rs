use std::collections::HashMap;
use std::collections::hash_map::Entry;

use metrics::Key;
use parking_lot::Mutex;
use tachograph_core::registry::{Family, RegisterError};

use super::handles::Instrument;
use super::names::{check_name, mapped};
use super::{Reason, Shared};
use crate::bridge::table::Table;

/// Handles found without a lock, of each kind.
const HANDLES_MAX: usize = 8_192;
/// Text of a key that is kept; what is longer is looked up anew each time.
const KEY_BYTES_MAX: usize = 4_096;
/// Families of one name, which differ in their labels.
const FAMILIES_A_NAME_MAX: usize = 8;
/// Labels of a call.
const LABELS_MAX: usize = tachograph_core::label::LABELS_MAX;

/// All of one kind that came through the facade.
#[derive(Debug)]
pub(super) struct Kept<I: Instrument> {
    handles: Table<Key, I::Handle>,
    /// By the facade's names, which are bounded.
    families: Mutex<HashMap<String, Vec<Labelled<I>>>>,
}

impl<I: Instrument> Kept<I> {
    pub(super) fn new() -> Self {
        Self { handles: Table::new(HANDLES_MAX), families: Mutex::default() }
    }

    /// The handle of this key, the same one each time.
    #[inline]
    pub(super) fn handle(&self, shared: &Shared, key: &Key) -> I::Handle {
        match self.handles.find(key.get_hash(), |held| is_same(held, key)) {
            Some(handle) => handle.clone(),
            None => self.make(shared, key),
        }
    }

    #[cold]
    fn make(&self, shared: &Shared, key: &Key) -> I::Handle {
        let handle = self.series(shared, key).map_or_else(
            |reason| {
                shared.tell_once(key.name(), reason);
                I::into_refused(shared.refused(reason).clone())
            },
            |instrument| instrument.into_handle(shared),
        );
        let kept = (text_bytes(key) <= KEY_BYTES_MAX)
            .then(|| self.handles.keep(key.get_hash(), key.to_retained(), handle.clone(), |held| is_same(held, key)));
        kept.flatten().cloned().unwrap_or_else(|| {
            shared.uncached.inc();
            handle
        })
    }

    fn series(&self, shared: &Shared, key: &Key) -> Result<I, Reason> {
        let (name, labels) = (key.name(), labels_of(key)?);
        let own_labels: Vec<&str> = labels.iter().map(|(label, _)| *label).collect();
        let mut families = self.families.lock();
        let families = match families.entry(name.to_owned()) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(free) => {
                let declared = shared.names.lock().declared_labels(name);
                let declared: Option<Vec<&str>> =
                    declared.as_ref().map(|labels| labels.iter().map(String::as_str).collect());
                free.insert(vec![Labelled::register(shared, name, declared.as_ref().unwrap_or(&own_labels), true)?])
            }
        };
        if let Some(family) = families.iter().find(|family| family.takes(&labels)) {
            return family.bind(&labels);
        }
        if families.len() >= FAMILIES_A_NAME_MAX {
            return Err(Reason::TooManyLabelSets);
        }
        let further = Labelled::register(shared, name, &own_labels, false)?;
        let bound = further.bind(&labels);
        families.push(further);
        bound
    }
}

/// A family, and which labels of the facade it has.
#[derive(Debug)]
struct Labelled<I> {
    family: Family<I>,
    labels: Vec<LabelName>,
}

#[derive(Debug)]
struct LabelName {
    facade: String,
    registry: String,
}

impl<I: Instrument> Labelled<I> {
    fn register(shared: &Shared, name: &str, labels: &[&str], is_first: bool) -> Result<Self, Reason> {
        let descriptor = shared.names.lock().claim(I::KIND, name, labels, is_first)?;
        let family = I::register(&shared.registry, &descriptor).map_err(|error| {
            shared.names.lock().give_back(&descriptor);
            reason_of(error)
        })?;
        let named = |label: &&str| LabelName { facade: (*label).to_owned(), registry: mapped(label) };
        Ok(Self { family, labels: labels.iter().map(named).collect() })
    }

    /// Whether it has all of these.
    fn takes(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(label, _)| self.labels.iter().any(|own| own.facade == *label))
    }

    fn bind(&self, labels: &[(&str, &str)]) -> Result<I, Reason> {
        let value = |name: &LabelName| labels.iter().find(|(label, _)| *label == name.facade).map_or("", |held| held.1);
        let labels: Vec<_> = self.labels.iter().map(|name| (&*name.registry, value(name))).collect();
        I::bind(&self.family, &labels).map_err(|_| Reason::Label)
    }
}

/// The labels of a call, if a family can have them.
fn labels_of(key: &Key) -> Result<Vec<(&str, &str)>, Reason> {
    if key.labels().len() > LABELS_MAX {
        return Err(Reason::TooManyLabels);
    }
    let labels: Vec<_> = key.labels().map(|label| (label.key(), label.value())).collect();
    let is_new = |place: usize| labels[..place].iter().all(|(label, _)| *label != labels[place].0);
    let are_fine = (0..labels.len()).all(|place| check_name(labels[place].0) && is_new(place));
    if are_fine { Ok(labels) } else { Err(Reason::Label) }
}

fn reason_of(error: RegisterError) -> Reason {
    match error {
        RegisterError::InvalidName => Reason::Name,
        RegisterError::InvalidLabel | RegisterError::DuplicateLabel => Reason::Label,
        RegisterError::TooManyLabels => Reason::TooManyLabels,
        RegisterError::NoRoom => Reason::NoRoom,
        _ => Reason::NameTaken,
    }
}

/// In this order: the facade's own comparison, of any order, allocates for eight labels and more.
#[inline]
fn is_same(held: &Key, key: &Key) -> bool {
    held.get_hash() == key.get_hash() && held.name() == key.name() && held.labels().eq(key.labels())
}

fn text_bytes(key: &Key) -> usize {
    key.labels().fold(key.name().len(), |bytes, label| bytes + label.key().len() + label.value().len())
}
