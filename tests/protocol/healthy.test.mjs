// A session of 20 s that keeps up: system as JSON, mic as binary.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { MARKER, checkMessages, checkReceipt, checkTicks, receiptOf } from './checks.mjs';
import { Session, pcm, sleep, startServer } from './harness.mjs';

const SECONDS = 20;
const FEATURES = {
  clock_drift_compensation_enabled: true,
  client_vad_enabled: false,
  clock_drift_telemetry_enabled: true,
  client_vad_telemetry_enabled: false,
};
const IDENTITY = {
  session_id: `../../${MARKER} "%s" <b>`,
  attempt_id: `attempt {} ${MARKER}`,
  connection_id: `connection \u{1F3A4} ${MARKER}`,
};

test('a healthy session of 20 s', { timeout: 60_000 }, async (t) => {
  const server = await startServer(t, '--provider', 'vad');
  const session = await Session.connect(t, server);
  const connected = session.messages[0];
  await session.start({ ...IDENTITY, client_features: FEATURES });
  // Longer than a piece, and not a multiple of one: it is split.
  session.sendBinary('mic', pcm(250));
  session.feed('system');
  session.feed('mic', { send: (frame) => session.sendBinary('mic', frame) });
  await sleep(SECONDS * 1000 + 500);
  const live = await server.snapshot();
  const summary = await session.stop();
  const ended = await server.snapshotWhere((snapshot) => snapshot.isQuiet, 'a quiet server');

  await t.test('says connected, then streaming with what the client said of itself', () => {
    assert.equal(connected.type, 'status');
    assert.equal(connected.state, 'connected');
    assert.deepEqual(session.started.client_features, FEATURES);
    for (const [field, value] of Object.entries(IDENTITY)) assert.equal(session.started[field], value);
  });

  await t.test('sends messages whose fields are there, typed, rounded and agree', () => checkMessages(session));

  await t.test('sends metrics once a second and source, on schedule', () => {
    for (const source of ['mic', 'system']) {
      checkTicks(session, source);
      assert.equal(session.metrics(source)[0].tick, 1);
      const count = session.metrics(source).length;
      assert.ok(count >= SECONDS && count <= SECONDS + 2, `${count} metrics of ${source}`);
    }
  });

  await t.test('drops nothing and degrades nothing', () => {
    for (const metrics of session.metrics()) {
      const { dropped_total, dropped_recent, dropped_chunks_last_10s, bytes_dropped } = metrics;
      assert.deepEqual([dropped_total, dropped_recent, dropped_chunks_last_10s, bytes_dropped], [0, 0, 0, 0]);
      assert.equal(metrics.degrade_level, 'NORMAL');
    }
    assert.deepEqual(session.errors(), []);
    assert.deepEqual(session.statuses().map(({ state }) => state), ['connected', 'streaming']);
  });

  await t.test('shows the provider, the client and the chunks in its figures', () => {
    const [metrics] = session.metrics('system').slice(-1);
    assert.equal(metrics.provider, 'vad');
    assert.equal(metrics.vad_enabled, true);
    assert.deepEqual(metrics.sources_active, ['mic', 'system']);
    // Chunks are of 2 s.
    assert.ok(metrics.total_chunks_processed >= SECONDS / 2 - 1, `${metrics.total_chunks_processed} chunks`);
    assert.ok(metrics.realtime_factor < 0.5, `realtime factor ${metrics.realtime_factor}`);
    assert.ok(session.metrics().some(({ provider_health }) => provider_health), 'the provider never said how it is');
    for (const [feature, value] of Object.entries(FEATURES)) {
      assert.equal(metrics[feature.startsWith('client_') ? feature : `client_${feature}`], value, feature);
    }
  });

  await t.test('gives a receipt of all that was sent, and closes', () => {
    checkReceipt(summary);
    assert.deepEqual(summary.json.sources.map(({ source }) => source), ['mic', 'system']);
    for (const [source, { bytes, frames }] of Object.entries(session.sent)) {
      const receipt = receiptOf(summary, source);
      assert.deepEqual(receipt.bytes, { received: bytes, processed: bytes, dropped: 0, queued: 0 });
      assert.deepEqual(receipt.frames, { received: frames, processed: frames, dropped: 0, queued: 0 });
      assert.deepEqual(receipt.degrade_timeline, []);
    }
    assert.equal(summary.json.ticks_sent, new Set(session.metrics().map(({ tick }) => tick)).size);
    assert.deepEqual([summary.json.ticks_conflated, summary.json.ticks_missed], [0, 0]);
    assert.match(summary.markdown, /system/);
    assert.equal(session.messages.at(-1).type, 'final_summary');
    assert.equal(session.closed.code, 1000);
  });

  await t.test('is in the snapshot while it lives', () => {
    const held = live.session(IDENTITY.session_id);
    assert.ok(held, 'the session is missing');
    assert.equal(held.connection_id, IDENTITY.connection_id);
    assert.deepEqual(held.sources.map(({ source }) => source), ['mic', 'system']);
    assert.equal(live.value('active_sessions'), 1);
    assert.equal(live.open, 1);
  });

  await t.test("agrees with the registry's counters", () => {
    for (const [source, { bytes, frames }] of Object.entries(session.sent)) {
      const chunks = receiptOf(summary, source).chunks_processed;
      assert.equal(ended.value('audio_bytes_received', source), bytes);
      assert.equal(ended.value('audio_frames_received', source), frames);
      assert.equal(ended.value('audio_frames_dropped', source), 0);
      assert.equal(ended.value('audio_bytes_dropped', source), 0);
      assert.equal(ended.value('asr_chunks_processed', source), chunks);
      assert.equal(ended.value('asr_errors', source), 0);
      assert.equal(ended.value('inference_time_ms', source), chunks);
      assert.equal(ended.value('processing_time_ms', source), chunks);
      assert.equal(ended.value('queue_depth', source), 0);
      assert.ok(ended.value('processing_lag_seconds', source) >= 0);
    }
    assert.equal(ended.value('ws_connections_total'), 1);
  });
});
