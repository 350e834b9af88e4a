// SPDX-License-Identifier: Apache-2.0
// What clients do over MQTT they do over MQTT over WebSocket as well: the same cases, by the SDK's
// MqttWs.
process.env.GEMEL_OVER = 'websocket';
await import('./client.test.mjs');
await import('./reconnect.test.mjs');
