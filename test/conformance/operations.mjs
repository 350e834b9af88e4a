// SPDX-License-Identifier: Apache-2.0
// What IoT Hub offers to devices and services, operation by operation, and the tests that try it
// here: docs/conformance.md is written from these rows and from what the tests said in a whole run
// (test/harness/conformance-report.mjs).
//
// A row: [operation, {'folder/file': /names of its tests/, …}, what is not offered of it].
// Files of test/conformance run Azure's unmodified SDKs, those of test/scenario clients of our own.
// With a third member the operation is not offered, and the tests are of the answer.
const ALL = /./;

export const SECTIONS = [
  ['Transport and sessions', [
    ['MQTT 3.1.1 over TLS, port 8883', { 'conformance/client': /connects/, 'scenario/mqtt-misbehaviour': ALL }],
    ['MQTT over WebSocket, port 443, `/$iothub/websocket`', { 'conformance/over-websocket': ALL, 'scenario/websocket': ALL }],
    ['SAS tokens of devices and modules, renewal, expiry', { 'conformance/client': /credentials|token/, 'scenario/mqtt-misbehaviour': /credentials|token/ }],
    ['X.509 by thumbprint (SHA-1, SHA-256)', { 'conformance/x509': /thumbprint/, 'scenario/x509': ALL }],
    ['X.509 by certificate authority', { 'conformance/x509': /authority/, 'scenario/x509': /authorities/ }],
    ['Disabled and deleted identities and changed keys end their sessions', { 'conformance/client': /disabled/, 'scenario/hostile-load': /cut off at once/, 'scenario/x509': /session ends/ }],
    ['Takeover by a second connection', { 'conformance/client': /takes over/, 'scenario/hostile-load': /one identity/, 'scenario/websocket': /takes over/ }],
    ['Clean and persistent sessions', { 'scenario/mqtt-misbehaviour': /CleanSession/ }],
    ['Keep-alive', { 'scenario/mqtt-misbehaviour': /keep-alives/, 'scenario/mqtt-rules': /keep-alive/ }],
    ['Wills', { 'scenario/mqtt-misbehaviour': /will/, 'scenario/websocket': /will/ }],
    ['Reconnects after a crash and after an orderly restart', { 'conformance/reconnect': ALL, 'scenario/hub-killed-in-a-storm': ALL }],
    ["Faults of the SDKs' own tests (`tests.fault_injection`)", { 'scenario/fault-injection': ALL }],
    ['AMQP 1.0 over WebSocket', { 'scenario/websocket': /AMQP/ }, 'refused with 400 and a sentence; nothing listens on port 5671'],
  ]],
  ['Device to cloud', [
    ['Events over MQTT, with properties and system properties', { 'conformance/client': /events with/, 'scenario/mqtt-misbehaviour': /events|256 KiB/ }],
    ['Events over HTTPS, one and in a batch', { 'conformance/messages': /sends one message/, 'scenario/cloud-to-device': /sends events/ }],
    ['Events are kept and read again (`/gemel/v1/events`, in place of the Event Hubs endpoint)', { 'scenario/event-stream': ALL }],
    ['Twin-change, lifecycle and connection-state events', { 'scenario/event-stream': /hub itself/ }],
    ['File upload', { 'scenario/not-offered': /file upload/ }, '501 GenericNotImplemented'],
  ]],
  ['Cloud to device', [
    ['Messages over MQTT', { 'conformance/messages': /over MQTT/, 'scenario/cloud-to-device': /messages wait|topic|acknowledged|lasting/, 'scenario/sdk-parsers': /a message with/ }],
    ['Messages over HTTPS: receive, complete, reject, abandon', { 'conformance/messages': /over HTTP a message/, 'scenario/cloud-to-device': /over HTTPS/ }],
    ['Expiry, delivery count, queue bound, purge', { 'conformance/messages': /purging/, 'scenario/cloud-to-device': /purging|expired|given up/ }],
    ['Sending and feedback', { 'conformance/messages': /completing it is told/, 'scenario/cloud-to-device': /cannot be a message|feedback is received/ }],
    ['Direct methods of devices and modules', { 'conformance/methods': ALL, 'scenario/direct-methods': ALL, 'scenario/sdk-parsers': /a method with/ }],
  ]],
  ['Twins', [
    ['Read, merge, replace; tags, desired, reported', { 'conformance/twin': ALL, 'scenario/rest-bad-input': /twin/ }],
    ['Etags and If-Match', { 'conformance/twin': /etag/, 'scenario/rest-bad-input': /etag/ }],
    ['Limits and forbidden names', { 'conformance/twin': /limit/, 'scenario/rest-bad-input': /over a limit/, 'scenario/mqtt-misbehaviour': /reported patch/ }],
    ['Twin over MQTT: GET, reported, desired notifications in order', { 'conformance/client': /twin|desired|reported/, 'scenario/hostile-load': /never misses/, 'scenario/sdk-parsers': /twin answer|change of desired/ }],
    ['Digital twins', { 'scenario/not-offered': /digital twins/ }, '501 GenericNotImplemented'],
  ]],
  ['Registry', [
    ['Devices: create, read, update, delete, list', { 'conformance/registry': /device/ }],
    ['Modules', { 'conformance/registry': /module/ }],
    ['Every allowed id', { 'conformance/registry': /allowed character/, 'scenario/odd-names': ALL }],
    ['Bulk operations', { 'conformance/registry': /bulk/, 'scenario/registry-by-hand': /bulk/ }],
    ['Etags and If-Match', { 'conformance/registry': /etag/, 'scenario/registry-by-hand': /takes an etag/ }],
    ['Edge capabilities and scopes', { 'scenario/registry-by-hand': /edge device has a scope/ }],
    ['Keys made anew', { 'scenario/import-and-export': /key made anew/ }],
    ['Export and import files, lists of twins, by `gemel`', { 'scenario/import-and-export': /exported|second run|az prints/ }],
    ['Statistics', { 'conformance/registry': /statistics/ }],
    ['Policies and their rights', { 'conformance/registry': /unauthorized/, 'scenario/rest-bad-input': /rights|token/ }],
    ['Errors that both parsers understand', { 'scenario/rest-bad-input': / gets \d{3}/, 'scenario/sdk-parsers': /forms of both parsers/ }],
    ['Throttling in the documented classes', { 'conformance/throttling': ALL, 'scenario/throttling': ALL }],
    ['Scope of edge devices, module to module', { 'scenario/not-offered': /scope of edge/ }, '501 GenericNotImplemented'],
    ['Import and export jobs over Azure Storage', { 'scenario/not-offered': /import and export/ }, '501 GenericNotImplemented'],
  ]],
  ['Queries, configurations, jobs', [
    ['Queries over devices and modules, pages, raw rows, aggregates', { 'conformance/query': ALL, 'scenario/queries': ALL, 'scenario/sdk-parsers': /pages of a query/ }],
    ['Configurations: create, read, update, delete, list', { 'conformance/configurations': /added, read/, 'scenario/configurations': /cannot be/ }],
    ['Configurations at work: target, priority, metrics, removal', { 'conformance/configurations': /target/, 'scenario/configurations': ALL }],
    ['Content applied once', { 'conformance/configurations': /at once/, 'scenario/configurations': /applied once/ }],
    ['Scheduled jobs: twin updates and methods, `devices.jobs`, cancel, list', { 'conformance/jobs': ALL, 'scenario/jobs': ALL }],
  ]],
  ['Provisioning (DPS)', [
    ['Registration over MQTT, MQTT over WebSocket and HTTPS: keys, groups, certificates', { 'conformance/provisioning': /register/, 'scenario/provisioning': ALL }],
    ['Enrollments: create, read, update, list, delete', { 'conformance/provisioning': /enrollments/ }],
    ['Enrollments in bulk', { 'conformance/provisioning': /enrolls many/, 'scenario/registry-by-hand': /in bulk/ }],
    ['Attestation by TPM, custom allocation', { 'scenario/registry-by-hand': /cannot be are refused/ }, 'refused with 400 and what is allowed'],
  ]],
];
