// SPDX-License-Identifier: Apache-2.0
// What may be an id of a device or a module. The hub decides; this says it before asking.

const LONGEST = 128;

/** What is wrong with the id; "" if nothing. */
export function judgeId(id: string): string {
  if (id === '') return 'An id is needed.';
  if (id.length > LONGEST) return `An id has at most ${LONGEST} characters.`;
  const bad = /[^A-Za-z0-9\-:.+%_#*?!(),=@;$']/u.exec(id);
  if (!bad) return '';
  return bad[0] === ' ' ? 'An id holds no blanks.' : `An id cannot hold “${bad[0]}”.`;
}
