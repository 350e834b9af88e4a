// SPDX-License-Identifier: Apache-2.0
// Requests to the hub that served this page, and to nothing else. An answer that is no success
// becomes an ApiError that carries the hub's own sentence. A request that comes back 401 waits until
// the person has signed in again and is then sent once more, so that no work on the page is lost.

const ROOT = '/gemel/v1/';

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    sentence: string,
    readonly retryAfterSeconds = 0,
  ) {
    super(sentence);
  }
}

export interface Call {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  body?: unknown;
  /** An etag as the hub gave it, without quotes, or "*". */
  ifMatch?: string;
  signal?: AbortSignal;
}

interface Gate {
  csrf(): string;
  /** Resolves when there is a session again. */
  signedInAgain(): Promise<void>;
  /** Reads the session anew; true if its CSRF token is another one than before. */
  csrfChanged(): Promise<boolean>;
  mustChangePassword(): void;
}

let gate: Gate | undefined;

/** Says where the session's token comes from and what happens when the session is over. */
export function setGate(value: Gate): void {
  gate = value;
}

/** "ErrorCode:Name;sentence", the form in which the hub tells an error, taken apart. */
export function readSentence(message: string): { code: string; sentence: string } {
  const match = /^ErrorCode:([^;]*);([^]*)$/.exec(message);
  return match ? { code: match[1]!, sentence: match[2]!.trim() } : { code: '', sentence: message };
}

async function asError(response: Response): Promise<ApiError> {
  const retryAfter = Number(response.headers.get('retry-after')) || 0;
  let code = response.headers.get('iothub-errorcode') ?? '';
  let sentence = '';
  try {
    const body = (await response.json()) as { Message?: unknown };
    const told = readSentence(typeof body.Message === 'string' ? body.Message : '');
    code ||= told.code;
    sentence = told.sentence;
  } catch {
    // A proxy in between may answer with something that is no JSON.
  }
  return new ApiError(response.status, code,
    sentence || `The hub answered ${response.status} ${response.statusText}`.trim(), retryAfter);
}

async function once(path: string, call: Call): Promise<Response> {
  const headers = new Headers({ accept: 'application/json' });
  if (call.body !== undefined) headers.set('content-type', 'application/json');
  if (call.ifMatch !== undefined) headers.set('if-match', `"${call.ifMatch}"`);
  if (call.method !== undefined && call.method !== 'GET') {
    const csrf = gate?.csrf() ?? '';
    if (csrf !== '') headers.set('x-gemel-csrf', csrf);
  }
  try {
    return await fetch(ROOT + path, {
      method: call.method ?? 'GET',
      headers,
      body: call.body === undefined ? null : JSON.stringify(call.body),
      signal: call.signal ?? null,
      credentials: 'same-origin',
      cache: 'no-store',
      redirect: 'error',
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, 'NoAnswer', 'The hub does not answer. It may be restarting.');
  }
}

/** Sends without regard to the session: for signing in itself. */
export async function sendPlain(path: string, call: Call = {}): Promise<Response> {
  const response = await once(path, call);
  if (!response.ok) throw await asError(response);
  return response;
}

/** Sends; an answer with one of the statuses in `accepted` is returned though it is no success. */
export async function send(path: string, call: Call = {}, accepted: number[] = []): Promise<Response> {
  let response = await once(path, call);
  if (response.status === 401 && gate) {
    await gate.signedInAgain();
    call.signal?.throwIfAborted();
    response = await once(path, call);
  } else if (response.status === 403 && gate) {
    const error = await asError(response.clone());
    if (error.code === 'PasswordChangeRequired') gate.mustChangePassword();
    // Another tab may have signed in anew; its token replaced ours.
    else if (call.method !== undefined && (await gate.csrfChanged())) response = await once(path, call);
  }
  if (!response.ok && !accepted.includes(response.status)) throw await asError(response);
  return response;
}

export async function getJson<T>(path: string, call: Call = {}): Promise<T> {
  return (await (await send(path, call)).json()) as T;
}

/** Whether an error is only that the caller did not want the answer any more. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

/** The sentence for a person. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error && error.message !== '' ? error.message : String(error);
}
