/** The key that requests are sent with: of this tab, or of this browser when the person wants that. */

const NAME = 'impetus.key';

export interface KeyState {
  key: string | null;
  /** The server wants another one, and this is what it said. */
  wanted: string | null;
}

type Listener = () => void;

let state: KeyState = {
  key: sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME),
  wanted: null,
};
const listeners = new Set<Listener>();

function become(next: KeyState): void {
  state = next;
  for (const listener of listeners) listener();
}

export function keyState(): KeyState {
  return state;
}

export function onKeyChange(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function takeKey(key: string, remember: boolean): void {
  forget();
  (remember ? localStorage : sessionStorage).setItem(NAME, key);
  become({ key, wanted: null });
}

export function forgetKey(): void {
  forget();
  become({ key: null, wanted: null });
}

/** Whether the key outlives this tab. */
export function isRemembered(): boolean {
  return localStorage.getItem(NAME) !== null;
}

export function wantKey(message: string): void {
  if (state.wanted === null) become({ ...state, wanted: message });
}

function forget(): void {
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
}
