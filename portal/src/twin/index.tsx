// SPDX-License-Identifier: Apache-2.0
// The twin of a device or, with a module id, of a module.
import { readTwin } from '../api/twins';
import { useLoad } from '../app/load';
import { ReadOnlyJson } from '../editor/read-only';
import { Heading } from '../parts/heading';
import { Loading, Problem } from '../parts/notice';

export interface TwinPageProps {
  hub: string;
  deviceId: string;
  moduleId?: string;
}

export function TwinPage({ hub, deviceId, moduleId }: TwinPageProps) {
  const twin = useLoad((signal) => readTwin({ hub, deviceId, moduleId }, { signal }), [hub, deviceId, moduleId]);
  const title = moduleId === undefined ? 'Device Twin' : 'Module Identity Twin';
  return (
    <>
      <Heading title={title} of={moduleId ?? deviceId} />
      {twin.error !== '' && <Problem sentence={twin.error} onRetry={twin.reload} />}
      {!twin.data && twin.loading && <Loading />}
      {twin.data && <ReadOnlyJson label="Module identity twin" text={JSON.stringify(twin.data, null, 2)} />}
    </>
  );
}
