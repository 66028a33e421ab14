import { Button, Input, Switch } from 'antd';
import { memo, useId } from 'react';
import type { Setting } from '../../api/types';
import { texts } from '../../texts';
import { shapeOf, textOf, valueOf } from './edit';
import style from './Settings.module.css';

interface SettingRowProps {
  setting: Setting;
  /** The value that it is to get, where it is changed. */
  change: unknown;
  isChanged: boolean;
  onChange: (setting: Setting, value: unknown) => void;
}

const words = texts.configuration;

function originOf({ is_default, origin }: Setting): string {
  return is_default && origin.kind === 'default'
    ? words.isDefault
    : words.from(origin.text || origin.kind);
}

/** One setting: what it is, where its value comes from, and the value. */
export const SettingRow = memo(function SettingRow(props: SettingRowProps) {
  const { setting, change, isChanged, onChange } = props;
  const id = useId();
  const value = isChanged ? change : setting.value;
  return (
    <div className={style.setting} data-changed={isChanged || undefined}>
      <div>
        <label htmlFor={id}>
          <code className="break">{setting.key}</code>
        </label>
        {setting.description && <p className={style.sub}>{setting.description}</p>}
      </div>
      <div className={style.value}>
        {shapeOf(setting.kind) === 'boolean' ? (
          <span>
            <Switch
              id={id}
              checked={value === true}
              disabled={!setting.editable}
              onChange={(checked) => onChange(setting, checked)}
            />
          </span>
        ) : (
          <Input
            id={id}
            className="mono"
            spellCheck={false}
            disabled={!setting.editable}
            value={textOf(value)}
            placeholder={textOf(setting.default) || words.noValue}
            onChange={({ target }) =>
              onChange(
                setting,
                target.value === '' && setting.value === null
                  ? null
                  : valueOf(setting.kind, target.value),
              )
            }
          />
        )}
        <span className={`${style.sub} break`}>
          {isChanged && change === null ? words.becomesDefault : originOf(setting)}
          {setting.applies === 'restart' && ` · ${words.restart}`}
          {setting.editable && !setting.is_default && (!isChanged || change !== null) && (
            <Button
              type="link"
              size="small"
              aria-label={words.resetNamed(setting.key)}
              onClick={() => onChange(setting, null)}
            >
              {words.reset}
            </Button>
          )}
        </span>
      </div>
    </div>
  );
});
