// SPDX-License-Identifier: Apache-2.0
// Connection strings as IoT Hub's tools write them.

interface Credentials {
  hostName: string;
  deviceId: string;
  moduleId?: string;
  /** Absent for an identity that proves itself by a certificate. */
  key?: string;
}

export function connectionString({ hostName, deviceId, moduleId, key }: Credentials): string {
  const parts = [`HostName=${hostName}`, `DeviceId=${deviceId}`];
  if (moduleId !== undefined) parts.push(`ModuleId=${moduleId}`);
  parts.push(key === undefined ? 'x509=true' : `SharedAccessKey=${key}`);
  return parts.join(';');
}
