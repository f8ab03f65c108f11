// A client that stops reading: its metrics are conflated, what is said once is not, and nobody else notices.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { checkMessages, checkReceipt, checkTicks } from './checks.mjs';
import { Session, UNPACED, sleep, startServer } from './harness.mjs';

const DEAF_SECONDS = 8;

test('a slow reader gets the newest metrics, and is told how many it missed', { timeout: 60_000 }, async (t) => {
  const server = await startServer(t, '--provider', 'vad', ...UNPACED);
  const [slow, quick] = await Promise.all([Session.start(t, server), Session.start(t, server)]);
  for (const session of [slow, quick]) {
    session.feed('system');
    session.feed('mic', { send: (frame) => session.sendBinary('mic', frame) });
  }
  const before = await slow.nextMetrics('system');
  await slow.deafen();
  slow.send('not JSON');
  slow.send({ type: 'unknown' });
  await sleep(DEAF_SECONDS * 1000);
  slow.resume();
  const after = await slow.metricsWhere('system', ({ tick }) => tick >= before.tick + DEAF_SECONDS, 'metrics of now');
  await slow.metricsWhere('system', ({ tick }) => tick >= after.tick + 2, 'more ticks');
  const live = await server.snapshot();
  const [slowSummary, quickSummary] = await Promise.all([slow.stop(), quick.stop()]);

  await t.test('skips in its count only what was conflated, and says so', () => {
    checkMessages(slow, { conflated: true });
    checkReceipt(slowSummary);
    const skipped = slow.messages.at(-1).seq - slow.messages[0].seq + 1 - slow.messages.length;
    const { ticks_sent, ticks_conflated } = slowSummary.json;
    assert.ok(ticks_conflated > 0, 'nothing was conflated');
    assert.equal(skipped, live.value('tachograph_metrics_conflated'));
    const [system, mic] = ['system', 'mic'].map((source) => slow.metrics(source).map(({ tick }) => tick));
    assert.equal(ticks_sent, mic.filter((tick) => system.includes(tick)).length);
  });

  await t.test('is told everything else', () => {
    assert.deepEqual(slow.errors().map(({ code }) => code), ['invalid_json', 'unknown_type']);
    assert.equal(slow.closed.code, 1000);
  });

  await t.test('gets each tick at most once, in order, and goes on with every one', () => {
    const ticks = slow.metrics('system').map(({ tick }) => tick);
    assert.deepEqual(ticks, [...new Set(ticks)].sort((a, b) => a - b));
    const late = ticks.filter((tick) => tick >= after.tick);
    const skipped = late.at(-1) - after.tick + 1 - late.length;
    assert.ok(skipped <= slowSummary.json.ticks_missed, `${skipped} ticks skipped after it read again`);
  });

  await t.test('leaves the others as they were', () => {
    checkMessages(quick);
    const { ticks_conflated: conflated, ticks_missed: missed } = quickSummary.json;
    for (const source of ['mic', 'system']) checkTicks(quick, source, { missed });
    assert.equal(conflated, 0);
    assert.equal(live.session(quick.id).ticks_conflated, 0);
  });
});
