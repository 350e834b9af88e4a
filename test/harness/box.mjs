// SPDX-License-Identifier: Apache-2.0
// A machine of its own: systemd as process 1 on a copy of this machine's root that forgets (an overlay
// in memory), with processes, mounts, network and cgroups of its own. What is installed there is not
// installed here. Needs root.
import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { runProgram, temporaryFolder, until } from './programs.mjs';

// What a machine without a console or devices of its own cannot start.
const MASKED = ['getty@.service', 'console-getty.service', 'serial-getty@.service', 'systemd-udevd.service',
  'systemd-logind.service', 'apt-daily.timer', 'apt-daily-upgrade.timer'];

const BOOT = `set -eu
mount -t tmpfs tmpfs "$BOX"
mkdir "$BOX/up" "$BOX/work" "$BOX/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$BOX/up,workdir=$BOX/work" "$BOX/root"
cd "$BOX/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount --rbind /dev dev
ip link set lo up
rm -f usr/sbin/policy-rc.d # of containers: it forbids packages to start and stop services
for unit in ${MASKED.join(' ')}; do ln -sf /dev/null "etc/systemd/system/$unit"; done
exec env -i container=gemel PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . /lib/systemd/systemd \\
  --log-target=null --show-status=0 --unit=multi-user.target
`;

// Why there can be no box here; undefined: there can.
export function noBox() {
  if (process.getuid() !== 0) return 'it needs root';
  try {
    execFileSync('unshare', ['-mpniuC', '--fork', 'sh', '-c', 'test -x /lib/systemd/systemd && grep -q overlay /proc/filesystems'],
      { stdio: 'ignore' });
  } catch {
    return 'this machine has no systemd, no overlay file system, or allows no namespaces';
  }
  return undefined;
}

export class Box {
  static async booted() {
    const box = new Box();
    box.folder = temporaryFolder();
    const script = join(box.folder, 'boot.sh');
    writeFileSync(script, BOOT);
    const root = join(box.folder, 'root');
    execFileSync('mkdir', [root]);
    box.child = spawn('unshare', ['-mpniuC', '--propagation', 'private', '--fork', '--kill-child', 'sh', script],
      { env: { ...process.env, BOX: root }, stdio: 'ignore' });
    box.onExit = () => box.child.kill('SIGKILL');
    process.on('exit', box.onExit);
    await until('the box runs', async () => {
      const { code, stdout } = await runProgram('pgrep', ['-P', String(box.child.pid)]);
      if (code !== 0) return false;
      box.pid = stdout.trim();
      const state = await box.run('systemctl', ['is-system-running']);
      return /running|degraded/.test(state.stdout);
    }, { timeoutMs: 60_000, everyMs: 200 });
    return box;
  }

  // Runs a program in the box: {code, stdout, stderr}.
  run(program, args = [], options = {}) {
    return runProgram('nsenter', ['-t', this.pid, '-m', '-p', '-n', '-i', '-u', '-C', '-r', '-w', '--', 'env', '-i',
      'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'DEBIAN_FRONTEND=noninteractive', ...(options.env ?? []), program, ...args], options);
  }

  // Like run(), but anything other than success is an error; gives what was printed.
  async must(program, args, options) {
    const { code, stdout, stderr } = await this.run(program, args, options);
    if (code !== 0) throw new Error(`${program} ${args.join(' ')}: exit status ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  sh(script) { return this.must('sh', ['-ec', script]); }

  async stop() {
    process.off('exit', this.onExit);
    const ended = new Promise((resolve) => { this.child.on('close', resolve); });
    this.child.kill('SIGKILL');
    await ended;
  }
}
