import { memo, useMemo } from 'react';
import { blocksOf } from './blocks';
import style from './Playground.module.css';

/** A text that grows: what is before its last block is drawn once. */
export function LongText({ text }: { text: string }) {
  const blocks = useMemo(() => blocksOf(text), [text]);
  return blocks.map((block, i) => <Block key={i} text={block} />);
}

const Block = memo(function Block({ text }: { text: string }) {
  return <div className={style.text}>{text}</div>;
});
