const BLOCK = 1500;
const LONGEST = 6000;

/** A text in blocks that stay as they are while it grows: at line ends, or at a space where there are none for long. */
export function blocksOf(text: string): string[] {
  const blocks: string[] = [];
  let start = 0;
  while (text.length - start > BLOCK) {
    const line = text.indexOf('\n', start + BLOCK);
    if (line >= 0 && line - start <= LONGEST) {
      blocks.push(text.slice(start, line));
      start = line + 1;
      continue;
    }
    if (text.length - start <= LONGEST) break;
    const space = text.indexOf(' ', start + LONGEST);
    if (space < 0) break;
    blocks.push(text.slice(start, space));
    start = space + 1;
  }
  return [...blocks, text.slice(start)];
}
