/** Sends a model's files. Only XMLHttpRequest tells how much of a body is sent. */
import { authorization } from '../../api/client';
import { ApiError, errorOf } from '../../api/error';
import type { Stored } from '../../api/types';
import { texts } from '../../texts';

interface Upload {
  name: string;
  files: readonly File[];
  signal: AbortSignal;
  onProgress: (sent: number, total: number) => void;
}

/** A folder's files keep their paths below the folder that was chosen. */
export function pathOf(file: File): string {
  const [, ...below] = file.webkitRelativePath.split('/');
  return below.length > 0 ? below.join('/') : file.name;
}

function bodyOf(files: readonly File[]): XMLHttpRequestBodyInit {
  const [only] = files;
  if (only && files.length === 1 && only.name.toLowerCase().endsWith('.gguf')) return only;
  const form = new FormData();
  for (const file of files) form.append('file', file, pathOf(file));
  return form;
}

/** The name that a model gets when none is given: the file's, or the folder's. */
export function nameOf(files: readonly File[]): string {
  const [first] = files;
  if (!first) return '';
  const folder = first.webkitRelativePath.split('/')[0];
  return folder || first.name.replace(/\.gguf$/i, '');
}

export function upload({ name, files, signal, onProgress }: Upload): Promise<Stored> {
  const body = bodyOf(files);
  const query = new URLSearchParams({ name });
  if (body instanceof File) query.set('file', body.name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', `/admin/models?${query.toString()}`);
    for (const [header, value] of Object.entries(authorization())) {
      request.setRequestHeader(header, value);
    }
    request.responseType = 'json';
    request.upload.onprogress = ({ loaded, total }) => onProgress(loaded, total);
    request.onload = () => {
      const answer: unknown = request.response;
      if (request.status < 300) resolve(answer as Stored);
      else reject(errorOf(request.status, answer));
    };
    request.onerror = () => reject(new ApiError(texts.errors.unreachable, 0));
    request.onabort = () => reject(new DOMException('', 'AbortError'));
    signal.addEventListener('abort', () => request.abort());
    request.send(body);
  });
}
