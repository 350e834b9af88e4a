// SPDX-License-Identifier: Apache-2.0
// Follows a twin on the hub by long polls, one after the other. When the hub does not answer it is
// asked again, ever later; when the twin is gone or may not be read any more, that is the end.
import { ApiError, isAbort } from '../api/http';
import type { TwinWatch } from '../api/twins';

const WAIT_SECONDS = 25;
const BACK_OFF_MS = [500, 1000, 2000, 4000, 8000, 15000] as const;
/** A delivery alone wakes no poll: while one is awaited, the twin is read so many times. */
const DELIVERY_READS = 15;

export interface WatchPorts {
  poll(since: number, connection: string, waitSeconds: number): Promise<TwinWatch | undefined>;
  sleep(ms: number): Promise<void>;
  onNews(news: TwinWatch): void;
  /** How long until the next try; 0: the hub answers again. */
  onSilence(ms: number): void;
  onEnd(error: ApiError): void;
}

const isFinal = (error: unknown): error is ApiError =>
  error instanceof ApiError && [400, 403, 404, 410].includes(error.status);

const awaitsDelivery = ({ twin, connectionState, delivered }: TwinWatch) =>
  connectionState === 'Connected' && (delivered ?? 0) < Number(twin.properties.desired.$version);

/** Runs until `signal` aborts or the twin cannot be followed any more. */
export async function follow(ports: WatchPorts, signal: AbortSignal): Promise<void> {
  let last: TwinWatch | undefined;
  let [reads, failures] = [0, 0];
  const ask = async (): Promise<TwinWatch | undefined> => {
    if (!last) return ports.poll(0, '', 0);
    const pending = reads < DELIVERY_READS && awaitsDelivery(last);
    const news = await ports.poll(last.twin.version, last.connectionState, pending ? 1 : WAIT_SECONDS);
    if (news || !pending) return news;
    reads++;
    return ports.poll(0, '', 0);
  };
  while (!signal.aborted) {
    try {
      const news = await ask();
      if (signal.aborted) return;
      if (failures > 0) ports.onSilence(0);
      failures = 0;
      if (!news) continue;
      const same = news.twin.version === last?.twin.version && news.connectionState === last.connectionState;
      if (!same) reads = 0;
      last = news;
      ports.onNews(news);
      if (same) await ports.sleep(BACK_OFF_MS[0]);
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      if (isFinal(error)) return ports.onEnd(error);
      const pause = BACK_OFF_MS[Math.min(failures++, BACK_OFF_MS.length - 1)]!;
      ports.onSilence(pause);
      await ports.sleep(pause);
    }
  }
}
