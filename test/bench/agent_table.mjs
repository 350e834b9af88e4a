// SPDX-License-Identifier: Apache-2.0
// Runs the scenarios of agent.mjs and makes the table of them.
import { Hub } from '../harness/hub.mjs';
import { LOAD, round as runRound } from './agent.mjs';

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
const say = (text) => process.stderr.write(`bench: ${text}\n`);
const WHO = ['one', 'pair', 'auditd', 'collectd'];
const COUNTED = { started: 'starts', ended: 'ends', made: 'files made', removed: 'files removed', packets: 'packets' };

const taken = (runs, who, what) => {
  const numbers = runs.map(({ costs }) => costs[who]?.[what]).filter((n) => n !== undefined);
  return numbers.length === 0 ? null : median(numbers);
};

function row(title, runs, what, show) {
  const values = Object.fromEntries(WHO.map((who) => [who, taken(runs, who, what)]));
  const ratio = (who) => values.auditd ? (values[who] / values.auditd).toFixed(2) : '–';
  return [title, ...WHO.map((who) => values[who] === null ? '–' : show(values[who])), ratio('one'), ratio('pair')];
}

const mib = (kib) => `${(kib / 1024).toFixed(1)} MiB`;
const percent = (number) => `${number.toFixed(2)} %`;
const rate = (number) => number.toFixed(1);

// What was done and what arrived of it, over all rounds.
function sums(runs) {
  const lines = [];
  for (const who of ['one', 'pair']) {
    const all = runs.map(({ accounts }) => accounts[who]);
    const words = Object.entries(COUNTED).filter(([kind]) => all[0].expected[kind] !== undefined).map(([kind, name]) => {
      const total = (of) => all.reduce((sum, a) => sum + a[of][kind], 0);
      return `${name} ${total('heard')} of ${total('expected')}`;
    });
    const number = (of) => all.reduce((n, a) => n + of(a), 0);
    const gone = number((a) => a.heard.gone);
    const dropped = number((a) => Object.values(a.lost).reduce((n, count) => n + count, 0));
    const uneven = all.flatMap((a) => a.uneven);
    lines.push(`- ${who === 'one' ? 'one process' : 'packaged pair'}: ${words.join(', ')}. Of all that ran on the machine, `
      + `${gone} starts were told without a name, and ${dropped} events were counted as lost. Accounts that do not add up: `
      + `${uneven.length === 0 ? 'none' : uneven.join(', ')}.`);
  }
  const theirs = runs.map(({ accounts }) => accounts.auditd).filter(Boolean);
  if (theirs.length > 0) {
    const total = (of) => theirs.reduce((sum, a) => sum + a[of], 0);
    lines.push(`- auditd: starts ${total('started')} of ${total('expected')}; it says that ${total('lost')} were lost.`);
  }
  return lines;
}

export async function agentTable({ rounds, seconds }) {
  const hub = await Hub.started();
  const calm = [];
  const loaded = [];
  for (let round = 1; round <= rounds; round++) {
    const { idle, busy } = await runRound(hub, seconds);
    calm.push(idle);
    loaded.push(busy);
    say(`agents, round ${round} of ${rounds}: ${JSON.stringify({ idle: calm.at(-1), busy: loaded.at(-1) })}`);
  }
  await hub.stop();
  const rows = [
    row('idle: private memory', calm, 'privateKib', mib),
    row('the same without capture buffers', calm, 'ownKib', mib),
    row('idle: resident memory', calm, 'rssKib', mib),
    row('idle: processor, of a core', calm, 'cpuPercent', percent),
    row('idle: wake-ups a second', calm, 'wakeupsPerSecond', rate),
    row('busy: private memory', loaded, 'privateKib', mib),
    row('the same without capture buffers', loaded, 'ownKib', mib),
    row('busy: private memory, at most', loaded, 'peakKib', mib),
    row('busy: processor, of a core', loaded, 'cpuPercent', percent),
    row('busy: wake-ups a second', loaded, 'wakeupsPerSecond', rate),
  ];
  return ['| measure | agent | agent and link | auditd | collectd | agent : auditd | both : auditd |',
    '| --- | --- | --- | --- | --- | --- | --- |', ...rows.map((cells) => `| ${cells.join(' | ')} |`), '',
    `Medians of ${rounds} rounds of ${seconds} s. Busy is ${LOAD.starts} process starts, ${LOAD.packets} packets and ${LOAD.files} files `
    + `a second; besides, the machine itself forked, started and ended ${median(calm.map((c) => c.noise)).toFixed(0)} processes a second `
    + 'while idle was measured. Of the load arrived:', '', ...sums(loaded)].join('\n');
}
