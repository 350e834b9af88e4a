// SPDX-License-Identifier: Apache-2.0
// Two panes side by side where there is width for it, else one behind the other as tabs. Both stay
// alive, so that nothing typed is lost by turning.
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';

const WIDE = '(min-width: 1120px)';

export interface Pane {
  title: string;
  content: ComponentChildren;
}

function useWide(): boolean {
  const [wide, setWide] = useState(() => matchMedia(WIDE).matches);
  useEffect(() => {
    const query = matchMedia(WIDE);
    const follow = () => setWide(query.matches);
    query.addEventListener('change', follow);
    return () => query.removeEventListener('change', follow);
  }, []);
  return wide;
}

interface PanesProps {
  label: string;
  panes: readonly Pane[];
  chosen: number;
  onChoose: (index: number) => void;
}

function TabList({ id, label, panes, chosen, onChoose }: PanesProps & { id: string }) {
  const list = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent) => {
    const last = panes.length - 1;
    const to = { ArrowRight: chosen === last ? 0 : chosen + 1, ArrowLeft: chosen === 0 ? last : chosen - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    onChoose(to);
    (list.current?.children[to] as HTMLElement | undefined)?.focus();
  };
  return (
    <div role="tablist" aria-label={label} ref={list} onKeyDown={onKeyDown}>
      {panes.map(({ title }, i) => (
        <button key={title} type="button" role="tab" id={`${id}-tab-${i}`} aria-controls={`${id}-pane-${i}`}
          aria-selected={i === chosen} tabIndex={i === chosen ? 0 : -1} onClick={() => onChoose(i)}>
          {title}
        </button>
      ))}
    </div>
  );
}

export function Panes(props: PanesProps) {
  const { panes, chosen } = props;
  const id = useId();
  const wide = useWide();
  const tabbed = !wide && panes.length > 1;
  return (
    <div class={`panes ${tabbed ? 'panes-tabbed' : ''} ${panes.length > 1 ? 'panes-two' : ''}`}>
      {tabbed && <TabList {...props} id={id} />}
      {panes.map(({ title, content }, i) => (
        <section key={title} class="pane" id={`${id}-pane-${i}`} hidden={tabbed && i !== chosen}
          role={tabbed ? 'tabpanel' : undefined} aria-label={tabbed ? undefined : title}
          aria-labelledby={tabbed ? `${id}-tab-${i}` : undefined}>
          {content}
        </section>
      ))}
    </div>
  );
}
