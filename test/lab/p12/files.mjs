// Makes requests and files with the browser's own code: files.mjs DIR. For each kind of
// key and form a key, a request, and, once the request is a certificate, a file.
import { readFileSync, writeFileSync } from 'node:fs';

const m = await import(process.env.WRITER);
const dir = process.argv[2];
const { execFileSync } = await import('node:child_process');
const made = [];
for (const kind of ['p256', 'rsa']) {
  const keys = await m.newKey(kind);
  const key = new Uint8Array(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  writeFileSync(`${dir}/${kind}.csr`, await m.request(keys));
  execFileSync('openssl', ['x509', '-req', '-in', `${dir}/${kind}.csr`, '-CA', `${dir}/ca.pem`, '-CAkey', `${dir}/ca.key`, '-days', '30',
    '-subj', `/CN=Yamada Taro - laptop ${kind}`, '-out', `${dir}/${kind}.pem`], { stdio: 'ignore' });
  const der = (name) => Uint8Array.from(Buffer.from(readFileSync(`${dir}/${name}`, 'utf8').replace(/-----[^-]+-----|\s/g, ''), 'base64'));
  writeFileSync(`${dir}/${kind}.pkcs8`, key);
  for (const form of ['modern', 'compatible']) {
    const password = form === 'modern' ? m.generated(3) : m.generated(5);
    const certificates = form === 'modern' ? [der(`${kind}.pem`), der('ca.pem')] : [der(`${kind}.pem`)];
    const file = `${dir}/${kind}-${form}.p12`;
    writeFileSync(file, await m.pkcs12({ key, certificates, name: `Yamada Taro - 太郎 ${kind}`, password, form }));
    made.push({ kind, form, file, password });
  }
}
writeFileSync(`${dir}/made.json`, JSON.stringify(made));
