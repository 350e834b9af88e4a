// SPDX-License-Identifier: Apache-2.0
// CodeMirror brings its styles as modules that it would write into a <style> element, which the
// portal's Content-Security-Policy forbids. Constructed style sheets are made by script, not by
// markup, and allowed; so the modules are put into one of these.
import { StyleModule } from 'style-mod';

const sheet = new CSSStyleSheet();
const mounted: StyleModule[] = [];

// A later module overrules an earlier one: what is new goes right before what it must not overrule.
function add(wanted: readonly StyleModule[]): void {
  let before = mounted.length;
  for (const module of [...wanted].reverse()) {
    const at = mounted.indexOf(module);
    if (at < 0) mounted.splice(before, 0, module);
    else before = at;
  }
}

/** Must run before the first EditorView is made; later calls do nothing. */
export function adoptEditorStyles(): void {
  if (document.adoptedStyleSheets.includes(sheet)) return;
  document.adoptedStyleSheets = [sheet, ...document.adoptedStyleSheets];
  StyleModule.mount = (_root, modules) => {
    const wanted = Array.isArray(modules) ? modules : [modules];
    if (wanted.every((module) => mounted.includes(module))) return;
    add(wanted);
    sheet.replaceSync(mounted.map((module) => module.getRules()).join('\n'));
  };
}
