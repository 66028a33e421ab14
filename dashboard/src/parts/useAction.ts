import { App } from 'antd';
import { useCallback, useState } from 'react';
import { isAbort, messageOf } from '../api/error';
import { texts } from '../texts';

interface Action {
  /** It runs. */
  busy: boolean;
  /** Does it, says that it is done, or what the server said against it. True when it is done. */
  run: (act: () => Promise<unknown>, done?: string) => Promise<boolean>;
}

/** Something that a person does and that may fail. */
export function useAction(): Action {
  const { message, notification } = App.useApp();
  const [busy, setBusy] = useState(false);
  const run = useCallback<Action['run']>(
    async (act, done) => {
      setBusy(true);
      try {
        await act();
        if (done) void message.success(done);
        return true;
      } catch (error) {
        if (!isAbort(error)) {
          notification.error({ message: texts.errors.title, description: messageOf(error) });
        }
        return false;
      } finally {
        setBusy(false);
      }
    },
    [message, notification],
  );
  return { busy, run };
}
