// SPDX-License-Identifier: Apache-2.0
// The way of adding a device in which the gateway makes its key: what the file is to be, and the file itself, which
// is in this page alone once the gateway has sent it.
import type { GivenFile } from "../api";
import { randomWord } from "../random";
import { text } from "../text";
import { Alert, Copy, Field, Input } from "../ui/kit";
import { download } from "../ui/pages";

const t = text.bundle;

export type Form = "zip" | "p12" | "p12-legacy";

export interface BundleWish {
  form: Form;
  key: "P-256" | "RSA";
  passphrase: string;
}

export const newBundle = (): BundleWish => ({ form: "zip", key: "P-256", passphrase: randomWord() });

/** The arguments of the request. */
export function bundleArguments(w: BundleWish) {
  return { form: w.form, key: w.key, ...(w.form === "zip" ? {} : { passphrase: w.passphrase }) };
}

export function BundleOptions(props: { wish: BundleWish; set: (w: BundleWish) => void; error: string }) {
  const { wish, set } = props;
  return (
    <section class="card form" aria-label={t.title}>
      <h2>{t.title}</h2>
      <Field label={t.form} hint={t.formHint[wish.form]}>
        {(a) => (
          <select
            {...a}
            value={wish.form}
            onChange={(e) => set({ ...wish, form: e.currentTarget.value as Form })}
          >
            <option value="zip">{t.zip}</option>
            <option value="p12">{t.p12}</option>
            <option value="p12-legacy">{t.legacy}</option>
          </select>
        )}
      </Field>
      {wish.form !== "zip" && (
        <>
          <Input
            label={t.passphrase}
            hint={t.passphraseHint}
            value={wish.passphrase}
            set={(passphrase) => set({ ...wish, passphrase })}
            error={props.error}
            autocomplete="off"
            required
          />
          <div class="row">
            <button type="button" onClick={() => set({ ...wish, passphrase: randomWord() })}>
              {t.another}
            </button>
          </div>
        </>
      )}
      <Field label={t.key} hint={t.keyHint}>
        {(a) => (
          <select
            {...a}
            value={wish.key}
            onChange={(e) => set({ ...wish, key: e.currentTarget.value === "RSA" ? "RSA" : "P-256" })}
          >
            <option value="P-256">{t.p256}</option>
            <option value="RSA">{t.rsa}</option>
          </select>
        )}
      </Field>
    </section>
  );
}

export function BundleKit(props: { file: GivenFile; passphrase: string | undefined; legacy: boolean }) {
  const { file, passphrase } = props;
  const open = `openssl pkcs12 -in ${file.name}${props.legacy ? " -legacy" : ""} -noenc`;
  return (
    <section class="card stack" aria-label={text.add.kit}>
      <h2>{text.add.kit}</h2>
      <Alert tone="warn">{t.once}</Alert>
      <div class="row">
        <button class="primary" onClick={() => download(file.name, file.content)}>
          {text.add.download(file.name)}
        </button>
      </div>
      {passphrase === undefined ? (
        <>
          <p class="small muted">{t.inside}</p>
          <Copy
            value={`unzip ${file.name} && ${file.name.replace(/\.zip$/, "")}/connect.sh pub devices/${file.name.replace(/\.zip$/, "")}/state hello`}
            label={t.tryIt}
          />
        </>
      ) : (
        <>
          <p>{t.passphraseOnce}</p>
          <Copy value={passphrase} label={t.passphrase} />
          <p class="small muted">{t.pemHint}</p>
          <Copy
            value={`${open} -nokeys -cacerts -out ca.crt
${open} -nokeys -clcerts -out device.crt
${open} -nocerts -out device.key`}
            label={t.asPem}
          />
        </>
      )}
    </section>
  );
}
