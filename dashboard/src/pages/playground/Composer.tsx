import { Button, Input } from 'antd';
import { useSyncExternalStore } from 'react';
import { texts } from '../../texts';
import type { Pane } from './pane';
import style from './Playground.module.css';

interface ComposerProps {
  panes: readonly Pane[];
  draft: string;
  onDraft: (draft: string) => void;
  onSend: () => void;
}

/** Where a person writes; Enter sends, Shift and Enter is a new line. */
export function Composer({ panes, draft, onDraft, onSend }: ComposerProps) {
  const words = texts.playground;
  const isRunning = useAnyRunning(panes);
  return (
    <form
      className={style.composer}
      onSubmit={(event) => {
        event.preventDefault();
        onSend();
      }}
    >
      <Input.TextArea
        autoSize={{ minRows: 1, maxRows: 8 }}
        variant="borderless"
        aria-label={words.message}
        placeholder={words.placeholder}
        value={draft}
        onChange={(event) => onDraft(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
          event.preventDefault();
          onSend();
        }}
      />
      {isRunning && (
        <Button onClick={() => panes.forEach((pane) => pane.stop())}>{words.stop}</Button>
      )}
      <Button type="primary" htmlType="submit" disabled={draft.trim() === '' || panes.length === 0}>
        {words.send}
      </Button>
    </form>
  );
}

function useAnyRunning(panes: readonly Pane[]): boolean {
  const subscribe = (listener: () => void): (() => void) => {
    const ends = panes.map((pane) => pane.chat.subscribe(listener));
    return () => ends.forEach((end) => end());
  };
  return useSyncExternalStore(subscribe, () => panes.some((pane) => pane.chat.get().isRunning));
}
