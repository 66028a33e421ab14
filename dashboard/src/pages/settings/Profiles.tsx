import { Alert, Button, Skeleton } from 'antd';
import { useCallback, useState } from 'react';
import { api, dataOf } from '../../api/client';
import type { Profile } from '../../api/types';
import { Mark } from '../../parts/Dot';
import { useLoaded } from '../../parts/useLoaded';
import { texts } from '../../texts';
import { ChangeDialog } from './ChangeDialog';
import { textOf } from './edit';
import style from './Settings.module.css';

const words = texts.profiles;

/** Sets of settings for what a machine is mostly used for. */
export function Profiles() {
  const load = useCallback(
    (signal: AbortSignal) => dataOf(api.GET('/admin/config', { signal })),
    [],
  );
  const { data, error, reload } = useLoaded(load);
  const [chosen, setChosen] = useState<Profile | null>(null);
  if (error) return <Alert type="error" showIcon message={error} />;
  if (!data) return <Skeleton active />;
  return (
    <>
      <p className="muted" style={{ marginBottom: 16 }}>
        {words.note}
      </p>
      <ul className={style.profiles}>
        {data.profiles.map((profile) => (
          <ProfileCard key={profile.name} profile={profile} onUse={() => setChosen(profile)} />
        ))}
      </ul>
      <ChangeDialog
        changes={chosen?.changes ?? null}
        onClose={() => setChosen(null)}
        onDone={() => {
          setChosen(null);
          reload();
        }}
      />
    </>
  );
}

function ProfileCard({ profile, onUse }: { profile: Profile; onUse: () => void }) {
  return (
    <li className={style.profile} data-active={profile.active || undefined}>
      <div className="row" style={{ justifyContent: 'space-between' }}>
        <h2>{texts.words(profile.name)}</h2>
        {profile.active && <Mark tone="good">{words.active}</Mark>}
      </div>
      <p className="muted">{profile.description}</p>
      <ul className={`${style.changes} mono`}>
        {Object.entries(profile.changes).map(([key, value]) => (
          <li key={key}>
            {key} = {value === null ? words.default : textOf(value)}
          </li>
        ))}
      </ul>
      <Button style={{ marginTop: 'auto' }} disabled={profile.active} onClick={onUse}>
        {words.use(profile.name)}
      </Button>
    </li>
  );
}
