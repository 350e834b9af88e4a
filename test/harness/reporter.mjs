// SPDX-License-Identifier: Apache-2.0
// A reporter for node:test that says each result on standard output as one JSON line, prefixed so
// that what a test prints itself cannot be taken for one. run.mjs reads it.
export const MARK = '@gemel-result ';
// The name of the result that a file has without its tests: it was passed over, hung or broke.
export const WHOLE_FILE = 'the file as a whole';

function reason(error) {
  const cause = error?.cause ?? error;
  return String(cause?.stack ?? cause?.message ?? cause ?? '');
}

export default async function* report(events) {
  for await (const { type, data } of events) {
    if (type === 'test:diagnostic' || (type !== 'test:pass' && type !== 'test:fail')) continue;
    // A suite fails through its tests; only what stands in it counts, unless it broke itself.
    const suite = data.details?.type === 'suite';
    const own = data.details?.error?.failureType !== 'subtestsFailed';
    if (suite && (type === 'test:pass' || !own)) continue;
    const skipped = data.skip !== undefined && data.skip !== false;
    const result = skipped ? 'skipped' : type === 'test:pass' ? 'ok' : 'failed';
    const why = skipped ? String(data.skip === true ? '' : data.skip)
      : result === 'failed' ? reason(data.details?.error) : '';
    yield `${MARK}${JSON.stringify({ name: data.name, result, why,
      ms: Math.round(data.details?.duration_ms ?? 0) })}\n`;
  }
}
