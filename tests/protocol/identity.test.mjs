// Whose a message is, and which source audio belongs to.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { checkMessages, receiptOf } from './checks.mjs';
import { Session, audioMessage, pcm, startServer } from './harness.mjs';

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TIMEOUT = { timeout: 30_000 };

describe('identity', { concurrency: true, timeout: 60_000 }, () => {
  test('a missing connection_id gets a UUID v4, each connection its own', TIMEOUT, async (t) => {
    const server = await startServer(t);
    const sessions = await Promise.all([1, 2].map(() => Session.start(t, server)));
    const named = sessions.map(({ started }) => started.connection_id);
    named.forEach((connection) => assert.match(connection, UUID_V4));
    assert.notEqual(named[0], named[1]);
    await Promise.all(sessions.map(holdsToItsEnd));
  });

  test('identifiers given are echoed in every message, those not given are null', TIMEOUT, async (t) => {
    const server = await startServer(t);
    const given = await Session.start(t, server, { session_id: 'a', attempt_id: 'b', connection_id: 'c' });
    const sparse = await Session.start(t, server, { session_id: 'd' });
    const identity = ({ session_id, attempt_id, connection_id }) => [session_id, attempt_id, connection_id];
    assert.deepEqual(identity(given.started), ['a', 'b', 'c']);
    assert.deepEqual(identity(sparse.started).slice(0, 2), ['d', null]);
    await Promise.all([given, sparse].map(holdsToItsEnd));
  });

  test('client features not given are false', TIMEOUT, async (t) => {
    const session = await Session.start(t, await startServer(t), { client_features: { client_vad_enabled: true } });
    assert.deepEqual(session.started.client_features, {
      clock_drift_compensation_enabled: false,
      client_vad_enabled: true,
      clock_drift_telemetry_enabled: false,
      client_vad_telemetry_enabled: false,
    });
    await holdsToItsEnd(session);
  });
});

async function holdsToItsEnd(session) {
  session.sendJson('system');
  await session.nextMetrics('system');
  await session.stop();
  checkMessages(session);
  assert.deepEqual(session.errors(), []);
}

const LONG_NAME = 'a-_9'.repeat(8);
const asSource = (name) => (session, audio) => session.send(audioMessage(name, audio));
const SAME_SOURCE = {
  'a binary frame without a header': ['system', (session, audio) => session.send(audio)],
  'a header with source byte 1': ['mic', (session, audio) => session.sendBinary('mic', audio)],
  'audio without a source': ['system', asSource(undefined)],
  'the source "SYSTEM" among blanks': ['system', asSource('  SYSTEM\t')],
  'the source "microphone"': ['mic', asSource('microphone')],
  'the source "Microphone" and a blank': ['mic', asSource('Microphone ')],
  'a source of 32 characters': [LONG_NAME, asSource(LONG_NAME.toUpperCase())],
};

describe('sources', { concurrency: true, timeout: 60_000 }, () => {
  for (const [name, [source, send]] of Object.entries(SAME_SOURCE)) {
    test(`${name} is ${source}`, TIMEOUT, async (t) => {
      const session = await Session.start(t, await startServer(t));
      const audio = pcm();
      send(session, audio);
      session.sendJson(source, audio);
      const { sources_active, bytes_received } = await session.nextMetrics(source);
      assert.deepEqual(sources_active, [source]);
      assert.equal(bytes_received, 2 * audio.length);
      const summary = await session.stop();
      assert.equal(receiptOf(summary, source).bytes.processed, 2 * audio.length);
      checkMessages(session);
    });
  }

  test('the spread of their audio positions is told, and its maximum', TIMEOUT, async (t) => {
    const session = await Session.start(t, await startServer(t));
    session.sendJson('system', pcm(1_000));
    session.sendBinary('mic', pcm(250));
    assert.deepEqual(await spreadWithAllSent(session), [750, 750]);
    session.sendBinary('mic', pcm(500));
    assert.deepEqual(await spreadWithAllSent(session), [250, 750]);
    await session.stop();
    checkMessages(session);
  });
});

/** The spread and its maximum once all that was sent has come. */
async function spreadWithAllSent(session) {
  const isAll = ({ bytes_received }) => bytes_received === session.sent.mic.bytes;
  const metrics = await session.metricsWhere('mic', isAll, 'metrics of all that was sent');
  return [metrics.source_clock_spread_ms, metrics.max_source_clock_spread_ms];
}
