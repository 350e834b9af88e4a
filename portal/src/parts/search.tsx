// SPDX-License-Identifier: Apache-2.0
// A search box that answers while one types: what is typed shows at once, and is asked for when
// there was a short pause.
import { useEffect, useRef, useState } from 'preact/hooks';

const PAUSE_MS = 150;

interface SearchProps {
  label: string;
  value: string;
  onSearch: (text: string) => void;
}

export function Search({ label, value, onSearch }: SearchProps) {
  const [typed, setTyped] = useState(value);
  const asked = useRef(value);
  const latest = useRef(onSearch);
  latest.current = onSearch;
  // A value that was asked for here comes back while more is being typed; only others are taken.
  useEffect(() => {
    if (value === asked.current) return;
    asked.current = value;
    setTyped(value);
  }, [value]);
  useEffect(() => {
    if (typed === asked.current) return undefined;
    const timer = setTimeout(() => {
      asked.current = typed;
      latest.current(typed);
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return (
    <input type="search" class="search" aria-label={label} placeholder={label} value={typed}
      spellcheck={false} autocapitalize="off" autocomplete="off"
      onInput={(event) => setTyped(event.currentTarget.value)} />
  );
}
