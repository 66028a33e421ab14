/** One chat with one model. */
import { authorization, checkAccess } from '../../api/client';
import { errorIn, isAbort, messageOf } from '../../api/error';
import { framesOf } from '../../api/sse';
import { Store } from '../../live/store';
import { bodyOf, type Setup } from './setup';
import {
  type Answer,
  type Chunk,
  EMPTY,
  ended,
  failed,
  type Turn,
  withAnswer,
  withChunk,
} from './turn';

export interface Chat {
  turns: readonly Turn[];
  isRunning: boolean;
}

/** Often enough for reading, seldom enough for sixteen at once. */
const BEAT_MS = 50;

const byBeat = (commit: () => void): void => {
  setTimeout(() => (document.hidden ? commit() : requestAnimationFrame(commit)), BEAT_MS);
};

let panes = 0;

export class Pane {
  readonly id = (panes += 1);
  readonly chat = new Store<Chat>({ turns: [], isRunning: false }, byBeat);
  private turns: readonly Turn[] = [];
  private running: AbortController | null = null;

  constructor(readonly model: string) {}

  get hasTurns(): boolean {
    return this.turns.length > 0;
  }

  /** What the next request would say. */
  body(setup: Setup, more: readonly Turn[] = []) {
    return bodyOf(setup, this.model, [...this.turns, ...more]);
  }

  /** Says something and reads the answer. */
  async say(setup: Setup, said: readonly Turn[]): Promise<void> {
    this.stop();
    const controller = new AbortController();
    const body = this.body(setup, said);
    this.running = controller;
    this.show([...this.turns, ...said, { role: 'assistant', answer: EMPTY }], true);
    const began = performance.now();
    const since = (): number => performance.now() - began;
    const change = (to: (answer: Answer) => Answer): void => {
      // Another request may have begun since.
      if (this.running === controller) this.show(withAnswer(this.turns, to), true);
    };
    try {
      await this.read(body, controller.signal, (chunk) =>
        change((answer) => withChunk(answer, chunk, since())),
      );
      change((answer) => ended(answer, 'done', since()));
    } catch (error) {
      change((answer) =>
        isAbort(error) ? ended(answer, 'stopped', since()) : failed(answer, messageOf(error)),
      );
    }
    if (this.running !== controller) return;
    this.running = null;
    this.show(this.turns, false);
  }

  stop(): void {
    if (!this.running) return;
    this.running.abort();
    this.running = null;
    const stopped = (answer: Answer): Answer => ended(answer, 'stopped', answer.tookMs ?? 0);
    this.show(withAnswer(this.turns, stopped), false);
  }

  clear(): void {
    this.stop();
    this.show([], false);
  }

  private show(turns: readonly Turn[], isRunning: boolean): void {
    this.turns = turns;
    this.chat.update(() => ({ turns, isRunning }));
  }

  private async read(
    body: object,
    signal: AbortSignal,
    onChunk: (chunk: Chunk) => void,
  ): Promise<void> {
    const response = await fetch('/v1/chat/completions', {
      method: 'POST',
      signal,
      headers: { 'content-type': 'application/json', ...authorization() },
      body: JSON.stringify(body),
    });
    await checkAccess(response);
    if (!response.ok || !response.body) throw await errorIn(response);
    for await (const { data } of framesOf(response.body)) {
      if (data !== '[DONE]') onChunk(JSON.parse(data) as Chunk);
    }
  }
}
