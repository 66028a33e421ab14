import { SearchOutlined } from '@ant-design/icons';
import { Input, Select } from 'antd';
import type { Model } from '../../api/types';
import { texts } from '../../texts';
import { type Filter, valuesOf } from './filter';
import style from './Models.module.css';

interface FiltersProps {
  models: readonly Model[];
  filter: Filter;
  onChange: (filter: Filter) => void;
}

export function Filters({ models, filter, onChange }: FiltersProps) {
  const words = texts.models.filter;
  const choice = (
    label: string,
    values: string[],
    chosen: readonly string[],
    change: (chosen: string[]) => Filter,
  ) => (
    <Select
      mode="multiple"
      allowClear
      maxTagCount="responsive"
      aria-label={label}
      placeholder={label}
      className={style.choice}
      value={[...chosen]}
      options={values.map((value) => ({ value, label: texts.words(value) }))}
      onChange={(next) => onChange(change(next))}
    />
  );
  return (
    <div className={style.filters} role="search">
      <Input
        allowClear
        prefix={<SearchOutlined aria-hidden />}
        className={style.search}
        placeholder={words.search}
        aria-label={words.search}
        value={filter.text}
        onChange={(event) => onChange({ ...filter, text: event.target.value })}
      />
      {choice(
        words.state,
        valuesOf(models, (one) => one.state),
        filter.states,
        (states) => ({
          ...filter,
          states,
        }),
      )}
      {choice(
        words.format,
        valuesOf(models, (one) => one.format),
        filter.formats,
        (formats) => ({
          ...filter,
          formats,
        }),
      )}
      {choice(
        words.task,
        valuesOf(models, (one) => one.task),
        filter.tasks,
        (tasks) => ({
          ...filter,
          tasks,
        }),
      )}
    </div>
  );
}
