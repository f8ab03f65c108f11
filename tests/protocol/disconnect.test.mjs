// Clients that go without a word.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { checkMessages } from './checks.mjs';
import { Session, pcm, startServer } from './harness.mjs';

const SIMULATED = ['--provider', 'simulated'];

describe('abrupt disconnect', { concurrency: true, timeout: 60_000 }, () => {
  test('ends the session; the others, and the counts, stay right', async (t) => {
    const server = await startServer(t, ...SIMULATED, '--simulated-rtf', '1.5');
    const [gone, stays] = await Promise.all([Session.start(t, server), Session.start(t, server)]);
    stays.feed('system');
    await fillQueue(gone);
    await server.snapshotWhere((snapshot) => snapshot.value('queue_depth', 'mic') > 0, 'waiting audio');
    gone.terminate();

    const hasEnded = (snapshot) => !snapshot.session(gone.id) && snapshot.open === 1;
    const after = await server.snapshotWhere(hasEnded, 'an end of the session', 10_000);
    assert.ok(after.session(stays.id));
    assert.equal(after.value('active_sessions'), 1);
    assert.equal(after.value('queue_depth', 'mic'), 0);
    assert.equal(after.value('audio_bytes_received', 'mic'), gone.sent.mic.bytes);
    await stays.stop();
    checkMessages(stays);
    await server.snapshotWhere((snapshot) => snapshot.isQuiet, 'a quiet server');
  });

  test('with a hung provider, ends the session within the drain', async (t) => {
    const server = await startServer(t, ...SIMULATED, '--simulated-fault', 'hang');
    const gone = await Session.start(t, server);
    await fillQueue(gone);
    gone.terminate();
    const after = await server.snapshotWhere((snapshot) => snapshot.isQuiet, 'a quiet server', 11_000);
    assert.equal(after.value('audio_bytes_dropped', 'mic'), gone.sent.mic.bytes);
  });

  test('before a start, leaves nothing', async (t) => {
    const server = await startServer(t);
    const gone = await Session.connect(t, server);
    const connected = await server.snapshotWhere((snapshot) => snapshot.open === 1, 'a connection');
    assert.equal(connected.value('active_sessions'), 0);
    gone.terminate();
    await server.snapshotWhere((snapshot) => snapshot.open === 0, 'a disconnect');
  });

  test('a close without a stop is answered, and ends the session', async (t) => {
    const server = await startServer(t);
    const session = await Session.start(t, server);
    session.sendJson('system');
    await session.nextMetrics('system');
    session.hangUp(1000);
    assert.equal((await session.close()).code, 1000);
    await server.snapshotWhere((snapshot) => snapshot.isQuiet, 'a quiet server');
  });

  test('a session of the same name may come back at once', async (t) => {
    const server = await startServer(t);
    const gone = await Session.start(t, server, { session_id: 'again' });
    gone.sendJson('system');
    gone.terminate();
    const back = await Session.start(t, server, { session_id: 'again' });
    back.sendJson('system');
    const { bytes_received } = await back.nextMetrics('system');
    assert.equal(bytes_received, back.sent.system.bytes);
    await back.stop();
    await server.snapshotWhere((snapshot) => snapshot.isQuiet, 'a quiet server');
  });
});

/** Sends more than a chunk at once, so that some of it waits while the chunk is in the provider. */
async function fillQueue(session) {
  session.sendBinary('mic', pcm(2_000));
  await session.nextMetrics('mic');
  // The next chunk is filled while the provider works; what comes after it waits.
  session.sendBinary('mic', pcm(2_000));
  session.sendBinary('mic', pcm(1_500));
}
