import { Button, Input, Switch } from 'antd';
import { texts } from '../../texts';
import { Dial } from './Dial';
import { TOOLS_EXAMPLE, SCHEMA_EXAMPLE } from './examples';
import style from './Playground.module.css';
import { problemOf, type Sampling, type Setup } from './setup';

interface OptionsProps {
  setup: Setup;
  onChange: (setup: Setup) => void;
}

interface DialRange {
  name: keyof Sampling;
  min: number;
  max: number;
  step: number;
  neutral: number;
}

const DIALS: readonly DialRange[] = [
  { name: 'temperature', min: 0, max: 2, step: 0.05, neutral: 1 },
  { name: 'top_p', min: 0, max: 1, step: 0.01, neutral: 1 },
  { name: 'top_k', min: 0, max: 200, step: 1, neutral: 0 },
  { name: 'min_p', min: 0, max: 1, step: 0.01, neutral: 0 },
  { name: 'repetition_penalty', min: 0.5, max: 2, step: 0.01, neutral: 1 },
  { name: 'presence_penalty', min: -2, max: 2, step: 0.05, neutral: 0 },
  { name: 'frequency_penalty', min: -2, max: 2, step: 0.05, neutral: 0 },
  { name: 'max_tokens', min: 1, max: 8192, step: 1, neutral: 1 },
  { name: 'seed', min: 0, max: 9999, step: 1, neutral: 0 },
];

/** How answers are made: for all chats of the page. */
export function Options({ setup, onChange }: OptionsProps) {
  const words = texts.playground.option;
  const sample = (name: keyof Sampling, value: number | undefined): void => {
    const { [name]: _, ...others } = setup.sampling;
    onChange({ ...setup, sampling: value === undefined ? others : { ...others, [name]: value } });
  };
  return (
    <aside className={style.options} aria-label={texts.playground.options}>
      <div>
        <label htmlFor="system">{words.system}</label>
        <Input.TextArea
          id="system"
          autoSize={{ minRows: 2, maxRows: 8 }}
          value={setup.system}
          onChange={({ target }) => onChange({ ...setup, system: target.value })}
        />
      </div>
      <h2>{words.sampling}</h2>
      {DIALS.map(({ name, ...range }) => (
        <Dial
          key={name}
          label={name}
          value={setup.sampling[name]}
          onChange={(value) => sample(name, value)}
          {...range}
        />
      ))}
      <div className="row" style={{ justifyContent: 'space-between' }}>
        <label htmlFor="logprobs">{words.logprobs}</label>
        <Switch
          id="logprobs"
          size="small"
          checked={setup.logprobs}
          onChange={(logprobs) => onChange({ ...setup, logprobs })}
        />
      </div>
      <JsonField
        id="tools"
        kind="list"
        label={words.tools}
        example={TOOLS_EXAMPLE}
        value={setup.tools}
        onChange={(tools) => onChange({ ...setup, tools })}
      />
      <JsonField
        id="schema"
        kind="object"
        label={words.schema}
        example={SCHEMA_EXAMPLE}
        value={setup.schema}
        onChange={(schema) => onChange({ ...setup, schema })}
      />
    </aside>
  );
}

interface JsonFieldProps {
  id: string;
  kind: 'list' | 'object';
  label: string;
  example: object;
  value: string;
  onChange: (text: string) => void;
}

function JsonField({ id, kind, label, example, value, onChange }: JsonFieldProps) {
  const words = texts.playground.option;
  const problem = problemOf(value, kind);
  return (
    <div>
      <div className="row" style={{ justifyContent: 'space-between' }}>
        <label htmlFor={id}>{label}</label>
        <Button
          type="link"
          size="small"
          onClick={() => onChange(value.trim() === '' ? JSON.stringify(example, null, 2) : '')}
          aria-label={value.trim() === '' ? words.exampleOf(label) : words.removeOf(label)}
        >
          {value.trim() === '' ? words.example : words.remove}
        </Button>
      </div>
      <Input.TextArea
        id={id}
        className="mono"
        spellCheck={false}
        autoSize={{ minRows: 2, maxRows: 12 }}
        status={problem ? 'error' : ''}
        aria-invalid={problem !== null}
        value={value}
        onChange={({ target }) => onChange(target.value)}
      />
      {problem && (
        <p className={style.error} role="alert">
          {words.problem[problem]}
        </p>
      )}
    </div>
  );
}
