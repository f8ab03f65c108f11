//! Prometheus' protobuf, read by a small reader of its own.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::collections::BTreeMap;

use tachograph_core::exposition::{Exemplars, Format, Page};
use tachograph_core::registry::{Descriptor, Registry};
use tachograph_core::snapshot::HistogramSnapshot;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A field's content.
#[derive(Clone, Debug, PartialEq)]
enum Content<'a> {
    Number(u64),
    Bits(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, in order.
#[derive(Clone, Debug, PartialEq)]
struct Message<'a>(Vec<(u64, Content<'a>)>);

fn varint(bytes: &mut &[u8]) -> u64 {
    let length = bytes.iter().position(|byte| *byte < 0x80).expect("a varint ends") + 1;
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    taken.iter().rev().fold(0, |number, byte| number << 7 | u64::from(byte & 0x7F))
}

fn delimited<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let length = varint(bytes) as usize;
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    taken
}

fn signed(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

impl<'a> Message<'a> {
    fn read(mut bytes: &'a [u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let content = match key & 7 {
                0 => Content::Number(varint(&mut bytes)),
                1 => {
                    let (taken, rest) = bytes.split_first_chunk().expect("eight bytes");
                    bytes = rest;
                    Content::Bits(u64::from_le_bytes(*taken))
                }
                2 => Content::Bytes(delimited(&mut bytes)),
                other => panic!("wire type {other}"),
            };
            fields.push((key >> 3, content));
        }
        Self(fields)
    }

    fn all(&self, field: u64) -> impl Iterator<Item = &Content<'a>> {
        self.0.iter().filter(move |(number, _)| *number == field).map(|(_, content)| content)
    }

    fn messages(&self, field: u64) -> Vec<Message<'a>> {
        let read = |content: &Content<'a>| match content {
            Content::Bytes(bytes) => Message::read(bytes),
            other => panic!("{other:?} is no message"),
        };
        self.all(field).map(read).collect()
    }

    fn text(&self, field: u64) -> &'a str {
        match self.all(field).next() {
            Some(Content::Bytes(bytes)) => str::from_utf8(bytes).unwrap(),
            None => "",
            other => panic!("{other:?} is no text"),
        }
    }

    fn number(&self, field: u64) -> u64 {
        let content = self.all(field).next();
        let Some(Content::Number(number)) = content else { panic!("{content:?} is no number") };
        *number
    }

    fn double(&self, field: u64) -> f64 {
        let content = self.all(field).next();
        let Some(Content::Bits(bits)) = content else { panic!("{content:?} is no double") };
        f64::from_bits(*bits)
    }

    /// Numbers in one field.
    fn packed(&self, field: u64) -> Vec<i64> {
        let Some(&Content::Bytes(mut bytes)) = self.all(field).next() else { return Vec::new() };
        let mut numbers = Vec::new();
        while !bytes.is_empty() {
            numbers.push(signed(varint(&mut bytes)));
        }
        numbers
    }

    /// Name and value of each label.
    fn labels(&self) -> Vec<(&'a str, &'a str)> {
        self.messages(1).iter().map(|label| (label.text(1), label.text(2))).collect()
    }

    /// A native histogram's buckets as this crate numbers them.
    fn buckets(&self, spans: u64, deltas: u64) -> Vec<(i32, u64)> {
        let (mut index, mut count) = (0, 0);
        let mut deltas = self.packed(deltas).into_iter();
        let mut buckets = Vec::new();
        for span in self.messages(spans) {
            index += signed(span.number(1)) as i32;
            for _ in 0..span.number(2) {
                count += deltas.next().expect("a difference for each bucket");
                buckets.push((index - 1, count as u64));
                index += 1;
            }
        }
        assert_eq!(deltas.next(), None, "a bucket for each difference");
        buckets
    }
}

/// A page, at most so many bytes at a time.
fn page(registry: &Registry, exemplars: &Exemplars, bytes: usize) -> Vec<u8> {
    let mut page = Page::new(registry, Format::Protobuf, 0).with_exemplars(exemplars);
    let mut out = Vec::new();
    while page.write(&mut out, bytes) {}
    assert!(!page.write(&mut out, bytes), "the end is written once");
    out
}

fn messages(mut page: &[u8]) -> Vec<Message<'_>> {
    let mut messages = Vec::new();
    while !page.is_empty() {
        messages.push(Message::read(delimited(&mut page)));
    }
    messages
}

/// The fields of each family before its metrics, and all of its metrics.
type Families<'a> = BTreeMap<&'a str, (Vec<(u64, Content<'a>)>, Vec<Message<'a>>)>;

fn families(page: &[u8]) -> Families<'_> {
    let mut families = Families::new();
    for message in messages(page) {
        let head: Vec<_> = message.0.iter().filter(|(field, _)| *field != 4).cloned().collect();
        let (known, metrics) = families.entry(message.text(1)).or_insert_with(|| (head.clone(), Vec::new()));
        assert_eq!(*known, head, "each message of a family begins alike");
        metrics.extend(message.messages(4));
    }
    families
}

fn every_kind() -> Registry {
    let registry = Registry::new();
    let served = registry.counter(&Descriptor::new("served_bytes", "A \"help\"\n").unit("B").label("route")).unwrap();
    ["/", "\u{1f600}\0\"\n", ""].iter().for_each(|route| served.with(&[("route", route)]).unwrap().add(12));
    registry.gauge(&Descriptor::new("lag", "")).unwrap().with(&[]).unwrap().set(-0.25);
    let bounded = registry.histogram(&Descriptor::new("time_ms", "Time").unit("ms").bounds(&[10.0, 1e6])).unwrap();
    let free = registry.histogram(&Descriptor::new("size", "Size").scale(3).label("of")).unwrap();
    for number in -200_i32..2_000 {
        let value = f64::from(number) * 0.37;
        bounded.with(&[]).unwrap().record(value);
        free.with(&[("of", "a")]).unwrap().record(value * value * value);
    }
    [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 0.0, 4e-308, 2e6]
        .iter()
        .for_each(|v| bounded.with(&[]).unwrap().record(*v));
    free.with(&[("of", "one")]).unwrap().record(1.0);
    registry
}

#[test]
fn each_kind_is_as_the_schema_says() {
    let registry = every_kind();
    let page = page(&registry, &Exemplars::new(), usize::MAX);
    let families = families(&page);
    assert_eq!(families.keys().copied().collect::<Vec<_>>(), ["lag", "served_bytes_total", "size", "time_ms"]);
    let text = |text: &'static str| Content::Bytes(text.as_bytes());
    let (head, metrics) = &families["served_bytes_total"];
    let expected =
        [(1, text("served_bytes_total")), (2, text("A \"help\"\n")), (3, Content::Number(0)), (5, text("bytes"))];
    assert_eq!(*head, expected);
    let labels: Vec<_> = metrics.iter().flat_map(Message::labels).collect();
    assert_eq!(labels, [("route", "/"), ("route", "\u{1f600}\0\"\n"), ("route", "")]);
    assert!(metrics.iter().all(|metric| metric.messages(3)[0].double(1) == 12.0));
    let (head, metrics) = &families["lag"];
    assert_eq!((head.len(), &head[1], metrics[0].messages(2)[0].double(1)), (2, &(3, Content::Number(1)), -0.25));
    assert_eq!(families["time_ms"].0[2], (3, Content::Number(4)));
}

fn assert_native(metric: &Message<'_>, snapshot: &HistogramSnapshot) {
    let histogram = &metric.messages(7)[0];
    assert_eq!((histogram.number(1), histogram.double(2)), (snapshot.count(), snapshot.sum()));
    assert_eq!(signed(histogram.number(5)), i64::from(snapshot.scale()));
    assert_eq!((histogram.double(6), histogram.number(7)), (2f64.powi(-1022), snapshot.zero()));
    assert_eq!(histogram.buckets(12, 13), snapshot.positive());
    assert_eq!(histogram.buckets(9, 10), snapshot.negative());
}

#[test]
fn a_histogram_is_a_native_one_and_has_its_bounds_too() {
    let registry = every_kind();
    let (page, snapshot) = (page(&registry, &Exemplars::new(), usize::MAX), registry.snapshot());
    let families = families(&page);
    let (bounded, free) = (&families["time_ms"].1, &families["size"].1);
    assert_native(&bounded[0], snapshot.histogram("time_ms", &[]).unwrap());
    assert_native(&free[0], snapshot.histogram("size", &[("of", "a")]).unwrap());
    assert_native(&free[1], snapshot.histogram("size", &[("of", "one")]).unwrap());
    // 2^0 is the upper bound of Prometheus' bucket 0.
    assert_eq!(signed(free[1].messages(7)[0].messages(12)[0].number(1)), 0);
    let buckets: Vec<_> =
        bounded[0].messages(7)[0].messages(3).iter().map(|bucket| (bucket.double(2), bucket.number(1))).collect();
    let held = snapshot.histogram("time_ms", &[]).unwrap();
    let below = |bounds: usize| held.buckets()[..=bounds].iter().sum::<u64>();
    assert_eq!(buckets, [(10.0, below(0)), (1e6, below(1)), (f64::INFINITY, held.count())]);
    assert_eq!(free[0].messages(7)[0].messages(3), [], "without bounds there are none");
}

#[test]
fn a_large_family_is_several_messages_whatever_the_pieces() {
    let registry = Registry::new();
    let family = registry.counter(&Descriptor::new("many", "Many series").label("user")).unwrap();
    (0..1_000_u64).for_each(|user| family.with(&[("user", &format!("u{user}"))]).unwrap().add(user));
    let whole = page(&registry, &Exemplars::new(), usize::MAX);
    let held: Vec<_> = messages(&whole).iter().map(|message| message.all(4).count()).collect();
    assert_eq!(held, [256, 256, 256, 232]);
    for bytes in [1, 100, 4_096, 64 * 1_024] {
        let pieces = page(&registry, &Exemplars::new(), bytes);
        assert_eq!(families(&pieces), families(&whole), "{bytes} bytes");
    }
}

#[test]
fn a_piece_is_of_whole_messages() {
    let registry = every_kind();
    let mut page = Page::new(&registry, Format::Protobuf, 0);
    let (mut metrics, mut has_more) = (0, true);
    while has_more {
        let mut piece = Vec::new();
        has_more = page.write(&mut piece, 30);
        metrics += messages(&piece).iter().map(|message| message.all(4).count() as u64).sum::<u64>();
    }
    assert_eq!(metrics, registry.snapshot().series);
}

#[test]
fn exemplars_stand_at_their_buckets_and_at_a_native_histogram() {
    let registry = every_kind();
    let exemplars = Exemplars::new();
    let bounded = registry.histogram(&Descriptor::new("time_ms", "Time").unit("ms").bounds(&[10.0, 1e6])).unwrap();
    let free = registry.histogram(&Descriptor::new("size", "Size").scale(3).label("of")).unwrap();
    exemplars.record(&bounded, &[], 2.0, "old", 1).unwrap();
    exemplars.record(&bounded, &[], 10.0, "}\\\u{1f600}", 1_767_225_600_123).unwrap();
    exemplars.record(&bounded, &[], 1e7, "last", 1_767_225_600_124).unwrap();
    exemplars.record(&free, &[("of", "one")], 1.0, "free", 1_000).unwrap();
    let page = page(&registry, &exemplars, usize::MAX);
    let families = families(&page);
    let told = |exemplar: &Message<'_>| {
        let time = &exemplar.messages(3)[0];
        let label: Vec<_> = exemplar.labels().iter().map(|(name, value)| format!("{name}={value}")).collect();
        (label.join(","), exemplar.double(2), time.number(1), time.number(2))
    };
    let buckets = families["time_ms"].1[0].messages(7)[0].messages(3);
    let at_buckets: Vec<_> = buckets.iter().map(|bucket| bucket.messages(3).first().map(told)).collect();
    let first = ("session_id=}\\\u{1f600}".to_owned(), 10.0, 1_767_225_600, 123_000_000);
    let last = ("session_id=last".to_owned(), 1e7, 1_767_225_600, 124_000_000);
    assert_eq!(at_buckets, [Some(first), None, Some(last)]);
    let free = &families["size"].1;
    let at = |metric: usize| free[metric].messages(7)[0].messages(16).iter().map(told).collect::<Vec<_>>();
    assert_eq!((at(0), at(1)), (vec![], vec![("session_id=free".to_owned(), 1.0, 1, 0)]));
}
