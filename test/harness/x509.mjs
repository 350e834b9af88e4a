// SPDX-License-Identifier: Apache-2.0
// X.509 certificates of any kind that a test needs, right or wrong: ECDSA P-256, written by hand.
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

function der(tag, ...parts) {
  const body = Buffer.concat(parts);
  const length = body.length < 128 ? [body.length]
    : body.length < 256 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

const sequence = (...parts) => der(0x30, ...parts);
const oid = (...bytes) => der(6, Buffer.from(bytes));
const OID = { ecdsaSha256: oid(0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2), commonName: oid(0x55, 4, 3),
  basicConstraints: oid(0x55, 0x1D, 0x13), extendedKeyUsage: oid(0x55, 0x1D, 0x25),
  serverAuth: oid(0x2B, 6, 1, 5, 5, 7, 3, 1), clientAuth: oid(0x2B, 6, 1, 5, 5, 7, 3, 2) };
const algorithm = sequence(OID.ecdsaSha256);
const name = (...commonNames) => sequence(...commonNames.map((cn) =>
  der(0x31, sequence(OID.commonName, der(0x0C, Buffer.from(cn, 'utf8'))))));
const time = (date) => der(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]|\..*/g, '')}Z`));
const TRUE = der(1, Buffer.from([0xFF]));

const pem = (bytes) => `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64').replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`;

// Options: {issuer: another of these, ca: true, usage: 'client' | 'server', fromSeconds and
// untilSeconds from now, names: instead of the one, key: of another}. Gives {cert and key as PEM,
// chain: with the issuers', der, sha1, sha256}.
export function makeCertificate(commonName, { issuer, ca = false, usage, fromSeconds = -3600, untilSeconds = 86_400, names, keys } = {}) {
  const pair = keys ?? generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const subject = name(...(names ?? [commonName]));
  const at = (seconds) => time(new Date(Date.now() + seconds * 1000));
  const extensions = [
    ...(ca ? [sequence(OID.basicConstraints, TRUE, der(4, sequence(TRUE)))] : []),
    ...(usage ? [sequence(OID.extendedKeyUsage, der(4, sequence(usage === 'client' ? OID.clientAuth : OID.serverAuth)))] : []),
  ];
  const serial = randomBytes(16);
  serial[0] = (serial[0] & 0x7F) | 1;
  const body = sequence(der(0xA0, der(2, Buffer.from([2]))), der(2, serial), algorithm, issuer?.subject ?? subject,
    sequence(at(fromSeconds), at(untilSeconds)), subject, pair.publicKey.export({ type: 'spki', format: 'der' }),
    ...(extensions.length > 0 ? [der(0xA3, sequence(...extensions))] : []));
  const signature = sign('sha256', body, (issuer ?? { pair }).pair.privateKey);
  const all = sequence(body, algorithm, der(3, Buffer.from([0]), signature));
  const hash = (kind) => createHash(kind).update(all).digest('hex');
  const cert = pem(all);
  return { pair, subject, der: all, cert, chain: cert + (issuer?.chain ?? ''), key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    sha1: hash('sha1'), sha256: hash('sha256') };
}
