//! What allocates, and what does not: counted by the allocator itself.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unsafe_code, reason = "an allocator is unsafe to write; this one only counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tachograph_core::exposition::{Format, Page};
use tachograph_core::registry::{Descriptor, Registry};
use tachograph_core::wire::frame::{Cell as Figure, Decoder, Record, RecordKind};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Bytes that this thread holds, and the most since that was last asked for.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn hold(bytes: isize) {
    let _torn_down = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        MOST.with(|most| most.set(most.get().max(held.get())));
    });
}

struct Counting;

// SAFETY: everything is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _torn_down = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        hold(layout.size() as isize);
        // SAFETY: the caller's word.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, held: *mut u8, layout: Layout) {
        hold(-(layout.size() as isize));
        // SAFETY: the caller's word.
        unsafe { System.dealloc(held, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The most bytes that writing a page piece by piece held besides what was there, of so many series.
fn page_bytes(series: usize, format: Format) -> isize {
    const PIECE_BYTES: usize = 16 * 1024;
    let registry = Registry::with_series_limit(series);
    let family = registry.counter(&Descriptor::new("many", "").label("by")).unwrap();
    (0..series).for_each(|by| family.with(&[("by", &format!("somebody-{by}"))]).unwrap().inc());
    let before = HELD.get();
    MOST.set(before);
    let mut page = Page::new(&registry, format, 0);
    let (mut piece, mut written) = (Vec::new(), 0);
    while page.write(&mut piece, PIECE_BYTES) {
        written += piece.len();
        piece.clear();
    }
    assert!(written > 20 * (series - 1_000), "{written} bytes of {series} series");
    MOST.get() - before
}

#[test]
fn a_page_takes_as_much_memory_of_few_series_as_of_many() {
    for format in [Format::OpenMetrics, Format::Prometheus, Format::Protobuf] {
        let (few, many) = (page_bytes(4_000, format), page_bytes(100_000, format));
        assert!(many <= few && few < 64 * 1024, "{format:?}: {few} bytes of few, {many} of many");
    }
}

/// Allocations of this thread while it does `work`.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn recording_allocates_the_first_time_in_a_thread_and_never_after() {
    let registry = Registry::new();
    let frames = registry.counter(&Descriptor::new("frames", "").label("source").label("a_kind")).unwrap();
    let depth = registry.gauge(&Descriptor::new("depth", "")).unwrap().bind(&[]).unwrap();
    let time = registry.histogram(&Descriptor::new("time", "").bounds(&[1.0, 10.0])).unwrap().bind(&[]).unwrap();
    let long = "x".repeat(300);
    let record = || {
        for source in ["mic", "a source whose name is long", &long] {
            frames.with(&[("source", source), ("a_kind", "pcm")]).unwrap().inc();
            frames.with(&[("a_kind", "pcm"), ("source", source)]).unwrap().inc();
        }
        depth.set(1.0);
        depth.add(0.5);
        [-1.0, 0.0, 1.0, 1.001, 9.99, 10.0, 1e9, f64::NAN].into_iter().for_each(|value| time.record(value));
    };
    assert!(allocations(record) > 0);
    assert_eq!(allocations(|| (0..1_000).for_each(|_| record())), 0);
}

#[test]
fn collecting_again_allocates_nothing() {
    let registry = Registry::new();
    let frames = registry.counter(&Descriptor::new("frames", "").label("source")).unwrap();
    let depth = registry.gauge(&Descriptor::new("depth", "")).unwrap().bind(&[]).unwrap();
    let time = registry.histogram(&Descriptor::new("time", "").bounds(&[1.0, 10.0])).unwrap().bind(&[]).unwrap();
    let parts: Vec<_> = (0..10).map(|_| depth.part()).collect();
    let mut collector = registry.collector();
    let mut round = |round: u32| {
        (0..500).for_each(|source| frames.with(&[("source", &source.to_string())]).unwrap().inc());
        parts.iter().for_each(|part| part.set(f64::from(round)));
        (0..200).for_each(|value| time.record(f64::from(value) / 7.0));
        allocations(|| {
            let _snapshot = collector.collect(u64::from(round));
        })
    };
    assert!(round(0) > 0);
    assert_eq!((1..20).map(round).sum::<u64>(), 0);
}

// ---- what a decoder keeps of bytes that are made to take much

/// What the decoder says that it takes at most: its limit, and while it reads a record this much.
fn transient(record: usize) -> isize {
    (256 * record + (1 << 20)) as isize
}

/// Has a decoder take records of these payloads. Returns whether it took all.
fn take(limit: usize, records: &[(RecordKind, Vec<u8>)]) -> bool {
    let mut decoder = Decoder::with_limit(limit);
    let mut took_all = true;
    let before = HELD.get();
    for (kind, payload) in records {
        MOST.set(HELD.get());
        took_all &= decoder.apply(&Record { kind: *kind, payload }).is_ok();
        let (most, kept) = (MOST.get() - before, HELD.get() - before);
        let length = payload.len();
        assert!(most <= limit as isize + transient(length), "{most} of {length} {kind:?} bytes and {limit}");
        assert!(kept <= limit as isize, "{kept} are kept of {length} {kind:?} bytes and {limit}");
    }
    took_all
}

/// Does so with limits that let all in, and some of it, and nearly nothing.
fn take_with_any_limit(records: &[(RecordKind, Vec<u8>)]) {
    assert!(take(1 << 30, records));
    for shift in [8, 12, 16, 18, 20, 21, 22, 23, 24, 25, 26, 27] {
        take(1 << shift, records);
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A family without unit, help or labels.
fn family(kind: u8, name: &str, bounds: &[f64]) -> Vec<u8> {
    let mut bytes = vec![1, kind, 0, 6, name.len() as u8];
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(&[0, 0, 0]);
    bytes.extend(varint(bounds.len() as u64));
    bounds.iter().for_each(|bound| bytes.extend_from_slice(&bound.to_le_bytes()));
    bytes
}

/// A schema of one family and so many series of it; a keyframe about all of them, with these sections.
fn series(kind: u8, bounds: &[f64], count: u32, sections: &[u8]) -> Vec<(RecordKind, Vec<u8>)> {
    let mut schema = vec![0];
    schema.extend(family(kind, "a", bounds));
    schema.extend((0..count).flat_map(|_| [2, 0, 0]));
    let mut known = Decoder::default();
    known.apply(&Record { kind: RecordKind::Schema, payload: &schema }).unwrap();
    let mut keyframe = vec![1, 1, 0, 0, 0];
    let of_kind = |wanted: u8| if kind == wanted { u64::from(count) } else { 0 };
    for number in [u64::from(count) + 1, of_kind(0), of_kind(1), of_kind(2)] {
        keyframe.extend(varint(number));
    }
    keyframe.extend_from_slice(&known.state().schema().hash(count + 1).unwrap().to_le_bytes());
    keyframe.extend_from_slice(sections);
    vec![(RecordKind::Schema, schema), (RecordKind::Keyframe, keyframe)]
}

fn section(id: u8, body: &[u8]) -> Vec<u8> {
    [&[id][..], &varint(body.len() as u64), body].concat()
}

/// A keyframe about nothing, with these sections.
fn keyframe(sections: &[u8]) -> Vec<(RecordKind, Vec<u8>)> {
    vec![(RecordKind::Keyframe, [&[0, 1, 0, 0, 0][..], sections].concat())]
}

/// Sessions of one source, whose health is this.
fn sessions(count: u64, health: &[u8]) -> Vec<u8> {
    let mut body = varint(0);
    body.extend(varint(count));
    for _ in 0..count {
        body.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        if health.is_empty() {
            body.push(0);
        } else {
            body.extend_from_slice(&[1, 1, b'a']);
            body.extend(varint(1 << 36));
            body.push(1);
            body.extend_from_slice(health);
            body.extend_from_slice(&[0; 7]);
        }
    }
    section(7, &body)
}

fn list(count: u64, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![7];
    bytes.extend(varint(count));
    (0..count).for_each(|_| bytes.extend_from_slice(value));
    bytes
}

#[test]
fn a_schema_takes_no_more_than_it_may() {
    let mut families = vec![0];
    (0..30_000).for_each(|number| families.extend(family((number % 2) as u8, "a", &[])));
    take_with_any_limit(&[(RecordKind::Schema, families)]);
    take_with_any_limit(&series(0, &[], 200_000, &[]));
    take_with_any_limit(&series(1, &[], 200_000, &[]));
    take_with_any_limit(&series(2, &[], 30_000, &[]));
}

#[test]
fn histograms_take_no_more_than_they_may() {
    let bounds: Vec<f64> = (0..4_000).map(f64::from).collect();
    take_with_any_limit(&series(2, &bounds, 2_000, &[]));
    let mut buckets = vec![0, 1 << 1];
    buckets.extend(varint(100_000));
    (0..100_000).for_each(|_| buckets.extend_from_slice(&[2, 1]));
    take_with_any_limit(&series(2, &[], 1, &section(6, &buckets)));
    let one_each: Vec<u8> = (0..20_000).flat_map(|_| [0, 1 << 1 | 1 << 2, 1, 2, 1, 1, 2, 1]).collect();
    take_with_any_limit(&series(2, &[], 20_000, &section(6, &one_each)));
}

#[test]
fn sessions_take_no_more_than_they_may() {
    take_with_any_limit(&keyframe(&sessions(50_000, &[])));
    take_with_any_limit(&keyframe(&sessions(5_000, &[0])));
    take_with_any_limit(&keyframe(&sessions(1, &list(300_000, &[0]))));
    take_with_any_limit(&keyframe(&sessions(1, &list(100_000, &[8, 1, 0, 0]))));
    take_with_any_limit(&keyframe(&sessions(40, &list(3_000, &[7, 1, 7, 1, 7, 1, 0]))));
    let chain = [[7_u8, 1]; 15].concat();
    take_with_any_limit(&keyframe(&sessions(2_000, &[&chain[..], &[0]].concat())));
}

#[test]
fn sources_that_come_later_take_no_more_than_they_may() {
    let mut records = keyframe(&sessions(1_000, &[]));
    let mut body = vec![0];
    for block in 0..16 {
        let held = if block < 15 { 64 } else { 40 };
        body.push(if held == 64 { 0xFF } else { 0x1F });
        body.extend(std::iter::repeat_n(0xFF, held / 8));
        for _ in 0..held {
            body.extend_from_slice(&[1 << 4, 36]);
            (b'a'..=b'z').chain(b'0'..=b'9').for_each(|name| body.extend_from_slice(&[1, name]));
            body.extend_from_slice(&[0; 36]);
        }
    }
    body.push(0);
    records.push((RecordKind::Delta, [&[0, 2, 0, 0, 0][..], &section(7, &body)].concat()));
    take_with_any_limit(&records);
}

#[test]
fn events_take_no_more_than_they_may() {
    let mut body = vec![0];
    body.extend(varint(4_096));
    (0..4_096).for_each(|_| body.extend_from_slice(&[4, 1, 0, 0, 0]));
    take_with_any_limit(&keyframe(&section(8, &body)));
}

#[test]
fn receipts_take_no_more_than_they_may() {
    let receipt = |value: &[u8]| {
        let event = [&[2, 0, 0, 0, 1][..], value].concat();
        [varint(event.len() as u64), event].concat()
    };
    let fields: Vec<u8> = (0..20_000_u32)
        .flat_map(|number| [&[4][..], &number.to_le_bytes().map(|byte| byte & 0x7F), &[0]].concat())
        .collect();
    let object = [vec![8], varint(20_000), fields].concat();
    for (count, value) in [(1, list(200_000, &[0])), (1, object), (4_000, list(1, &[0])), (4_000, vec![0])] {
        let mut body = [vec![0], varint(count)].concat();
        (0..count).for_each(|_| body.extend_from_slice(&receipt(&value)));
        take_with_any_limit(&keyframe(&section(8, &body)));
    }
}

#[test]
fn counts_that_nothing_stands_behind_take_nothing() {
    let many = varint(u64::MAX >> 1);
    let mut named = vec![0, 1, 2, 0, 6, 1, b'a', 0, 0, 0];
    named.extend_from_slice(&many);
    assert!(!take(1 << 20, &[(RecordKind::Schema, named)]));
    let behind_nothing = |begin: &[u8]| [begin, &many].concat();
    for (id, body) in [
        (6, behind_nothing(&[0, 1 << 1])),
        (7, many.clone()),
        (7, behind_nothing(&[0])),
        (7, behind_nothing(&[0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        (8, behind_nothing(&[0])),
        (8, behind_nothing(&[0, 1])),
        (9, Vec::new()),
    ] {
        let mut records = series(2, &[], 1, &section(id, &body));
        assert_eq!(take(1 << 20, &records), id == 9);
        records.extend(keyframe(&[]));
        take(1 << 20, &records);
    }
    let mut health = vec![7];
    health.extend_from_slice(&many);
    assert!(!take(1 << 20, &keyframe(&sessions(1, &health))));
}

#[test]
fn figures_that_change_their_size_are_counted_as_they_are() {
    let mut decoder = Decoder::with_limit(1 << 20);
    for seq in 1..3_000_u64 {
        let health: Vec<u8> = if seq % 2 == 0 { vec![1, 0] } else { [&[1][..], &list(400, &[0])].concat() };
        let mut body = vec![0];
        if seq == 1 {
            body.extend_from_slice(&[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, b'a', 0]);
            body.extend_from_slice(&[0; 7]);
        } else {
            body.extend_from_slice(&[1, 1, 0]);
            body.extend(varint(1 << 36));
            body.extend(health);
            body.push(0);
        }
        let payload = [&[0][..], &varint(seq), &[0, 0, 0], &section(7, &body)].concat();
        let taken = decoder.apply(&Record { kind: RecordKind::Delta, payload: &payload });
        assert!(taken.is_ok(), "{seq}: {taken:?}");
    }
}

#[test]
fn looking_at_sessions_allocates_nothing() {
    let mut decoder = Decoder::default();
    for (kind, payload) in keyframe(&sessions(2, &list(3, &[0]))) {
        decoder.apply(&Record { kind, payload: &payload }).unwrap();
    }
    let mut seen = 0.0;
    let look = || {
        for session in decoder.state().session_views() {
            let found = decoder.state().session_view(session.id()).map_or(0, |found| found.sources().len());
            seen += found as f64 + session.age_seconds() + session.identity().session_id.iter().count() as f64;
            for source in session.sources() {
                seen += Figure::ALL.iter().filter_map(|cell| source.cell(*cell)).sum::<f64>();
                seen += (source.source().as_str().len() + source.provider().len() + source.model_id().len()) as f64;
                seen += source.health().map_or(0.0, |_| 1.0);
            }
        }
    };
    assert_eq!(allocations(look), 0);
    assert_eq!(seen, 6.0, "of each of both a source, its name's letter and its health");
}
