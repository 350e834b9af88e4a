// SPDX-License-Identifier: Apache-2.0
// Light or dark: as the system has it, or as chosen here; the choice stays in this browser.
import { store, useStore } from './store';

const THEMES = ['system', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];
const KEY = 'gemel-theme';

function remembered(): Theme {
  try {
    return THEMES.find((theme) => theme === localStorage.getItem(KEY)) ?? 'system';
  } catch {
    return 'system';
  }
}

const theme = store<Theme>(remembered());

function show(chosen: Theme): void {
  if (chosen === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

function choose(chosen: Theme): void {
  theme.set(chosen);
  show(chosen);
  try {
    localStorage.setItem(KEY, chosen);
  } catch {
    // Then the choice lasts as long as the page.
  }
}

export const showTheme = () => show(theme.get());

const NAMES: Record<Theme, string> = { system: 'System', light: 'Light', dark: 'Dark' };

export function ThemeChoice() {
  const chosen = useStore(theme);
  return (
    <label class="theme-choice">
      <span>Theme</span>
      <select value={chosen} onChange={(event) => choose(event.currentTarget.value as Theme)}>
        {THEMES.map((each) => <option key={each} value={each}>{NAMES[each]}</option>)}
      </select>
    </label>
  );
}
