import type { Fits } from '../../api/types';
import { bytes } from '../../format/units';
import { Mark, type Tone } from '../../parts/Dot';
import { texts } from '../../texts';
import style from './Models.module.css';

const TONE: Record<Fits['verdict'], Tone> = {
  now: 'good',
  after_others_leave: 'warn',
  never: 'bad',
};

/** Whether a model fits this machine, with the numbers. */
export function Fit({ fits }: { fits: Fits }) {
  const words = texts.models.fits;
  return (
    <div className={style.verdict}>
      <Mark tone={TONE[fits.verdict]}>{words[fits.verdict]}</Mark>
      <p className="muted number">
        {words.numbers(bytes(fits.need_bytes), bytes(fits.room_bytes), bytes(fits.limit_bytes))}
      </p>
    </div>
  );
}
