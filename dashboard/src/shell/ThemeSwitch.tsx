import { DesktopOutlined, MoonOutlined, SunOutlined } from '@ant-design/icons';
import { Button, Tooltip } from 'antd';
import { texts } from '../texts';
import { type Choice, chooseTheme, useThemeChoice } from './theme';

const NEXT: Record<Choice, Choice> = { system: 'light', light: 'dark', dark: 'system' };
const ICON = {
  system: <DesktopOutlined aria-hidden />,
  light: <SunOutlined aria-hidden />,
  dark: <MoonOutlined aria-hidden />,
};

/** One button that goes round: system, light, dark. */
export function ThemeSwitch() {
  const choice = useThemeChoice();
  const label = texts.theme[choice];
  return (
    <Tooltip title={label}>
      <Button
        type="text"
        size="small"
        icon={ICON[choice]}
        aria-label={label}
        onClick={() => chooseTheme(NEXT[choice])}
      />
    </Tooltip>
  );
}
