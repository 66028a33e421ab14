import { Button, Modal, Segmented } from 'antd';
import { useState } from 'react';
import { copy } from '../../parts/copy';
import { useAction } from '../../parts/useAction';
import { texts } from '../../texts';
import { codeOf, type Language } from './code';
import style from './Playground.module.css';
import type { Body } from './setup';

interface CodeDialogProps {
  open: boolean;
  body: Body | undefined;
  onClose: () => void;
}

const LANGUAGES: { value: Language; label: string }[] = [
  { value: 'curl', label: 'curl' },
  { value: 'python', label: 'Python' },
  { value: 'javascript', label: 'JavaScript' },
];

/** The first chat's next request, to be used elsewhere. */
export function CodeDialog({ open, body, onClose }: CodeDialogProps) {
  const [language, setLanguage] = useState<Language>('curl');
  const { run } = useAction();
  const words = texts.playground.codeDialog;
  const code = body ? codeOf(language, body, window.location.origin) : '';
  return (
    <Modal
      title={words.title}
      open={open}
      onCancel={onClose}
      width={760}
      footer={
        <Button type="primary" onClick={() => void run(() => copy(code), words.copied)}>
          {words.copy}
        </Button>
      }
    >
      <Segmented<Language>
        aria-label={words.language}
        options={LANGUAGES}
        value={language}
        onChange={setLanguage}
        style={{ marginBottom: 12 }}
      />
      {/* It scrolls, so a keyboard has to reach it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre className={style.code} tabIndex={0}>
        {code}
      </pre>
      <p className="muted" style={{ marginTop: 8 }}>
        {words.key}
      </p>
    </Modal>
  );
}
