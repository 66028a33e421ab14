import { Alert, Checkbox, Form, Input, Modal } from 'antd';
import { useSyncExternalStore } from 'react';
import { isRemembered, keyState, onKeyChange, takeKey } from '../api/key';
import { texts } from '../texts';

interface Entered {
  key: string;
  remember: boolean;
}

/** Asks for a key when the server wants one. */
export function KeyPrompt() {
  const { key, wanted } = useSyncExternalStore(onKeyChange, keyState);
  const [form] = Form.useForm<Entered>();
  return (
    <Modal
      title={texts.key.title}
      open={wanted !== null}
      closable={false}
      maskClosable={false}
      keyboard={false}
      okText={texts.key.use}
      onOk={() => form.submit()}
      cancelButtonProps={{ style: { display: 'none' } }}
      destroyOnHidden
      width={440}
    >
      <Form<Entered>
        form={form}
        layout="vertical"
        requiredMark={false}
        initialValues={{ remember: isRemembered() }}
        onFinish={(entered) => takeKey(entered.key.trim(), entered.remember)}
      >
        <p style={{ marginBottom: 12 }}>{texts.key.why}</p>
        {key !== null && wanted && (
          <Alert type="error" message={wanted} style={{ marginBottom: 12 }} role="alert" />
        )}
        <Form.Item
          name="key"
          label={texts.key.label}
          rules={[{ required: true, message: texts.key.missing }]}
        >
          <Input.Password autoFocus autoComplete="off" spellCheck={false} />
        </Form.Item>
        <Form.Item name="remember" valuePropName="checked" extra={texts.key.where}>
          <Checkbox>{texts.key.remember}</Checkbox>
        </Form.Item>
      </Form>
    </Modal>
  );
}
