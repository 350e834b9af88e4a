// SPDX-License-Identifier: Apache-2.0
// The twin of a device or, with a module id, of a module: its document in an editor, for the micro
// agent a form beside it, and how far the last change has come.
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';

import { readSettingsSchema } from '../api/settings';
import type { JsonObject, TwinOf } from '../api/twins';
import { useLoad } from '../app/load';
import { useGuard } from '../app/location';
import { useMay } from '../app/session';
import { Dialog } from '../parts/dialog';
import { Heading } from '../parts/heading';
import { Loading, Problem } from '../parts/notice';
import { Choose } from './choose';
import { TwinDesk } from './desk';
import type { Desk } from './desk';
import { isProblem, sectionsOfTwin } from './document';
import { TwinEditor } from './editor';
import { SettingsForm } from './form';
import { History } from './history';
import { lineOf, marksOf } from './marks';
import type { Mark } from './marks';
import { Panes } from './panes';
import type { Pane } from './panes';
import { sameJson } from './patch';
import { groupsOf } from './settings-form';
import type { FormField, FormGroup } from './settings-form';
import { Stepper } from './stepper';
import { useCheck } from './use-check';
import type { Checked } from './use-check';
import { useDesk } from './use-desk';

export interface TwinPageProps {
  hub: string;
  deviceId: string;
  moduleId?: string;
}

const MICRO_AGENT = 'DefenderIotMicroAgent';
const NO_FIELDS: ReadonlyMap<string, FormField> = new Map();
const NO_GROUPS: readonly FormGroup[] = [];

/** The module's reasons that are about what the text still says. */
function standingReasons(desk: Desk): Map<string, string> {
  const { reasons } = TwinDesk.progress(desk);
  if (isProblem(desk.read)) return new Map();
  const [now, saved] = [desk.read.desired ?? {}, sectionsOfTwin(desk.base).desired];
  return new Map([...reasons].filter(([name]) => sameJson(now[name], saved[name])));
}

/** Marks of this very text; while its verdict is on its way, those before it stay. */
function useMarks(desk: Desk, judged: boolean, checked: Checked | undefined): readonly Mark[] {
  const last = useRef<readonly Mark[]>([]);
  const { json, shown, base, newer } = desk;
  return useMemo(() => {
    const verdict = checked?.text === json.text ? checked.verdict : undefined;
    if (!judged || checked?.text === json.text || isProblem(desk.read))
      last.current = marksOf({ json, shown, verdict, reasons: standingReasons(desk) });
    return last.current;
  }, [json, shown, base, newer, judged, checked]);
}

/** Field → what is wrong: what the judge says now, else what the module said. */
function useReasons(desk: Desk, marks: readonly Mark[]): Map<string, string> {
  return useMemo(() => {
    const reasons = standingReasons(desk);
    for (const { field, sentence } of marks) if (field !== '' && !reasons.get(field)) reasons.set(field, sentence);
    return reasons;
  }, [desk.json, desk.base, desk.newer, marks]);
}

function ProblemList({ text, marks, onShow }: { text: string; marks: readonly Mark[]; onShow: (mark: Mark) => void }) {
  if (marks.length === 0) return null;
  return (
    <section class="problems" aria-label="Problems in the text">
      <ul>
        {marks.map((mark) => (
          <li key={`${mark.from} ${mark.sentence}`} class={`problems-${mark.severity}`}>
            <button type="button" onClick={() => onShow(mark)}>
              {mark.severity === 'error' ? 'Error' : 'Note'}, line {lineOf(text, mark.from)}
            </button>
            {' '}{mark.field !== '' && <code>{mark.field}</code>} {mark.sentence}
          </li>
        ))}
      </ul>
    </section>
  );
}

function useSaveKey(save: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 's' || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
      event.preventDefault();
      if (!document.querySelector('dialog[open]')) save();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [save]);
}

/** Asks before unsaved changes are left behind. */
function useLeaving(dirty: boolean) {
  const [asked, setAsked] = useState<(leave: boolean) => void>();
  const ask = useCallback(() => new Promise<boolean>((answer) => setAsked(() => answer)), []);
  useGuard(dirty, ask);
  const answer = (leave: boolean) => {
    setAsked(undefined);
    asked?.(leave);
  };
  return asked && (
    <Dialog title="Leave without saving?" onClose={() => answer(false)}>
      <div class="dialog-body"><p>Your changes of this twin are not saved.</p></div>
      <div class="dialog-buttons">
        <button type="button" class="button danger" onClick={() => answer(true)}>Leave</button>
        <button type="button" class="button" onClick={() => answer(false)}>Stay</button>
      </div>
    </Dialog>
  );
}

interface WorkProps {
  of: TwinOf;
  desk: Desk;
  work: TwinDesk;
  label: string;
  judged: boolean;
  mayChange: boolean;
}

function stateWords(desk: Desk, mayChange: boolean, marks: readonly Mark[]): string {
  if (!mayChange) return 'Your role may read this twin; changing it needs the role operator.';
  const errors = marks.filter(({ severity }) => severity === 'error').length;
  const problems = errors === 0 ? '' : errors === 1 ? ' The text has a problem.' : ` The text has ${errors} problems.`;
  return `${desk.dirty ? 'There are unsaved changes.' : ''}${problems}`;
}

interface CommandsProps extends WorkProps {
  marks: readonly Mark[];
  onHistory: () => void;
}

function Commands({ desk, work, mayChange, marks, onHistory }: CommandsProps) {
  return (
    <div class="commands twin-commands">
      {mayChange && (
        <>
          <button type="button" class="button primary" onClick={() => void work.save()}>Save</button>
          <button type="button" class="button" disabled={!desk.dirty} onClick={() => work.discard()}>Discard</button>
        </>
      )}
      <button type="button" class="button" onClick={() => void work.refresh()}>Refresh</button>
      <button type="button" class="button" aria-haspopup="dialog" onClick={onHistory}>History</button>
      <p class="twin-dirty">{stateWords(desk, mayChange, marks)}</p>
    </div>
  );
}

function Work(props: WorkProps) {
  const { of, desk, work, label, judged, mayChange } = props;
  const schema = useLoad(async (signal) => (judged ? groupsOf(await readSettingsSchema({ signal })) : NO_GROUPS), [judged]);
  const groups = schema.data ?? NO_GROUPS;
  const fields = useMemo(() => (groups.length === 0 ? NO_FIELDS
    : new Map(groups.flatMap((group) => group.fields.map((field) => [field.name, field])))), [groups]);
  const checked = useCheck(desk.json.text, judged && !isProblem(desk.read), desk.silence > 0);
  const marks = useMarks(desk, judged, checked);
  const reasons = useReasons(desk, marks);
  const desired = useRef<JsonObject>({});
  if (!isProblem(desk.read)) desired.current = desk.read.desired ?? sectionsOfTwin(desk.base).desired;
  const [pane, setPane] = useState(0);
  const [history, setHistory] = useState(false);
  const [target, setTarget] = useState<number>();
  const leaving = useLeaving(desk.dirty && mayChange);
  useSaveKey(useCallback(() => { if (mayChange) void work.save(); }, [work, mayChange]));
  useEffect(() => {
    if (target === undefined) return;
    document.querySelector<HTMLElement>('.twin-editor .cm-content')?.focus();
    if (target >= 0) work.show(target);
    setTarget(undefined);
  }, [target]);
  const show = (at: number) => {
    setPane(0);
    setTarget(at);
  };
  const rest = isProblem(desk.read)
    ? `The text cannot be read at line ${lineOf(desk.json.text, desk.read.from)}; until then the form rests.` : '';
  const panes: Pane[] = [{
    title: 'Document',
    content: (
      <>
        <TwinEditor desk={work} label={label} readOnly={!mayChange} fields={fields} marks={marks} />
        <ProblemList text={desk.json.text} marks={marks} onShow={(mark) => show(mark.from)} />
        {judged && checked?.text === desk.json.text && !checked.verdict &&
          <p class="quiet">The hub did not judge this text; it is judged when the module gets it.</p>}
      </>
    ),
  }];
  if (judged) panes.push({
    title: 'Settings',
    content: (
      <>
        {schema.error !== '' && <Problem sentence={schema.error} onRetry={schema.reload} />}
        {groups.length > 0 && (
          <SettingsForm groups={groups} desired={desired.current} reported={TwinDesk.latest(desk).properties.reported}
            reasons={reasons} rest={rest} readOnly={!mayChange}
            set={(name, value) => work.setField(name, value)} remove={(name) => work.removeField(name)} />
        )}
      </>
    ),
  });
  return (
    <>
      <Commands {...props} marks={marks} onHistory={() => setHistory(true)} />
      <Stepper desk={desk} />
      {desk.newer && (
        <div class="twin-newer">
          <p>Somebody else saved this twin while you have changes here. Nothing of yours is lost.</p>
          <button type="button" class="button small" onClick={() => work.choose(true)}>Show the difference</button>
        </div>
      )}
      <Panes label="Twin" panes={panes} chosen={pane} onChoose={setPane} />
      {desk.choosing && desk.newer && <Choose of={of} desk={desk} work={work} onEdit={() => show(-1)} />}
      {history && <History of={of} desk={desk} work={work} mayChange={mayChange} onClose={() => setHistory(false)} />}
      {leaving}
    </>
  );
}

export function TwinPage({ hub, deviceId, moduleId }: TwinPageProps) {
  const of = useMemo(() => ({ hub, deviceId, moduleId }), [hub, deviceId, moduleId]);
  const judged = moduleId === MICRO_AGENT;
  const { work, desk, ended, retry } = useDesk(of, judged);
  const mayChange = useMay('operator', hub);
  const ofModule = moduleId !== undefined;
  return (
    <>
      <Heading title={ofModule ? 'Module Identity Twin' : 'Device Twin'} of={ofModule ? `${moduleId} of ${deviceId}` : deviceId} />
      {ended !== '' && <Problem sentence={ended} onRetry={retry} />}
      {!desk && ended === '' && <Loading />}
      {desk && <Work of={of} desk={desk} work={work} label={ofModule ? 'Module identity twin' : 'Device twin'}
        judged={judged} mayChange={mayChange} />}
    </>
  );
}
