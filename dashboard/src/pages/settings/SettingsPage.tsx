import { PageHead } from '../../parts/Panel';
import { Sections } from '../../parts/Sections';
import { useRoute } from '../../shell/route';
import { texts } from '../../texts';
import { Configuration } from './Configuration';
import { Keys } from './Keys';
import { Profiles } from './Profiles';

/** Who may use the server, and how it is set up. */
export default function SettingsPage() {
  const words = texts.settings;
  return (
    <>
      <PageHead title={words.title} />
      <Sections
        page="settings"
        label={words.title}
        shown={useRoute().rest[0]}
        sections={[
          { key: 'keys', label: words.keys, content: <Keys /> },
          { key: 'profiles', label: words.profiles, content: <Profiles /> },
          { key: 'limits', label: words.limits, content: <Configuration only="limits" /> },
          { key: 'configuration', label: words.configuration, content: <Configuration /> },
        ]}
      />
    </>
  );
}
