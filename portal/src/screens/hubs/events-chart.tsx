// SPDX-License-Identifier: Apache-2.0
// The last hour's events, one bar a minute, with the same in words, and in numbers for who wants them.
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';

import { describeEvents, minutesOf } from './events';

const HEIGHT_PX = 170;

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function options(width: number): uPlot.Options {
  const axis = {
    stroke: () => colour('--muted'),
    grid: { stroke: () => colour('--line'), width: 1 },
    ticks: { show: false },
    font: '12px system-ui, sans-serif',
  };
  return {
    width,
    height: HEIGHT_PX,
    cursor: { show: false },
    legend: { show: false },
    scales: { x: { range: (_chart, min, max) => [min - 30, max + 30] }, y: { range: (_chart, _min, max) => [0, Math.max(4, Math.ceil(max * 1.1))] } },
    axes: [
      { ...axis, grid: { show: false }, values: '{HH}:{mm}', space: 60 },
      { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5] },
    ],
    series: [{}, {
      fill: () => colour('--chart'),
      width: 0,
      paths: uPlot.paths.bars!({ size: [0.75], align: 0 }),
      points: { show: false },
    }],
  };
}

// Redraws when the room or the colours change.
function keepFresh(chart: uPlot, room: HTMLElement): () => void {
  const sizes = new ResizeObserver(() => chart.setSize({ width: room.clientWidth, height: HEIGHT_PX }));
  sizes.observe(room);
  const redraw = () => chart.redraw(false, true);
  const themes = new MutationObserver(redraw);
  themes.observe(document.documentElement, { attributeFilter: ['data-theme'] });
  const dark = matchMedia('(prefers-color-scheme: dark)');
  dark.addEventListener('change', redraw);
  return () => {
    sizes.disconnect();
    themes.disconnect();
    dark.removeEventListener('change', redraw);
  };
}

function Numbers({ counts, minutes }: { counts: readonly number[]; minutes: readonly Date[] }) {
  return (
    <details class="numbers">
      <summary>Numbers</summary>
      <div class="numbers-room" tabIndex={0} role="group" aria-label="Events of each minute">
        <table>
          <thead><tr><th scope="col">Minute</th><th scope="col">Events</th></tr></thead>
          <tbody>
            {counts.map((count, i) => (
              <tr key={i}>
                <th scope="row">{minutes[i]!.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })}</th>
                <td>{count}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

export function EventsChart({ counts }: { counts: number[] }) {
  const room = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | undefined>(undefined);
  const now = new Date();
  const minutes = minutesOf(counts, now);
  const data: uPlot.AlignedData = [minutes.map((minute) => minute.getTime() / 1000), counts];
  useEffect(() => {
    const drawn = new uPlot(options(room.current!.clientWidth), data, room.current!);
    chart.current = drawn;
    const stop = keepFresh(drawn, room.current!);
    return () => {
      stop();
      drawn.destroy();
    };
  }, []);
  useEffect(() => chart.current?.setData(data), [counts]);
  const words = describeEvents(counts, now);
  return (
    <figure class="chart">
      <div ref={room} role="img" aria-label={`Chart: ${words}`} />
      <figcaption>{words}</figcaption>
      <Numbers counts={counts} minutes={minutes} />
    </figure>
  );
}
