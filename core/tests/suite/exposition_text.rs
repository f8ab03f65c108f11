//! A strict reader of metrics as text, made from the specifications and not from the writer: OpenMetrics 1.0 by its
//! grammar and the rules beside it, Prometheus' format 0.0.4. What the writer has no use for, such as summaries,
//! is an error.

use std::collections::BTreeSet;

/// Why a page is refused.
pub(crate) type Refused = String;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenMetrics,
    Prometheus,
}

#[derive(Debug, Default)]
pub(crate) struct ReadFamily {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) help: String,
    pub(crate) unit: String,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Labels,
    /// As it is written.
    pub(crate) value: String,
    pub(crate) exemplar: Option<ReadExemplar>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct ReadExemplar {
    pub(crate) labels: Labels,
    pub(crate) value: f64,
    /// As it is written, in seconds.
    pub(crate) at: String,
}

pub(crate) type Labels = Vec<(String, String)>;

/// All families of a page, in its order.
pub(crate) fn read(page: &[u8], dialect: Dialect) -> Result<Vec<ReadFamily>, Refused> {
    let text = str::from_utf8(page).map_err(|error| error.to_string())?;
    let body = match dialect {
        Dialect::OpenMetrics => text.strip_suffix("# EOF\n").ok_or("it does not end with # EOF")?,
        Dialect::Prometheus => text,
    };
    let mut page = Page { dialect, families: Vec::new(), names: BTreeSet::new() };
    let mut rest = body;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').ok_or("a line does not end")?;
        page.take(line).map_err(|why| format!("{why}: {line:?}"))?;
        rest = after;
    }
    page.families.iter().try_for_each(|family| check(family, dialect))?;
    Ok(page.families)
}

struct Page {
    dialect: Dialect,
    families: Vec<ReadFamily>,
    /// Of all families and samples until now.
    names: BTreeSet<String>,
}

impl Page {
    fn take(&mut self, line: &str) -> Result<(), Refused> {
        match line.strip_prefix("# ") {
            Some(descriptor) => self.take_descriptor(descriptor),
            None => self.take_sample(line),
        }
    }

    fn take_descriptor(&mut self, descriptor: &str) -> Result<(), Refused> {
        let (word, rest) = descriptor.split_once(' ').ok_or("a descriptor has three parts")?;
        let (name, text) = rest.split_once(' ').ok_or("a descriptor has three parts")?;
        let text = if word == "HELP" { self.dialect.unescaped_help(text)? } else { text.into() };
        let family = self.described(name)?;
        let held = match word {
            "TYPE" => &mut family.kind,
            "HELP" => &mut family.help,
            "UNIT" => &mut family.unit,
            _ => return Err("no such descriptor".into()),
        };
        if !held.is_empty() {
            return Err("it is described twice".into());
        }
        *held = text;
        Ok(())
    }

    /// The family that is being described: the newest, or a new one.
    fn described(&mut self, name: &str) -> Result<&mut ReadFamily, Refused> {
        if self.families.last().is_none_or(|family| family.name != name) {
            if !is_name(name, true) {
                return Err("no name of a family".into());
            }
            if !self.names.insert(name.into()) {
                return Err("the name is taken".into());
            }
            self.families.push(ReadFamily { name: name.into(), ..ReadFamily::default() });
        }
        let family = self.families.last_mut().ok_or("no family")?;
        if family.samples.is_empty() { Ok(family) } else { Err("it is described after its samples".into()) }
    }

    fn take_sample(&mut self, line: &str) -> Result<(), Refused> {
        let dialect = self.dialect;
        let sample = Cursor(line).sample(dialect)?;
        let family = self.families.last_mut().ok_or("a sample without family")?;
        let suffix = sample.name.strip_prefix(&family.name).ok_or("a sample of another family")?;
        let suffixes: &[&str] = match (family.kind.as_str(), dialect) {
            ("counter", Dialect::OpenMetrics) => &["_total"],
            ("counter" | "gauge", _) => &[""],
            ("histogram", _) => &["_bucket", "_sum", "_count"],
            _ => return Err("no type".into()),
        };
        if !suffixes.contains(&suffix) {
            return Err("a family of this type has no such sample".into());
        }
        let is_first = family.samples.iter().all(|held| held.name != sample.name);
        if is_first && !suffix.is_empty() && !self.names.insert(sample.name.clone()) {
            return Err("the sample's name is taken".into());
        }
        if sample.exemplar.is_some() && suffix != "_bucket" && suffix != "_total" {
            return Err("no exemplar belongs here".into());
        }
        family.samples.push(sample);
        Ok(())
    }
}

// ---- the grammar

struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn sample(mut self, dialect: Dialect) -> Result<Sample, Refused> {
        let name = self.until(|character| !is_word(character, true));
        if !is_name(name, true) {
            return Err("no name of a sample".into());
        }
        let labels = if self.0.starts_with('{') { self.labels()? } else { Labels::new() };
        self.expect(" ")?;
        let value = self.until(|character| character == ' ');
        number(value)?;
        let exemplar = if self.0.is_empty() { None } else { Some(self.exemplar(dialect)?) };
        Ok(Sample { name: name.into(), labels, value: value.into(), exemplar })
    }

    fn exemplar(&mut self, dialect: Dialect) -> Result<ReadExemplar, Refused> {
        self.expect(" # ")?;
        let labels = self.labels()?;
        self.expect(" ")?;
        let value = number(self.until(|character| character == ' '))?;
        self.expect(" ")?;
        let at = self.until(|character| character == ' ');
        real_number(at)?;
        let characters: usize = labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
        if dialect == Dialect::Prometheus || !self.0.is_empty() || characters > 128 {
            return Err("no such exemplar".into());
        }
        Ok(ReadExemplar { labels, value, at: at.into() })
    }

    fn labels(&mut self) -> Result<Labels, Refused> {
        self.expect("{")?;
        let mut labels = Labels::new();
        while !self.0.starts_with('}') {
            if !labels.is_empty() {
                self.expect(",")?;
            }
            let name = self.until(|character| !is_word(character, false));
            if !is_name(name, false) || labels.iter().any(|(held, _)| held == name) {
                return Err("no name of a label".into());
            }
            self.expect("=\"")?;
            labels.push((name.into(), self.quoted()?));
        }
        self.expect("}")?;
        Ok(labels)
    }

    /// Up to the quote that ends it, and that quote.
    fn quoted(&mut self) -> Result<String, Refused> {
        let mut is_escaped = false;
        let end = self.0.find(|character| {
            let is_end = character == '"' && !is_escaped;
            is_escaped = character == '\\' && !is_escaped;
            is_end
        });
        let (text, rest) = self.0.split_at(end.ok_or("a value does not end")?);
        self.0 = rest;
        self.expect("\"")?;
        unescaped(text, "n\"\\")
    }

    fn until(&mut self, is_end: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self.0.split_at(self.0.find(is_end).unwrap_or(self.0.len()));
        self.0 = rest;
        taken
    }

    fn expect(&mut self, text: &str) -> Result<(), Refused> {
        self.0 = self.0.strip_prefix(text).ok_or_else(|| format!("{text:?} is missing"))?;
        Ok(())
    }
}

impl Dialect {
    /// Within help texts Prometheus has quotes as they are.
    fn unescaped_help(self, text: &str) -> Result<String, Refused> {
        match self {
            Self::OpenMetrics if has_bare_quote(text) => Err("a quote that is not escaped".into()),
            Self::OpenMetrics => unescaped(text, "n\"\\"),
            Self::Prometheus => unescaped(text, "n\\"),
        }
    }
}

fn has_bare_quote(text: &str) -> bool {
    let mut is_escaped = false;
    text.chars().any(|character| {
        let is_bare = character == '"' && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        is_bare
    })
}

fn unescaped(text: &str, allowed: &str) -> Result<String, Refused> {
    let mut characters = text.chars();
    let mut read = String::new();
    while let Some(character) = characters.next() {
        let character = match character {
            '\\' => match characters.next().filter(|escaped| allowed.contains(*escaped)) {
                Some('n') => '\n',
                Some(escaped) => escaped,
                None => return Err("no such escape".into()),
            },
            plain => plain,
        };
        read.push(character);
    }
    Ok(read)
}

fn is_word(character: char, has_colon: bool) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || (has_colon && character == ':')
}

fn is_name(name: &str, has_colon: bool) -> bool {
    name.chars().all(|character| is_word(character, has_colon))
        && name.chars().next().is_some_and(|first| !first.is_ascii_digit())
}

/// Prometheus reads what Go's ParseFloat does, of which this is the part that OpenMetrics has too.
fn number(text: &str) -> Result<f64, Refused> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text).to_ascii_lowercase();
    match unsigned.as_str() {
        "inf" | "infinity" => Ok(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
        "nan" if text.len() == 3 => Ok(f64::NAN),
        _ => real_number(text),
    }
}

fn real_number(text: &str) -> Result<f64, Refused> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_number = are_digits(whole) && are_digits(part) && are_digits(exponent);
    if !is_number || whole.len() + part.len() == 0 || exponent.is_empty() {
        return Err(format!("{text:?} is no number"));
    }
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

// ---- the rules beside it

fn check(family: &ReadFamily, dialect: Dialect) -> Result<(), Refused> {
    let name = &family.name;
    if family.samples.is_empty() {
        return Err(format!("{name} has no samples"));
    }
    let ends_with_unit = || name.strip_suffix(&family.unit).is_some_and(|rest| rest.ends_with('_'));
    if !family.unit.is_empty() && (dialect == Dialect::Prometheus || !ends_with_unit()) {
        return Err(format!("{name} does not end with its unit"));
    }
    let mut seen = BTreeSet::new();
    for series in family.series() {
        if !seen.insert(family.labels_of(&series[0])) {
            return Err(format!("{name} has a series twice, or in parts"));
        }
        match family.kind.as_str() {
            "histogram" => check_histogram(series, dialect).map_err(|why| format!("{name}: {why}"))?,
            "counter" if whole(&series[0].value).is_none() => return Err(format!("{name} counts no whole number")),
            _ if series.len() > 1 => return Err(format!("{name} has a sample twice")),
            _ => {}
        }
    }
    Ok(())
}

impl ReadFamily {
    /// The samples of each series, in the page's order.
    pub(crate) fn series(&self) -> impl Iterator<Item = &[Sample]> {
        self.samples.chunk_by(|one, next| self.labels_of(one) == self.labels_of(next))
    }

    /// A series' labels in any order: without that of a bucket.
    pub(crate) fn labels_of<'a>(&self, sample: &'a Sample) -> BTreeSet<(&'a str, &'a str)> {
        let is_histogram = self.kind == "histogram";
        let own = sample.labels.iter().filter(|(name, _)| !(is_histogram && name == "le"));
        own.map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

/// A bucket's bound and how many values are at most that.
pub(crate) fn bucket(sample: &Sample) -> Result<(f64, u64), Refused> {
    let bound = sample.labels.iter().find(|(name, _)| name == "le").ok_or("a bucket without bound")?;
    let bound = number(&bound.1)?;
    Ok((bound, whole(&sample.value).ok_or("a bucket counts no whole number")?))
}

fn check_histogram(series: &[Sample], dialect: Dialect) -> Result<(), Refused> {
    let ending = |suffix: &'static str| series.iter().filter(move |sample| sample.name.ends_with(suffix));
    let buckets: Vec<_> = ending("_bucket").map(bucket).collect::<Result<_, _>>()?;
    let (last, sums, counts) = (buckets.last(), ending("_sum").count(), ending("_count").count());
    if !buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1) {
        return Err("its buckets do not ascend".into());
    }
    let Some((f64::INFINITY, all)) = last else { return Err("it has no bucket of all".into()) };
    if ending("_count").any(|count| whole(&count.value) != Some(*all)) {
        return Err("its count is not that of all".into());
    }
    if sums > 1 || sums != counts || series.len() != buckets.len() + sums + counts {
        return Err("it has a sum and a count, or neither".into());
    }
    let sum = ending("_sum").next().map(|sum| number(&sum.value)).transpose()?;
    // It would be no counter.
    if dialect == Dialect::OpenMetrics && sum.is_some_and(|sum| sum.is_nan() || sum < 0.0 || buckets[0].0 < 0.0) {
        return Err("its sum can go down".into());
    }
    Ok(())
}

fn whole(text: &str) -> Option<u64> {
    text.parse().ok()
}
