// SPDX-License-Identifier: Apache-2.0
// The layer rule: which folder may include what. The longest matching prefix of `layers` is a
// file's layer; an include of ours must lead to the same folder or to one that the row names.
// A library's header may be included only in the folders that `libraries` names for it, and a
// layer marked `pure` uses of the system only what is listed in `pureHeaders`.
import { basename, dirname } from 'node:path';

const plain = ['src/base'];
const core = ['src/base', 'src/settings', 'src/wire', 'src/twin'];

export const layers = {
  'src/base': { uses: [], pure: true },
  'src/settings': { uses: plain, pure: true },
  'src/wire': { uses: plain, pure: true },
  'src/twin': { uses: plain, pure: true },

  'src/agent/files': { uses: plain },
  'src/agent/ledger': { uses: plain },
  'src/agent/budget': { uses: [...plain, 'src/settings'] },
  'src/agent/baseline': { uses: [...plain, 'src/agent/files'] },
  'src/agent/collectors': { uses: [...plain, 'src/settings', 'src/agent/baseline', 'src/agent/files', 'src/agent/ledger'] },
  'src/agent/config': { uses: [...plain, 'src/settings', 'src/agent/files'] },
  'src/agent/outbox': { uses: [...plain, 'src/agent/files', 'src/agent/ledger'] },
  'src/agent/uplink': { uses: [...plain, 'src/settings', 'src/wire', 'src/agent/files'] },
  'src/agent': { uses: [...core, 'src/agent'] },

  'src/hub/metrics': { uses: plain },
  'src/hub/store': { uses: [...plain, 'src/twin', 'src/hub/metrics'] },
  'src/hub/bus': { uses: plain },
  'src/hub/policies': { uses: [...plain, 'src/wire', 'src/twin', 'src/hub/store'], except: ['src/hub/store/store_sqlite.h'] },
  'src/hub/password': { uses: plain },
  'src/hub/query': { uses: plain, pure: true },
  'src/hub/service': { uses: [...core, 'src/hub/store', 'src/hub/bus', 'src/hub/metrics', 'src/hub/policies', 'src/hub/password', 'src/hub/query'], except: ['src/hub/store/store_sqlite.h'] },
  'src/hub/gateway': { uses: [...plain, 'src/wire', 'src/twin', 'src/hub/service', 'src/hub/bus', 'src/hub/metrics', 'src/hub/store'],
    except: ['src/hub/store/store_sqlite.h'] },
  'src/hub/admin': { uses: [...core, 'src/hub/store', 'src/hub'] },
  'src/hub': { uses: [...core, 'src/hub'] },

  'src/cli': { uses: core },
  'test': { uses: ['src', 'test'] },
};

// Pure layers: no files, sockets, threads or signals. The clock is base's own door to the time.
const pureHeaders = ['assert', 'ctype', 'errno', 'float', 'inttypes', 'limits', 'math', 'stdalign',
  'stdarg', 'stdbool', 'stddef', 'stdint', 'stdio', 'stdlib', 'string', 'strings'];
const pureExtra = { 'src/base/clock.c': ['time'], 'src/base/mem.c': ['malloc'] };

export const libraries = [
  [/^sqlite3/, ['src/hub/store']],
  [/^(libwebsockets|uv)\.h/, ['src/hub/gateway']],
  [/^MQTT/, ['src/agent/uplink']],
  [/^curl\//, ['src/cli']],
  [/^argon2/, ['src/hub']],
  [/^ini\.h/, ['src/hub']],
  [/^openssl\/(hmac|evp|sha|crypto|bio|buffer)\.h/, ['src/wire', 'src/hub', 'src/agent/uplink', 'src/agent/baseline']],
  [/^openssl\//, ['src/hub', 'src/agent/uplink', 'src/agent/baseline']],
  [/^cmocka\.h/, ['test']],
];

// Agent and hub never meet, so each may have a header of the same name.
const areaOf = (file) => file.split('/').slice(0, 2).join('/');

function layerOf(file) {
  const found = Object.keys(layers).filter((l) => file.startsWith(`${l}/`));
  return found.sort((a, b) => b.length - a.length)[0];
}

function checkSystem(file, layer, header) {
  const name = header.replace(/\.h$/, '');
  for (const [pattern, folders] of libraries)
    if (pattern.test(header))
      return file.startsWith('test/') || folders.some((f) => file.startsWith(`${f}/`)) ? null
        : `<${header}> may be used in ${folders.join(', ')} only`;
  if (layers[layer].pure && !pureHeaders.includes(name) && !pureExtra[file]?.includes(name))
    return `<${header}>: ${layer} has no I/O and no threads`;
  return null;
}

function checkOwn(file, layer, header, owners) {
  const homes = owners.get(basename(header)) ?? [];
  if (homes.length === 0) return `"${header}" is nowhere in the tree`;
  const beside = `${dirname(file)}/${basename(header)}`;
  const target = homes.find((h) => h === beside) ?? homes.find((h) => areaOf(h) === areaOf(file)) ?? homes[0];
  const { uses, except = [] } = layers[layer];
  if (layerOf(target) === layer) return null;
  if (target.startsWith('test/') && !file.startsWith('test/')) return `"${header}" is a test's`;
  if (target.includes('_priv.') && layer !== 'test') return `"${header}" is private to ${dirname(target)}`;
  if (except.includes(target)) return `"${header}" is for the folder that puts the parts together`;
  return uses.some((u) => target.startsWith(`${u}/`)) ? null : `${layer} may not use ${dirname(target)} ("${header}")`;
}

// files: [{path, text}] of the C sources. Returns findings "path:line: sentence".
export function checkLayers(files) {
  const findings = [];
  const owners = new Map();
  for (const { path } of files.filter((f) => /\.(h|def)$/.test(f.path)))
    owners.set(basename(path), [...(owners.get(basename(path)) ?? []), path]);
  for (const [name, homes] of owners)
    for (const [at, home] of homes.entries())
      if (homes.findIndex((h) => areaOf(h) === areaOf(home)) < at)
        findings.push(`${home}:1: a second header ${name} in ${areaOf(home)}: includes go by bare name`);
  for (const { path, text } of files) {
    const layer = layerOf(path);
    if (layer === undefined) {
      findings.push(`${path}:1: its folder is no layer of tools/check/layers.mjs`);
      continue;
    }
    text.split('\n').forEach((line, at) => {
      const include = /^\s*#\s*include\s*([<"])([^>"]+)[>"]/.exec(line);
      if (!include) return;
      const wrong = include[1] === '<' ? checkSystem(path, layer, include[2])
        : checkOwn(path, layer, include[2], owners);
      if (wrong) findings.push(`${path}:${at + 1}: ${wrong}`);
    });
  }
  return findings;
}
