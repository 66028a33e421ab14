import { CloudDownloadOutlined, UploadOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useState } from 'react';
import { useLive } from '../../live/feed';
import { PageHead, Panel } from '../../parts/Panel';
import { go, useRoute } from '../../shell/route';
import { texts } from '../../texts';
import { Details } from './Details';
import { Filters } from './Filters';
import { ANY, type Filter, matching } from './filter';
import { ModelTable } from './ModelTable';
import { PullDialog } from './PullDialog';
import { Pulls } from './Pulls';
import { UploadDialog } from './UploadDialog';

/** All models of the server, and how more of them come. */
export default function ModelsPage() {
  const models = useLive(({ status }) => status?.models);
  const [filter, setFilter] = useState<Filter>(ANY);
  const [dialog, setDialog] = useState<'pull' | 'upload' | null>(null);
  const shown = useRoute().rest[0] ?? null;
  const close = (): void => setDialog(null);
  return (
    <>
      <PageHead
        title={texts.models.title}
        note={texts.models.note(models?.length ?? 0)}
        extra={
          <>
            <Button icon={<UploadOutlined aria-hidden />} onClick={() => setDialog('upload')}>
              {texts.models.upload}
            </Button>
            <Button
              type="primary"
              icon={<CloudDownloadOutlined aria-hidden />}
              onClick={() => setDialog('pull')}
            >
              {texts.models.pull}
            </Button>
          </>
        }
      />
      <div className="stack">
        <Pulls />
        <Panel>
          <Filters models={models ?? []} filter={filter} onChange={setFilter} />
          <ModelTable models={matching(models ?? [], filter)} loading={!models} />
        </Panel>
      </div>
      <Details name={shown} onClose={() => go('models')} />
      <PullDialog open={dialog === 'pull'} onClose={close} />
      <UploadDialog open={dialog === 'upload'} onClose={close} />
    </>
  );
}
