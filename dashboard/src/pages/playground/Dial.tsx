import { InputNumber, Slider } from 'antd';
import { texts } from '../../texts';
import style from './Playground.module.css';

interface DialProps {
  label: string;
  min: number;
  max: number;
  step: number;
  /** Where the slider stands while nothing is given. */
  neutral: number;
  /** Nothing given: as the server has it. */
  value: number | undefined;
  onChange: (value: number | undefined) => void;
}

/** A number that may be left to the server. */
export function Dial({ label, min, max, step, neutral, value, onChange }: DialProps) {
  const id = `dial-${label}`;
  return (
    <div className={style.dial} data-unset={value === undefined || undefined}>
      <label htmlFor={id} className="mono">
        {label}
      </label>
      <Slider
        min={min}
        max={max}
        step={step}
        value={value ?? neutral}
        onChange={onChange}
        ariaLabelForHandle={label}
        tooltip={{ open: false }}
      />
      <InputNumber
        id={id}
        size="small"
        step={step}
        value={value ?? null}
        placeholder={texts.playground.option.unset}
        onChange={(next) => onChange(next ?? undefined)}
        style={{ width: '100%' }}
      />
    </div>
  );
}
