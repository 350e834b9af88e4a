// SPDX-License-Identifier: Apache-2.0
// How the SDKs of other languages read what a hub sends: what they cut out at fixed places, the forms that
// they insist on, and where they throw. Every publish and every REST answer that the tests of this folder's
// clients get is judged by these rules; a finding fails the test. SDKs that run here (test/conformance)
// judge for themselves.
import assert from 'node:assert/strict';

const fail = (rule, what) => assert.fail(`${rule}: ${what}`);
const hold = (condition, rule, what) => { if (!condition) fail(rule, what); };

function json(text, rule) {
  try {
    return JSON.parse(text);
  } catch {
    return fail(rule, `no JSON: ${text.slice(0, 200)}`);
  }
}

const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{7})?Z$/;

// ---- errors -------------------------------------------------------------------------------------

// Numbers and names as IoT Hub's SDKs list them; .NET makes InvalidErrorCode of any pair that is not here.
// Those from 900 on in their class are of Gemel's own paths.
export const CODES = { ArgumentInvalid: 400004, IotHubFormatError: 400006, InvalidProtocolVersion: 400001, InvalidOperation: 400003,
  BulkRegistryOperationFailure: 400013, InvalidSchemaVersion: 400010, InvalidDeviceScope: 400028, InvalidConfigurationTargetCondition: 400401,
  InvalidConfigurationContent: 400402, CannotModifyImmutableConfigurationContent: 400403, InvalidConfigurationCustomMetricsQuery: 400404,
  IotHubNotFound: 401001, IotHubUnauthorizedAccess: 401002, IotHubUnauthorized: 401003, IotHubQuotaExceeded: 403002, JobQuotaExceeded: 403003,
  DeviceMaximumQueueDepthExceeded: 403004, InvalidMessageExpiryTime: 403009, DeviceMaximumInflightMethodExceeded: 403800,
  GenericNotFound: 404000, DeviceNotFound: 404001, JobNotFound: 404002, ModuleNotFound: 404010, DeviceNotOnline: 404103,
  EnrollmentNotFound: 404201, EnrollmentConflict: 409201, RegistrationNotFound: 404202, ConfigurationNotFound: 404301, GenericMethodNotAllowed: 405000,
  GenericConflict: 409000, DeviceAlreadyExists: 409001, JobAlreadyExists: 409104, ModuleAlreadyExistsOnDevice: 409301,
  ConfigurationAlreadyExists: 409401, PreconditionFailed: 412001, DeviceMessageLockLost: 412002, JobRunPreconditionFailed: 412003, MessageTooLarge: 413001, TooManyDevices: 413002,
  TooManyModulesOnDevice: 413003, ConfigurationCountLimitExceeded: 413101, GenericUnsupportedMediaType: 415000, ThrottlingException: 429001,
  ServerError: 500001, GenericNotImplemented: 501000, InvalidResponseWhileProxying: 502001, ServiceUnavailable: 503001, GatewayTimeout: 504101,
  SignInRequired: 401900, RoleLacksRight: 403900, PasswordChangeRequired: 403901, CrossSiteRequest: 403902, PasswordWrong: 403903 };

// Statuses of HTTP itself, for which IoT Hub has no number of its own.
const BEYOND = new Set([408, 417, 426, 431, 505]);

// Of MQTT, and of the provisioning service.
function judgeErrorDocument(status, body) {
  hold(Number.isInteger(body.errorCode) && body.errorCode > 0, 'Node', 'an error without errorCode is taken for a twin');
  hold(Math.floor(body.errorCode / 1000) === status, '.NET', `errorCode ${body.errorCode} with status ${status}`);
  hold(typeof body.message === 'string' && body.message !== '', 'Node', 'an error without message');
  hold(typeof body.trackingId === 'string' && DATE.test(body.timestampUtc), '.NET', 'an error without trackingId or timestampUtc');
}

function judgeRestError({ status, headers, json: body }) {
  hold(/^application\/json/.test(headers['content-type'] ?? ''), 'Node', `an error's content-type is ${headers['content-type']}`);
  if (Array.isArray(body.errors)) { // of a bulk, or of keys made anew
    for (const error of body.errors) hold(CODES[error.errorCode] !== undefined, '.NET', `bulk error code ${error.errorCode}`);
    return;
  }
  if (body.errorCode !== undefined) { // the provisioning service's form
    judgeErrorDocument(status, body);
    return;
  }
  hold(typeof body.Message === 'string' && typeof body.ExceptionMessage === 'string', 'Node', 'an error without Message and ExceptionMessage');
  const [first, sentence, ...more] = body.Message.split(';');
  const [label, name] = first.split(':');
  hold(more.length === 0 && sentence, 'Node', `the sentence of an error is cut at ';': ${body.Message}`);
  hold(label === 'ErrorCode' && CODES[name] !== undefined, '.NET', `the code of an error cannot be parsed: ${body.Message}`);
  hold(headers['iothub-errorcode'] === name, '.NET', `iothub-errorcode ${headers['iothub-errorcode']}, not ${name}`);
  hold(Math.floor(CODES[name] / 1000) === status || (name === 'IotHubNotFound' && status === 404) || BEYOND.has(status), '.NET', `${name} with status ${status}`);
}

// ---- REST answers -------------------------------------------------------------------------------

const DATES = new Set(['$lastUpdated', 'lastActivityTime', 'statusUpdateTime', 'statusUpdatedTime', 'connectionStateUpdatedTime',
  'createdTimeUtc', 'lastUpdatedTimeUtc', 'createdDateTimeUtc', 'lastUpdatedDateTimeUtc', 'timestampUtc', 'enqueuedTimeUtc']);

// `own`: inside what a user named, where any key may be.
function judgeDates(value, own = false) {
  if (value === null || typeof value !== 'object') return;
  for (const [key, member] of Object.entries(value)) {
    if (!own && DATES.has(key) && typeof member === 'string') hold(DATE.test(member), '.NET', `${key} is ${member}`);
    if (!own && ['tags', 'desired', 'reported', 'content', 'payload'].includes(key)) {
      if (member?.$metadata) judgeDates(member.$metadata, false);
    } else {
      judgeDates(member, own);
    }
  }
}

const isTwin = (path) => /^\/twins\/[^/]+(\/modules\/[^/]+)?\/?$/i.test(path);
const isIdentity = (path) => /^\/devices\/[^/]+(\/modules\/[^/]+)?\/?$/i.test(path);
const decimal = (text) => Buffer.from(text, 'base64').toString('latin1');

function judgeEtags(path, { headers, json: body }) {
  const { etag } = headers;
  if (etag !== undefined) hold(/^"[^"]+"$/.test(etag), '.NET', `the header ETag is ${etag}`);
  if (isTwin(path)) {
    hold(etag === `"${body.etag}"`, '.NET', `a twin's etags differ: ${etag} and ${body.etag}`);
    hold(Buffer.from(body.etag, 'base64').length === 8, 'IoT Hub', `a twin's etag is ${body.etag}`);
    if (body.deviceEtag !== undefined && body.deviceEtag !== null) hold(/^\d+$/.test(decimal(body.deviceEtag)), 'IoT Hub', `deviceEtag ${body.deviceEtag}`);
    for (const section of ['desired', 'reported'])
      hold(Number.isInteger(body.properties[section].$version), 'Java', `${section} without $version`);
  } else if (isIdentity(path) && body.etag) {
    hold(/^\d+$/.test(decimal(body.etag)), 'IoT Hub', `an identity's etag is ${body.etag}`);
    hold(/^\d+$/.test(body.generationId), 'IoT Hub', `generationId ${body.generationId}`);
  }
}

const ITEM_TYPES = new Set(['twin', 'raw', 'deviceJob', 'jobResponse', 'enrollment', 'enrollmentGroup', 'deviceRegistration', 'unknown']);

// For programs that watch the server: no part of IoT Hub's API.
const WATCHED = new Set(['/healthz', '/readyz', '/metrics']);

// answer: {status, headers, text, json}. What Gemel adds is held to the form of its errors alone.
export function judgeAnswer(method, target, answer) {
  const path = target.split('?')[0];
  if (WATCHED.has(path)) return;
  const { headers, status, text } = answer;
  if (status >= 400 && (answer.json !== undefined || !path.startsWith('/gemel/'))) {
    if (text !== '') judgeRestError(answer);
    return;
  }
  if (path.startsWith('/gemel/') || answer.json === undefined || status >= 300) return;
  hold(status !== 204 || text === '', 'HTTP', 'a body with 204');
  hold(headers['x-ms-request-id'], '.NET', `${method} ${path} without x-ms-request-id`);
  hold(headers['x-ms-continuation'] !== '', 'Node', 'an empty continuation makes a loop without end');
  if (headers['x-ms-item-type'] !== undefined) hold(ITEM_TYPES.has(headers['x-ms-item-type']), '.NET', `x-ms-item-type ${headers['x-ms-item-type']}`);
  if (/^\/devices\/query\/?$/i.test(path)) hold(headers['x-ms-item-type'] !== undefined, '.NET', 'a page of a query without x-ms-item-type');
  judgeDates(answer.json);
  if (['GET', 'PUT', 'PATCH'].includes(method)) judgeEtags(path, answer);
}

// ---- publishes ----------------------------------------------------------------------------------

const tokens = (topic) => topic.split('/');

function judgeTwinAnswer(topic, payload) {
  const parts = tokens(topic);
  hold(parts.length === 5, 'Java', `${topic} has more levels than five`);
  hold(/^\d{3}$/.test(parts[3]), 'Java', `status ${parts[3]}`);
  hold(/^\$iothub\/twin\/res\/(\d+)\/(\?.+)$/.test(topic), '.NET', topic);
  const match = /^\?\$rid=([^&]+)(?:&\$version=(\d+))?$/.exec(parts[4]);
  hold(match, 'embedded C', `${parts[4]} is not ?$rid=…[&$version=N]`);
  const status = Number(parts[3]);
  hold([200, 204].includes(status) || status >= 400, 'embedded C', `status ${status} is neither of a GET nor of a report nor an error`);
  if (status === 204) {
    hold(match[2] !== undefined && payload === '', 'C', 'a 204 needs $version and no body');
    return;
  }
  const body = json(payload, 'Node');
  if (status !== 200) {
    judgeErrorDocument(status, body);
    return;
  }
  hold(body.errorCode === undefined, 'Node', 'a twin with errorCode is taken for an error');
  for (const section of ['desired', 'reported']) {
    hold(Number.isInteger(body[section]?.$version), 'Python', `${section} without $version`);
    hold(body[section].$metadata === undefined, 'IoT Hub', `${section} with $metadata`);
  }
  assert.deepEqual(Object.keys(body).sort(), ['desired', 'reported'], 'IoT Hub: more in a twin than its sections');
}

function judgeDesired(topic, payload) {
  const match = /^\$iothub\/twin\/PATCH\/properties\/desired\/\?\$version=(\d+)$/.exec(topic);
  hold(match, 'embedded C', topic);
  hold(json(payload, 'Python').$version === Number(match[1]), 'Python', `$version of ${topic} is not that of its body: ${payload.slice(0, 100)}`);
}

function judgeMethod(topic, payload) {
  const parts = tokens(topic);
  hold(parts.length === 5 && parts[3] !== '', '.NET', `${topic} has not five levels`);
  hold(parts[4].slice(0, 6) === '?$rid=' && /^[^&?=]+$/.test(parts[4].slice(6)), '.NET', `something is behind the rid of ${topic}`);
  if (payload !== '') json(payload, 'Node');
}

function judgeItem(item) {
  const at = item.indexOf('=');
  const key = at < 0 ? item : item.slice(0, at);
  hold(key !== '', 'Java', `an item without a name: '${item}'`);
  hold(!/[ +]/.test(item), 'Java', `'${item}' has a '+' or a blank, of which Java makes a blank`);
  let decoded;
  try {
    decoded = [decodeURIComponent(key), decodeURIComponent(item.slice(at + 1))];
  } catch {
    fail('Python', `'${item}' cannot be decoded`);
  }
  const [name, value] = decoded;
  if (!name.startsWith('$.')) return;
  hold(key.startsWith('%24.'), 'C', `the system property '${key}' does not begin with %24.`);
  hold(at >= 0 && value !== '', 'Java', `the system property '${item}' is without a value`);
  if (name === '$.exp' || name === '$.ctime') hold(!Number.isNaN(Date.parse(value)), '.NET', `${name} is ${value}`);
}

function judgeC2d(topic) {
  const at = topic.toLowerCase().indexOf('/messages/devicebound/');
  const bag = topic.slice(at + '/messages/devicebound/'.length);
  if (!topic.includes('/modules/')) hold(tokens(topic)[4], '.NET', `level 4 of ${topic} is missing`);
  hold(bag !== '' && !bag.startsWith('?') && !bag.includes('/'), 'C', `the properties of ${topic}`);
  const items = bag.split('&');
  hold(items.some((item) => item.startsWith('%24.to=%2F')), 'IoT Hub', `${topic} is without %24.to`);
  items.forEach(judgeItem);
}

function judgeProvisioning(topic, payload) {
  const match = /^\$dps\/registrations\/res\/(\d{3})\/\?\$rid=([^&/]+)(&retry-after=\d+)?$/.exec(topic);
  hold(match, 'embedded C', topic);
  const body = json(payload, 'Node');
  const status = Number(match[1]);
  if (status >= 300) judgeErrorDocument(status, body);
  else hold(typeof body.operationId === 'string' && typeof body.status === 'string', 'Python', `${topic} without operationId and status`);
}

const KINDS = [
  [/^\$iothub\/twin\/res\//, judgeTwinAnswer],
  [/^\$iothub\/twin\/PATCH\/properties\/desired\//, judgeDesired],
  [/^\$iothub\/methods\/POST\//, judgeMethod],
  [/^devices\/[^/]+\/(modules\/[^/]+\/)?messages\/devicebound\//i, judgeC2d],
  [/^\$dps\/registrations\/res\//, judgeProvisioning],
];

export function judgePublish(topic, payload) {
  const kind = KINDS.find(([pattern]) => pattern.test(topic));
  hold(kind, 'every SDK', `a topic that none knows: ${topic}`);
  kind[1](topic, payload);
}
