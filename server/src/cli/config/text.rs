use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeString, DeTable, DeValue};

use super::error::{ConfigError, Errors, Lines, Place};
use super::settings::{NO_SETTINGS, Setting, Settings};

/// Tables within tables; no setting's name has more parts.
const DEPTH_MAX: usize = 8;
/// Values of one setting.
const VALUES_MAX: usize = 1_000;

/// What a text says, as far as it can be understood.
#[derive(Debug)]
pub(super) struct Parsed {
    /// By the settings' names.
    pub(super) given: BTreeMap<String, Given>,
    /// All that is wrong, in the order of the text.
    pub(super) errors: Vec<ConfigError>,
    /// Whether it is TOML.
    pub(super) is_toml: bool,
}

/// A setting with its values, each of which the flag takes.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) place: Place,
    pub(super) arguments: Vec<OsString>,
}

/// Reads a text. Keys within a table are joined to its name with a dash: `endpoint` in `[otlp]` is `otlp-endpoint`.
pub(super) fn read(text: &str, settings: &Settings) -> Parsed {
    let (table, syntax) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        settings,
        lines: Lines::of(text),
        broken_lines: BTreeSet::new(),
        given: BTreeMap::new(),
        errors: Errors::default(),
    };
    for error in &syntax {
        let at = error.span().map_or(0, |span| span.start);
        reader.broken_lines.insert(reader.lines.line(at));
        let advice = match error.message() {
            "duplicate key" => "leave one of them out; of `log` and `log-format` both need their whole names",
            _ => "write NAME = VALUE, with text in quotes",
        };
        reader.errors.push(at, format!("{}; {advice}", error.message()));
    }
    reader.table("", table.get_ref(), 0);
    reader.parsed(syntax.is_empty())
}

struct Reader<'a> {
    settings: &'a Settings,
    lines: Lines<'a>,
    /// Where the text is no TOML: what was made of it says nothing.
    broken_lines: BTreeSet<usize>,
    given: BTreeMap<&'a str, (usize, Vec<OsString>)>,
    errors: Errors,
}

impl<'a> Reader<'a> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>, depth: usize) {
        for (key, value) in table {
            let name =
                if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}-{}", key.get_ref()) };
            let settings = self.settings;
            match (settings.named(&name), value.get_ref()) {
                (None, DeValue::Table(_)) if depth >= DEPTH_MAX => {
                    self.errors.push(key.span().start, "tables are nested too deeply; write the setting's whole name");
                }
                (None, DeValue::Table(table)) => self.table(&name, table, depth + 1),
                _ if self.is_broken(key, value) => {}
                (None, _) => self.refuse_unknown(key, &name),
                (Some(setting), _) => self.setting(setting, key, value),
            }
        }
    }

    /// Whether it is what the parser put where it did not understand the text.
    fn is_broken(&self, key: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>) -> bool {
        value.span().is_empty()
            || self.is_in_broken_line(key.span().start)
            || self.is_in_broken_line(value.span().start)
    }

    fn is_in_broken_line(&self, at: usize) -> bool {
        self.broken_lines.contains(&self.lines.line(at))
    }

    fn refuse_unknown(&mut self, key: &Spanned<DeString<'_>>, name: &str) {
        // Looking for what is alike takes time, which a text of nothing but errors is not worth.
        let nearest = if self.errors.is_full() { None } else { self.settings.nearest(name) };
        let advice = match nearest {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None if NO_SETTINGS.contains(&name) => "it is a flag alone".into(),
            None => "`tachograph serve --help` lists them all".into(),
        };
        self.errors.push(key.span().start, format!("`{name}` is no setting; {advice}"));
    }

    fn setting(&mut self, setting: Setting<'a>, key: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>) {
        let at = key.span().start;
        if let Some((other, _)) = self.given.get(setting.name()) {
            let (first, second) = (at.min(*other), at.max(*other));
            let line = self.lines.line(first);
            let name = setting.name();
            self.errors.push(second, format!("`{name}` is set in line {line} already; leave one of them out"));
            return;
        }
        let arguments = self.arguments(setting, value);
        self.given.insert(setting.name(), (at, arguments));
    }

    /// What of a value the flag takes; tells of what it does not.
    fn arguments(&mut self, setting: Setting<'_>, value: &Spanned<DeValue<'_>>) -> Vec<OsString> {
        match value.get_ref() {
            DeValue::Boolean(is_set) if !setting.takes_values() => {
                is_set.then(|| format!("--{}", setting.name()).into()).into_iter().collect()
            }
            _ if !setting.takes_values() => {
                self.refuse(setting, value, "must be true or false, without quotes");
                Vec::new()
            }
            DeValue::Array(values) if values.len() > VALUES_MAX => {
                self.refuse(setting, value, &format!("has more than {VALUES_MAX} values"));
                Vec::new()
            }
            DeValue::Array(values) if setting.is_list() => self.list(setting, values),
            DeValue::Array(_) => {
                self.refuse(setting, value, "takes one value, without brackets");
                Vec::new()
            }
            _ => self.argument(setting, value).into_iter().collect(),
        }
    }

    fn list(&mut self, setting: Setting<'_>, values: &DeArray<'_>) -> Vec<OsString> {
        values.iter().filter_map(|value| self.argument(setting, value)).collect()
    }

    fn argument(&mut self, setting: Setting<'_>, value: &Spanned<DeValue<'_>>) -> Option<OsString> {
        let checked = plain(value.get_ref()).map_err(String::from).and_then(|plain| {
            setting.check(&plain)?;
            Ok(setting.argument(&plain))
        });
        checked.map_err(|reason| self.refuse(setting, value, &reason)).ok()
    }

    fn refuse(&mut self, setting: Setting<'_>, value: &Spanned<DeValue<'_>>, reason: &str) {
        // What was read of a list that is no TOML.
        if self.is_in_broken_line(value.span().start) {
            return;
        }
        let name = setting.name();
        let advice = format!("see --{name} in `tachograph serve --help`");
        self.errors.push(value.span().start, format!("`{name}`: {reason}; {advice}"));
    }

    fn parsed(self, is_toml: bool) -> Parsed {
        let lines = &self.lines;
        let given = self.given.into_iter();
        let given = given.map(|(name, (at, arguments))| (name.to_owned(), Given { place: lines.place(at), arguments }));
        Parsed { given: given.collect(), errors: self.errors.told(lines), is_toml }
    }
}

/// A value as it is written behind a flag.
fn plain(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => decimal(number),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Boolean(is_set) => Ok(is_set.to_string()),
        DeValue::Datetime(_) => Err("a date is no value here; text is put in quotes"),
        DeValue::Array(_) => Err("a list within a list is no value here"),
        DeValue::Table(_) => Err("a table is no value here"),
    }
}

fn decimal(number: &DeInteger<'_>) -> Result<String, &'static str> {
    let value = i128::from_str_radix(number.as_str(), number.radix());
    value.map(|value| value.to_string()).map_err(|_| "the number is too large")
}
