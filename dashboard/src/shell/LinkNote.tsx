import { useLive } from '../live/feed';
import { Dot, type Tone } from '../parts/Dot';
import { texts } from '../texts';
import style from './Shell.module.css';

/** Whether what the page shows is of now. */
export function LinkNote() {
  const kind = useLive(({ link }) => link.kind);
  const isAway = useLive(({ away }) => away !== null);
  const tone: Tone = kind === 'refused' ? 'bad' : kind === 'open' && !isAway ? 'good' : 'warn';
  return (
    <p className={style.link} role="status">
      <Dot tone={tone} />
      {isAway && kind === 'open' ? texts.link.away : texts.link[kind]}
    </p>
  );
}
