// SPDX-License-Identifier: Apache-2.0
// How the portal asks the hub: sessions that end, tokens that change, answers that are no success.
import assert from 'node:assert/strict';
import test from 'node:test';

import { portalModule } from './modules.mjs';

const { ApiError, getJson, send, setGate } = await portalModule('api/http');

// Answers in turn, and remembers what was asked.
function serve(...answers) {
  const asked = [];
  globalThis.fetch = async (url, init) => {
    asked.push({ url, ...init });
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    const [status, body, headers] = answer;
    return new Response(status === 204 ? null : JSON.stringify(body), { status, headers });
  };
  return asked;
}

const gate = (part = {}) => setGate({ csrf: () => 'token', signedInAgain: async () => {}, csrfChanged: async () => false,
  mustChangePassword: () => {}, ...part });
const refusal = (code, sentence) => ({ Message: `ErrorCode:${code};${sentence}`, ExceptionMessage: '' });

test('only what changes something carries the CSRF token; etags are quoted', async () => {
  gate();
  const asked = serve([200, []], [200, {}]);
  await getJson('hubs');
  await send('x', { method: 'PATCH', body: { a: 1 }, ifMatch: 'AAE=' });
  assert.equal(asked[0].url, '/gemel/v1/hubs');
  assert.equal(asked[0].headers.get('x-gemel-csrf'), null);
  assert.equal(asked[1].headers.get('x-gemel-csrf'), 'token');
  assert.equal(asked[1].headers.get('if-match'), '"AAE="');
  assert.equal(asked[1].body, '{"a":1}');
});

test('when the session has ended, the request waits for the sign-in and is sent once more', async () => {
  let signIns = 0;
  gate({ signedInAgain: async () => { signIns++; } });
  const asked = serve([401, refusal('IotHubUnauthorized', 'over')], [200, { done: true }]);
  assert.deepEqual(await getJson('x', { method: 'PUT', body: {} }), { done: true });
  assert.equal(signIns, 1);
  assert.equal(asked.length, 2);
});

test('a request that nobody wants any more is not sent again after the sign-in', async () => {
  const stop = new AbortController();
  gate({ signedInAgain: async () => stop.abort() });
  const asked = serve([401, {}], [200, {}]);
  await assert.rejects(getJson('x', { signal: stop.signal }), { name: 'AbortError' });
  assert.equal(asked.length, 1);
});

test('when another tab has signed in anew, its token is taken and the change sent once more', async () => {
  let token = 'old';
  gate({ csrf: () => token, csrfChanged: async () => { token = 'new'; return true; } });
  const asked = serve([403, refusal('Csrf', 'no')], [200, {}]);
  await send('x', { method: 'DELETE' });
  assert.deepEqual(asked.map((each) => each.headers.get('x-gemel-csrf')), ['old', 'new']);
});

test('a refusal for want of a role is told in the hub’s words, and not repeated', async () => {
  gate();
  const asked = serve([403, refusal('Forbidden', 'readers change nothing')]);
  await assert.rejects(send('x', { method: 'DELETE' }), (error) => error instanceof ApiError && error.status === 403
    && error.code === 'Forbidden' && error.message === 'readers change nothing');
  assert.equal(asked.length, 1);
});

test('a one-time password must be changed before anything else is answered', async () => {
  let must = false;
  gate({ mustChangePassword: () => { must = true; } });
  serve([403, refusal('PasswordChangeRequired', 'change it')]);
  await assert.rejects(getJson('hubs'), /change it/);
  assert.equal(must, true);
});

test('an answer without a sentence is told by its status, no answer by its absence', async () => {
  gate();
  serve([500, {}]);
  await assert.rejects(getJson('x'), /The hub answered 500/);
  serve(new TypeError('failed to fetch'));
  await assert.rejects(getJson('x'), (error) => error.status === 0 && /does not answer/.test(error.message));
});

test('how long to wait is read from the answer', async () => {
  gate();
  serve([429, refusal('ThrottlingException', 'wait'), { 'retry-after': '7' }]);
  await assert.rejects(getJson('x'), (error) => error.retryAfterSeconds === 7);
});

test('a status that the caller expects is no error', async () => {
  gate();
  serve([400, { isSuccessful: false }]);
  assert.equal((await send('x', { method: 'POST' }, [400])).status, 400);
});
