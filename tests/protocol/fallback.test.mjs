// A provider that fails, with another to fall back to: the ladder climbs to it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { checkMessages, checkReceipt, receiptOf } from './checks.mjs';
import { Session, secondsBetween, startServer } from './harness.mjs';

const CLIMB = ['WARNING', 'DEGRADE', 'EMERGENCY', 'FAILOVER'];
const FLAGS = ['--provider', 'simulated', '--fallback', 'vad', '--chunk-timeout-seconds', '1'];

describe('a failed provider is replaced by the fallback', { concurrency: true, timeout: 150_000 }, () => {
  test('when its chunks fail', (t) => failsOver(t, 'error'));
  test('when its chunks never end', (t) => failsOver(t, 'hang'));
});

async function failsOver(t, fault) {
  const server = await startServer(t, ...FLAGS, '--simulated-fault', fault);
  const session = await Session.start(t, server);
  session.feed('system');
  await session.until(() => session.steps().at(-1)?.degrade_level === 'FAILOVER', 'FAILOVER', 90_000);
  const works = (metrics) => metrics.provider === 'vad' && metrics.total_chunks_processed >= 2;
  const after = await session.metricsWhere('system', works, 'chunks of the fallback', 25_000);
  const summary = await session.stop();

  await t.test('sends messages whose fields are there, typed, rounded and agree', () => checkMessages(session));

  await t.test('climbs one level at a time, at least 10 s each', () => {
    const steps = session.steps('system');
    assert.deepEqual(steps.map(({ degrade_level }) => degrade_level), CLIMB);
    const times = [session.started.at, ...steps.map(({ at }) => at)];
    steps.forEach(({ degrade_level }, n) => {
      const stayed = secondsBetween(times[n], times[n + 1]);
      assert.ok(stayed >= 9.8, `${degrade_level} after ${stayed} s`);
    });
    const { state, message } = steps.at(-1);
    assert.deepEqual([state, message], ['reconnecting', 'Switching to fallback provider']);
  });

  await t.test('shows the provider in force', () => {
    const [first] = session.metrics('system');
    assert.equal(first.provider, 'simulated');
    assert.notEqual(after.model_id, first.model_id);
    assert.ok(['idle', 'running'].includes(after.provider_state), after.provider_state);
    assert.deepEqual([after.degrade_level, after.degrade_level_num], ['FAILOVER', 4]);
  });

  await t.test('gives a receipt with the way up', () => {
    checkReceipt(summary);
    const { degrade_timeline, chunks_processed, chunks_failed } = receiptOf(summary, 'system');
    assert.deepEqual(degrade_timeline.map(({ to }) => to), CLIMB);
    assert.ok(chunks_processed >= 2 && chunks_failed > 0);
    assert.equal(session.closed.code, 1000);
  });
}
