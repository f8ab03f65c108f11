// What a full queue does, to the byte: the provider hangs, so that nothing leaves it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { checkMessages } from './checks.mjs';
import { FRAME_BYTES, QUEUE_BYTES, QUEUE_FRAMES, Session, pcm, startServer } from './harness.mjs';

const SAMPLE = Buffer.alloc(2);
const CHUNK_BYTES = 64_000;

describe('a full queue', { concurrency: true, timeout: 60_000 }, () => {
  test('drops the oldest pieces, only as many as needed, beyond its bound in bytes', async (t) => {
    const session = await sessionWithHungProvider(t);
    session.sendBinary('mic', Buffer.alloc(QUEUE_BYTES));
    const full = { queue_bytes: QUEUE_BYTES, queue_depth: 20, dropped_total: 0, bytes_dropped: 0 };
    assert.deepEqual(await counts(session), full);
    // A sample costs a piece of 100 ms, and leaves room for what follows.
    session.sendBinary('mic', SAMPLE);
    const dropped = { dropped_total: 1, bytes_dropped: FRAME_BYTES };
    const roomy = { ...full, queue_bytes: QUEUE_BYTES - FRAME_BYTES + SAMPLE.length };
    assert.deepEqual(await counts(session), { ...roomy, ...dropped });
    session.sendBinary('mic', Buffer.alloc(FRAME_BYTES - SAMPLE.length));
    assert.deepEqual(await counts(session), { ...full, ...dropped, queue_depth: 21 });
    // Two and a half pieces cost three.
    session.sendBinary('mic', pcm(250));
    const { dropped_total, queue_bytes } = await counts(session);
    assert.deepEqual([dropped_total, queue_bytes], [4, QUEUE_BYTES - FRAME_BYTES / 2]);
    await session.stop();
    checkMessages(session);
  });

  test('drops the oldest pieces beyond its bound in frames', async (t) => {
    const session = await sessionWithHungProvider(t);
    const before = session.statuses('mic').length;
    for (let n = 0; n < QUEUE_FRAMES + 100; n += 1) session.sendBinary('mic', SAMPLE);
    const waiting = { queue_bytes: 2 * QUEUE_FRAMES, queue_depth: QUEUE_FRAMES };
    assert.deepEqual(await counts(session), { ...waiting, dropped_total: 100, bytes_dropped: 200 });
    const [{ queue_fill_ratio, dropped_chunks_last_10s }] = session.metrics('mic').slice(-1);
    assert.deepEqual([queue_fill_ratio, dropped_chunks_last_10s], [1, 100]);
    const states = session.statuses('mic').slice(before).map(({ state }) => state);
    assert.deepEqual(states, ['buffering', 'overloaded', 'backpressure']);
    await session.stop();
    checkMessages(session);
  });

  test('costs no other source anything', async (t) => {
    const session = await sessionWithHungProvider(t);
    session.sendJson('system', Buffer.alloc(CHUNK_BYTES));
    session.sendBinary('mic', Buffer.alloc(QUEUE_BYTES));
    session.sendBinary('mic', Buffer.alloc(QUEUE_BYTES));
    const { dropped_total } = await counts(session);
    assert.equal(dropped_total, 20);
    const system = await session.nextMetrics('system');
    assert.deepEqual([system.dropped_total, system.dropped_recent, system.queue_bytes], [0, 0, 0]);
    assert.ok(session.statuses('system').every(({ state }) => state !== 'backpressure'));
    await session.stop();
    checkMessages(session);
  });
});

/** A session whose source mic has a chunk in a provider that never ends it, and the next one filled. */
async function sessionWithHungProvider(t) {
  const server = await startServer(t, '--provider', 'simulated', '--simulated-fault', 'hang');
  const session = await Session.start(t, server);
  for (const chunks of [1, 2]) {
    session.sendBinary('mic', Buffer.alloc(CHUNK_BYTES));
    const isInside = ({ bytes_in_provider }) => bytes_in_provider === chunks * CHUNK_BYTES;
    await session.metricsWhere('mic', isInside, `${chunks} chunks in the provider's hands`);
  }
  return session;
}

/** What waits and what was dropped, once all that was sent has come. */
async function counts(session) {
  const isAll = ({ bytes_received }) => bytes_received === session.sent.mic.bytes;
  const metrics = await session.metricsWhere('mic', isAll, 'metrics of all that was sent');
  const { queue_bytes, queue_depth, dropped_total, bytes_dropped } = metrics;
  return { queue_bytes, queue_depth, dropped_total, bytes_dropped };
}
