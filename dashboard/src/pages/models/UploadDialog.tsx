import { InboxOutlined } from '@ant-design/icons';
import { Button, Form, Input, Modal, Progress, Switch, Upload as Dragger } from 'antd';
import { useRef, useState } from 'react';
import { bytes } from '../../format/units';
import { useAction } from '../../parts/useAction';
import { texts } from '../../texts';
import { nameOf, upload } from './upload';

interface UploadDialogProps {
  open: boolean;
  onClose: () => void;
}

/** A model from this computer: a GGUF file, or a folder. */
export function UploadDialog({ open, onClose }: UploadDialogProps) {
  return (
    <Modal
      title={texts.uploads.title}
      open={open}
      onCancel={onClose}
      footer={null}
      maskClosable={false}
      destroyOnHidden
    >
      <UploadForm onClose={onClose} />
    </Modal>
  );
}

interface Sent {
  sent: number;
  total: number;
}

function UploadForm({ onClose }: { onClose: () => void }) {
  const words = texts.uploads;
  const [isFolder, setIsFolder] = useState(false);
  const [files, setFiles] = useState<readonly File[]>([]);
  const [name, setName] = useState('');
  const [sent, setSent] = useState<Sent | null>(null);
  const running = useRef<AbortController | null>(null);
  const { busy, run } = useAction();

  const choose = (chosen: readonly File[]): void => {
    setFiles(chosen);
    setName(nameOf(chosen));
  };
  const send = async (): Promise<void> => {
    const controller = new AbortController();
    running.current = controller;
    const onProgress = (done: number, total: number): void => setSent({ sent: done, total });
    const done = await run(
      () => upload({ name, files, signal: controller.signal, onProgress }),
      words.done(name),
    );
    setSent(null);
    if (done) onClose();
  };
  const size = files.reduce((sum, file) => sum + file.size, 0);

  return (
    <Form layout="vertical" onFinish={() => void send()}>
      <Form.Item label={words.folder} layout="horizontal" htmlFor="upload-folder">
        <Switch id="upload-folder" checked={isFolder} onChange={setIsFolder} disabled={busy} />
      </Form.Item>
      <Dragger.Dragger
        directory={isFolder}
        multiple={isFolder}
        disabled={busy}
        showUploadList={false}
        accept={isFolder ? undefined : '.gguf'}
        beforeUpload={(file, all) => {
          // Once for all of them, at the last.
          if (file === all.at(-1)) choose(all);
          return false;
        }}
      >
        <InboxOutlined style={{ fontSize: 32, color: 'var(--accent)' }} />
        <p>{isFolder ? words.dropFolder : words.dropFile}</p>
        {files.length > 0 && (
          <p className="muted">{words.chosen(files.length, files[0]?.name ?? '', bytes(size))}</p>
        )}
      </Dragger.Dragger>
      <Form.Item
        label={words.name}
        htmlFor="upload-name"
        style={{ marginTop: 16 }}
        extra={words.nameHelp}
      >
        <Input
          id="upload-name"
          value={name}
          disabled={busy}
          spellCheck={false}
          onChange={(event) => setName(event.target.value)}
        />
      </Form.Item>
      {sent && (
        <div>
          <Progress
            aria-label={words.progress}
            percent={Math.floor((sent.sent / Math.max(sent.total, 1)) * 100)}
            strokeColor="var(--c1)"
          />
          <p className="muted number">
            {sent.sent < sent.total
              ? texts.pulls.of(bytes(sent.sent), bytes(sent.total))
              : words.checking}
          </p>
        </div>
      )}
      <div className="row" style={{ justifyContent: 'flex-end', marginTop: 16 }}>
        <Button
          onClick={() => {
            running.current?.abort();
            onClose();
          }}
        >
          {texts.cancel}
        </Button>
        <Button
          type="primary"
          htmlType="submit"
          loading={busy}
          disabled={files.length === 0 || name.trim() === ''}
        >
          {words.send}
        </Button>
      </div>
    </Form>
  );
}
