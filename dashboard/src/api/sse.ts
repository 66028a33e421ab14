/** Server-sent events of a text that comes in pieces, after the HTML standard's "event stream interpretation". */

export interface Frame {
  /** The last id that was given, here or before. */
  id: string;
  event: string;
  data: string;
}

export class SseParser {
  private rest = '';
  private id = '';
  private event = '';
  private data: string[] = [];
  private isFirst = true;

  /** The frames that are whole after this piece. */
  push(piece: string): Frame[] {
    let text = this.rest + piece;
    if (this.isFirst && text !== '') {
      this.isFirst = false;
      if (text.startsWith('\uFEFF')) text = text.slice(1);
    }
    const frames: Frame[] = [];
    let start = 0;
    for (;;) {
      const end = endOfLine(text, start);
      if (end === null) break;
      this.line(text.slice(start, end.at), frames);
      start = end.next;
    }
    this.rest = text.slice(start);
    return frames;
  }

  private line(line: string, frames: Frame[]): void {
    if (line === '') {
      if (this.data.length > 0) {
        frames.push({ id: this.id, event: this.event || 'message', data: this.data.join('\n') });
      }
      this.event = '';
      this.data = [];
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') this.data.push(value);
    else if (name === 'event') this.event = value;
    else if (name === 'id' && !value.includes('\0')) this.id = value;
  }
}

/** Where the line from `start` ends and the next one begins; null while it has no end, or perhaps half of one. */
function endOfLine(text: string, start: number): { at: number; next: number } | null {
  for (let at = start; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (char === 10) return { at, next: at + 1 };
    if (char === 13) {
      if (at + 1 === text.length) return null;
      return { at, next: text.charCodeAt(at + 1) === 10 ? at + 2 : at + 1 };
    }
  }
  return null;
}

/** The frames of a response's body as they come. */
export async function* framesOf(
  body: ReadableStream<Uint8Array>,
  onBytes: () => void = () => undefined,
): AsyncGenerator<Frame> {
  const parser = new SseParser();
  const reader = body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onBytes();
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    // What is not read to its end is given up, so that the server hears of it.
    void reader.cancel().catch(() => undefined);
  }
}
