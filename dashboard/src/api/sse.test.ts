import { describe, expect, it } from 'vitest';
import { type Frame, framesOf, SseParser } from './sse';

const frame = (data: string, event = 'message', id = ''): Frame => ({ id, event, data });

const cases: [string, string, Frame[]][] = [
  ['one', 'data: a\n\n', [frame('a')]],
  ['named and numbered', 'id: 7\nevent: status\ndata: {}\n\n', [frame('{}', 'status', '7')]],
  [
    'an id that stays',
    'id: 7\ndata: a\n\ndata: b\n\n',
    [frame('a', 'message', '7'), frame('b', 'message', '7')],
  ],
  ['several lines', 'data: a\ndata: b\n\n', [frame('a\nb')]],
  ['one space is taken off', 'data:  a\ndata:b\n\n', [frame(' a\nb')]],
  ['comments', ': keep-alive\n\ndata: a\n\n', [frame('a')]],
  [
    'carriage returns',
    'data: a\r\n\r\ndata: b\r\rdata: c\n\n',
    [frame('a'), frame('b'), frame('c')],
  ],
  ['no data, no frame', 'event: status\n\ndata: a\n\n', [frame('a')]],
  ['unfinished', 'data: a\n', []],
  ['byte order mark', '\uFEFFdata: a\n\n', [frame('a')]],
  ['a field without a colon', 'data\n\n', [frame('')]],
];

describe('server-sent events', () => {
  it.each(cases)('%s, whole', (_, text, expected) => {
    expect(new SseParser().push(text)).toEqual(expected);
  });

  it.each(cases)('%s, in single characters', (_, text, expected) => {
    const parser = new SseParser();
    expect(Array.from(text).flatMap((char) => parser.push(char))).toEqual(expected);
  });

  it('keeps characters whole that come in two pieces', async () => {
    const bytes = new TextEncoder().encode('data: ü€😀\n\n');
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    const seen: string[] = [];
    for await (const { data } of framesOf(body)) seen.push(data);
    expect(seen).toEqual(['ü€😀']);
  });
});
