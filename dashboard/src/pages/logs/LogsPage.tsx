import { PageHead } from '../../parts/Panel';
import { Sections } from '../../parts/Sections';
import { useRoute } from '../../shell/route';
import { texts } from '../../texts';
import { Crashes } from './Crashes';
import { Events } from './Events';
import { Lines } from './Lines';
import { Requests } from './Requests';

/** What processes say, what happened, and how requests went. */
export default function LogsPage() {
  const [section, id] = useRoute().rest;
  const words = texts.logs;
  return (
    <>
      <PageHead title={words.title} />
      <Sections
        page="logs"
        label={words.title}
        shown={section}
        sections={[
          { key: 'lines', label: words.lines, content: <Lines /> },
          { key: 'events', label: words.events, content: <Events /> },
          { key: 'requests', label: words.requests, content: <Requests shown={id ?? null} /> },
          { key: 'crashes', label: words.crashes, content: <Crashes shown={id ?? null} /> },
        ]}
      />
    </>
  );
}
