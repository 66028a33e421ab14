import { Alert, Skeleton } from 'antd';
import { duration } from '../../format/units';
import { useLive } from '../../live/feed';
import { PageHead } from '../../parts/Panel';
import { texts } from '../../texts';
import { Charts } from './Charts';
import { Memory } from './Memory';
import { Tiles } from './Tiles';
import { Workers } from './Workers';

/** The server at a glance: what runs, how fast, and what it holds. */
export default function OverviewPage() {
  const isKnown = useLive(({ status }) => status !== null);
  const away = useLive((live) => live.away);
  const link = useLive((live) => live.link);
  return (
    <>
      <PageHead title={texts.overview.title} note={<About />} />
      <div className="stack">
        {away !== null && <Alert type="warning" showIcon message={away} />}
        {(link.kind === 'waiting' || link.kind === 'refused') && (
          <Alert type="warning" showIcon message={link.message} />
        )}
        {isKnown ? <Parts /> : <Skeleton active />}
      </div>
    </>
  );
}

function About() {
  const version = useLive(({ status }) => status?.version);
  const uptime = useLive(({ status }) => status && duration(status.uptime_s));
  const url = useLive(({ status }) => status?.gateway?.url);
  return version ? texts.overview.about(version, uptime ?? '', url ?? '') : null;
}

function Parts() {
  return (
    <>
      <Tiles />
      <Workers />
      <Memory />
      <Charts />
    </>
  );
}
