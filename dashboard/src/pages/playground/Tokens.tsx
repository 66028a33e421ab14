import { type CSSProperties, memo, useState } from 'react';
import { percent } from '../../format/units';
import { texts } from '../../texts';
import style from './Playground.module.css';
import type { Token } from './turn';

/** A text by tokens: the less likely one was, the more it is marked; pointing at one shows what else there could have been. */
export function Tokens({ tokens }: { tokens: readonly Token[] }) {
  const [chosen, setChosen] = useState<number | null>(null);
  const step = (by: number): void => {
    const last = tokens.length - 1;
    setChosen((now) => (now === null ? 0 : Math.min(Math.max(now + by, 0), last)));
  };
  const token = chosen === null ? undefined : tokens[chosen];
  return (
    <>
      {/* The arrow keys go from token to token. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions */}
      <div
        className={style.text}
        role="group"
        aria-label={texts.playground.tokensLabel}
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={0}
        onKeyDown={(event) => {
          if (event.key === 'ArrowRight') step(1);
          else if (event.key === 'ArrowLeft') step(-1);
        }}
        onPointerOver={({ target }) => {
          const index = target instanceof HTMLElement ? target.dataset.index : undefined;
          if (index !== undefined) setChosen(Number(index));
        }}
      >
        {tokens.map((one, i) => (
          <TokenView key={i} token={one} index={i} isChosen={i === chosen} />
        ))}
      </div>
      <div className={`${style.others} mono`} aria-live="polite">
        {token ? <Others token={token} /> : texts.playground.tokensHint}
      </div>
    </>
  );
}

interface TokenViewProps {
  token: Token;
  index: number;
  isChosen: boolean;
}

const TokenView = memo(function TokenView({ token, index, isChosen }: TokenViewProps) {
  const doubt = `${Math.round((1 - Math.exp(token.logprob)) * 55)}%`;
  return (
    <span
      className={style.token}
      style={{ '--doubt': doubt } as CSSProperties}
      data-index={index}
      data-chosen={isChosen || undefined}
    >
      {token.text}
    </span>
  );
});

const seen = (text: string): string => JSON.stringify(text).slice(1, -1).replaceAll(' ', '␣');

function Others({ token }: { token: Token }) {
  return (
    <>
      <b>
        {seen(token.text)} {percent(Math.exp(token.logprob), 1)}
      </b>
      {token.others
        .filter(({ text }) => text !== token.text)
        .map(({ text, logprob }, i) => (
          <span key={i}>
            {seen(text)} <span className="muted">{percent(Math.exp(logprob), 1)}</span>
          </span>
        ))}
    </>
  );
}
