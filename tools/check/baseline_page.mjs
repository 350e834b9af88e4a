// SPDX-License-Identifier: Apache-2.0
// The reference page of the baseline checks, printed from the files that the agent reads.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = 'src/agent/baseline/checks';

const firstSentence = (text) => text.match(/^.*?[.:](?= |$)/)[0].replace(/[.:]$/, '');
const cell = (text) => text.replaceAll('|', '\\|');
const table = (heads, rows) => [heads, heads.map(() => '---'), ...rows]
  .map((row) => `| ${row.map((text) => cell(String(text))).join(' | ')} |\n`).join('');

function overlay(document, base) {
  const known = new Set(base.checks.map((check) => check.id));
  const removed = document.remove.length > 0
    ? `These checks are left out: ${document.remove.join(', ')}.\n\n` : '';
  return `These checks replace the one with the same id, or add one.\n\n${removed}`
    + table(['Id', 'Group', 'Severity', 'Level', 'What is checked', ''], document.checks.map((check) =>
      [check.id, check.group, check.severity, check.level, firstSentence(check.description),
        known.has(check.id) ? 'replaced' : 'added']));
}

const whole = (document) => table(['Id', 'Group', 'Severity', 'Level', 'What is checked'], document.checks.map((check) =>
  [check.id, check.group, check.severity, check.level, firstSentence(check.description)]));

const intro = (base, overlays) => `# Baseline checks

<!-- Printed from ${folder}; ./dev docs writes it anew. -->

The collector \`Baseline\` looks at the device as the CIS Distribution Independent Linux Benchmark 2.0.0
does: ${base.checks.length} checks with the benchmark's numbers and sections, in our own words. On
${overlays.map((document) => `Debian ${document.applies.version}`).join(' and ')} some of them are replaced, since that system does the same thing another
way, and some are added.

A check ends in \`PASS\`, \`FAIL\`, \`SKIP\` (what it looks at is not on the device, or it is switched
off) or \`ERROR\` (the agent could not look). The setting \`Baseline_ChecksDisabled\` takes the ids
below, \`Baseline_GroupsDisabled\` the names of the groups: see
[the settings](settings.md#security-baseline-baseline). A check belongs to the one group that is
named with it: switching off \`Special Purpose Services\` leaves \`Time Synchronization\` on.

Level 1 is what every device should hold; level 2 asks for more and can cost convenience. Some
checks that judge a choice, such as wireless interfaces or IPv6, fail on many healthy devices: switch
off those that do not fit yours. The check 0.0 tries the way of a finding: create its file, and it fails.

A few checks of the benchmark are left out because a device cannot answer them by itself: 6.1.1, which
reviews what the package manager says about each file, and 3.5.1.4 and 3.5.2.4, which compare the rules
of the firewall with each open port. Numbers that the benchmark does not have, those marked as added,
are our own.
`;

export function baselinePage(root) {
  const documents = readdirSync(join(root, folder)).filter((name) => name.endsWith('.json')).sort()
    .map((name) => JSON.parse(readFileSync(join(root, folder, name), 'utf8')));
  const base = documents.find((document) => document.extends === null);
  const overlays = documents.filter((document) => document !== base);
  const groups = [...new Set(documents.flatMap((document) => document.checks.map((check) => check.group)))].sort();
  const ordered = [base, ...overlays];
  const count = (document, group) => document.checks.filter((check) => check.group === group).length;
  return `${intro(base, overlays)}
## Groups

${table(['Group', ...ordered.map((document) => document.name)], groups.map((group) =>
    [group, ...ordered.map((document) => count(document, group) || '')]))}
## ${base.title}

${whole(base)}${overlays.map((document) => `\n## ${document.title}\n\n${overlay(document, base)}`).join('')}`;
}
