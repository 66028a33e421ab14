import { Alert, Button } from 'antd';
import { Component, type ReactNode } from 'react';
import { messageOf } from '../api/error';
import { texts } from '../texts';

interface State {
  error: unknown;
}

/** A page that fails says so and leaves the others usable. */
export class PageBoundary extends Component<{ children: ReactNode }, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: unknown): State {
    return { error };
  }

  override componentDidMount(): void {
    window.addEventListener('hashchange', this.again);
  }

  override componentWillUnmount(): void {
    window.removeEventListener('hashchange', this.again);
  }

  private readonly again = (): void => this.setState({ error: null });

  override render(): ReactNode {
    if (this.state.error === null) return this.props.children;
    return (
      <Alert
        type="error"
        showIcon
        message={texts.errors.page}
        description={messageOf(this.state.error)}
        action={<Button onClick={() => window.location.reload()}>{texts.errors.reload}</Button>}
      />
    );
  }
}
