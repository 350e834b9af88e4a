// SPDX-License-Identifier: Apache-2.0
// A hub that answers garbage, too much, too little or nothing: the agent drops what makes no sense,
// lives on, and is in step again with the first sensible answer.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import { answer, DESIRED, FakeHub } from '../harness/fake-hub.mjs';
import { Hub } from '../harness/hub.mjs';
import { packet, publishPacket } from '../harness/mqtt.mjs';
import { Program, programs, temporaryFolder, until } from '../harness/programs.mjs';

let hub;
before(async () => { hub = await Hub.make(); });

// An agent and a hub of its own, so that the stories below can be told at the same time.
class Pair {
  static async make(t) {
    const pair = new Pair();
    pair.fake = await FakeHub.started(hub);
    const folder = temporaryFolder();
    const config = join(folder, 'config');
    mkdirSync(config);
    writeFileSync(join(config, 'connection_string.txt'),
      `HostName=localhost:${pair.fake.port};DeviceId=d;ModuleId=m;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==`);
    writeFileSync(join(config, 'ca.pem'), hub.ca);
    writeFileSync(join(config, 'conf.json'), '{"IothubModule_BackOffLongest":1}');
    pair.agent = new Program(programs.agent, ['run', '--config-dir', config, '--state-dir', join(folder, 'state'),
      '--first-delay', '0']);
    t.after(async () => {
      await pair.agent.stop();
      await pair.fake.stop();
    });
    return pair;
  }

  async #until(what, probe) {
    await until(what, () => probe() || !this.agent.alive, { timeoutMs: 40_000 });
    assert.ok(this.agent.alive, `the agent ended:\n${this.agent.output.slice(-6000)}`);
  }

  async misbehave(functions, enough) {
    this.fake.behave(functions);
    this.fake.drop();
    await this.#until('the agent hears it', () => enough(this.fake.heard));
  }

  async comeBack() {
    this.fake.behave({ get: (socket, { rid }) => socket.write(answer(200, rid, '{"desired":{"$version":100},"reported":{}}')) });
    this.fake.drop();
    await this.#until('a whole report', () => this.fake.lastReport?.latest_desired_version === 100);
    assert.equal(this.fake.lastReport.latest_state, 'success');
  }
}

const suback = (...codes) => (socket, { body }) => socket.write(packet(0x90, body.subarray(0, 2), Buffer.from(codes)));

describe('a hub gone mad', { concurrency: true }, () => {
  test('answers to the subscription that are refusals, too short, too long or for another one', async (t) => {
    const pair = await Pair.make(t);
    const answers = [suback(0x80), suback(), suback(0, 0, 0x80, 0x80), (socket) => socket.write(packet(0x90, Buffer.from([9, 9, 0])))];
    for (const subscribe of answers) await pair.misbehave({ subscribe }, (heard) => heard.subscribe >= 2);
    await pair.comeBack();
  });

  test('a connection that ends at every stage', async (t) => {
    const pair = await Pair.make(t);
    for (const stage of ['connect', 'subscribe', 'get', 'report'])
      await pair.misbehave({ [stage]: (socket) => socket.destroy() }, (heard) => heard[stage] >= 1);
    await pair.comeBack();
  });

  test('answers to the connection that are none', async (t) => {
    const pair = await Pair.make(t);
    for (const bytes of [[0x20, 0], [0x20, 2, 7, 99], [0x48, 0x54, 0x54, 0x50], [0x20, 2, 0, 0, 0x20, 2, 0, 0]])
      await pair.misbehave({ connect: (socket) => socket.write(Buffer.from(bytes)) }, (heard) => heard.connect >= 1);
    await pair.comeBack();
  });

  test('twins that are no twins are asked for again', async (t) => {
    const pair = await Pair.make(t);
    const twins = ['', '{"desired":', '[1]', '{"desired":null}', '{"desired":{"$version":"7"}}', '{"desired":{"$version":-7}}',
      '{"desired":{}}', '{"desired":{"$version":1e99}}', `{"desired":{"$version":1,"a":${'['.repeat(50000)}`,
      Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])];
    await pair.misbehave({ get: (socket, { rid }, nth) => {
      if (nth <= twins.length) socket.write(answer(200, rid, twins[nth - 1]));
      else socket.write(answer(200, rid, '{"desired":{"$version":50},"reported":[]}'));
    } }, () => pair.fake.lastReport?.latest_desired_version === 50);
  });

  test('messages that nobody asked for', async (t) => {
    const pair = await Pair.make(t);
    const bodies = ['', '{"a":', '[]', 'null', '{"$version":"x"}', 'x'.repeat(1_200_000)];
    const topics = ['a', '', '$iothub/', '$iothub/twin/res/', '$iothub/twin/res/200/', '$iothub/twin/res/200/?$rid=',
      '$iothub/twin/res/99999999999/?$rid=1', '$iothub/twin/res/200/?$rid=99999999999999999999', '$iothub/methods/POST/x/?$rid=1',
      'devices/d/modules/m/inputs/%zz', '/'.repeat(3000), DESIRED, `${DESIRED}?$version`, `${DESIRED}?$version=-1`,
      `${DESIRED}?$version=99999999999999999999`, `${DESIRED}?$version=abc`, `${DESIRED}?$version=0`];
    await pair.misbehave({ report: (socket, { rid }) => {
      for (const topic of topics) socket.write(publishPacket(topic, '{"Process_Mode":9}'));
      for (const body of bodies) socket.write(publishPacket(`${DESIRED}?$version=2`, body));
      for (const head of [0x40, 0x50, 0x62, 0x70, 0xB0]) socket.write(packet(head, Buffer.from([3, 3])));
      socket.write(answer(204, rid));
    } }, (heard) => heard.get >= 2);
    await pair.comeBack();
  });

  test('desired changes that are old, skip some, stand in the way or come in floods', async (t) => {
    const pair = await Pair.make(t);
    const twin = (version) => `{"desired":{"Process_CacheSize":${version},"$version":${version}},"reported":{}}`;
    const tell = (changes, enough, first = 200) => pair.misbehave({
      get: (socket, { rid }, nth) => socket.write(answer(200, rid, twin(nth === 1 ? first : first + 50))),
      report: (socket, { rid }, nth) => {
        socket.write(answer(204, rid));
        if (nth === 1) for (const [version, body] of changes) socket.write(publishPacket(`${DESIRED}?$version=${version}`, body));
      },
    }, enough);
    const inForce = (version, size) => () => pair.fake.lastReport?.latest_desired_version === version
      && (size === undefined || pair.fake.lastReport.Process_CacheSize === size);
    await tell([[200, '{"Process_CacheSize":1}'], [3, '{"Process_CacheSize":2}'], [201, '{"Process_CacheSize":777}']], inForce(201, 777));
    for (const broken of [[[203, '{"Process_CacheSize":1}']], [[201, Buffer.from('7b2261ff223a317d', 'hex')]],
      [[201, '{"Process_CacheSize":1,"Process_CacheSize":2}']], [[201, `${'{"a":'.repeat(20000)}1${'}'.repeat(20000)}`]]])
      await tell(broken, (heard) => heard.get >= 2 && inForce(250, 250)());
    await tell(Array.from({ length: 3000 }, (_, i) => [201 + i, `{"Process_CacheSize":${10 + i % 100}}`]), (heard) => heard.get >= 2 || heard.connect >= 2
      || inForce(3200)());
    await pair.comeBack();
  });

  test('bytes that are no MQTT', async (t) => {
    const pair = await Pair.make(t);
    const bytes = [[0x30, 0xff, 0xff, 0xff, 0xff, 0x7f], [0x30, 4, 0xff, 0xff, 1, 2], [0xf0, 0], [0, 0], [0x36, 5, 0, 1, 97, 0, 1], [0x40, 0]];
    for (const one of bytes)
      await pair.misbehave({ report: (socket) => { socket.write(Buffer.from(one)); socket.end(); } }, (heard) => heard.report >= 1);
    await pair.comeBack();
  });
});
