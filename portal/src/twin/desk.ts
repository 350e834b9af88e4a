// SPDX-License-Identifier: Apache-2.0
// One twin on the desk: what the hub has, what the person has made of it, and what is between them.
//
//     base    the twin on which the person's edits are based; saving needs its etag
//     newer   a twin that somebody else saved meanwhile, while there are edits: the person chooses
//     shown   the twin whose read-only parts the text shows; behind base only while the text cannot
//             be read
//
// Nothing here knows the page: the editor, the hub and the voice come in as ports. The editor's text
// is the truth; form and hub change it by exact ranges, so edits and their form are never lost.
import { ApiError, sentenceOf } from '../api/http';
import type { Json, Twin, TwinPatch, TwinWatch } from '../api/twins';
import type { OutcomeKind } from '../app/outcome';
import { store } from '../app/store';
import type { Store } from '../app/store';
import {
  DESIRED, hubChanges, isProblem, patchBetween, readSections, sameSections, theirChanges, twinText, withoutNulls,
} from './document';
import type { Sections } from './document';
import { applyChanges, changeBetween, removeMember, setMember } from './json-edit';
import type { TextChange } from './json-edit';
import { readJson } from './json-text';
import type { JsonProblem, JsonText } from './json-text';
import { lineOf } from './marks';
import { progressOf } from './progress';
import type { Progress } from './progress';

export interface EditorPort {
  /** Applies the changes one after the other; what the hub changed is not undone by undo. */
  change(changes: readonly TextChange[], by: 'hub' | 'person'): void;
  /** Puts the cursor there and the focus into the editor. */
  show(at: number): void;
}

export interface DeskPorts {
  load(): Promise<TwinWatch>;
  save(patch: TwinPatch, etag: string): Promise<Twin>;
  restore(id: number, etag: string): Promise<Twin>;
  sleep(ms: number): Promise<void>;
  say(sentence: string, kind: OutcomeKind): void;
}

export interface Desk {
  judged: boolean;
  base: Twin;
  shown: Twin;
  newer: Twin | undefined;
  /** Whether the person is being asked what to keep. */
  choosing: boolean;
  saving: boolean;
  connection: Omit<TwinWatch, 'twin'>;
  /** Milliseconds between tries while the hub does not answer; 0: it does. */
  silence: number;
  json: JsonText;
  read: Sections | JsonProblem;
  patch: TwinPatch | undefined;
  /** Whether there are edits that the hub does not have. */
  dirty: boolean;
}

const RETRY_MS = [500, 1000, 2000, 4000, 8000] as const;

class Overtaken extends Error {
  constructor(readonly newer: Twin) {
    super('');
  }
}

const isSilence = (error: unknown) => error instanceof ApiError && [0, 502, 503, 504].includes(error.status);

export class TwinDesk {
  readonly state: Store<Desk | undefined> = store<Desk | undefined>(undefined);
  #editor: EditorPort | undefined;
  #held: TwinWatch | undefined;
  #said = '';

  constructor(private readonly ports: DeskPorts, private readonly judged: boolean) {}

  /** The newest twin known, whether the person has taken it or not. */
  static latest = (desk: Desk): Twin => desk.newer ?? desk.base;

  static progress(desk: Desk): Progress {
    return progressOf({ twin: TwinDesk.latest(desk), judged: desk.judged, ...desk.connection });
  }

  attach(editor: EditorPort): () => void {
    this.#editor = editor;
    return () => {
      if (this.#editor === editor) this.#editor = undefined;
    };
  }

  /** The editor says so after every change of its text. */
  edited(text: string): void {
    const now = this.state.get();
    if (!now || text === now.json.text) return;
    this.#set({ json: readJson(text) });
    if (now.shown !== now.base && this.state.get()!.json.root) queueMicrotask(() => this.#showBase());
  }

  setField(name: string, value: Json): void {
    const now = this.state.get();
    if (now) this.#change(setMember(now.json, [...DESIRED, name], value), 'person');
  }

  removeField(name: string): void {
    const now = this.state.get();
    if (now) this.#change(removeMember(now.json, [...DESIRED, name]), 'person');
  }

  /** Takes what the hub has. Older than what is known it may be only if the twin was made anew. */
  async arrive(news: TwinWatch, sure = false): Promise<void> {
    const now = this.state.get();
    if (!now) return this.#begin(news);
    if (now.saving) {
      this.#held = news;
      return;
    }
    if (news.twin.version < TwinDesk.latest(now).version && !sure) {
      const again = await this.ports.load().catch(() => undefined);
      if (again) await this.arrive(again, true);
      return;
    }
    const { twin, ...connection } = news;
    this.#set({ connection });
    this.#take(twin);
    this.#tell();
  }

  silent(ms: number): void {
    const now = this.state.get();
    if (!now || now.silence === ms) return;
    const first = now.silence === 0;
    this.#set({ silence: ms });
    if (now.saving) return;
    if (ms === 0) this.#tell(true);
    else if (first) this.ports.say('The hub does not answer. It is tried again and again; what you type is kept.', 'busy');
  }

  async save(): Promise<void> {
    const now = this.state.get();
    if (!now || now.saving) return;
    if (isProblem(now.read)) {
      const line = lineOf(now.json.text, now.read.from);
      this.ports.say(`Not saved: line ${line} of the text must be put right. ${now.read.sentence}`, 'failed');
      this.#editor?.show(now.read.from);
      return;
    }
    if (!now.patch) return this.ports.say('Nothing is changed, so there is nothing to save.', 'done');
    if (now.newer) return this.#set({ choosing: true });
    this.#set({ saving: true });
    this.ports.say('Saving …', 'busy');
    const wanted = now.read;
    try {
      const twin = await this.#send(now.patch, wanted, now.base);
      this.#saved(twin);
    } catch (error) {
      this.#notSaved(error);
    } finally {
      this.#set({ saving: false });
      await this.#arriveHeld();
    }
  }

  /** Brings back what the hub has. Undo in the editor brings back the edits. */
  discard(): void {
    const now = this.state.get();
    if (!now) return;
    this.#rebase(TwinDesk.latest(now), 'person');
    this.ports.say('Your changes are discarded. Undo in the editor brings them back.', 'done');
  }

  async refresh(): Promise<void> {
    try {
      await this.arrive(await this.ports.load());
      this.#tell(true);
    } catch (error) {
      this.ports.say(`Not refreshed: ${sentenceOf(error)}`, 'failed');
    }
  }

  /** Puts the cursor at a place of the text. */
  show(at: number): void {
    this.#editor?.show(at);
  }

  choose(choosing: boolean): void {
    this.#set({ choosing });
  }

  takeTheirs(): void {
    const now = this.state.get();
    if (!now?.newer) return;
    this.#rebase(now.newer, 'person');
    this.#tell(true);
  }

  /** The text becomes theirs with mine on top, to be looked at before it is saved. */
  editMerged(): void {
    const now = this.state.get();
    if (!now?.newer) return;
    const { newer, base, shown, patch, json } = now;
    const theirs = theirChanges(json.text, base, newer, patch);
    this.#change(theirs, 'person');
    this.#change(hubChanges(this.state.get()!.json.text, shown, newer), 'hub');
    this.#set({ base: newer, shown: newer, newer: undefined, choosing: false });
    this.ports.say('The text has their changes and, on top, yours. Nothing is saved yet.', 'done');
  }

  async keepMine(): Promise<void> {
    this.editMerged();
    await this.save();
  }

  /** Saves an older document of the history; false if it was refused. */
  async restore(id: number): Promise<boolean> {
    const now = this.state.get();
    if (!now || now.saving) return false;
    this.#set({ saving: true });
    this.ports.say('Restoring …', 'busy');
    try {
      this.#rebase(await this.ports.restore(id, TwinDesk.latest(now).etag), 'hub');
      this.#tell(true);
      return true;
    } catch (error) {
      const overtaken = error instanceof ApiError && error.status === 412;
      this.ports.say(`Not restored: ${overtaken ? 'somebody else saved meanwhile. Look at the newest document first.' : sentenceOf(error)}`, 'failed');
      return false;
    } finally {
      this.#set({ saving: false });
      await this.#arriveHeld();
    }
  }

  /** What came while something was being saved. */
  async #arriveHeld(): Promise<void> {
    const held = this.#held;
    this.#held = undefined;
    if (held && held.twin.version >= TwinDesk.latest(this.state.get()!).version) await this.arrive(held);
  }

  #begin({ twin, ...connection }: TwinWatch): void {
    const json = readJson(twinText(twin));
    this.#set({
      judged: this.judged, base: twin, shown: twin, newer: undefined, choosing: false, saving: false, connection,
      silence: 0, json,
    });
    const progress = TwinDesk.progress(this.state.get()!);
    if (progress.desiredVersion > 1 || progress.outcome !== 'waiting') this.#tell();
  }

  #set(part: Partial<Desk>): void {
    const next = { ...this.state.get(), ...part } as Desk;
    if (part.json || part.base) {
      next.read = readSections(next.json);
      next.patch = isProblem(next.read) ? undefined : patchBetween(next.base, next.read);
      next.dirty = isProblem(next.read) ? next.json.text !== twinText(next.shown) : next.patch !== undefined;
    }
    this.state.set(next);
  }

  #change(changes: readonly TextChange[], by: 'hub' | 'person'): void {
    if (changes.length === 0) return;
    if (this.#editor) return this.#editor.change(changes, by);
    const text = changes.reduce((whole, change) => applyChanges(whole, [change]), this.state.get()!.json.text);
    this.edited(text);
  }

  /** Brings the read-only parts of the text up to date, as soon as it can be read. */
  #showBase(): void {
    const now = this.state.get();
    if (!now?.json.root || now.shown === now.base) return;
    this.#change(hubChanges(now.json.text, now.shown, now.base), 'hub');
    this.#set({ shown: now.base });
  }

  #rebase(twin: Twin, by: 'hub' | 'person'): void {
    const change = changeBetween(this.state.get()!.json.text, twinText(twin));
    this.#set({ base: twin, shown: twin, newer: undefined, choosing: false });
    if (change) this.#change([change], by);
  }

  #take(twin: Twin): void {
    const now = this.state.get()!;
    if (sameSections(twin, now.base)) {
      this.#set({ base: twin, newer: undefined, choosing: false });
      return this.#showBase();
    }
    const mine = isProblem(now.read) ? undefined : now.read;
    if (!now.dirty) return this.#rebase(twin, 'hub');
    if (mine && !patchBetween(twin, mine)) {
      this.#set({ base: twin, newer: undefined, choosing: false });
      return this.#showBase();
    }
    const known = now.newer?.etag === twin.etag;
    this.#set({ newer: twin });
    if (!known) this.ports.say('Somebody else saved this twin meanwhile. Your changes are kept here; choose what to do.', 'failed');
  }

  async #send(patch: TwinPatch, wanted: Sections, base: Twin): Promise<Twin> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.ports.save(patch, base.etag);
      } catch (error) {
        if (tries >= RETRY_MS.length) throw error;
        if (isSilence(error)) {
          this.ports.say('The hub does not answer. Saving is tried again …', 'busy');
          await this.ports.sleep(RETRY_MS[tries]!);
          continue;
        }
        if (!(error instanceof ApiError) || error.status !== 412) throw error;
        const { twin } = await this.ports.load();
        // An answer may have been lost on its way: then what was to be saved is there.
        if (!patchBetween(twin, wanted)) return twin;
        if (!sameSections(twin, base)) throw new Overtaken(twin);
        base = twin;
      }
    }
  }

  #saved(twin: Twin): void {
    this.#set({ base: twin, newer: undefined, choosing: false, silence: 0 });
    if (this.state.get()!.json.root) this.#change(withoutNulls(this.state.get()!.json.text), 'hub');
    this.#showBase();
    this.#tell(true);
  }

  #notSaved(error: unknown): void {
    if (error instanceof Overtaken) {
      this.#set({ newer: error.newer, choosing: true });
      return this.ports.say('Not saved: somebody else saved meanwhile. Choose what is kept.', 'failed');
    }
    this.ports.say(`Not saved: ${sentenceOf(error)} Your changes are kept here.`, 'failed');
  }

  /** Speaks how far the last change has come, when that is something new. */
  #tell(again = false): void {
    const now = this.state.get()!;
    const { sentence, outcome } = TwinDesk.progress(now);
    if (now.silence > 0 || now.newer || (!again && sentence === this.#said)) return;
    this.#said = sentence;
    const kind = outcome === 'failed' ? 'failed' : outcome === 'waiting' ? 'busy' : 'done';
    this.ports.say(sentence, kind);
  }
}
