// A provider that takes twice the audio's time, and its recovery. The longest test: about 3 minutes.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { checkMessages, checkReceipt, checkTicks, receiptOf } from './checks.mjs';
import { BYTES_PER_SECOND, QUEUE_BYTES, Session, secondsBetween, sleep, startServer } from './harness.mjs';

const FACTOR = 2;
const CLIMB = ['WARNING', 'DEGRADE', 'EMERGENCY'];
const DESCENT = ['DEGRADE', 'WARNING', 'NORMAL'];
const STATUS_OF_LEVEL = {
  NORMAL: ['streaming', 'Performance optimal'],
  WARNING: ['buffering', 'Processing slower than real-time'],
  DEGRADE: ['buffering', 'Reduced quality for stability'],
  EMERGENCY: ['overloaded', 'Critical backlog, dropping frames'],
};
/** Statuses leave at ticks; what they say of each other's distance is exact to a tick's lateness. */
const LATENESS_SECONDS = 0.25;

test('overload of one source, and recovery', { timeout: 290_000 }, async (t) => {
  const server = await startServer(t, '--provider', 'simulated', '--simulated-rtf', String(FACTOR));
  const session = await Session.start(t, server);
  session.feed('system');
  // Ten frames: less than a chunk, so that mic has nothing that could be slow.
  session.feed('mic', { everyMs: 2_000, seconds: 20, send: (frame) => session.sendBinary('mic', frame) });

  const level = () => session.steps('system').at(-1)?.degrade_level;
  const reached = (wanted) => session.until(() => level() === wanted, wanted, 240_000);
  await reached('EMERGENCY');
  await sleep(7_000);
  const relieved = performance.now();
  await server.simulate({ rtf: 0.1 });
  await reached('NORMAL');
  // Until chunks are seen to have their length again.
  await sleep(8_000);
  const summary = await session.stop();
  const ended = await server.snapshotWhere((snapshot) => snapshot.isQuiet, 'a quiet server');

  const metrics = session.metrics('system');
  const overloaded = metrics.filter(({ at }) => at < relieved);
  const steps = session.steps('system');
  const receipt = receiptOf(summary, 'system');

  await t.test('sends messages whose fields are there, typed, rounded and agree', () => {
    checkMessages(session);
    checkTicks(session, 'system', { missed: summary.json.ticks_missed });
    assert.deepEqual(session.errors(), []);
  });

  await t.test('fills the queue to its bound', () => {
    assert.ok(overloaded.some(({ queue_bytes }) => queue_bytes === QUEUE_BYTES));
    assert.ok(overloaded.some(({ queue_fill_ratio }) => queue_fill_ratio === 1));
  });

  await t.test('drops audio of the slow source only', () => {
    assert.ok(receipt.frames.dropped > 0);
    for (const { dropped_total, degrade_level } of session.metrics('mic')) {
      assert.deepEqual([dropped_total, degrade_level], [0, 'NORMAL']);
    }
    assert.deepEqual(session.statuses('mic'), []);
    const { bytes } = session.sent.mic;
    assert.deepEqual(receiptOf(summary, 'mic').bytes, { received: bytes, processed: bytes, dropped: 0, queued: 0 });
  });

  await t.test('tells each edge of the fill once', () => checkEdges(session.statuses('system')));

  await t.test('tells drops at most once a second, with sums that hold', () => checkDrops(session, receipt));

  await t.test('counts drops of the last tick and of the last 10 s', () => {
    metrics.forEach(({ dropped_total, dropped_recent, dropped_chunks_last_10s }, n) => {
      const before = (ticks) => metrics[n - ticks]?.dropped_total ?? 0;
      assert.equal(dropped_recent, dropped_total - before(1), `tick ${n + 1}`);
      assert.ok(dropped_chunks_last_10s >= dropped_total - before(9), `tick ${n + 1}: ${dropped_chunks_last_10s}`);
      assert.ok(dropped_chunks_last_10s <= dropped_total - before(11), `tick ${n + 1}: ${dropped_chunks_last_10s}`);
    });
  });

  await t.test('reports the time the provider took within 5 %', () => {
    const measured = overloaded.filter(({ total_chunks_processed: chunks }) => chunks > 0 && chunks <= 10);
    assert.ok(measured.length > 20, `${measured.length} metrics with chunks`);
    for (const { avg_infer_ms, avg_processing_ms, realtime_factor, ...totals } of measured) {
      const chunkSeconds = totals.bytes_processed / BYTES_PER_SECOND / totals.total_chunks_processed;
      assertWithin(0.05, avg_infer_ms, FACTOR * 1000 * chunkSeconds);
      assertWithin(0.05, realtime_factor, FACTOR);
      assert.ok(avg_processing_ms >= avg_infer_ms, `${avg_processing_ms} ms around ${avg_infer_ms} ms`);
    }
    assertWithin(0.05, receipt.worst_realtime_factor, FACTOR);
    assertWithin(0.05, metrics.at(-1).realtime_factor, 0.1);
  });

  await t.test('climbs in order, at least 10 s apart, and descends in order, at least 30 s apart', () => {
    assert.deepEqual(steps.map(({ degrade_level }) => degrade_level), [...CLIMB, ...DESCENT]);
    const times = [session.started.at, ...steps.map(({ at }) => at)];
    steps.forEach(({ degrade_level }, n) => {
      const stayed = secondsBetween(times[n], times[n + 1]);
      const least = n < CLIMB.length ? 10 : 30;
      assert.ok(stayed >= least - LATENESS_SECONDS, `${degrade_level} after ${stayed} s`);
    });
  });

  await t.test('tells each level in its words, with what the step did', () => {
    for (const { degrade_level, state, message, action, source } of steps) {
      assert.deepEqual([state, message], STATUS_OF_LEVEL[degrade_level]);
      assert.equal(source, 'system');
      assert.ok(typeof action === 'string' && action !== '', `action of ${degrade_level}`);
    }
    assert.equal(new Set(steps.map(({ action }) => action)).size, steps.length, 'one action tells two things');
  });

  await t.test('applies what a step up says and reverts it on the way down', () => {
    checkChunkLengths(metrics);
    const at = (level) => metrics.filter(({ degrade_level }) => degrade_level === level);
    const model = ({ provider, model_id, vad_enabled }) => ({ provider, model_id, vad_enabled });
    const [first, last, degraded] = [metrics[0], metrics.at(-1), at('EMERGENCY').at(-1)];
    assert.deepEqual(model(last), model(first));
    assert.notEqual(degraded.model_id, first.model_id);
    assert.equal(degraded.vad_enabled, false);
    // Every other chunk goes, however fast the provider is by now; none goes once the level is left.
    const relaxed = at('EMERGENCY').filter((held) => held.at > relieved + 10_000);
    assert.ok(relaxed.at(-1).bytes_dropped > relaxed[0].bytes_dropped, 'nothing is dropped at EMERGENCY');
    const left = metrics.find((held) => held.at > relieved && held.degrade_level === 'DEGRADE');
    assert.equal(last.bytes_dropped, left.bytes_dropped, 'audio is dropped below EMERGENCY');
  });

  await t.test('gives a receipt whose timeline agrees with the statuses', () => {
    checkReceipt(summary);
    const levels = ['NORMAL', ...CLIMB, ...DESCENT];
    receipt.degrade_timeline.forEach(({ at_seconds, from, to, action }, n) => {
      assert.deepEqual([from, to, action], [levels[n], steps[n].degrade_level, steps[n].action]);
      const told = secondsBetween(session.started.at, steps[n].at);
      assert.ok(Math.abs(told - at_seconds) < 0.5, `${to} at ${at_seconds} s, told at ${told} s`);
    });
    assert.equal(receipt.degrade_timeline.length, steps.length);
    assert.equal(receipt.bytes.received, session.sent.system.bytes);
    assert.equal(receipt.frames.received, session.sent.system.frames);
  });

  await t.test("agrees with the registry's counters", () => {
    assert.equal(ended.value('audio_frames_dropped', 'system'), receipt.frames.dropped);
    assert.equal(ended.value('audio_bytes_dropped', 'system'), receipt.bytes.dropped);
    assert.equal(ended.value('audio_frames_dropped', 'mic'), 0);
    assert.equal(ended.value('inference_time_ms', 'system'), receipt.chunks_processed);
  });
});

function assertWithin(share, value, expected) {
  assert.ok(Math.abs(value - expected) <= share * expected, `${value}, but ${expected} is right`);
}

/** What a state of the fill needs, as seconds of a queue of 2 s. */
const BACKLOG_OF_STATE = {
  buffering: (seconds) => seconds > 0.85 * 2,
  overloaded: (seconds) => seconds > 0.95 * 2,
  streaming: (seconds) => seconds < 0.7 * 2,
};
const NEXT_STATES = {
  streaming: ['buffering', 'overloaded'],
  buffering: ['overloaded', 'streaming'],
  overloaded: ['streaming'],
};

function checkEdges(statuses) {
  const edges = statuses.filter(({ degrade_level, state }) => degrade_level === undefined && state !== 'backpressure');
  assert.ok(edges.length >= 6, `${edges.length} edges`);
  let state = 'streaming';
  for (const edge of edges) {
    assert.ok(NEXT_STATES[state].includes(edge.state), `${edge.state} after ${state}`);
    assert.ok(BACKLOG_OF_STATE[edge.state](edge.backlog_seconds), `${edge.state} at ${edge.backlog_seconds} s`);
    if (edge.state === 'streaming') assert.equal(edge.message, 'Backlog cleared');
    state = edge.state;
  }
  assert.equal(state, 'streaming', 'the backlog was never cleared');
}

function checkDrops(session, receipt) {
  const drops = session.statuses('system').filter(({ state }) => state === 'backpressure');
  assert.ok(drops.length > 5, `${drops.length} times`);
  let total = 0;
  let seconds = 0;
  drops.forEach((drop, n) => {
    total += drop.dropped_frames;
    seconds += drop.dropped_seconds;
    assert.ok(drop.dropped_frames > 0);
    assert.equal(drop.dropped_total, total);
    if (n > 0) assert.ok(secondsBetween(drops[n - 1].at, drop.at) > 1 - LATENESS_SECONDS, 'two in one second');
  });
  assert.equal(total, receipt.frames.dropped);
  assert.ok(Math.abs(seconds - receipt.bytes.dropped / BYTES_PER_SECOND) < 0.01 * drops.length);
}

/** Chunks are of 2 s at NORMAL, 1 s longer from WARNING on, and of 2 s again in the end. */
function checkChunkLengths(metrics) {
  const lengths = metrics.slice(1).flatMap((held, n) => {
    const chunks = held.total_chunks_processed - metrics[n].total_chunks_processed;
    return chunks === 1 ? [(held.bytes_processed - metrics[n].bytes_processed) / BYTES_PER_SECOND] : [];
  });
  assert.deepEqual([lengths[0], lengths.at(-1)], [2, 2]);
  // One that is being filled when the level falls may be of any length between.
  assert.ok(lengths.every((seconds) => seconds >= 2 && seconds <= 3), String(lengths));
  assert.ok(lengths.filter((seconds) => seconds === 3).length > 5);
}
