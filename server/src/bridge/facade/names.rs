use std::collections::{HashMap, HashSet};

use metrics::Unit;
use tachograph_core::registry::{Descriptor, Kind, RegisterError, Registry};

use super::Reason;

/// Names of the facade that are known at once: used or described.
const NAMES_MAX: usize = 4_096;
/// Names that the log spoke of.
const TOLD_MAX: usize = 4_096;
/// Bytes of a metric's or a label's name.
const NAME_BYTES_MAX: usize = 256;

/// What a family is made of beside its first use.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) bounds: Vec<f64>,
    pub(super) labels: Vec<String>,
}

impl Rules {
    /// # Errors
    /// No family can be like this: a registry of its own says so.
    pub(super) fn validate(&self, name: &str) -> Result<(), RegisterError> {
        let labels = self.labels.iter().map(String::as_str);
        let descriptor = labelled(Descriptor::new(&mapped(name), ""), labels).bounds(&self.bounds);
        Registry::new().histogram(&descriptor).map(drop)
    }
}

/// Who has which name, and what is said of it.
#[derive(Debug)]
pub(super) struct Names {
    /// By the facade's names.
    known: HashMap<String, Known>,
    rules: HashMap<String, Rules>,
    /// The registry's names that families were made for.
    taken: HashSet<String>,
    told: HashSet<String>,
}

#[derive(Debug, Default)]
struct Known {
    /// Of its first use; none if it was only described.
    kind: Option<Kind>,
    unit: &'static str,
    help: String,
}

impl Names {
    pub(super) fn new(rules: HashMap<String, Rules>) -> Self {
        Self { known: HashMap::new(), rules, taken: HashSet::new(), told: HashSet::new() }
    }

    /// # Errors
    /// It is in use already, and described otherwise.
    pub(super) fn describe(&mut self, kind: Kind, name: &str, unit: Option<Unit>, help: &str) -> Result<(), Reason> {
        let known = self.known(name)?;
        let unit = unit.map_or("", unit_name);
        match known.kind {
            Some(used) if used != kind => Err(Reason::Kind),
            Some(_) if known.unit != unit || known.help != help => Err(Reason::Description),
            Some(_) => Ok(()),
            None => {
                (known.unit, known.help) = (unit, help.to_owned());
                Ok(())
            }
        }
    }

    /// What a name's family is to be: its first one, or one beside that. The name is taken from then on.
    ///
    /// # Errors
    /// It is used as another kind, or another metric has the registry's name.
    pub(super) fn claim(
        &mut self,
        kind: Kind,
        name: &str,
        labels: &[&str],
        is_first: bool,
    ) -> Result<Descriptor, Reason> {
        let known = self.known(name)?;
        if *known.kind.get_or_insert(kind) != kind {
            return Err(Reason::Kind);
        }
        let help = if known.help.is_empty() { name } else { &known.help };
        let full_name = if is_first { mapped(name) } else { beside(name, labels) };
        let descriptor = labelled(Descriptor::new(&full_name, help).unit(known.unit), labels.iter().copied());
        if full_name.len() > NAME_BYTES_MAX {
            return Err(Reason::Name);
        }
        if !self.taken.insert(full_name) {
            return Err(Reason::NameTaken);
        }
        let bounds = self.rules.get(name).filter(|_| kind == Kind::Histogram).map(|rules| &*rules.bounds);
        Ok(descriptor.bounds(bounds.unwrap_or_default()))
    }

    /// No family was made for this one after all.
    pub(super) fn give_back(&mut self, descriptor: &Descriptor) {
        self.taken.remove(descriptor.name());
    }

    /// The labels that the builder was told of.
    pub(super) fn declared_labels(&self, name: &str) -> Option<Vec<String>> {
        self.rules.get(name).map(|rules| rules.labels.clone()).filter(|labels| !labels.is_empty())
    }

    /// Whether the log has not spoken of this name.
    pub(super) fn tells_of(&mut self, name: &str) -> bool {
        let shown = cut(name);
        !self.told.contains(shown) && self.told.len() < TOLD_MAX && self.told.insert(shown.to_owned())
    }

    fn known(&mut self, name: &str) -> Result<&mut Known, Reason> {
        check_name(name).then_some(()).ok_or(Reason::Name)?;
        if !self.known.contains_key(name) && self.known.len() >= NAMES_MAX {
            return Err(Reason::TooManyNames);
        }
        Ok(self.known.entry(name.to_owned()).or_default())
    }
}

/// Whether a metric or a label can be called so.
pub(super) fn check_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
}

/// A name as the registry takes it.
pub(super) fn mapped(name: &str) -> String {
    let lead = name.starts_with(|first: char| first.is_ascii_digit()).then_some('_');
    let word = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    lead.into_iter().chain(name.chars().map(word)).collect()
}

/// The start of a name, for the log.
pub(super) fn cut(name: &str) -> &str {
    let ends = (0..=NAME_BYTES_MAX.min(name.len())).rev();
    ends.into_iter().find_map(|end| name.get(..end)).unwrap_or_default()
}

/// The name of a further family, of other labels.
fn beside(name: &str, labels: &[&str]) -> String {
    labels.iter().fold(mapped(name) + "_by", |name, label| name + "_" + &mapped(label))
}

fn labelled<'a>(descriptor: Descriptor, labels: impl Iterator<Item = &'a str>) -> Descriptor {
    labels.fold(descriptor, |descriptor, label| descriptor.label(&mapped(label)))
}

/// As this project writes units; those that it has no word for as the facade does.
fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Microseconds => "us",
        Unit::Bytes => "bytes",
        other => other.as_canonical_label(),
    }
}
