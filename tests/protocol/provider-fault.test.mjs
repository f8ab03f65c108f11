// A provider that hangs, errs or panics: once, in one source's chunk, and for good.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { checkMessages, checkReceipt, checkTicks, receiptOf } from './checks.mjs';
import { BYTES_PER_SECOND, Session, pcm, secondsBetween, sleep, startServer } from './harness.mjs';

const CHUNK_MS = 2_000;
const CHUNK_BYTES = (BYTES_PER_SECOND * CHUNK_MS) / 1000;
const DRAIN_SECONDS = 8;

describe('provider faults', { concurrency: true, timeout: 120_000 }, () => {
  test('a hung chunk stalls its source alone, and stop says what was left', async (t) => {
    const { server, session, other } = await faultInSecondChunk(t, 'hang');
    const isStalled = ({ provider_state }) => provider_state === 'stalled';
    const stalled = await session.metricsWhere('system', isStalled, 'stalled', 10_000);
    assert.equal(stalled.total_chunks_processed, 1);
    await othersGoOn(session, other);

    const summary = await session.stop();
    const drained = secondsBetween(session.stopSent, session.ofType('final_summary')[0].at);
    assert.ok(drained > DRAIN_SECONDS - 1 && drained < DRAIN_SECONDS + 1, `drained for ${drained} s`);
    assert.equal(session.closed.code, 1000);
    checkLeft(summary, session);
    await endsUnharmed(other);
    await server.snapshotWhere((snapshot) => snapshot.isQuiet, 'a quiet server');
  });

  for (const fault of ['error', 'panic']) {
    test(`one ${fault} costs a chunk, and the source goes on`, async (t) => {
      const { server, session, other } = await faultInSecondChunk(t, fault);
      const hasRecovered = ({ total_chunks_processed: chunks }) => chunks >= 3;
      await session.metricsWhere('system', hasRecovered, 'chunks after the fault', 20_000);
      await othersGoOn(session, other);

      const summary = await session.stop();
      checkMessages(session);
      checkReceipt(summary);
      assert.equal(session.closed.code, 1000);
      const { frames, chunks_failed } = receiptOf(summary, 'system');
      assert.equal(chunks_failed, 1);
      assert.equal(frames.dropped, CHUNK_MS / 100);
      await endsUnharmed(other);
      const ended = await server.snapshotWhere((snapshot) => snapshot.isQuiet, 'a quiet server');
      assert.equal(ended.value('asr_errors', 'system'), 1);
      assert.equal(ended.value('asr_errors', 'mic'), 0);
    });

    test(`a provider that meets every chunk with ${fault} is told of, and the session lives`, async (t) => {
      const server = await startServer(t, '--provider', 'simulated', '--simulated-fault', fault);
      const session = await Session.start(t, server);
      session.feed('system');
      session.feed('mic', { everyMs: 1_000, send: (frame) => session.sendBinary('mic', frame), seconds: 10 });
      const isDown = ({ provider_state }) => ['restarting', 'failed'].includes(provider_state);
      await session.metricsWhere('system', isDown, 'restarting or failed', 15_000);
      const error = await session.until(() => session.errors('provider_failed')[0], 'provider_failed', 60_000);
      assert.equal(error.fatal, false);
      const { tick } = await session.nextMetrics('system');
      await session.metricsWhere('system', (metrics) => metrics.tick >= tick + 2, 'more ticks');
      assert.ok(server.isRunning);

      const summary = await session.stop();
      assert.equal(session.closed.code, 1000);
      checkMessages(session);
      checkTicks(session, 'system', { missed: summary.json.ticks_missed });
      checkReceipt(summary);
      const receipt = receiptOf(summary, 'system');
      assert.equal(receipt.bytes.received, session.sent.system.bytes);
      assert.deepEqual([receipt.bytes.processed, receipt.chunks_processed], [0, 0]);
      assert.ok(receipt.chunks_failed > 0);
      await server.snapshotWhere((snapshot) => snapshot.isQuiet, 'a quiet server');
    });
  }

  test('a stop with nothing but a dead provider ends in time', async (t) => {
    const server = await startServer(t, '--provider', 'simulated', '--simulated-fault', 'hang');
    const session = await Session.start(t, server);
    session.feed('system', { seconds: 3 });
    await sleep(3_500);
    const summary = await session.stop();
    const drained = secondsBetween(session.stopSent, session.ofType('final_summary')[0].at);
    assert.ok(drained < DRAIN_SECONDS + 1, `drained for ${drained} s`);
    checkLeft(summary, session);
    assert.equal(receiptOf(summary, 'system').bytes.processed, 0);
    assert.equal(session.closed.code, 1000);
    await server.snapshotWhere((snapshot) => snapshot.isQuiet, 'a quiet server');
  });
});

/**
 * Lets the second chunk of one source meet a fault. The other source, and another session, have less than
 * a chunk until it did; then all of them go on.
 */
async function faultInSecondChunk(t, fault) {
  const server = await startServer(t, '--provider', 'simulated', '--simulated-rtf', '0.05');
  const [session, other] = await Promise.all([Session.start(t, server), Session.start(t, server)]);
  session.sendBinary('mic', pcm(500));
  other.sendJson('system', pcm(500));
  session.sendJson('system', pcm(CHUNK_MS));
  const isProcessed = ({ bytes_processed }) => bytes_processed === CHUNK_BYTES;
  await session.metricsWhere('system', isProcessed, 'a first chunk');

  await server.simulate({ fault });
  session.sendJson('system', pcm(CHUNK_MS));
  const hasBegun = ({ bytes_received, queue_bytes }) => bytes_received === 2 * CHUNK_BYTES && queue_bytes === 0;
  await session.metricsWhere('system', hasBegun, 'a second chunk');
  await server.simulate({ fault: 'none' });

  session.feed('system');
  session.feed('mic', { send: (frame) => session.sendBinary('mic', frame) });
  other.feed('system');
  return { server, session, other };
}

/** Two more chunks of the sources that met no fault. */
async function othersGoOn(session, other) {
  await Promise.all([[session, 'mic'], [other, 'system']].map(async ([held, source]) => {
    const { total_chunks_processed: had } = await held.nextMetrics(source);
    const goesOn = (metrics) => metrics.total_chunks_processed >= had + 2 && metrics.provider_state !== 'stalled';
    const metrics = await held.metricsWhere(source, goesOn, `chunks of ${source}`, 10_000);
    assert.equal(metrics.dropped_total, 0);
  }));
}

async function endsUnharmed(other) {
  const summary = await other.stop();
  checkMessages(other);
  checkTicks(other, 'system', { missed: summary.json.ticks_missed });
  checkReceipt(summary);
  const { bytes } = other.sent.system;
  assert.deepEqual(receiptOf(summary, 'system').bytes, { received: bytes, processed: bytes, dropped: 0, queued: 0 });
  assert.deepEqual(other.errors(), []);
}

/** The receipt holds together and tells what was left. */
function checkLeft(summary, session) {
  checkMessages(session);
  checkReceipt(summary);
  const { bytes, bytes_left, frames_left } = receiptOf(summary, 'system');
  assert.equal(bytes.received, session.sent.system.bytes);
  assert.ok(bytes_left > 0 && bytes_left <= bytes.dropped, `${bytes_left} bytes left`);
  assert.ok(frames_left > 0);
  assert.match(summary.markdown, new RegExp(`\\b${bytes_left}\\b`));
}
